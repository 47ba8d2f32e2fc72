"""Scans the records of a store, which may be damaged, and copies intact ones to a new store.

All reads go through SQLite, if necessary of a copy; the store itself is not changed.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from bakeoff.errors import ConfigError, StoreError, one_line
from bakeoff.records import Completion, Record, Verdict
from bakeoff.storage import RUN_PREFIX, Store
from bakeoff.storage.database import (
    SCHEMA_VERSION,
    empty_database,
    lost_file,
    record_checksum,
    schema_version,
    wal_path,
)
from bakeoff.storage.files import name_new, temporary_name
from bakeoff.storage.wal import wal_damage

_KINDS: dict[str, type[Record]] = {"completions": Completion, "verdicts": Verdict}
_JOURNAL = "journal entries of batches"
_RUNS = "finished runs of two models"
_KIND_OF_PREFIX = {"batch:": _JOURNAL, RUN_PREFIX: _RUNS}  # by the prefix of their keys
_BLOCK_SIZE = 500  # rows read and written at once
_MAX_PROBLEMS = 5  # shown
_SMALLEST_ROW = 160  # bytes, with its entry in the key index; bounds the number of rows of a file
# Read as bytes, as damaged text cannot be decoded. `>=` seeks past a damaged page before `low`.
_ROWS = """SELECT rowid, CAST(key AS BLOB), CAST(body AS BLOB), stored_at, checksum FROM records
    WHERE rowid >= ? + 1 AND rowid <= ? ORDER BY rowid LIMIT ?"""

_NEWEST_IN_INDEX = """SELECT max(rowid) FROM records INDEXED BY sqlite_autoindex_records_1
    WHERE key >= ? AND key < ?"""


class StoredRecord(NamedTuple):
    """A record as stored."""

    key: str
    body: bytes
    """JSON."""
    stored_at: float
    """Seconds since 1970; 0 if unknown."""
    kind: str
    """`completions`, `verdicts`, or that of the journal."""


class StoreScan:
    """Iterates over the intact records of a store; the counts are complete after the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        """Intact records by kind."""
        self.problems: list[str] = []
        """Damage of the files, one line each."""
        self.first: float | None = None
        """Time of the oldest record, in seconds since 1970."""
        self.last: float | None = None
        """Time of the newest record, in seconds since 1970."""
        self._keys: set[str] = set()
        self._changed: set[int] = set()  # rowids
        self._newest = 0  # highest rowid that was seen

    @property
    def changed(self) -> int:
        """Number of records that differ from what was written."""
        return len(self._changed)

    @property
    def total(self) -> int:
        """Number of intact records."""
        return sum(self.counts.values())

    @property
    def sound(self) -> bool:
        """Whether the files and all records are intact."""
        return not self.problems and not self.changed

    @property
    def lost(self) -> int:
        """Estimated number of records that cannot be read, from gaps in the consecutive rowids."""
        return max(0, self._newest - self.total)

    def __iter__(self) -> Iterator[StoredRecord]:
        """Yield every intact record once."""
        if problem := lost_file(self.path):
            self.problems.append(problem)  # SQLite would start a new database and drop the log
        else:
            log = wal_path(self.path)
            if log.exists() and (problem := wal_damage(log.read_bytes())):
                self.problems.append(f"of {log.name!r} beside it {problem}")
            try:
                with _connection(self.path) as db:
                    self._check(db)
                    yield from self._read_range(db, 0, _upper_bound(db, self.path))
            except sqlite3.Error as error:
                self.problems.append(one_line(error))
        if self.problems:
            yield from self._read_repaired()

    def _check(self, db: sqlite3.Connection) -> None:
        version = schema_version(db)
        if version != SCHEMA_VERSION:
            self.problems.append(f"it has schema {version}, this bakeoff has {SCHEMA_VERSION}")
        lines = db.execute(f"PRAGMA integrity_check({_MAX_PROBLEMS})").fetchall()
        self.problems += [" ".join(line.split()) for (line,) in lines if line != "ok"]

    def _read_repaired(self) -> Iterator[StoredRecord]:
        """Read a copy with the first page of a new store, which has the header and the schema."""
        with tempfile.TemporaryDirectory() as folder:
            copy = _repaired_copy(self.path, Path(folder))
            try:
                with closing(sqlite3.connect(copy, isolation_level=None)) as db:
                    yield from self._read_range(db, 0, _upper_bound(db, self.path))
                    self._count_index(db)
            except sqlite3.Error as error:
                self.problems.append(one_line(error))

    def _read_range(self, db: sqlite3.Connection, low: int, high: int) -> Iterator[StoredRecord]:
        """Yield the records with rowids above `low` up to `high`.

        Where SQLite fails on a damaged page, or skips rows because of one, each half of the range
        is read, down to single rows.
        """
        ranges = [(low, high)]
        while ranges:
            low, high = ranges.pop()
            limit = min(_BLOCK_SIZE, high - low)  # so that SQLite does not step beyond the range
            try:
                rows = db.execute(_ROWS, (low, high, limit)).fetchall()
            except sqlite3.Error as error:
                rows = []
                if not self.problems:
                    self.problems.append(one_line(error))
            for row in rows:
                yield from self._accept(*row)
            if rows and len(rows) == limit == rows[-1][0] - low:
                if rows[-1][0] < high:
                    ranges.append((rows[-1][0], high))
            elif self.problems and high - low > 1:
                middle = (low + high) // 2
                ranges += [(middle, high), (low, middle)]

    def _accept(
        self, rowid: int, key: object, body: object, stored_at: object, checksum: object
    ) -> Iterator[StoredRecord]:
        """Yield the row as a record if it is intact and new."""
        record = _intact(key, body, stored_at, checksum)
        if record is None:
            self._changed.add(rowid)
        elif record.key not in self._keys:
            self._keys.add(record.key)
            self._newest = max(self._newest, rowid)
            self.counts[record.kind] += 1
            self.first = min(record.stored_at, self.first or record.stored_at)
            self.last = max(record.stored_at, self.last or record.stored_at)
            yield record

    def _count_index(self, db: sqlite3.Connection) -> None:
        """Update the highest rowid from the readable parts of the key index."""
        bound = _upper_bound(db, self.path)
        for prefix in range(256):
            with suppress(sqlite3.Error):
                low, high = f"s1:{prefix:02x}", f"s1:{prefix:02x}g"
                (newest,) = db.execute(_NEWEST_IN_INDEX, (low, high)).fetchone()
                if isinstance(newest, int) and newest <= bound:
                    self._newest = max(self._newest, newest)


