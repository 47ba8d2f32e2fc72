"""Whether a GGUF file is whole: that its head can be read to the end, and all tensors lie in it.

An engine that meets half a file says so in lines of its own, or ends this process. The format:
github.com/ggml-org/ggml, docs/gguf.md. Of what a file says of sizes nothing is believed; reads no
tensor, and knows no engine.
"""

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError

# The bytes of each kind of value; 8 is a text, and 9 a list.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9
_ALIGNMENT = "general.alignment"
_MOST = 1 << 24  # texts in a list, values and tensors
_DIMENSIONS = 4  # of a tensor, at most
# The numbers that a block of each kind of tensor holds, and its bytes; of other kinds, which are
# newer than this, only the beginning is looked at.
_BLOCKS = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    15: (256, 292),  # Q8_K
    16: (256, 66),  # IQ2_XXS
    17: (256, 74),  # IQ2_XS
    18: (256, 98),  # IQ3_XXS
    19: (256, 50),  # IQ1_S
    20: (32, 18),  # IQ4_NL
    21: (256, 110),  # IQ3_S
    22: (256, 82),  # IQ2_S
    23: (256, 136),  # IQ4_XS
    24: (1, 1),  # I8
    25: (1, 2),  # I16
    26: (1, 4),  # I32
    27: (1, 8),  # I64
    28: (1, 8),  # F64
    29: (256, 56),  # IQ1_M
    30: (1, 2),  # BF16
    34: (256, 54),  # TQ1_0
    35: (256, 66),  # TQ2_0
    39: (32, 17),  # MXFP4
    40: (64, 36),  # NVFP4
    41: (128, 18),  # Q1_0
}


class _Tensor(NamedTuple):
    name: str
    numbers: int
    kind: int
    offset: int


def check_whole(path: Path) -> None:
    """ConfigError, in one line that names the file, where it is not a whole GGUF file."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise ValueError("it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
                _Head(held).check()
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(
            f"{str(path)!r} is no whole GGUF file ({error}): copy or download it again"
        ) from None


class _Head:
    """Reads on from where it is; ValueError where that goes beyond the end of the file."""

    def __init__(self, held: mmap.mmap) -> None:
        self._held = held
        self._at = 0

    def check(self) -> None:
        if self._held[:4] != b"GGUF":
            raise ValueError(f"it begins with {bytes(self._held[:4])!r} and not with 'GGUF'")
        self._at = 4
        (version,) = self._read("I")
        if version not in (2, 3):
            raise ValueError(f"it says to be of the version {version}; known are 2 and 3")
        tensors, values = self._read("QQ")
        alignment = self._values(values)
        if alignment < 1 or alignment & (alignment - 1):
            raise ValueError(f"its alignment is {alignment}, which is no power of two")
        told = list(self._tensors(tensors))
        begins = -(-self._at // alignment) * alignment
        for tensor in told:
            block, size = _BLOCKS.get(tensor.kind, (1, 0))
            ends = begins + tensor.offset + -(-tensor.numbers // block) * size
            if ends > len(self._held):
                raise ValueError(
                    f"the tensor {tensor.name!r} ends at byte {ends}, the file at {len(self._held)}"
                )

    def _values(self, count: int) -> int:
        """Read past all values; the alignment that they say."""
        alignment = 32
        for _ in range(_some(count, "values")):
            name = self._text()
            (kind,) = self._read("I")
            if name == _ALIGNMENT and kind == 4:
                (alignment,) = self._read("I")
            else:
                self._pass(kind)
        return alignment

    def _pass(self, kind: int, *, in_list: bool = False) -> None:
        if kind == _TEXT:
            self._skip(self._read("Q")[0])
        elif kind == _LIST and not in_list:  # no engine knows lists of lists
            inner, count = self._read("IQ")
            if inner in _SIZES:
                self._skip(count * _SIZES[inner])
                return
            for _ in range(_some(count, "texts in a list")):
                self._pass(inner, in_list=True)
        elif kind in _SIZES:
            self._skip(_SIZES[kind])
        else:
            raise ValueError(f"its head holds a value of the kind {kind}, which is not known")

    def _tensors(self, count: int) -> Iterator[_Tensor]:
        for _ in range(_some(count, "tensors")):
            name = self._text()
            (dimensions,) = self._read("I")
            sizes = self._read(f"{_some(dimensions, 'dimensions', _DIMENSIONS)}Q")
            kind, offset = self._read("IQ")
            yield _Tensor(name, math.prod(sizes), kind, offset)

    def _text(self) -> str:
        (length,) = self._read("Q")
        begins = self._at
        self._skip(length)
        return self._held[begins : self._at].decode(errors="replace")[:100]

    def _read(self, form: str) -> tuple[int, ...]:
        begins = self._at
        self._skip(struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self._held, begins)

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._held):
            raise ValueError(f"its head goes beyond its end at byte {len(self._held)}")


def _some(count: int, what: str, most: int = _MOST) -> int:
    if count > most:
        raise ValueError(f"its head speaks of {count} {what}")
    return count
