"""The content-addressed store: one SQLite file with everything that was paid for.

Knows keys and records; not what they mean, who asked, or in what order. What comes in one turn of
the event loop is written in one transaction when the turn ends, and nobody is told of a record
before: a killed process loses only what was in flight. Two processes may use one file at once.
What cannot be read as it was written is an error, and never taken for what is not there.
"""

import asyncio
import gc
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import ValidationError

from bakeoff.errors import StoreError
from bakeoff.records import Record
from bakeoff.runtime.timing import timed
from bakeoff.storage import sqlite_errors
from bakeoff.storage.sqlite_errors import DamageError, is_busy, is_full, troubles
from bakeoff.storage.sqlite_file import check_schema, checksum, look_at, make, upgrade

R = TypeVar("R", bound=Record)

_WHOLE = "key, CAST(body AS BLOB), sum"  # as bytes: it is JSON; of an older bakeoff there is no sum
_AT_ONCE = 500  # keys in one SELECT; SQLite's oldest limit on variables is 999
_MUCH = 3  # times the keys that are wanted: a store that holds no more is read as a whole


class _Waiting(NamedTuple):
    """A record that is not written yet, and whoever waits until it is."""

    key: str
    record: Record
    body: str
    kept: asyncio.Future[Any]


class Store:
    """`get` what is there, `keep` what is new. Opens (and makes) the file when it is entered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._waiting: list[_Waiting] = []
        self._unwritten: list[tuple[str, str]] = []  # for which there was no room, or no turn

    def __enter__(self) -> Self:
        try:
            with troubles(self.path):
                self._connect()
        except StoreError:
            self.__exit__(None, None, None)
            raise
        return self

    def _connect(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        look_at(self.path)
        if not self.path.exists():
            make(self.path)
        # An absolute path: SQLite has its own idea of what `:memory:` and `file:x` are.
        self._db = sqlite3.connect(
            self.path.absolute(), timeout=sqlite_errors.PATIENCE, isolation_level=None
        )
        check_schema(self._db, self.path)
        # WAL lets a second run read while this one writes; NORMAL survives a killed process.
        _patiently(self._db, "PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction() as db:  # what cannot be written is known before it is paid for
            upgrade(db)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if (
                self._unwritten
            ):  # there may be room now: whoever waited was told that there was none
                with suppress(StoreError):
                    self._write(self._unwritten)
            if self._waiting:  # of a run that was stopped: it is paid for
                self._write([(one.key, one.body) for one in self._waiting])
        finally:
            self._waiting.clear()
            self._unwritten.clear()
            if self._db is not None:
                self._db.close()
                self._db = None

    def lacks(self, keys: Iterable[str]) -> bool:
        """Whether any of the keys is not there."""
        wanted = set(keys)
        with timed("store"):
            blocks = self._blocks("key", list(wanted))
            return sum(row[0] in wanted for rows in blocks for row in rows) < len(wanted)

    def get(self, keys: Iterable[str], as_: type[R]) -> dict[str, R]:
        """The records that are there, by key."""
        found: dict[str, R] = {}
        wanted = list(keys)
        with _uncollected(wanted):
            for _ in self._read(wanted, as_, found):
                continue
        return found

    async def load(self, keys: Iterable[str], as_: type[R]) -> dict[str, R]:
        """As `get`, a block at a time, so that an event loop goes on beside it."""
        found: dict[str, R] = {}
        wanted = list(keys)
        with _uncollected(wanted):
            for _ in self._read(wanted, as_, found):
                await asyncio.sleep(0)
        return found

    def put(self, key: str, record: R) -> R:
        """Keep a record; if another run kept one under this key first, that one is returned."""
        added = self._write([(key, self._body(record))])
        return record if added else self.get([key], type(record))[key]

    def keep(self, key: str, record: R) -> asyncio.Future[R]:
        """As `put`, in one transaction with all that comes in the same turn of the event loop.

        StoreError where that cannot be written. Whoever is cancelled while it waits loses nothing.
        """
        loop = asyncio.get_running_loop()
        body = self._body(record)
        if not self._waiting:
            loop.call_soon(self._write_waiting)
        kept: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Waiting(key, record, body, kept))
        return kept

    def _write_waiting(self) -> None:
        """Write what has gathered, and tell whoever waits what is kept under each key."""
        waiting, self._waiting = self._waiting, []
        try:
            kept = self._write_all(waiting)
        except Exception as error:  # whoever waits raises it
            if isinstance(error.__cause__, sqlite3.Error):
                self._unwritten += [(one.key, one.body) for one in waiting]
            for one in waiting:
                if not one.kept.done():
                    one.kept.set_exception(error)
                    one.kept.exception()  # who was stopped meanwhile asks no more: no complaint
        else:
            for one in waiting:
                if not one.kept.done():
                    one.kept.set_result(kept.get(one.key, one.record))

    def _write_all(self, waiting: Sequence[_Waiting]) -> dict[str, Record]:
        """Write records; those that were there, or came twice, are returned as they are kept."""
        if self._write([(one.key, one.body) for one in waiting]) == len(waiting):
            return {}
        return {one.key: self.get([one.key], type(one.record))[one.key] for one in waiting}

    def _write(self, rows: Sequence[tuple[str, str]]) -> int:
        """Add what has no record yet under its key; how many were added."""
        with timed("store"), troubles(self.path):
            try:
                return self._insert(rows)
            except sqlite3.Error as error:
                if is_busy(error):  # nobody waits as long for a second time
                    self._open.execute("PRAGMA busy_timeout = 0")
                if len(rows) == 1 or not is_full(error):
                    raise
            return sum(self._insert([row]) for row in rows)  # as many as there is room for

    def _insert(self, rows: Sequence[tuple[str, str]]) -> int:
        """Add rows in one transaction, all of them or none; of one key the first stays."""
        now = time.time()
        with self._transaction() as db:
            return db.executemany(
                "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)",
                [(key, body, now, checksum(key, body.encode())) for key, body in rows],
            ).rowcount

    def copy(self, rows: Iterable[tuple[str, bytes, float | None]]) -> int:
        """Add records of another store, as they are there, by key; how many were added."""
        with troubles(self.path), self._transaction() as db:
            return db.executemany(
                "INSERT OR IGNORE INTO records VALUES (?, CAST(? AS TEXT), ?, ?)",
                [(key, body, at, checksum(key, body)) for key, body, at in rows],
            ).rowcount

    def _body(self, record: Record) -> str:
        with troubles(self.path):
            return record.model_dump_json(exclude_defaults=True)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._open
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled it back already
                db.execute("ROLLBACK")
            raise

    def _read(self, keys: Sequence[str], as_: type[R], found: dict[str, R]) -> Iterator[None]:
        """Add the records that are there to those that were found, a block at a time."""
        blocks = self._blocks(_WHOLE, keys)
        wanted = set(keys)
        while True:
            with timed("store"), troubles(self.path):
                rows = next(blocks, None)
                if rows is None:
                    break
                for key, body, known, _ in rows:
                    if key in wanted:
                        if known is not None and known != checksum(key, body):
                            raise _changed(key)
                        found[key] = _record(key, body, as_)
            yield
        if len(found) < len(wanted) and self._is_most(keys):
            yield from self._verify()

    def _verify(self) -> Iterator[None]:
        """See to it that nothing is missing because its key was changed, a block at a time."""
        blocks = self._onwards(_WHOLE)
        while True:
            with timed("store"), troubles(self.path):
                rows = next(blocks, None)
                if rows is None:
                    return
                for key, body, known, _ in rows:
                    if not isinstance(key, str) or known not in (None, checksum(key, body)):
                        raise _changed(key)
            yield

    def _blocks(self, columns: str, keys: Sequence[str]) -> Iterator[list[Any]]:
        """The rows of the keys that are there, with their number behind, a block at a time.

        Where most rows are wanted, the others come with them.
        """
        if self._is_most(keys):
            yield from self._onwards(columns)
            return
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            these = f"key IN ({','.join('?' * len(some))})"
            yield self._rows(f"SELECT {columns}, rowid FROM records WHERE {these}", some)  # noqa: S608 - ours

    def _onwards(self, columns: str) -> Iterator[list[Any]]:
        """All rows, from one end to the other: nothing is looked up."""
        at, select = 0, f"SELECT {columns}, rowid FROM records"  # noqa: S608 - ours
        while rows := self._rows(f"{select} WHERE rowid > ? ORDER BY rowid LIMIT {_AT_ONCE}", [at]):
            yield rows
            at = rows[-1][-1]

    def _is_most(self, keys: Sequence[str]) -> bool:
        return _MUCH * len(keys) >= self._newest()

    def _newest(self) -> int:
        """The number of the newest row: about how many there are."""
        return int(self._rows("SELECT coalesce(max(rowid), 0) FROM records", ())[0][0])

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        with troubles(self.path):
            return self._open.execute(query, values).fetchall()  # leaves no cursor open

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


@contextmanager
def _uncollected(keys: Sequence[str]) -> Iterator[None]:
    """No search for garbage while many records are made: it takes as long as making them."""
    if len(keys) <= _AT_ONCE or not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is young is old now, without having been looked through
        gc.unfreeze()
        gc.enable()


def _patiently(db: sqlite3.Connection, command: str) -> None:
    """Execute what SQLite itself does not wait for: turning WAL on while another process does."""
    end = time.monotonic() + sqlite_errors.PATIENCE
    while True:
        try:
            db.execute(command)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