def check(path: Path) -> StoreScan:
    """Scan a store to the end; return the counts. Raises ConfigError if there is no such file."""
    scan = _scan(path)
    for _ in scan:
        continue
    return scan


def salvage(path: Path, into: Path) -> StoreScan:
    """Copy the intact records of a store to a new store `into`; return the counts.

    Raises ConfigError if `path` is missing, or if `into` exists or cannot be written, and
    StoreError if no record is intact; `into` is not created then.
    """
    scan = _scan(path)
    if any(file.exists() for file in (into, wal_path(into))):
        raise ConfigError(f"{str(into)!r} is there already: name a new file with --into")
    into.parent.mkdir(parents=True, exist_ok=True)
    unfinished = temporary_name(into)
    try:
        with Store(unfinished) as store:
            copy_records(scan, store)
        if not scan.total:
            raise StoreError(f"nothing in {str(path)!r} can be read: {'; '.join(scan.problems)}")
        name_new(unfinished, into)
    except OSError as error:
        raise ConfigError(f"cannot write {str(into)!r} ({error.strerror}): name another") from None
    finally:
        shared_memory = unfinished.with_name(f"{unfinished.name}-shm")
        for file in (unfinished, wal_path(unfinished), shared_memory):
            with suppress(OSError):
                file.unlink(missing_ok=True)
    return scan


