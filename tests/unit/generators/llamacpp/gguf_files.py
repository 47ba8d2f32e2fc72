"""GGUF files for tests, small and whole."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.generators.llamacpp.test_gguf import write

TENSORS = {"token_embd.weight": (0, (8, 5)), "output.weight": (2, (64, 3)), "odd": (8, (32,))}
_SIZES = {0: 8 * 5 * 4, 2: 64 * 3 // 32 * 18, 8: 34}  # bytes of each of these


def small_gguf(path: Path, values: dict[str, Any]) -> Path:
    """A file with these values and three tensors, in numbers of 32, 4 and 8 bits."""
    infos, offset = b"", 0
    for name, (kind, sizes) in TENSORS.items():
        infos += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(sizes))
        infos += struct.pack(f"<{len(sizes)}QIQ", *sizes, kind, offset)
        offset += _padded(_SIZES[kind])
    head = bytearray(write(path, values, more=infos).read_bytes())
    struct.pack_into("<Q", head, 8, len(TENSORS))
    data = np.random.default_rng(0).bytes(offset - _padded(_SIZES[8]) + _SIZES[8])
    path.write_bytes(head + bytes(_padded(len(head)) - len(head)) + data)
    return path


def _padded(size: int) -> int:
    return -(-size // 32) * 32
