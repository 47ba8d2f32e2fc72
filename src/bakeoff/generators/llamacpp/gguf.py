"""Reader of GGUF headers: checks that a model file is complete, and estimates its KV cache.

Format: docs/gguf.md of github.com/ggml-org/ggml. The file is untrusted: every count and size in it
is checked against the file's length or a limit before it is used.
"""

import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError

Value = int | float | bool | str | list["Value"]

# Value types: number formats of `struct`, then the types that have a length.
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_UINT32, _STRING, _ARRAY = 4, 8, 9
_ALIGNMENT = "general.alignment"
_TOKENIZER = "tokenizer."  # keys from here on have the vocabulary, which no estimate needs
_MAX_ITEMS = 1 << 24  # metadata values, strings of an array, and tensors
_MAX_DECODED = 1 << 20  # bytes of a string, or items of an array, that are converted to objects
_MAX_METADATA = 1 << 26  # bytes of metadata before that of the tokenizer
_MAX_DIMENSIONS = 4
# Elements per block and bytes per block of each tensor type. Of types that are newer than this
# table, only the beginning of the tensor is checked.
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
    elements: int
    type_id: int
    offset: int  # bytes from the start of the tensor data


def validate(path: Path) -> None:
    """Check that the header is readable and that every tensor lies within the file.

    Engines print many lines, or end the process, if a file is incomplete. Raises ConfigError, on
    one line with the path, if the file is incomplete, malformed or unreadable.
    """
    try:
        with _open_header(path) as header:
            _check_tensors(header)
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(
            f"{str(path)!r} is no whole GGUF file ({error}): copy or download it again"
        ) from None


def read_metadata(path: Path) -> dict[str, Value]:
    """Return the metadata before that of the tokenizer, by key.

    Raises OSError if the file cannot be read, ValueError if it is malformed.
    """
    metadata: dict[str, Value] = {}
    with _open_header(path) as header:
        for key, type_id in header.entries():
            if key.startswith(_TOKENIZER):
                break
            if key in metadata or header.offset > _MAX_METADATA:
                raise ValueError(f"the head of {str(path)!r} is none that a model has")
            metadata[key] = header.value(type_id)
    return metadata


def kv_bytes_per_token(path: Path) -> int | None:
    """Return an upper bound of the bytes of llama.cpp's KV cache per token, with 16-bit values.

    None if the metadata does not have the model's dimensions.
    """
    try:
        metadata = read_metadata(path)
        model = metadata["general.architecture"]
        heads = _largest(metadata[f"{model}.attention.head_count"])
        head_size = _largest(metadata[f"{model}.embedding_length"]) // heads
        kv_heads = _largest(metadata.get(f"{model}.attention.head_count_kv", heads))
        key_and_value = sum(
            _largest(metadata.get(f"{model}.attention.{part}_length", head_size))
            for part in ("key", "value")
        )
        return 2 * _largest(metadata[f"{model}.block_count"]) * kv_heads * key_and_value
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def _largest(value: Value) -> int:
    """Return a number, or the largest of an array with a number per layer."""
    return max(map(_largest, value)) if isinstance(value, list) else int(value)


def _check_tensors(header: "_Header") -> None:
    alignment: Value = 32
    for key, type_id in header.entries():
        if key == _ALIGNMENT and type_id == _UINT32:
            alignment = header.value(type_id)
        else:
            header.skip_value(type_id)
    assert isinstance(alignment, int)  # noqa: S101 - for mypy: its type is UINT32
    if alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"its alignment is {alignment}, which is no power of two")
    tensors = list(header.tensors())
    data_start = -(-header.offset // alignment) * alignment
    for tensor in tensors:
        block, block_bytes = _BLOCKS.get(tensor.type_id, (1, 0))
        end = data_start + tensor.offset + -(-tensor.elements // block) * block_bytes
        if end > header.size:
            raise ValueError(
                f"the tensor {tensor.name!r} ends at byte {end}, the file at {header.size}"
            )


@contextmanager
def _open_header(path: Path) -> Iterator["_Header"]:
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise ValueError("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield _Header(data)


class _Header:
    """Sequential reader of a memory-mapped header; raises ValueError beyond the file's end."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.offset = 4
        self.size = len(data)
        if data[:4] != b"GGUF":
            raise ValueError(f"it begins with {bytes(data[:4])!r} and not with 'GGUF'")
        (version,) = self._read("I")
        if version not in (2, 3):
            raise ValueError(f"it says to be of the version {version}; known are 2 and 3")
        self._tensor_count, self._value_count = self._read("QQ")

    def entries(self) -> Iterator[tuple[str, int]]:
        """Yield each metadata key and the type of its value, which the caller reads or skips."""
        for _ in range(_checked(self._value_count, "values")):
            yield self._string(), self._read("I")[0]

    def value(self, type_id: int, *, in_array: bool = False) -> Value:
        """Read and return a value. Raises ValueError for arrays of arrays: no model has them."""
        if type_id == _STRING:
            return self._string()
        if type_id == _ARRAY and not in_array:
            item_type, count = self._read("IQ")
            items = range(_checked(count, "values in a list", _MAX_DECODED))
            return [self.value(item_type, in_array=True) for _ in items]
        number: Value = self._read(_number_format(type_id))[0]
        return number

    def skip_value(self, type_id: int, *, in_array: bool = False) -> None:
        """Skip a value without decoding it."""
        if type_id == _STRING:
            self._skip(self._read("Q")[0])
        elif type_id == _ARRAY and not in_array:
            item_type, count = self._read("IQ")
            if item_type in _NUMBERS:
                self._skip(count * struct.calcsize(f"<{_NUMBERS[item_type]}"))
            else:
                for _ in range(_checked(count, "texts in a list")):
                    self.skip_value(item_type, in_array=True)
        else:
            self._skip(struct.calcsize(f"<{_number_format(type_id)}"))

    def tensors(self) -> Iterator[_Tensor]:
        """Yield the descriptions of the tensors, which follow the metadata."""
        for _ in range(_checked(self._tensor_count, "tensors")):
            name = self._string()
            (dimensions,) = self._read("I")
            sizes = self._read(f"{_checked(dimensions, 'dimensions', _MAX_DIMENSIONS)}Q")
            type_id, offset = self._read("IQ")
            yield _Tensor(name[:100], math.prod(sizes), type_id, offset)

    def _string(self) -> str:
        (length,) = self._read("Q")
        start = self.offset
        self._skip(length)
        _checked(length, "bytes in a text", _MAX_DECODED)
        return self._data[start : self.offset].decode(errors="replace")

    def _read(self, fields: str) -> tuple[int, ...]:
        start = self.offset
        self._skip(struct.calcsize(f"<{fields}"))
        return struct.unpack_from(f"<{fields}", self._data, start)

    def _skip(self, count: int) -> None:
        self.offset += count
        if self.offset > self.size:
            raise ValueError(f"its head goes beyond its end at byte {self.size}")


def _number_format(type_id: int) -> str:
    if type_id not in _NUMBERS:
        raise ValueError(f"its head holds a value of the kind {type_id}, which is not known")
    return _NUMBERS[type_id]


def _checked(count: int, kind: str, limit: int = _MAX_ITEMS) -> int:
    """Return `count`. Raises ValueError, which names the kind of items, if it is above `limit`."""
    if count > limit:
        raise ValueError(f"its head speaks of {count} {kind}")
    return count