def copy_records(scan: StoreScan, store: Store) -> int:
    """Copy all intact records into a store; return how many were new."""
    records, new = iter(scan), 0
    while block := [(r.key, r.body, r.stored_at) for r in islice(records, _BLOCK_SIZE)]:
        new += store.copy_rows(block)
    return new


def lines(scan: StoreScan) -> dict[str, list[str]]:
    """Return the result of a scan as titled lines."""
    size = scan.path.stat().st_size if scan.path.exists() else 0
    blocks = {
        "Store": [
            f"{str(scan.path)!r}: {size / 1e6:.1f} MB, {scan.total} records can be read",
            *(f"{kind}: {scan.counts[kind]}" for kind in (*_KINDS, *_KIND_OF_PREFIX.values())),
        ]
    }
    if scan.first is not None and scan.last is not None:
        blocks["Store"].append(f"kept from {_time(scan.first)} to {_time(scan.last)}")
    if not scan.sound:
        changed = f"{scan.changed} records are not as they were written"
        blocks["Damage"] = [
            *scan.problems[:_MAX_PROBLEMS],
            *([changed] if scan.changed else []),
            f"lost: about {scan.lost} records, as the numbers tell that are left",
        ]
    return blocks


def _scan(path: Path) -> StoreScan:
    if not path.is_file() and not wal_path(path).is_file():
        raise ConfigError(f"there is no store {str(path)!r}: name the file that --store names")
    return StoreScan(path)


def _intact(key: object, body: object, stored_at: object, checksum: object) -> StoredRecord | None:
    """Return the record of a row, or None if the row differs from what was written."""
    if not (isinstance(key, bytes) and isinstance(body, bytes)):
        return None
    try:
        name = key.decode()
    except UnicodeDecodeError:
        return None
    kind = _kind_of(name, body)
    if kind is None or checksum != record_checksum(name, body):
        return None
    return StoredRecord(name, body, float(stored_at) if isinstance(stored_at, float) else 0, kind)


def _kind_of(key: str, body: bytes) -> str | None:
    for prefix, kind in _KIND_OF_PREFIX.items():
        if key.startswith(prefix):
            return kind
    for kind, record in _KINDS.items():
        with suppress(ValidationError):
            record.model_validate_json(body)
            return kind
    return None


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):  # out of range
        return f"{seconds:g}"


def _upper_bound(db: sqlite3.Connection, path: Path) -> int:
    """Return the highest rowid, or an upper bound from the size of the files if it is damaged."""
    size = sum(file.stat().st_size for file in (path, wal_path(path)) if file.exists())
    bound = size // _SMALLEST_ROW
    try:
        newest = db.execute("SELECT coalesce(max(rowid), 0) FROM records").fetchone()[0]
    except sqlite3.Error:
        return bound
    return min(int(newest), bound) if isinstance(newest, int) else bound


def _repaired_copy(path: Path, folder: Path) -> Path:
    """Copy a store and its log into a folder; the copy gets the first page of a new store."""
    copy = folder / "store.sqlite"
    template = empty_database()
    page_size = int.from_bytes(template[16:18], "big")
    content = path.read_bytes() if path.exists() else b""
    pages = max(len(template), len(content)) // page_size
    header = bytearray(template[:page_size])
    header[28:32] = pages.to_bytes(4, "big")  # database size, valid with the change counter
    header[92:96] = header[24:28]
    copy.write_bytes(bytes(header) + (content[page_size:] or template[page_size:]))
    if wal_path(path).exists():
        shutil.copyfile(wal_path(path), wal_path(copy))
    return copy


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to a store without changing its files."""
    with tempfile.TemporaryDirectory() as folder:
        log, shared_memory = wal_path(path), path.with_name(f"{path.name}-shm")
        uri = f"{path.absolute().as_uri()}?mode=ro"
        if not log.exists() or not log.stat().st_size:
            uri += "&immutable=1"  # no other process has it open: it would have a log
        elif not shared_memory.exists():  # SQLite would create it beside the store
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, wal_path(copy))
            uri = copy.as_uri()
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            yield db
