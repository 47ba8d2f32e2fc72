"""Durable writes, and a thread that commits the records of an event loop in groups."""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.records import Record
from bakeoff.runtime.timing import timed
from bakeoff.storage.database import (
    is_busy,
    is_full,
    parse_record,
    record_checksum,
    store_errors,
)

COMMIT_INTERVAL = 0.01  # seconds between the starts of two commits of the thread
MAX_DELAY = 1.0  # seconds that a commit may take before `Writer.submit` waits for its end
_ROWS_PER_COMMIT = 200  # SQLite's oldest limit on variables is 999

Row = tuple[str, bytes, float, int]  # key, body, seconds since 1970, checksum


def make_row(key: str, body: bytes, stored_at: float) -> Row:
    """Return the row of a record."""
    return key, body, stored_at, record_checksum(key, body)


def insert_rows(db: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Insert the rows whose key is new, and commit them; return how many were inserted.

    On a full disk, as many rows as fit are committed before the error is raised. After an error
    because of another process's lock, later writes fail without waiting for it.
    """
    starts = range(0, len(rows), _ROWS_PER_COMMIT)
    return sum(_insert_block(db, rows[start : start + _ROWS_PER_COMMIT]) for start in starts)


def _insert_block(db: sqlite3.Connection, rows: Sequence[Row]) -> int:
    try:
        return _insert(db, rows)
    except sqlite3.Error as error:
        if is_busy(error):
            db.execute("PRAGMA busy_timeout = 0")
        if len(rows) == 1 or not is_full(error):
            raise
    return sum(_insert(db, [row]) for row in rows)


def _insert(db: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Insert rows with one statement, which is a transaction.

    Of several statements, each would wait for the event loop to release the GIL.
    """
    values = ",".join(["(?, CAST(? AS TEXT), ?, ?)"] * len(rows))
    query = f"INSERT OR IGNORE INTO records VALUES {values}"  # noqa: S608 - constants
    return db.execute(query, [*chain.from_iterable(rows)]).rowcount


class PendingWrite(NamedTuple):
    """A record that is not committed yet."""

    row: Row
    record: Record
    committed: asyncio.Future[Any]
    """Result: the record that the store has under the key after the commit."""


class Writer:
    """A thread with its own connection that commits records in the order of submission.

    It commits all records submitted so far, `COMMIT_INTERVAL` after the last commit began, or at
    once if that is over.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Create a writer that uses `db` in its thread only, and closes it."""
        self._path = path
        self._db = db
        self._submitted: deque[PendingWrite] = deque()
        self._failed: list[PendingWrite] = []  # committed once more at the end
        self._error: BaseException | None = None  # of the last commit that failed
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._idle = threading.Event()  # cleared during a commit
        self._idle.set()
        self._began = 0.0  # when the last commit began
        self._thread: threading.Thread | None = None  # started by the first record

    def submit(self, write: PendingWrite) -> None:
        """Add a record. Blocks while a commit takes longer than `MAX_DELAY`.

        A run whose store cannot keep replies must not pay for further ones.
        """
        if not self._idle.is_set() and time.monotonic() - self._began > MAX_DELAY:
            with timed("store"):
                self._idle.wait()
        self._submitted.append(write)
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            run = partial(copy_context().run, self._run)  # `timed` depends on the context
            self._thread = threading.Thread(target=run, name="bakeoff-store", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Commit all records, and end the thread.

        Raises the error of a record that cannot be written, unless its future has raised it.
        """
        if self._thread is None:
            self._db.close()
            return
        self._closing.set()
        self._wake.set()
        self._thread.join()
        if self._error is not None and not all(map(_is_reported, self._failed)):
            raise self._error

    def _run(self) -> None:
        while self._submitted or not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(self._began + COMMIT_INTERVAL - time.monotonic())
            self._wake.clear()
            if writes := [self._submitted.popleft() for _ in range(len(self._submitted))]:
                self._commit(writes)
        if self._failed:  # there may be space now, and another process may have ended
            failed, self._failed = self._failed, []
            self._commit(failed)
        self._db.close()

    def _commit(self, writes: Sequence[PendingWrite]) -> None:
        """Write records; let the event loop set the results of their futures."""
        self._began = time.monotonic()
        self._idle.clear()
        stored: dict[str, Record] = {}
        error: BaseException | None = None
        try:
            with timed("commit"), store_errors(self._path):
                if insert_rows(self._db, [write.row for write in writes]) < len(writes):
                    stored = {write.row[0]: self._read(write) for write in writes}
        except BaseException as failure:  # raised by the futures
            error = self._error = failure
            self._failed += writes
        finally:
            self._idle.set()
        for loop in {write.committed.get_loop() for write in writes}:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_set_results, loop, writes, stored, error)

    def _read(self, write: PendingWrite) -> Record:
        query = "SELECT CAST(body AS BLOB), checksum FROM records WHERE key = ?"
        key = write.row[0]
        ((body, checksum),) = self._db.execute(query, [key]).fetchall()
        return parse_record(key, body, checksum, type(write.record))


def _set_results(
    loop: asyncio.AbstractEventLoop,
    writes: Sequence[PendingWrite],
    stored: Mapping[str, Record],
    error: BaseException | None,
) -> None:
    """Set the results of the futures of this event loop, in the order of submission."""
    for write in writes:
        future = write.committed
        if future.done() or future.get_loop() is not loop:
            continue
        if error is None:
            future.set_result(stored.get(write.row[0], write.record))
        else:
            future.set_exception(error)
            future.exception()  # retrieved: no warning if the future is dropped


def _is_reported(write: PendingWrite) -> bool:
    """Return whether the future of a failed write has raised its error."""
    return write.committed.done() and not write.committed.cancelled()
