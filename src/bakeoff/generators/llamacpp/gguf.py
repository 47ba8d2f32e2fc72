"""What the head of a GGUF file says of its model: as much as it takes to know how large it becomes.

The format: github.com/ggml-org/ggml, docs/gguf.md. Reads no tensor, and knows no engine. A file may
be anybody's: of what it says about its own size nothing is believed.
"""

import struct
from pathlib import Path
from typing import BinaryIO

Value = int | float | bool | str | list["Value"]

_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 20  # bytes of a text, and values of a list, that can be what we look for
_LARGEST = 1 << 26  # bytes of a head before the tokenizer's part
_DEEPEST = 3  # lists inside each other
_TOKENIZER = "tokenizer."  # after these come lists of all tokens, and nothing that we look for


def head(path: Path) -> dict[str, Value]:
    """The names and values before the tokenizer's; ValueError where it is no GGUF file."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{str(path)!r} is no GGUF file")
        version, _, count = _read(file, "IQQ")
        if version not in (2, 3):
            raise ValueError(f"{str(path)!r} is GGUF of the version {version}")
        found: dict[str, Value] = {}
        while len(found) < count:
            name = _text(file)
            if name.startswith(_TOKENIZER):
                break
            if name in found or file.tell() > _LARGEST:
                raise ValueError(f"the head of {str(path)!r} is none that a model has")
            found[name] = _value(file, *_read(file, "I"))
        return found


def bytes_per_token(path: Path) -> int | None:
    """What llama.cpp keeps of a token, in 16 bits: keys and values of all layers, or less.

    None where the file does not say so.
    """
    try:
        said = head(path)
        model = said["general.architecture"]
        heads = _most(said[f"{model}.attention.head_count"])
        size = _most(said[f"{model}.embedding_length"]) // heads
        kept = _most(said.get(f"{model}.attention.head_count_kv", heads))
        both = sum(
            _most(said.get(f"{model}.attention.{what}_length", size)) for what in ("key", "value")
        )
        return 2 * _most(said[f"{model}.block_count"]) * kept * both
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def _most(value: Value) -> int:
    """A number; of a list, in which every layer has its own, the largest."""
    return max(map(_most, value)) if isinstance(value, list) else int(value)


def _value(file: BinaryIO, kind: int, depth: int = 0) -> Value:
    if kind == _STRING:
        return _text(file)
    if kind == _ARRAY:
        inner, count = _read(file, "IQ")
        if count > _LONGEST or depth == _DEEPEST or file.tell() > _LARGEST:
            raise ValueError("a list of so many values is none that we look for")
        return [_value(file, inner, depth + 1) for _ in range(count)]
    if kind not in _NUMBERS:
        raise ValueError(f"a value of the kind {kind} is not known")
    number: Value = _read(file, _NUMBERS[kind])[0]
    return number


def _text(file: BinaryIO) -> str:
    (length,) = _read(file, "Q")
    if length > _LONGEST:
        raise ValueError("a text of so many bytes is none that we look for")
    return file.read(length).decode(errors="replace")


def _read(file: BinaryIO, form: str) -> tuple[int, ...]:
    try:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))
    except struct.error:
        raise ValueError("it is cut short") from None
