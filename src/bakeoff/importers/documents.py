"""Opens a file that some tool wrote: JSON, JSON lines or CSV. Knows no format, no prompt, no model.

What cannot be read is a ConfigError of one line that names the file and says what to do. Of a
packed file no more than `UNPACKED` bytes are ever unpacked.
"""

import io
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import LARGEST, Row, csv_rows, json_value, read_whole, size

UNPACKED = 256 << 20  # bytes that a gzipped file may hold: a few packed ones can be any number

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # perhaps half a character: JSON can hold what no file can
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


class Document(NamedTuple):
    """A file as it was read: `top` is its object, where it is one JSON object, else empty.

    `rows` are the objects of a JSON list, of JSON lines or of a CSV; of one object, that object.
    """

    path: Path
    top: dict[str, JsonValue]
    rows: tuple[Row, ...]

    def where(self, place: str = "") -> str:
        """The file, and a place in it, as a message names them."""
        return f"{str(self.path)!r}, {place}" if place else repr(str(self.path))

    def columns(self) -> tuple[str, ...]:
        """All columns that any row has, in the order in which they appear."""
        return tuple(dict.fromkeys(column for row in self.rows for column in row.values))

    def under(self, key: str) -> tuple[Row, ...]:
        """The rows that the object holds under a key; ConfigError where that is no list of them."""
        value = self.top.get(key)
        if not isinstance(value, list):
            raise ConfigError(
                f"{self.where()}: {key!r} has to be a list of objects, not {kind_of(value)}"
            )
        return _objects(value, self.where(key))


def holds(rows: Iterable[Row], *columns: str) -> bool:
    """Whether any of the rows has all of these columns."""
    return any(all(column in row.values for column in columns) for row in rows)


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first dozen of them."""
    every = list(dict.fromkeys(names))
    return ", ".join(map(repr, every[:12])) + (", ..." if len(every) > 12 else "") or "none"


def kind_of(value: JsonValue) -> str:
    """What JSON calls a value: for messages."""
    return _KINDS.get(type(value), "null")


def opened(path: Path) -> Document:
    """The document in a file, which may be gzipped; ConfigError where it holds none."""
    text = _text(path)
    where = repr(str(path))
    if not text.strip():
        raise ConfigError(f"{where} is empty: give the file that the evaluation was written to")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".csv":
        return _filled(
            Document(path, {}, tuple(csv_rows(io.StringIO(text, newline=""), str(path))))
        )
    if text.lstrip()[0] not in "[{":
        raise ConfigError(
            f"{where} is no JSON list or object; a table in CSV has to be named .csv, with a header"
        )
    value = _lines(text, where) if suffix == ".jsonl" else _whole(text, where)
    if isinstance(value, dict):
        return Document(path, value, (Row("row 1", value),))
    rows = _objects(value if isinstance(value, list) else [value], where)
    return _filled(Document(path, {}, rows))


def _text(path: Path) -> str:
    where = repr(str(path))
    try:
        if path.is_dir():
            raise ConfigError(f"{where} is a folder: give the files in it")
        data = read_whole(path, LARGEST)
        if data.startswith(b"\x1f\x8b"):
            data = _unpacked(data, where)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {where}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where} is not text in UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {where}: {error.strerror or error}") from None
    except (EOFError, zlib.error, ValueError) as error:  # cut off, or a path that can be none
        raise ConfigError(f"cannot read {where}: {error}") from None


def _unpacked(data: bytes, where: str) -> bytes:
    """What a gzipped file holds, of one part or several; ConfigError where that is too much."""
    found: list[bytes] = []
    room = UNPACKED
    while data:
        part = zlib.decompressobj(wbits=31)  # with a header of gzip, and no other
        found.append(part.decompress(data, room + 1))
        room -= len(found[-1])
        if room < 0:
            raise ConfigError(
                f"{where} holds more than {size(UNPACKED)}: unpack it, if you know who made it"
            )
        if not part.eof:
            raise EOFError("it is cut short")
        data = part.unused_data.lstrip(b"\0")  # some writers fill up a block
    return b"".join(found)


def _filled(document: Document) -> Document:
    if not document.rows:
        raise ConfigError(f"{document.where()} holds no rows: nothing was evaluated")
    return document


def _whole(text: str, where: str) -> JsonValue:
    try:
        return _parsed(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # a document, and then another one: JSON lines
            return _lines(text, where)
        raise ConfigError(
            f"{where}, line {error.lineno}: not JSON: {error.msg}, column {error.colno}; "
            "is it the whole file?"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{where}: no JSON that can be read: {error}") from None


def _lines(text: str, where: str) -> JsonValue:
    values: list[JsonValue] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                values.append(_parsed(line))
            except json.JSONDecodeError as error:
                raise ConfigError(
                    f"{where}, line {number}: not JSON: {error.msg}, column {error.colno}; "
                    "is it the whole file?"
                ) from None
            except ValueError as error:
                raise ConfigError(
                    f"{where}, line {number}: no JSON that can be read: {error}"
                ) from None
    return values[0] if len(values) == 1 else values


def _parsed(text: str) -> JsonValue:
    value = json_value(text)
    if _HALF.search(text):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _objects(values: list[JsonValue], where: str) -> tuple[Row, ...]:
    rows = []
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise ConfigError(
                f"{where}, row {number} has to be an object, not {kind_of(value)}; take it out"
            )
        rows.append(Row(f"row {number}", value))
    return tuple(rows)
