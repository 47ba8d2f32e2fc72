"""The content-addressed store: one SQLite file with everything that was paid for.

Knows keys and records; not what they mean, who asked, or in what order. A record is written in a
transaction of its own the moment it exists, so a killed process loses only what was in flight.
Two processes may use one file at once.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from bakeoff.errors import StoreError, one_line
from bakeoff.records import Record

R = TypeVar("R", bound=Record)

VERSION = 1
_TABLE = "CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, body TEXT NOT NULL, at REAL)"
_PATIENCE = 60  # seconds that one process waits for another's lock
_AT_ONCE = 500  # keys in one SELECT; SQLite's oldest limit on variables is 999


class Store:
    """`get` what is there, `put` what is new. Opens (and makes) the file when it is entered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        try:
            with self._troubles():
                self._connect()
        except StoreError:
            self.__exit__(None, None, None)
            raise
        return self

    def _connect(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        # WAL lets a second run read while this one writes; NORMAL survives a killed process.
        _patiently(self._db, "PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, VERSION):
            raise StoreError(
                f"the store {str(self.path)!r} has schema {found}, this bakeoff has {VERSION}: "
                "choose another with --store"
            )
        self._db.execute(_TABLE)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def lacks(self, keys: Iterable[str]) -> bool:
        """Whether any of the keys is not there."""
        wanted = set(keys)
        return sum(1 for _ in self._rows("key", wanted)) < len(wanted)

    def get(self, keys: Iterable[str], as_: type[R]) -> dict[str, R]:
        """The records that are there, by key."""
        with self._troubles():
            return {
                key: as_.model_validate_json(body) for key, body in self._rows("key, body", keys)
            }

    def put(self, key: str, record: R) -> R:
        """Keep a record; if another run kept one under this key first, that one is returned."""
        with self._troubles():
            added = self._open.execute(
                "INSERT OR IGNORE INTO records VALUES (?, ?, ?)",
                (key, record.model_dump_json(exclude_defaults=True), time.time()),
            ).rowcount
        return record if added else self.get([key], type(record))[key]

    def _rows(self, columns: str, keys: Iterable[str]) -> Iterator[tuple[str, ...]]:
        wanted = list(keys)
        with self._troubles():
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT {columns} FROM records WHERE key IN ({marks})"  # noqa: S608
                yield from self._open.execute(query, some).fetchall()  # leaves no cursor open

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError(f"the store {str(self.path)!r} is not open")
        return self._db

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(
                f"the store {str(self.path)!r} cannot be used ({one_line(error)}): free space or "
                "repair it, or choose another with --store; what it holds is kept"
            ) from error


def _patiently(db: sqlite3.Connection, command: str) -> None:
    """Execute what SQLite itself does not wait for: turning WAL on while another process does."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            db.execute(command)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
