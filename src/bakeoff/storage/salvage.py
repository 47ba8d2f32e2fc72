"""What a store holds, also where it is damaged: counted, looked at one by one, and got out.

Knows the kinds of records that are kept, and no terminal. The file that it looks at stays as it is.
"""

import re
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
from bakeoff.generators.batch.journal import Batch, BatchFinished, BatchSubmitted
from bakeoff.records import Completion, Record, Verdict
from bakeoff.storage import VERSION, Store
from bakeoff.storage.files import beside, name_new
from bakeoff.storage.page_reader import Remains
from bakeoff.storage.sqlite_file import checksum, log_of, loss, version
from bakeoff.storage.wal import log_trouble

_KINDS: dict[str, tuple[type[Record], ...]] = {
    "completions": (Completion,),
    "verdicts": (Verdict,),
    "notes of batches": (Batch, BatchSubmitted, BatchFinished),
}
_KEY = re.compile("s1:[0-9a-f]{64}")  # what `content_key` makes
_BLOCK = 500  # records that are read, and written, at once
_TOLD = 5  # troubles that are told
_NEAR = 8  # rows: so near to each other are the numbers that are left, with half of them lost


class Kept(NamedTuple):
    """A record as it lies in a store: `body` is its JSON, `at` when it was kept (since 1970).

    `summed`: a sum beside it says that it is as it was written.
    """

    number: int
    key: str
    body: bytes
    at: float | None
    kind: str
    summed: bool


