"""The log that SQLite keeps beside a file (`-wal`): what of it is whole, and what it holds.

Knows frames and their sums; not what is on a page. After https://sqlite.org/fileformat2.html.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

LOG = "-wal"  # after a file's name
_HEADER, _FRAME = 32, 24  # bytes of the log's header, and of a frame's
_32 = 0xFFFFFFFF
SIZES = [512 << power for power in range(8)]  # of a page


class Frame(NamedTuple):
    """A page as the log holds it; `good` where its checksum says that it is whole."""

    page: int
    content: bytes
    good: bool


def log_trouble(log: bytes) -> str | None:
    """What is wrong with a log, so that SQLite would leave out what it holds, and not say so.

    None where it is whole, or ends in the middle of a frame, as it does where a process was killed.
    """
    if len(log) <= _HEADER:
        return None
    try:
        size, salt, *_ = _header(log)
    except ValueError:
        return "its header is not one"
    whole = 0
    for frame in _frames(log, chained=True):
        if not frame.good:
            break
        whole += 1
    step = _FRAME + size
    behind = range(_HEADER + (whole + 1) * step, len(log) - step + 1, step)
    lost = sum(1 for at in behind if log[at + 8 : at + 16] == salt)
    return f"frame {whole + 1} of {whole + 1 + lost} is not as it was written" if lost else None


def frames_of(log: bytes) -> list[Frame]:
    """All the pages that a log holds, also behind what is damaged; none where it is no log."""
    try:
        return list(_frames(log, chained=False))
    except ValueError:
        return []


def log_page_size(log: bytes) -> int:
    """The bytes of a page; ValueError where it is no log."""
    return _header(log)[0]


def _header(log: bytes) -> tuple[int, bytes, str, tuple[int, int]]:
    """The size of a page, the salt of the frames, the byte order and the sum to go on with."""
    if len(log) < _HEADER:
        raise ValueError("no log")
    magic, version, size = struct.unpack(">3I", log[:12])
    if magic & ~1 != 0x377F0682 or version != 3007000:
        raise ValueError("no log")
    order = ">" if magic & 1 else "<"
    sums = _sum(log[:24], order, (0, 0))
    if sums != struct.unpack(">2I", log[24:32]):
        raise ValueError("a damaged log")
    if size not in SIZES:
        raise ValueError("no size of a page")
    return size, log[16:24], order, sums


def _frames(log: bytes, *, chained: bool) -> Iterator[Frame]:
    """The frames of one writing, in order; each is summed up from what the one before it says.

    `chained`: from what the one before it is, and no further than the first that is not good.
    """
    if len(log) <= _HEADER:
        return
    size, salt, order, sums = _header(log)
    step = _FRAME + size
    for at in range(_HEADER, len(log) - step + 1, step):
        head, content = log[at : at + _FRAME], log[at + _FRAME : at + step]
        if head[8:16] != salt:  # of an earlier writing, which has been taken over
            if chained:
                return
            continue
        told = struct.unpack(">2I", head[16:24])
        good = _sum(content, order, _sum(head[:8], order, sums)) == told
        yield Frame(int.from_bytes(head[:4], "big"), content, good)
        if chained and not good:
            return
        sums = told


def _sum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for left, right in zip(words[::2], words[1::2], strict=True):
        one = (one + left + two) & _32
        two = (two + right + one) & _32
    return one, two
