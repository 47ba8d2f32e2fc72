"""Builders of small GGUF files, laid out by hand after the description of the format."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators.llamacpp import gguf

LLAMA = {
    "general.architecture": "llama",
    "general.tags": ["a", "b"],
    "llama.block_count": 30,
    "llama.rope.freq_base": 0.5,
    "llama.tied": True,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}
TENSORS = {"token_embd.weight": (0, (8, 5)), "output.weight": (2, (64, 3)), "odd": (8, (32,))}
_SIZES = {0: 8 * 5 * 4, 2: 64 * 3 // 32 * 18, 8: 34}  # bytes of each of these tensors
METADATA = LLAMA | {"tokenizer.ggml.tokens": ["<s>", "a", "", "ü"], "later": 1, "sizes": [1, 2, 3]}


def write_header(path: Path, metadata: dict[str, Any], version: int = 3, tail: bytes = b"") -> Path:
    """Write a file with this metadata, a tensor count of 1 and `tail` after the metadata."""

    def string(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def packed(value: Any) -> tuple[int, bytes]:
        if isinstance(value, list):
            items = [packed(item) for item in value]
            return 9, struct.pack("<IQ", items[0][0], len(value)) + b"".join(b for _, b in items)
        if isinstance(value, str):
            return 8, string(value)
        if isinstance(value, bool):
            return 7, struct.pack("<?", value)
        return (
            (6, struct.pack("<f", value))
            if isinstance(value, float)
            else (4, struct.pack("<I", value))
        )

    body = b"GGUF" + struct.pack("<IQQ", version, 1, len(metadata))
    for key, value in metadata.items():
        type_id, data = packed(value)
        body += string(key) + struct.pack("<I", type_id) + data
    path.write_bytes(body + tail)
    return path


def small_gguf(path: Path, metadata: dict[str, Any]) -> Path:
    """Write a complete file with this metadata and three tensors (F32, Q4_0 and Q8_0)."""
    infos, offset = b"", 0
    for name, (type_id, sizes) in TENSORS.items():
        infos += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(sizes))
        infos += struct.pack(f"<{len(sizes)}QIQ", *sizes, type_id, offset)
        offset += _padded(_SIZES[type_id])
    header = bytearray(write_header(path, metadata, tail=infos).read_bytes())
    struct.pack_into("<Q", header, 8, len(TENSORS))
    data = np.random.default_rng(0).bytes(offset - _padded(_SIZES[8]) + _SIZES[8])
    path.write_bytes(header + bytes(_padded(len(header)) - len(header)) + data)
    return path


def _padded(size: int) -> int:
    return -(-size // 32) * 32


def validation_error(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        gguf.validate(path)
    message = str(caught.value)
    assert message.startswith(f"{str(path)!r} is no whole GGUF file (")
    assert "\n" not in message
    return message
