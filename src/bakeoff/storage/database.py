"""The SQLite database of a store: creation, schema, checks before opening, and errors."""

import errno
import shlex
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bakeoff.errors import StoreError, one_line
from bakeoff.records import Record
from bakeoff.storage.files import write_new
from bakeoff.storage.wal import SUFFIX, wal_damage

R = TypeVar("R", bound=Record)

SCHEMA_VERSION = 3
LOCK_TIMEOUT = 60.0  # seconds to wait for the lock of another process

_TABLE = """CREATE TABLE records (
    key TEXT PRIMARY KEY, body TEXT NOT NULL, stored_at REAL NOT NULL, checksum INTEGER NOT NULL
)"""
_FOREIGN_TABLE = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'records'"
_READS = 5  # of a log that seems damaged, as another process may be writing it

_DAMAGED = {
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR),
    *(sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ),
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class DamageError(ValueError):
    """A record, the database or its log differs from what was written."""


def connect(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Open the database for durable transactions: each commit ends with an fsync of the log.

    Waits `LOCK_TIMEOUT` for locks of other processes.
    """
    # An absolute path: SQLite interprets `:memory:` and `file:x` in its own way.
    db = sqlite3.connect(
        path.absolute(),
        timeout=LOCK_TIMEOUT,
        isolation_level=None,
        check_same_thread=not any_thread,
    )
    try:
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:  # it reads the file, which may be no database
        db.close()
        raise
    return db


def parse_record(key: str, body: bytes, checksum: int, as_: type[R]) -> R:
    """Return a stored record. Raises DamageError if it is not as it was written."""
    if checksum != record_checksum(key, body):
        raise changed_record(key)
    try:
        return as_.model_validate_json(body)
    except ValidationError:
        raise DamageError(f"the record {key!r} is no {as_.__name__}") from None


def changed_record(key: object) -> DamageError:
    """Return the error of a record that differs from what was written."""
    return DamageError(f"the record {key!r} is not as it was written")


def record_checksum(key: str, body: bytes) -> int:
    """Return the CRC-32 of key and body, stored beside a record."""
    return zlib.crc32(body, zlib.crc32(key.encode()))


def wal_path(path: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return path.with_name(path.name + SUFFIX)


def check_files(path: Path) -> None:
    """Raise DamageError if the database or its log has lost data, which SQLite would not report."""
    if problem := lost_file(path) or _log_damage(wal_path(path)):
        raise DamageError(problem)


def lost_file(path: Path) -> str | None:
    """Return a description if the database is missing or empty and has held data, else None."""
    log = wal_path(path)
    log_size, size = _size(log), _size(path)  # in this order: a log is created after its database
    if not size and log_size:
        return f"it is {'empty' if size == 0 else 'gone'}, and {log.name!r} beside it is not"
    return "it is empty, and was not when it was made" if size == 0 else None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _log_damage(log: Path) -> str | None:
    """Return a description of damage that two reads of the log agree on, else None."""
    seen: set[str] = set()
    for _ in range(_READS):
        try:
            problem = wal_damage(log.read_bytes())
        except FileNotFoundError:  # another process closed the database
            return None
        if problem is None:
            return None
        if problem in seen:
            return f"of {log.name!r} beside it {problem}"
        seen.add(problem)
        time.sleep(0.05)
    return None


def create(path: Path) -> None:
    """Create an empty database atomically and durably; do nothing if it exists."""
    with suppress(FileExistsError):
        write_new(path, empty_database())


def empty_database() -> bytes:
    """Return the content of a database without records, in WAL mode."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create_schema(db)
        content = bytearray(db.serialize())
    content[18:20] = b"\x02\x02"  # read and write version: WAL
    return bytes(content)


def create_schema(db: sqlite3.Connection) -> None:
    """Create the table in an empty database; do nothing if the database has a schema version."""
    if schema_version(db) == 0:
        db.execute(_TABLE)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check_schema(db: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError if the database is not a store of this schema."""
    schema = schema_version(db)
    if schema not in (0, SCHEMA_VERSION):
        raise StoreError(
            f"the store {str(path)!r} has schema {schema}, this bakeoff has {SCHEMA_VERSION}: it "
            "is of another version, or damaged; choose another with --store"
        )
    if schema == 0 and (table := db.execute(_FOREIGN_TABLE).fetchone()):
        raise StoreError(
            f"{str(path)!r} is no store but somebody else's database, with a table {table[0]!r}: "
            "choose another with --store"
        )


def schema_version(db: sqlite3.Connection) -> int:
    """Return the schema version of a store, 0 if it has none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Convert errors of SQLite, of the file system and of record validation to StoreError.

    The message is one line with the path, the error, and what the user can do.
    """
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StoreError(
            f"the store {str(path)!r} cannot be used ({one_line(error)}): "
            f"{_advice(error, path)}, or choose another with --store"
        ) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another process holds the lock."""
    return _code(error) in _BUSY


def is_full(error: sqlite3.Error) -> bool:
    """Return whether a write failed, as on a full disk; a smaller write may succeed."""
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
        return (
            f"another process has kept it for {LOCK_TIMEOUT:g} seconds; wait until that one is done"
        )
    if code in _FULL or getattr(error, "errno", None) in _NO_SPACE:
        return "what it holds is kept; free space and run the same command again"
    return "what it holds is kept; see that it can be written"


def _code(error: Exception) -> int | None:
    """Return SQLite's primary result code of an error; None for other errors."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF
