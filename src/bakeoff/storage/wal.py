"""Checks the write-ahead log of a SQLite database (`-wal`) for damage.

SQLite ignores all frames from the first damaged one on, and raises no error. Format:
https://sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from collections.abc import Iterator

SUFFIX = "-wal"
_HEADER_SIZE, _FRAME_HEADER_SIZE = 32, 24  # bytes
_MASK = 0xFFFFFFFF
_PAGE_SIZES = [512 << power for power in range(8)]  # bytes


def wal_damage(log: bytes) -> str | None:
    """Return a description of damage because of which SQLite would ignore committed frames.

    None if the log is intact, or ends within a frame, as after the writing process was killed.
    """
    if len(log) <= _HEADER_SIZE:
        return None
    try:
        page_size, salt, order, checksum = _read_header(log)
    except ValueError:
        return "its header is not one"
    intact = sum(_valid_frames(log, page_size, salt, order, checksum))
    step = _FRAME_HEADER_SIZE + page_size
    following = range(_HEADER_SIZE + (intact + 1) * step, len(log) - step + 1, step)
    lost = sum(1 for start in following if log[start + 8 : start + 16] == salt)
    return f"frame {intact + 1} of {intact + 1 + lost} is not as it was written" if lost else None


def _read_header(log: bytes) -> tuple[int, bytes, str, tuple[int, int]]:
    """Return page size, salt, byte order and checksum. Raises ValueError if it is damaged."""
    magic, version, page_size = struct.unpack(">3I", log[:12])
    if magic & ~1 != 0x377F0682 or version != 3007000:
        raise ValueError("not a write-ahead log")
    order = ">" if magic & 1 else "<"
    checksum = _checksum(log[:24], order, (0, 0))
    if checksum != struct.unpack(">2I", log[24:32]) or page_size not in _PAGE_SIZES:
        raise ValueError("a damaged header")
    return page_size, log[16:24], order, checksum


def _valid_frames(
    log: bytes, page_size: int, salt: bytes, order: str, checksum: tuple[int, int]
) -> Iterator[bool]:
    """Yield True for each frame before the first one that is damaged or has another salt."""
    step = _FRAME_HEADER_SIZE + page_size
    for start in range(_HEADER_SIZE, len(log) - step + 1, step):
        head = log[start : start + _FRAME_HEADER_SIZE]
        content = log[start + _FRAME_HEADER_SIZE : start + step]
        checksum = _checksum(content, order, _checksum(head[:8], order, checksum))
        if head[8:16] != salt or checksum != struct.unpack(">2I", head[16:24]):
            return
        yield True


def _checksum(data: bytes, order: str, start: tuple[int, int]) -> tuple[int, int]:
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for left, right in zip(words[::2], words[1::2], strict=True):
        first = (first + left + second) & _MASK
        second = (second + right + first) & _MASK
    return first, second
