"""What can go wrong with a store's file, said in one line that names it and says what to do."""

import errno
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakeoff.errors import StoreError, one_line

PATIENCE = 60.0  # seconds that one process waits for another's lock

_DAMAGED = {
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR),
    *(sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ),
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class DamageError(ValueError):
    """What is in a store is not what was written there."""


@contextmanager
def troubles(path: Path) -> Iterator[None]:
    """Turn what SQLite, the system or a record complains of into a StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StoreError(
            f"the store {str(path)!r} cannot be used ({one_line(error)}): "
            f"{_advice(error, path)}, or choose another with --store"
        ) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process has the file."""
    return _code(error) in _BUSY


def is_full(error: sqlite3.Error) -> bool:
    """Whether there was no room: less may still fit."""
    return _code(error) in _FULL


def _advice(error: Exception, path: Path) -> str:
    code, quoted = _code(error), shlex.quote(str(path))
    extended = getattr(error, "sqlite_errorcode", None)
    unread = isinstance(error, DamageError) or (code is None and isinstance(error, sqlite3.Error))
    if unread or code in _DAMAGED or extended in _DAMAGED:
        return (
            f"it is damaged; see what `bakeoff store check {quoted}` says, get back what can be "
            f"read with `bakeoff store salvage {quoted} --into NEW`"
        )
    if code in _BUSY:
        return f"another process has kept it for {PATIENCE:g} seconds; wait until that one is done"
    if code in _FULL or getattr(error, "errno", None) in _NO_ROOM:
        return "what it holds is kept; free space and run the same command again"
    return "what it holds is kept; see that it can be written"


def _code(error: Exception) -> int | None:
    """SQLite's code of an error, without its details; None where it is none of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF
