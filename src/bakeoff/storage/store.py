"""The content-addressed store: one SQLite file with every completion and verdict that was paid for.

Records that arrive in one iteration of the event loop are written in one transaction, and
acknowledged after its commit: a killed process loses only requests in flight. Several processes may
use one file. A record that differs from what was written is an error, not a missing record.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import ValidationError

from bakeoff.errors import StoreError
from bakeoff.records import Record
from bakeoff.runtime.garbage_collection import gc_paused
from bakeoff.runtime.timing import timed
from bakeoff.storage import database
from bakeoff.storage.database import (
    DamageError,
    check_files,
    check_schema,
    create,
    create_schema,
    is_busy,
    is_full,
    record_checksum,
    store_errors,
)

R = TypeVar("R", bound=Record)

RUN_PREFIX = "run:"  # of the keys of finished runs (`StoredRun`)

_COLUMNS = "key, CAST(body AS BLOB), checksum"
_BLOCK_SIZE = 500  # keys in one SELECT; SQLite's oldest limit on variables is 999
_SCAN_FACTOR = 3  # read the whole table if it has at most this many times the wanted keys


class _PendingWrite(NamedTuple):
    """A record that is not written yet, and the future that its caller awaits."""

    key: str
    record: Record
    body: str
    written: asyncio.Future[Any]


class Store:
    """Records by key. Entering the store opens its file, and creates it if it is missing.

    Every method raises StoreError if the file cannot be used or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._pending: list[_PendingWrite] = []
        self._unwritten: list[tuple[str, str]] = []  # key and body; disk full or database locked

    def __enter__(self) -> Self:
        try:
            with store_errors(self.path):
                self._connect()
        except StoreError:
            self.__exit__(None, None, None)
            raise
        return self

    def _connect(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        check_files(self.path)
        if not self.path.exists():
            create(self.path)
        # An absolute path: SQLite interprets `:memory:` and `file:x` in its own way.
        self._db = sqlite3.connect(
            self.path.absolute(), timeout=database.LOCK_TIMEOUT, isolation_level=None
        )
        check_schema(self._db, self.path)
        # WAL lets a second run read while this one writes; NORMAL survives a killed process.
        _execute_with_retries(self._db, "PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction() as db:  # fails before the first paid request if not writable
            create_schema(db)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._unwritten:  # there may be space now; the futures have raised the error
                with suppress(StoreError):
                    self._write(self._unwritten)
            if self._pending:  # of a run that was stopped: their requests are paid for
                self._write([(write.key, write.body) for write in self._pending])
        finally:
            self._pending.clear()
            self._unwritten.clear()
            if self._db is not None:
                self._db.close()
                self._db = None

    def lacks(self, keys: Iterable[str]) -> bool:
        """Return whether any of the keys has no record."""
        key_set = set(keys)
        with timed("store"):
            blocks = self._blocks("key", list(key_set))
            return sum(row[0] in key_set for rows in blocks for row in rows) < len(key_set)

    def get(self, keys: Iterable[str], as_: type[R]) -> dict[str, R]:
        """Return the stored records by key; keys without a record are left out."""
        records: dict[str, R] = {}
        key_list = list(keys)
        with gc_paused() if len(key_list) > _BLOCK_SIZE else nullcontext():
            for _ in self._read(key_list, as_, records):
                continue
        return records

    async def load(self, keys: Iterable[str], as_: type[R]) -> dict[str, R]:
        """Like `get`, in blocks, so that the event loop keeps running."""
        records: dict[str, R] = {}
        key_list = list(keys)
        with gc_paused() if len(key_list) > _BLOCK_SIZE else nullcontext():
            for _ in self._read(key_list, as_, records):
                await asyncio.sleep(0)
        return records

    def get_all(self, prefix: str, as_: type[R]) -> dict[str, R]:
        """Return all stored records whose keys begin with an ASCII prefix, by key."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = f"SELECT {_COLUMNS} FROM records WHERE key >= ? AND key < ?"  # noqa: S608 - constants
        records = {}
        with timed("store"), store_errors(self.path):
            for key, body, checksum in self._rows(query, [prefix, end]):
                if checksum != record_checksum(key, body):
                    raise _changed(key)
                records[key] = _record(key, body, as_)
        return records

    def put(self, key: str, record: R) -> R:
        """Store a record and return it; if the key has a record already, return that one."""
        added = self._write([(key, self._body(record))])
        return record if added else self.get([key], type(record))[key]

    def put_soon(self, key: str, record: R) -> asyncio.Future[R]:
        """Like `put`, in one transaction with all calls in this iteration of the event loop.

        The future raises StoreError if the write fails. Cancelling it does not cancel the write.
        """
        loop = asyncio.get_running_loop()
        body = self._body(record)
        if not self._pending:
            loop.call_soon(self._write_pending)
        written: asyncio.Future[R] = loop.create_future()
        self._pending.append(_PendingWrite(key, record, body, written))
        return written

    def _write_pending(self) -> None:
        """Write all pending records and set the results of their futures."""
        pending, self._pending = self._pending, []
        try:
            existing = self._write_all(pending)
        except Exception as error:  # raised by the futures
            if isinstance(error.__cause__, sqlite3.Error):
                self._unwritten += [(write.key, write.body) for write in pending]
            for write in pending:
                if not write.written.done():
                    write.written.set_exception(error)
                    write.written.exception()  # retrieved: no warning if the caller was cancelled
        else:
            for write in pending:
                if not write.written.done():
                    write.written.set_result(existing.get(write.key, write.record))

    def _write_all(self, pending: Sequence[_PendingWrite]) -> dict[str, Record]:
        """Write records; if some keys existed already, return what is stored under each key."""
        if self._write([(write.key, write.body) for write in pending]) == len(pending):
            return {}
        return {
            write.key: self.get([write.key], type(write.record))[write.key] for write in pending
        }

    def _write(self, rows: Sequence[tuple[str, str]]) -> int:
        """Insert rows whose key is new; return how many were inserted."""
        with timed("store"), store_errors(self.path):
            try:
                return self._insert(rows)
            except sqlite3.Error as error:
                if is_busy(error):  # later writes do not wait again
                    self._open.execute("PRAGMA busy_timeout = 0")
                if len(rows) == 1 or not is_full(error):
                    raise
            return sum(self._insert([row]) for row in rows)  # as many as fit

    def _insert(self, rows: Sequence[tuple[str, str]]) -> int:
        """Insert rows in one transaction; existing keys keep their record."""
        now = time.time()
        with self._transaction() as db:
            return db.executemany(
                "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)",
                [(key, body, now, record_checksum(key, body.encode())) for key, body in rows],
            ).rowcount

    def copy_rows(self, rows: Iterable[tuple[str, bytes, float]]) -> int:
        """Insert rows (key, body, stored_at) of another store; return how many were new."""
        with store_errors(self.path), self._transaction() as db:
            return db.executemany(
                "INSERT OR IGNORE INTO records VALUES (?, CAST(? AS TEXT), ?, ?)",
                [
                    (key, body, stored_at, record_checksum(key, body))
                    for key, body, stored_at in rows
                ],
            ).rowcount

    def _body(self, record: Record) -> str:
        with store_errors(self.path):
            return record.model_dump_json(exclude_defaults=True)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._open
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk rolls back by itself
                db.execute("ROLLBACK")
            raise

    def _read(self, keys: Sequence[str], as_: type[R], records: dict[str, R]) -> Iterator[None]:
        """Add the stored records to `records`; yield after each block."""
        blocks = self._blocks(_COLUMNS, keys)
        key_set = set(keys)
        while True:
            with timed("store"), store_errors(self.path):
                rows = next(blocks, None)
                if rows is None:
                    break
                for key, body, checksum, _ in rows:
                    if key in key_set:
                        if checksum != record_checksum(key, body):
                            raise _changed(key)
                        records[key] = _record(key, body, as_)
            yield
        if len(records) < len(key_set) and self._should_scan(keys):
            yield from self._verify()

    def _verify(self) -> Iterator[None]:
        """Check all records, since a damaged key looks like a missing record; yield per block."""
        blocks = self._scan(_COLUMNS)
        while True:
            with timed("store"), store_errors(self.path):
                rows = next(blocks, None)
                if rows is None:
                    return
                for key, body, checksum, _ in rows:
                    if not isinstance(key, str) or checksum != record_checksum(key, body):
                        raise _changed(key)
            yield

    def _blocks(self, columns: str, keys: Sequence[str]) -> Iterator[list[Any]]:
        """Yield blocks of rows with these keys; the rowid is the last column.

        If most rows are wanted, all rows are yielded: the caller filters them by key.
        """
        if self._should_scan(keys):
            yield from self._scan(columns)
            return
        for start in range(0, len(keys), _BLOCK_SIZE):
            block = keys[start : start + _BLOCK_SIZE]
            condition = f"key IN ({','.join('?' * len(block))})"
            yield self._rows(f"SELECT {columns}, rowid FROM records WHERE {condition}", block)  # noqa: S608 - constants

    def _scan(self, columns: str) -> Iterator[list[Any]]:
        """Yield all rows in blocks, in the order of their rowid."""
        last, select = 0, f"SELECT {columns}, rowid FROM records"  # noqa: S608 - constants
        onward = f"{select} WHERE rowid > ? ORDER BY rowid LIMIT {_BLOCK_SIZE}"
        while rows := self._rows(onward, [last]):
            yield rows
            last = rows[-1][-1]

    def _should_scan(self, keys: Sequence[str]) -> bool:
        newest = self._rows("SELECT coalesce(max(rowid), 0) FROM records", ())[0][0]
        return _SCAN_FACTOR * len(keys) >= int(newest)

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        with store_errors(self.path):
            return self._open.execute(query, values).fetchall()  # leaves no open cursor

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError(f"the store {str(self.path)!r} is not open")
        return self._db


def _changed(key: object) -> DamageError:
    return DamageError(f"the record {key!r} is not as it was written")


def _record(key: str, body: bytes, as_: type[R]) -> R:
    try:
        return as_.model_validate_json(body)
    except ValidationError:
        raise DamageError(f"the record {key!r} is no {as_.__name__}") from None


def _execute_with_retries(db: sqlite3.Connection, command: str) -> None:
    """Execute a command, and again while the database is locked.

    SQLite's busy timeout does not apply to enabling WAL.
    """
    end = time.monotonic() + database.LOCK_TIMEOUT
    while True:
        try:
            db.execute(command)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
