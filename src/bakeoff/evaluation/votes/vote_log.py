"""The vote file: JSON lines, append-only, durable before a vote is acknowledged."""

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


def read_votes(file: Path) -> list[Vote]:
    """Return all votes, oldest first; an empty list if there is no file.

    A truncated last line was never acknowledged: it is ignored, with a warning in the log. Raises
    ConfigError if another line is not a vote or the file cannot be read.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"cannot read the votes in {str(file)!r} ({error.strerror})") from None
    *complete, last = lines
    votes = [_parse(file, number, line) for number, line in enumerate(complete, 1) if line.strip()]
    if vote := _vote_or_none(last):
        votes.append(vote)
    elif last:
        log.warning("the last line of %r was cut short and is left out", str(file))
    return votes


def append_vote(file: Path, vote: Vote) -> None:
    """Append a vote, and return once it is on the disk.

    Raises OSError if it cannot be written; what was written of it is removed again, if the disk
    allows that.
    """
    line = vote.model_dump_json().encode() + b"\n"
    is_new = not file.exists()
    # A symbolic link is not followed: it could point to any file of the user.
    opened = open(file, "a+b", buffering=0, opener=_open_no_follow)  # noqa: SIM115
    with opened as votes, _rollback_on_error(votes):
        _repair_last_line(votes)
        _write_all(votes, line)
        os.fsync(votes.fileno())
    if is_new and os.name == "posix":  # commit the directory entry too
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _open_no_follow(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _parse(file: Path, number: int, line: bytes) -> Vote:
    try:
        return Vote.model_validate_json(line)
    except ValidationError:
        raise ConfigError(
            f"line {number} of {str(file)!r} is no vote: mend or remove that line, or move the "
            "file away to vote anew"
        ) from None


def _vote_or_none(line: bytes) -> Vote | None:
    try:
        return Vote.model_validate_json(line)
    except ValidationError:
        return None


@contextmanager
def _rollback_on_error(votes: FileIO) -> Iterator[None]:
    end = votes.seek(0, os.SEEK_END)
    try:
        yield
    except OSError:
        with suppress(OSError):  # if this fails too, the next append repairs the line
            votes.truncate(end)
        raise


def _repair_last_line(votes: FileIO) -> None:
    """Terminate a last line that a crash left without a newline, or remove it if truncated."""
    votes.seek(0)
    content = votes.readall() or b""
    start = content.rfind(b"\n") + 1
    if _vote_or_none(content[start:]):
        _write_all(votes, b"\n")
    else:
        votes.truncate(start)


def _write_all(votes: FileIO, data: bytes) -> None:
    while data:  # a write may be partial
        data = data[votes.write(data) :]