class Holdings:
    """What is in a store's file: iterate over it to the end, and the numbers are there.

    `counts` are the records that can be read, by kind; `first` and `last` say when they were kept.
    `troubles` are what is wrong with the file, a line each, and `wrong` how many records are not
    what was written. `unsummed` records are of a bakeoff that kept no sums: of them a change inside
    a text would not be seen.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.troubles: list[str] = []
        self.wrong = 0
        self.unsummed = 0
        self.first: float | None = None
        self.last: float | None = None
        self._keys: set[str] = set()
        self._seen: Counter[int] = Counter()  # the numbers of rows, and how often each is told

    @property
    def total(self) -> int:
        """How many records can be read."""
        return sum(self.counts.values())

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.troubles and not self.wrong

    @property
    def lost(self) -> int:
        """About how many more there were: rows are numbered one by one, and none is removed.

        The highest number counts that has others near it: one alone may be damaged itself.
        """
        newest, last = 0, -_NEAR
        for number in sorted(self._seen):
            if number - last <= _NEAR or self._seen[number] > 1:
                newest = number
            last = number
        return max(0, newest - self.total)

    def __iter__(self) -> Iterator[Kept]:
        """Every record that is whole: through SQLite, and where that refuses, page by page."""
        if trouble := loss(self.path):
            self.troubles.append(trouble)  # SQLite would make a new store of it, and drop the log
        else:
            yield from self._through_sqlite()
        if not self.sound:
            yield from self._from_remains()

    def _through_sqlite(self) -> Iterator[Kept]:
        log = log_of(self.path)
        if log.exists() and (trouble := log_trouble(log.read_bytes())):
            self.troubles.append(f"of {log.name!r} beside it {trouble}")
        try:
            with _opened(self.path) as db:
                schema = version(db)
                if not 0 < schema <= VERSION:
                    self.troubles.append(f"it has schema {schema}, this bakeoff has {VERSION}")
                yield from self._rows(db)
                found = db.execute(f"PRAGMA integrity_check({_TOLD})").fetchall()
                self.troubles += [" ".join(line.split()) for (line,) in found if line != "ok"]
        except sqlite3.Error as error:
            self.troubles.append(one_line(error))

    def _rows(self, db: sqlite3.Connection) -> Iterator[Kept]:
        """All rows, from one end to the other."""
        columns = [row[1] for row in db.execute("PRAGMA table_info(records)")]
        known = "sum" if "sum" in columns else "NULL"
        # As bytes: what is no text any more is no error then.
        what = f"rowid, CAST(key AS BLOB), CAST(body AS BLOB), at, {known}"
        onwards = f"SELECT {what} FROM records WHERE rowid > ? ORDER BY rowid LIMIT {_BLOCK}"  # noqa: S608 - our columns
        at = 0
        while rows := db.execute(onwards, [at]).fetchall():
            at = rows[-1][0]
            self._seen.update(row[0] for row in rows)
            for row in rows:
                kept = _kept(*row)
                if kept is None:
                    self.wrong += 1
                elif self._is_new(kept):
                    yield kept

    def _from_remains(self) -> Iterator[Kept]:
        """The records on pages that are whole, whatever leads there."""
        with Remains(self.path) as remains:
            for number, values in remains.rows():
                if number is None:
                    self._seen.update(_in_index(values))
                elif len(values) in (3, 4):
                    key, body, at, known = (*values, None)[:4]
                    if isinstance(key, str) and isinstance(body, str):
                        kept = _kept(number, key.encode(), body.encode(), at, known)
                        trusted = kept and (kept.summed or _KEY.fullmatch(key))
                        if kept and trusted and self._is_new(kept):
                            yield kept
            self._seen.update(remains.numbers())

    def _is_new(self, kept: Kept) -> bool:
        """Count a record, unless it was there already."""
        if kept.key in self._keys:
            return False
        self._keys.add(kept.key)
        self._seen[kept.number] += 1
        self.counts[kept.kind] += 1
        self.unsummed += not kept.summed
        if kept.at is not None:
            self.first = min(kept.at, self.first or kept.at)
            self.last = max(kept.at, self.last or kept.at)
        return True


def check(path: Path) -> Holdings:
    """Look at everything in a store; ConfigError where there is none."""
    found = _holdings(path)
    for _ in found:
        continue
    return found


def salvage(path: Path, into: Path) -> Holdings:
    """Put what can be read of a store into a new one, and say what that was.

    ConfigError where there is nothing to read, or something in the new one's place; StoreError
    where it cannot be written, or nothing can be read. Then no new store is left.
    """
    found = _holdings(path)
    if any(place.exists() for place in (into, log_of(into))):
        raise ConfigError(f"{str(into)!r} is there already: name a new file with --into")
    into.parent.mkdir(parents=True, exist_ok=True)
    unfinished = beside(into)
    try:
        records = iter(found)
        with Store(unfinished) as store:
            while block := [(one.key, one.body, one.at) for one in islice(records, _BLOCK)]:
                store.copy(block)
        if not found.total:
            raise StoreError(f"nothing in {str(path)!r} can be read: {'; '.join(found.troubles)}")
        name_new(unfinished, into)
    except OSError as error:
        raise ConfigError(f"cannot write {str(into)!r} ({error.strerror}): name another") from None
    finally:
        for left in (
            unfinished,
            log_of(unfinished),
            unfinished.with_name(f"{unfinished.name}-shm"),
        ):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return found


def lines(found: Holdings) -> dict[str, list[str]]:
    """What a store holds and what is wrong with it, as titled lines."""
    size = found.path.stat().st_size if found.path.exists() else 0
    told = {
        "Store": [
            f"{str(found.path)!r}: {size / 1e6:.1f} MB, {found.total} records can be read",
            *(f"{kind}: {found.counts[kind]}" for kind in _KINDS),
        ]
    }
    if found.first is not None and found.last is not None:
        told["Store"].append(f"kept from {_time(found.first)} to {_time(found.last)}")
    if found.unsummed:
        told["Store"].append(f"{found.unsummed} of them are of an older bakeoff, and have no sums")
    if not found.sound:
        told["Damage"] = [
            *found.troubles[:_TOLD],
            *([f"{found.wrong} records are not as they were written"] if found.wrong else []),
            f"lost: about {found.lost} records, as the numbers tell that are left",
        ]
    return told


def _holdings(path: Path) -> Holdings:
    if not path.is_file() and not log_of(path).is_file():
        raise ConfigError(f"there is no store {str(path)!r}: name the file that --store names")
    return Holdings(path)


def _kept(number: int, key: bytes, body: bytes, at: object, known: object) -> Kept | None:
    """A record with what is known of it; None where it is not what was written."""
    try:
        name, kind = key.decode(), _kind_of(body)
    except (UnicodeDecodeError, AttributeError):  # no text, or none at all
        return None
    if kind is None or (known is not None and known != checksum(name, body)):
        return None
    when = float(at) if isinstance(at, int | float) else None
    return Kept(number, name, body, when, kind, summed=known is not None)


def _kind_of(body: bytes) -> str | None:
    for kind, records in _KINDS.items():
        for record in records:
            with suppress(ValidationError):
                record.model_validate_json(body)
                return kind
    return None


def _in_index(values: tuple[object, ...]) -> list[int]:
    """The number of the row that an entry of our index leads to; none where it is not ours."""
    key, number = values if len(values) == 2 else (None, None)
    ours = isinstance(key, str) and _KEY.fullmatch(key)
    return [number] if ours and isinstance(number, int) and number > 0 else []


def _time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):  # no time that there is
        return f"{at:g}"


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes no file: neither the store, nor its log."""
    with tempfile.TemporaryDirectory() as folder:
        log, shared = log_of(path), path.with_name(f"{path.name}-shm")
        uri = f"{path.absolute().as_uri()}?mode=ro"
        if not log.exists() or not log.stat().st_size:
            uri += "&immutable=1"  # whoever had it open would have a log
        elif not shared.exists():  # SQLite would make it anew, beside the store
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, log_of(copy))
            uri = copy.as_uri()
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            yield db
