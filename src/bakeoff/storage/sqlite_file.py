"""The file of a store: made whole, looked at before it is opened, and brought up to date.

Knows its table; no record.
"""

import sqlite3
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.storage.files import write_new
from bakeoff.storage.sqlite_errors import DamageError
from bakeoff.storage.wal import LOG, log_trouble

VERSION = 2
_TABLE = """CREATE TABLE IF NOT EXISTS records
    (key TEXT PRIMARY KEY, body TEXT NOT NULL, at REAL, sum INTEGER)"""
_OTHERS = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'records'"
_LOOKS = 5  # at a log that seems damaged: another process may be writing it


def checksum(key: str, body: bytes) -> int:
    """What is kept beside a record, so that one that is not as it was written is known."""
    return zlib.crc32(body, zlib.crc32(key.encode()))


def log_of(path: Path) -> Path:
    """The log that SQLite keeps beside a file, with what is not in the file yet."""
    return path.with_name(path.name + LOG)


def look_at(path: Path) -> None:
    """DamageError where SQLite would take what is lost for what was never there."""
    if trouble := loss(path) or _persistent(log_of(path)):
        raise DamageError(trouble)


def loss(path: Path) -> str | None:
    """Whether a file is gone or empty that held something."""
    log = log_of(path)
    of_log, size = _size(log), _size(path)  # in this order: a log is made after its file
    if not size and of_log:
        return f"it is {'empty' if size == 0 else 'gone'}, and {log.name!r} beside it is not"
    return "it is empty, and was not when it was made" if size == 0 else None


def _size(path: Path) -> int | None:
    """The bytes of a file; None where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _persistent(log: Path) -> str | None:
    """What is wrong with a log that may be there, and stays so."""
    seen: set[str] = set()
    for _ in range(_LOOKS):
        try:
            trouble = log_trouble(log.read_bytes())
        except FileNotFoundError:  # another process was the last to close it
            return None
        if trouble is None:
            return None
        if trouble in seen:
            return f"of {log.name!r} beside it {trouble}"
        seen.add(trouble)
        time.sleep(0.05)
    return None


def make(path: Path) -> None:
    """Make an empty store, at once and whole; nothing where another process was first."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        upgrade(db)
        content = bytearray(db.serialize())
    content[18:20] = b"\x02\x02"  # the file has a log beside it: WAL
    with suppress(FileExistsError):
        write_new(path, bytes(content))


def check_schema(db: sqlite3.Connection, path: Path) -> None:
    """StoreError where a database is not one of ours, or of a newer bakeoff."""
    found = version(db)
    if not 0 <= found <= VERSION:
        raise StoreError(
            f"the store {str(path)!r} has schema {found}, this bakeoff has {VERSION}: it is of a "
            "newer one, or damaged; choose another with --store"
        )
    if found == 0 and (table := db.execute(_OTHERS).fetchone()):
        raise StoreError(
            f"{str(path)!r} is no store but somebody else's database, with a table {table[0]!r}: "
            "choose another with --store"
        )


def version(db: sqlite3.Connection) -> int:
    """The schema of a store, 0 where none was made."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def upgrade(db: sqlite3.Connection) -> None:
    """Make of an empty database a store, and of a store of an older bakeoff one of this."""
    found = version(db)
    if found == 0:
        db.execute(_TABLE)
    if found < VERSION:
        columns = [row[1] for row in db.execute("PRAGMA table_info(records)")]
        if "sum" not in columns:
            db.execute("ALTER TABLE records ADD COLUMN sum INTEGER")
        db.execute(f"PRAGMA user_version = {VERSION}")
