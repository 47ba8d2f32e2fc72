"""The content-addressed store: one SQLite file with every completion and verdict that was paid for.

A record is acknowledged when it is committed and an fsync has written it to the disk: neither a
killed process nor a power loss loses it. A thread commits the records of the event loop in groups
(`Writer`). Several processes may use one file. A record that differs from what was written is an
error, not a missing record.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from bakeoff.errors import StoreError
from bakeoff.records import Record
from bakeoff.runtime.garbage_collection import gc_paused
from bakeoff.runtime.timing import timed
from bakeoff.storage import database
from bakeoff.storage.database import (
    changed_record,
    check_files,
    check_schema,
    connect,
    create,
    create_schema,
    parse_record,
    record_checksum,
    store_errors,
)
from bakeoff.storage.writer import PendingWrite, Row, Writer, insert_rows, make_row

R = TypeVar("R", bound=Record)

RUN_PREFIX = "run:"  # of the keys of finished runs (`StoredRun`)

_COLUMNS = "key, CAST(body AS BLOB), checksum"
_BLOCK_SIZE = 500  # keys in one SELECT; SQLite's oldest limit on variables is 999
_SCAN_FACTOR = 3  # read the whole table if it has at most this many times the wanted keys


class Store:
    """Records by key. Entering the store opens its file, and creates it if it is missing.

    Every method raises StoreError if the file cannot be used or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._newest = 0  # highest rowid so far; no row is ever deleted

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
        self._db, self._newest = connect(self.path), 0
        check_schema(self._db, self.path)
        # WAL lets the thread, or a second run, write while this connection reads.
        _execute_with_retries(self._db, "PRAGMA journal_mode = WAL")
        self._db.execute("BEGIN IMMEDIATE")  # fails before the first paid request if not writable
        create_schema(self._db)
        self._db.execute("COMMIT")
        self._writer = Writer(self.path, connect(self.path, any_thread=True))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        finally:
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
                records[key] = parse_record(key, body, checksum, as_)
        return records

    def put(self, key: str, record: R) -> R:
        """Store a record and return it; if the key has a record already, return that one."""
        with timed("store"), store_errors(self.path):
            added = insert_rows(self._open, [_row(key, record)])
        return record if added else self.get([key], type(record))[key]

    def put_soon(self, key: str, record: R) -> asyncio.Future[R]:
        """Like `put`, but in a thread, which commits records in groups.

        The future raises StoreError if the write fails. Cancelling it does not cancel the write.
        """
        with store_errors(self.path):
            row = _row(key, record)
        if self._writer is None:
            raise self._closed_error()
        committed: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._writer.submit(PendingWrite(row, record, committed))
        return committed

    def copy_rows(self, rows: Iterable[tuple[str, bytes, float]]) -> int:
        """Insert rows (key, body, stored_at) of another store; return how many were new."""
        with store_errors(self.path):
            return insert_rows(self._open, [make_row(*row) for row in rows])

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
                        records[key] = parse_record(key, body, checksum, as_)
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
                        raise changed_record(key)
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
        if self._newest <= _SCAN_FACTOR * len(keys):
            query = "SELECT coalesce(max(rowid), 0) FROM records"
            self._newest = int(self._rows(query, ())[0][0])
        return self._newest <= _SCAN_FACTOR * len(keys)

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        with store_errors(self.path):
            return self._open.execute(query, values).fetchall()  # leaves no open cursor

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise self._closed_error()
        return self._db

    def _closed_error(self) -> StoreError:
        return StoreError(f"the store {str(self.path)!r} is not open")


def _row(key: str, record: Record) -> Row:
    return make_row(key, record.model_dump_json(exclude_defaults=True).encode(), time.time())


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
