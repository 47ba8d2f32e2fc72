"""The file that votes are kept in: one JSON line for each, added and never changed.

A vote that `put` returned from is on the disk. Knows no pair and no page.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from pydantic import ValidationError

from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.votes import Vote

log = logging.getLogger(__name__)


def read(file: Path) -> list[Vote]:
    """All votes in the order in which they were cast; none where there is no file yet.

    A last line that was cut short was never acknowledged: it is left out, and the log says so.
    ConfigError where another line is no vote, or the file cannot be read.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"cannot read the votes in {str(file)!r} ({error.strerror})") from None
    *whole, last = lines
    votes = [_vote(file, number, line) for number, line in enumerate(whole, 1) if line.strip()]
    if cut := _whole(last):
        votes.append(cut)
    elif last:
        log.warning("the last line of %r was cut short and is left out", str(file))
    return votes


def put(file: Path, vote: Vote) -> None:
    """Add a vote, and return when it is on the disk.

    OSError where that fails: then the file holds what it held before.
    """
    line = vote.model_dump_json().encode() + b"\n"
    is_new = not file.exists()
    # No link that somebody left there is followed: it could lead to any file of yours.
    opened = open(file, "a+b", buffering=0, opener=_no_link)  # noqa: SIM115
    with opened as votes, _undone_on_error(votes):
        _mend(votes)
        _write(votes, line)
        os.fsync(votes.fileno())
    if is_new and os.name == "posix":  # the name of the file is on the disk too
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _no_link(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _vote(file: Path, number: int, line: bytes) -> Vote:
    try:
        return Vote.model_validate_json(line)
    except ValidationError:
        raise ConfigError(
            f"line {number} of {str(file)!r} is no vote: mend or remove that line, or move the "
            "file away to vote anew"
        ) from None


def _whole(line: bytes) -> Vote | None:
    try:
        return Vote.model_validate_json(line)
    except ValidationError:
        return None


@contextmanager
def _undone_on_error(votes: FileIO) -> Iterator[None]:
    end = votes.seek(0, os.SEEK_END)
    try:
        yield
    except OSError:
        with suppress(OSError):  # if this fails too, the next vote mends it
            votes.truncate(end)
        raise


def _mend(votes: FileIO) -> None:
    """End the last line where a crash did not: whole it stays, and cut short it goes."""
    votes.seek(0)
    held = votes.readall() or b""
    start = held.rfind(b"\n") + 1
    if _whole(held[start:]):
        _write(votes, b"\n")
    else:
        votes.truncate(start)


def _write(votes: FileIO, data: bytes) -> None:
    while data:  # a nearly full disk takes a part
        data = data[votes.write(data) :]
