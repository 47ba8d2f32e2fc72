"""Reads rows from .jsonl, .json, .csv and .txt files.

Errors are ConfigErrors that name the file and the line. Sizes of lines and files and the nesting
depth are limited; nothing is decompressed.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError

SUFFIXES = (".jsonl", ".json", ".csv", ".txt")
TEXT = "text"  # column of a line of a .txt file, and of a row that is a string

MAX_LINE_SIZE = 64 << 20  # bytes
MAX_FILE_SIZE = 1 << 30  # bytes of a file that is read into memory
MAX_DEPTH = 100  # nested lists and objects
_MAX_NAMES = 12  # names that a message lists
_SIZES = ((30, "GB"), (20, "MB"), (10, "kB"), (0, "bytes"))


class Row(NamedTuple):
    """One row of a file or dataset."""

    place: str
    """`line 3` or `row 3`, counted from 1; for messages."""
    values: dict[str, JsonValue]

    @property
    def number(self) -> int:
        """The number in `place`; 0 if it has none."""
        digits = self.place.rpartition(" ")[2]
        return int(digits) if digits.isdecimal() else 0


def read_rows(path: Path, *, lists: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a file; all formats but .json are streamed.

    A row of .jsonl or .json is an object, or a string, which becomes the column `text` like a line
    of .txt. `lists` are the keys under which a .json object may have its rows. Raises ConfigError
    if the file is missing or cannot be read, or if a row is invalid.
    """
    try:
        if path.is_dir():
            raise ConfigError(f"{str(path)!r} is a folder; write 'hf:{path}' if it holds a dataset")
        if not path.exists():
            raise ConfigError(f"there is no file {str(path)!r}")
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ConfigError(f"cannot read {str(path)!r}: it has to end in {', '.join(SUFFIXES)}")
        if suffix == ".csv":
            yield from csv_rows((line for _, line in _lines(path)), str(path))
        elif suffix == ".json":
            yield from _json_rows(path, lists)
        elif suffix == ".jsonl":
            yield from _jsonl_rows(path)
        else:
            for number, line in _lines(path):
                yield Row(f"line {number}", {TEXT: line.rstrip("\r\n")})
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror or error}") from None


def read_file(path: Path, max_size: int = MAX_FILE_SIZE) -> bytes:
    """Return the content of a regular file.

    Raises ConfigError if it is not a regular file or has more than `max_size` bytes, and OSError if
    it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{str(path)!r} is no file: name the file itself")
        if path.stat().st_size > max_size:
            raise ConfigError(
                f"{str(path)!r} is larger than {format_size(max_size)}: make it smaller"
            )
        return path.read_bytes()
    except ValueError as error:  # an invalid path
        raise ConfigError(f"cannot read {str(path)!r}: {error}") from None


def format_size(count: int) -> str:
    """Return a number of bytes as text, for example `64 MB`."""
    shift, unit = next(step for step in _SIZES if count >> step[0] or not step[0])
    return f"{count >> shift} {unit}"


def json_value(text: str) -> JsonValue:
    """Parse JSON; of equal keys in an object, the last one is used.

    Raises ValueError if the text is invalid, nested too deeply, or has an integer that is too long.
    """
    try:
        value: JsonValue = json.loads(text)
    except (RecursionError, ValueError) as error:
        if isinstance(error, json.JSONDecodeError):
            raise
        too_deep = isinstance(error, RecursionError)  # otherwise an integer with too many digits
        why = "it is nested too deeply" if too_deep else "a number in it has too many digits"
        raise ValueError(why) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    return value


def _depth(value: JsonValue) -> int:
    """Return the nesting depth of lists and objects, without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, list | dict)]:
        depth += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def format_names(names: Iterable[str]) -> str:
    """Return up to twelve distinct names for a message; `none` without names.

    Empty names and names with unprintable characters are quoted.
    """
    every = list(dict.fromkeys(names))
    shown = [name if name.isprintable() and name else repr(name) for name in every[:_MAX_NAMES]]
    return ", ".join(shown + ["..."] * (len(every) > _MAX_NAMES)) or "none"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    # Opened in binary mode: text mode splits at a lone \r, and its decoding errors name no line.
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_SIZE + 1), b""), 1):
            if len(line) > MAX_LINE_SIZE:
                raise ConfigError(
                    f"{str(path)!r}, line {number}: longer than {format_size(MAX_LINE_SIZE)}; "
                    "are its line breaks missing?"
                )
            yield number, _decode(path, number, line)


def _decode(path: Path, line: int, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += data[: error.start].count(b"\n")
        raise ConfigError(f"{str(path)!r}, line {line}: not UTF-8; save it as UTF-8") from None


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in _lines(path):
        if line.strip():
            place = f"line {number}"
            where = f"{str(path)!r}, {place}"
            try:
                value = json_value(line)
            except json.JSONDecodeError as error:
                raise ConfigError(f"{where}: not JSON: {error.msg}, column {error.colno}") from None
            except ValueError as error:
                raise ConfigError(f"{where}: no JSON that can be read: {error}") from None
            yield Row(place, _columns(value, where))


def _json_rows(path: Path, lists: Sequence[str]) -> Iterator[Row]:
    try:
        document = json_value(_decode(path, 1, read_file(path)))
    except json.JSONDecodeError as error:
        where = f"{str(path)!r}, line {error.lineno}"
        raise ConfigError(f"{where}: not JSON: {error.msg}, column {error.colno}") from None
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}: no JSON that can be read: {error}") from None
    if isinstance(document, dict):
        document = next((document[key] for key in lists if key in document), None)
    if not isinstance(document, list):
        keys = " or ".join(map(repr, lists))
        raise ConfigError(
            f"{str(path)!r} has to be a list of rows, or an object with one at {keys}"
        )
    for number, value in enumerate(document, 1):
        place = f"row {number}"
        yield Row(place, _columns(value, f"{str(path)!r}, {place}"))


def _columns(value: JsonValue, where: str) -> dict[str, JsonValue]:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # JSON can hold lone surrogates, which UTF-8 cannot
        surrogate = error.object[error.start : error.end]
        raise ConfigError(
            f"{where}: {surrogate!r} is half a character; write the other half too"
        ) from None
    if isinstance(value, str):
        return {TEXT: value}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a row is an object or a text, not {type(value).__name__}")
    return value


def csv_rows(lines: Iterable[str], source: str) -> Iterator[Row]:
    """Yield the rows of a CSV with a header. Raises ConfigError naming `source` and the line."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        duplicate = next((name for name in header if name and header.count(name) > 1), None)
        if duplicate is not None:
            raise ConfigError(
                f"{source!r}: two columns are called {duplicate!r}: rename one of them"
            )
        for number, cells in enumerate(filter(None, reader), 1):
            if len(cells) != len(header):
                raise ConfigError(
                    f"{source!r}, line {reader.line_num}: {len(cells)} cells under a header of "
                    f"{len(header)}; put double quotes around a cell that holds a comma"
                )
            yield Row(f"row {number}", dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        hint = "; save it as .jsonl" if "field limit" in str(error) else ""
        where = f"{source!r}, line {reader.line_num}"
        raise ConfigError(f"{where}: not CSV: {error}{hint}") from None
