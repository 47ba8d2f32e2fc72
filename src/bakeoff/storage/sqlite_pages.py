"""SQLite's pages, read without SQLite: what is left of a file that SQLite itself refuses.

Knows pages and cells; no table, and no record. After https://sqlite.org/fileformat2.html.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bakeoff.storage.wal import SIZES

Value = int | float | str | bytes | None

MAGIC = b"SQLite format 3\0"
_LEAF, _INTERIOR, _INDEX_LEAF = 0x0D, 0x05, 0x0A  # kinds of pages
_WIDTHS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}  # bytes of a number
_DAMAGE = (IndexError, ValueError, struct.error)


class Cell(NamedTuple):
    """A row of a table, or of an index, whose last value is then the row's number."""

    number: int | None
    values: tuple[Value, ...]


Pages = Callable[[int], bytes]  # a page by its number, from 1 on; empty where there is none


def page_size(start: bytes) -> int:
    """The bytes of a page, from the start of a file; ValueError where it is not SQLite's."""
    size = int.from_bytes(start[16:18], "big")
    size = 65536 if size == 1 else size
    if not start.startswith(MAGIC) or size not in SIZES:
        raise ValueError("no file of SQLite's")
    return size


def rows_on(page: bytes, number: int, pages: Pages) -> Iterator[Cell]:
    """The rows on a page of a table or an index; of one that is neither, or damaged, what it has.

    `number` is the page's, `pages` gives those on which a long row goes on.
    """
    start = 100 if number == 1 else 0
    kind = page[start] if len(page) > start + 8 else 0
    if kind not in (_LEAF, _INDEX_LEAF):
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for nth in range(min(count, len(page) // 4)):
        at = start + 8 + 2 * nth
        try:
            cell = int.from_bytes(page[at : at + 2], "big")
            yield _cell(page, cell, kind, pages)
        except _DAMAGE:
            continue


def numbers_on(page: bytes, count: int) -> list[int]:
    """The numbers of rows that a page of a table's inside tells; none where it is another one.

    `count` is how many pages there are: it leads to no others.
    """
    if page[:1] != bytes([_INTERIOR]):
        return []
    found: list[int] = []
    for nth in range(int.from_bytes(page[3:5], "big")):
        at = 12 + 2 * nth
        cell = int.from_bytes(page[at : at + 2], "big")
        try:
            number, _ = _varint(page, cell + 4)
        except IndexError:
            return []
        if not 0 < int.from_bytes(page[cell : cell + 4], "big") <= count:
            return []
        if found and number <= found[-1]:  # garbage is in no order
            return []
        found.append(number)
    return found


def _cell(page: bytes, at: int, kind: int, pages: Pages) -> Cell:
    length, at = _varint(page, at)
    number, at = _varint(page, at) if kind == _LEAF else (None, at)
    usable = len(page)
    room = usable - 35 if kind == _LEAF else (usable - 12) * 64 // 255 - 23
    return Cell(number, _values(_payload(page, at, length, room, pages)))


def _payload(page: bytes, at: int, length: int, room: int, pages: Pages) -> bytes:
    """What a cell holds, which goes on elsewhere where there is no room for it on its page."""
    usable, here = len(page), length
    if length > room:
        least = (usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (usable - 4)
        here = here if here <= room else least
    if length <= 0 or at + here > usable:
        raise ValueError("it ends behind the page")
    parts, missing, seen = [page[at : at + here]], length - here, {0}
    more = int.from_bytes(page[at + here : at + here + 4], "big")
    while missing:
        if more in seen:
            raise ValueError("it goes round in circles, or ends too soon")
        seen.add(more)
        content = pages(more)
        if not content:
            raise ValueError("it goes on where there is no page")
        parts.append(content[4 : 4 + missing])
        missing -= len(parts[-1])
        more = int.from_bytes(content[:4], "big")
    return b"".join(parts)


def _values(payload: bytes) -> tuple[Value, ...]:
    """The values of a row: a header says what each is, and all their bytes follow it."""
    end, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values, at = [], end
    for kind in kinds:
        width = _WIDTHS[kind] if kind in _WIDTHS else (kind - 12) // 2
        if width < 0 or at + width > len(payload):
            raise ValueError("it ends behind the row")
        values.append(_value(kind, payload[at : at + width]))
        at += width
    return tuple(values)


def _value(kind: int, content: bytes) -> Value:
    if kind == 0:
        return None
    if kind == 7:
        return float(struct.unpack(">d", content)[0])
    if kind in (8, 9):
        return kind - 8
    if kind < 7:
        return int.from_bytes(content, "big", signed=True)
    return content.decode() if kind % 2 else content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    value = 0
    for nth in range(8):
        byte = data[at + nth]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + nth + 1
    value = value << 8 | data[at + 8]
    return (value - (1 << 64) if value >> 63 else value), at + 9
