"""Reads evaluation files: JSON, JSON lines or CSV, also gzipped.

Errors are ConfigErrors of one line, which name the file and a remedy. At most `MAX_UNPACKED` bytes
of a gzipped file are decompressed.
"""

import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import MAX_FILE_SIZE, Row, csv_rows, format_size, json_value, read_file

MAX_UNPACKED = 256 << 20  # bytes: a small gzipped file may expand to any size

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # an unpaired one cannot be written as UTF-8
_JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


class Document(NamedTuple):
    """The contents of one file."""

    path: Path
    top: dict[str, JsonValue]
    """The object in the file if it is a single JSON object, else empty."""
    rows: tuple[Row, ...]
    """The objects of a JSON list, JSON lines or a CSV; of a single object, that object."""
    renamed: Mapping[str, str] = {}
    """The name in the file of each column that was renamed."""

    def location(self, place: str = "") -> str:
        """Return the quoted file name and a place in the file, for a message."""
        return f"{str(self.path)!r}, {place}" if place else repr(str(self.path))

    def columns(self) -> tuple[str, ...]:
        """Return the columns of all rows, in order of first appearance."""
        return tuple(dict.fromkeys(column for row in self.rows for column in row.values))

    def rows_at(self, key: str) -> tuple[Row, ...]:
        """Return the objects of the list at a key of `top`. Raises ConfigError if it is none."""
        value = self.top.get(key)
        if not isinstance(value, list):
            raise ConfigError(
                f"{self.location()}: {key!r} has to be a list of objects, not {json_type(value)}"
            )
        return _object_rows(value, self.location(key))


def sorted_by_content(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows in the order of a hash of their values; equal rows keep their order.

    Whatever depends on the order in which rows are read (repeats, samples of completions, the text
    of an ambiguous id) then is the same for every order of the lines of a file. A hash, and not the
    content itself, so that the repeats of a judgment are not sorted by their verdicts.
    """
    return tuple(sorted(rows, key=_content_hash))


def _content_hash(row: Row) -> bytes:
    # Of the representation, which is five times as fast as JSON and the same for equal lines.
    return hashlib.sha256(repr(row.values).encode("utf-8", "surrogatepass")).digest()


def has_columns(rows: Iterable[Row], *columns: str) -> bool:
    """Return whether any row has all of these columns."""
    return any(all(column in row.values for column in columns) for row in rows)


def quote_names(names: Iterable[str]) -> str:
    """Return up to twelve distinct names, quoted, for a message; `none` without names."""
    distinct = list(dict.fromkeys(names))
    return ", ".join(map(repr, distinct[:12])) + (", ..." if len(distinct) > 12 else "") or "none"


def json_type(value: JsonValue) -> str:
    """Return the JSON type of a value with an article, for a message; `null` for None."""
    return _JSON_TYPES.get(type(value), "null")


def open_document(path: Path) -> Document:
    """Read a file. Raises ConfigError if it is not JSON, JSON lines or CSV, or has no rows."""
    text = _read_text(path)
    location = repr(str(path))
    if not text.strip():
        raise ConfigError(f"{location} is empty: give the file that the evaluation was written to")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".csv":
        rows = tuple(csv_rows(io.StringIO(text, newline=""), str(path)))
    elif text.lstrip()[0] not in "[{":
        raise ConfigError(
            f"{location} is no JSON list or object; a table in CSV has to be named .csv, with a "
            "header"
        )
    else:
        parse = _parse_lines if suffix == ".jsonl" else _parse_json
        value = parse(text, location)
        if isinstance(value, dict):
            return Document(path, value, (Row("row 1", value),))
        rows = _object_rows(value if isinstance(value, list) else [value], location)
    if not rows:
        raise ConfigError(f"{location} holds no rows: nothing was evaluated")
    return Document(path, {}, rows)


def _read_text(path: Path) -> str:
    location = repr(str(path))
    try:
        if path.is_dir():
            raise ConfigError(f"{location} is a folder: give the files in it")
        data = read_file(path, MAX_FILE_SIZE)
        if data.startswith(b"\x1f\x8b"):
            data = _decompress(data, location)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {location}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{location} is not text in UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {location}: {error.strerror or error}") from None
    except (EOFError, zlib.error, ValueError) as error:  # truncated, or an invalid path
        raise ConfigError(f"cannot read {location}: {error}") from None


def _decompress(data: bytes, location: str) -> bytes:
    """Return the contents of all gzip members. Raises ConfigError above `MAX_UNPACKED` bytes."""
    chunks: list[bytes] = []
    remaining = MAX_UNPACKED
    while data:
        member = zlib.decompressobj(wbits=31)  # accepts a gzip header only
        chunks.append(member.decompress(data, remaining + 1))
        remaining -= len(chunks[-1])
        if remaining < 0:
            raise ConfigError(
                f"{location} holds more than {format_size(MAX_UNPACKED)}: unpack it, if you know "
                "who made it"
            )
        if not member.eof:
            raise EOFError("it is cut short")
        data = member.unused_data.lstrip(b"\0")  # some writers pad the file with zeros
    return b"".join(chunks)


def _parse_json(text: str, location: str) -> JsonValue:
    try:
        return _parse_value(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # a second document follows: JSON lines
            return _parse_lines(text, location)
        raise _not_json(f"{location}, line {error.lineno}", error) from None
    except ValueError as error:
        raise ConfigError(f"{location}: no JSON that can be read: {error}") from None


def _parse_lines(text: str, location: str) -> JsonValue:
    values: list[JsonValue] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            line_location = f"{location}, line {number}"
            try:
                values.append(_parse_value(line))
            except json.JSONDecodeError as error:
                raise _not_json(line_location, error) from None
            except ValueError as error:
                raise ConfigError(f"{line_location}: no JSON that can be read: {error}") from None
    return values[0] if len(values) == 1 else values


def _not_json(location: str, error: json.JSONDecodeError) -> ConfigError:
    return ConfigError(
        f"{location}: not JSON: {error.msg}, column {error.colno}; is it the whole file?"
    )


def _parse_value(text: str) -> JsonValue:
    value = json_value(text)
    if _SURROGATE.search(text):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _object_rows(values: list[JsonValue], location: str) -> tuple[Row, ...]:
    rows = []
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise ConfigError(
                f"{location}, row {number} has to be an object, not {json_type(value)}; take it out"
            )
        rows.append(Row(f"row {number}", value))
    return tuple(rows)
