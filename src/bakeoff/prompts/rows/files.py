"""Reads .jsonl, .json, .csv and .txt files to rows; knows no prompt.

A row is a dict of columns with its place in the source, so that whoever reads it can name it.
What cannot be read is a ConfigError that names the source and the line. Nothing is unpacked, and a
line, a file that is read as a whole and the nesting in it have a largest size.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError

SUFFIXES = (".jsonl", ".json", ".csv", ".txt")
TEXT = "text"  # the column of a line of a .txt file, and of a row that is a plain text

LONGEST = 64 << 20  # bytes of a line
LARGEST = 1 << 30  # bytes of a file that is read as a whole
DEEPEST = 100  # lists and objects inside each other
_NAMED = 12  # names that a message lists
_SIZES = ((30, "GB"), (20, "MB"), (10, "kB"), (0, "bytes"))


class Row(NamedTuple):
    """One row: where it stands (`line 3` or `row 3`, from 1), and its columns."""

    place: str
    values: dict[str, JsonValue]


def read_rows(path: Path, *, lists: Sequence[str]) -> Iterator[Row]:
    """The rows of a file in its order, one at a time (but for .json).

    A row of .jsonl or .json is an object, or a text, which gets the column `text` like a line of
    .txt. `lists` are the keys under which a .json file that is an object may hold its rows.
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


def read_whole(path: Path, largest: int = LARGEST) -> bytes:
    """All that a file holds; ConfigError where that is too large, or may never end, as a pipe."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{str(path)!r} is no file: name the file itself")
        if path.stat().st_size > largest:
            raise ConfigError(f"{str(path)!r} is larger than {size(largest)}: make it smaller")
        return path.read_bytes()
    except ValueError as error:  # no path can be such
        raise ConfigError(f"cannot read {str(path)!r}: {error}") from None


def size(count: int) -> str:
    """A number of bytes as people say it."""
    shift, unit = next(step for step in _SIZES if count >> step[0] or not step[0])
    return f"{count >> shift} {unit}"


def json_value(text: str) -> JsonValue:
    """What a JSON text holds, of members of one name the last; ValueError where it is none."""
    try:
        value: JsonValue = json.loads(text)
    except (RecursionError, ValueError) as error:
        if isinstance(error, json.JSONDecodeError):
            raise
        deep = isinstance(error, RecursionError)  # else a number that would take long to read
        why = "it is nested too deeply" if deep else "a number in it has too many digits"
        raise ValueError(why) from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return value


def _depth(value: JsonValue) -> int:
    """How many lists and objects are inside each other, found without going into them."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, list | dict)]:
        depth += 1
        level = [
            inner for one in level for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first dozen of them; one with a sign that is not seen is quoted."""
    every = list(dict.fromkeys(names))
    shown = [name if name.isprintable() and name else repr(name) for name in every[:_NAMED]]
    return ", ".join(shown + ["..."] * (len(every) > _NAMED)) or "none"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    # As bytes: a file opened as text would be cut at a lone \r too, and where it is not UTF-8 it
    # does not say in which line.
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
            if len(line) > LONGEST:
                raise ConfigError(
                    f"{str(path)!r}, line {number}: longer than {size(LONGEST)}; are its line "
                    "breaks missing?"
                )
            yield number, _decoded(path, number, line)


def _decoded(path: Path, line: int, data: bytes) -> str:
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
        document = json_value(_decoded(path, 1, read_whole(path)))
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
    except UnicodeEncodeError as error:  # JSON can hold what no store and no server takes
        half = error.object[error.start : error.end]
        raise ConfigError(
            f"{where}: {half!r} is half a character; write the other half too"
        ) from None
    if isinstance(value, str):
        return {TEXT: value}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a row is an object or a text, not {type(value).__name__}")
    return value


def csv_rows(lines: Iterable[str], source: str) -> Iterator[Row]:
    """The rows of a CSV with a header; ConfigError names the `source` and the line."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        twice = next((name for name in header if name and header.count(name) > 1), None)
        if twice is not None:  # one of the two would be lost, and nobody would know which
            raise ConfigError(f"{source!r}: two columns are called {twice!r}: rename one of them")
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
