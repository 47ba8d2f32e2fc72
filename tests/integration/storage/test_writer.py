"""The writer thread: records are durable when their future is done, and no loss is silent."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import StoreError
from bakeoff.records import Completion
from bakeoff.runtime.timing import Stopwatch, timed
from bakeoff.storage import Store, writer
from bakeoff.storage.database import empty_database
from bakeoff.storage.writer import Row

PATH = Path("store.sqlite")
FULL = 2  # of PRAGMA synchronous
Insert = Callable[[sqlite3.Connection, Sequence[Row]], int]


def keys_on_disk(path: Path = PATH) -> set[str]:
    """The committed keys, read with a connection of its own."""
    with closing(sqlite3.connect(path)) as db:
        return {key for (key,) in db.execute("SELECT key FROM records")}


class SlowDisk:
    """Commits that end when `release` is set; `begun` is set when one has written its rows."""

    def __init__(self, insert: Insert) -> None:
        self.begun, self.release = threading.Event(), threading.Event()
        self.ended: list[str] = []  # keys
        self._insert = insert

    def insert_rows(self, db: sqlite3.Connection, rows: Sequence[Row]) -> int:
        inserted = self._insert(db, rows)
        self.begun.set()
        assert self.release.wait(300)
        self.ended += [row[0] for row in rows]
        return inserted


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def attributed(watch: Stopwatch) -> dict[str, float]:
    """The attributed seconds by kind of work, without kinds that have none."""
    return {timing.kind: timing.attributed for timing in watch.timings()[0] if timing.attributed}


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk(writer.insert_rows)
    monkeypatch.setattr(writer, "insert_rows", disk.insert_rows)
    yield disk
    disk.release.set()


def test_every_connection_that_writes_synchronizes_each_commit() -> None:
    with Store(PATH) as store:
        assert store._db is not None
        assert store._writer is not None
        for db in (store._db, store._writer._db):
            assert db.execute("PRAGMA synchronous").fetchone() == (FULL,)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_new_database_is_synchronized_before_and_after_it_gets_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[bool, bool, int]] = []

    def record(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        calls.append((PATH.exists(), path.is_dir(), path.stat().st_size))

    monkeypatch.setattr(os, "fsync", record)
    with Store(PATH):
        pass
    (named, is_dir, size), (named_after, is_dir_after, _) = calls
    assert (named, is_dir, size) == (False, False, len(empty_database()))
    assert (named_after, is_dir_after) == (True, True)


def test_a_future_is_done_after_the_commit_and_the_event_loop_does_not_wait_for_it(
    slow_disk: SlowDisk,
) -> None:
    seen: list[set[str]] = []

    async def put(store: Store) -> None:
        future = store.put_soon("key", Completion(text="text"))
        future.add_done_callback(lambda _: seen.append(keys_on_disk()))
        while not slow_disk.begun.is_set():
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
            assert not future.done()
        slow_disk.release.set()
        assert await future == Completion(text="text")

    with Store(PATH) as store:
        asyncio.run(put(store))
    assert seen == [{"key"}]


def test_reads_do_not_wait_for_a_commit(slow_disk: SlowDisk) -> None:
    async def read_during_a_commit(store: Store) -> None:
        future = store.put_soon("key", Completion(text="text"))
        assert slow_disk.begun.wait(300)
        assert store.get(["before"], Completion) == {"before": Completion(text="before")}
        assert (await store.load(["before", "missing"], Completion)).keys() == {"before"}
        slow_disk.release.set()
        await future

    with Store(PATH) as store:
        store.put("before", Completion(text="before"))
        asyncio.run(read_during_a_commit(store))


def test_a_commit_that_takes_too_long_blocks_further_puts(
    slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    class Idle(threading.Event):
        """Releases the commit when the event loop waits for it."""

        def wait(self, timeout: float | None = None) -> bool:
            clock.now += 3
            slow_disk.release.set()
            return super().wait(timeout)

    async def put_two(store: Store) -> None:
        first = store.put_soon("first", Completion(text=""))
        assert slow_disk.begun.wait(300)
        with timed("generate"):
            second = store.put_soon("second", Completion(text=""))
        assert slow_disk.ended == ["first"]
        await asyncio.gather(first, second)

    monkeypatch.setattr(writer, "MAX_DELAY", 0)
    with Stopwatch(clock) as watch, Store(PATH) as store:
        assert store._writer is not None
        store._writer._idle = Idle()
        store._writer._idle.set()
        asyncio.run(put_two(store))
    assert keys_on_disk() == {"first", "second"}
    assert attributed(watch) == {"store": 3}


def test_a_commit_is_time_of_the_run_only_while_nothing_else_is_under_way(
    slow_disk: SlowDisk,
) -> None:
    clock = Clock()

    async def put(store: Store) -> None:
        with timed("judge"):
            future = store.put_soon("key", Completion(text="text"))
            assert slow_disk.begun.wait(300)
            clock.now += 5
        clock.now += 2
        slow_disk.release.set()
        await future

    with Stopwatch(clock) as watch, Store(PATH) as store:
        asyncio.run(put(store))
    assert attributed(watch) == {"judge": 5, "commit": 2}


def refuse_insertions(path: Path) -> None:
    """Let every insertion fail, until `accept_insertions` is called."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(
            "CREATE TRIGGER IF NOT EXISTS refuse BEFORE INSERT ON records "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )


def accept_insertions(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TRIGGER IF EXISTS refuse")


def test_records_that_failed_are_written_at_the_end() -> None:
    with Store(PATH) as store:
        refuse_insertions(PATH)
        with pytest.raises(StoreError, match=r"cannot be used \(refused\)"):
            asyncio.run(put_texts(store, "first"))
        accept_insertions(PATH)
        asyncio.run(put_texts(store, "second"))
        assert keys_on_disk() == {"second"}
    assert keys_on_disk() == {"first", "second"}


def test_an_error_that_no_future_has_raised_is_raised_at_the_end() -> None:
    async def put_and_cancel(store: Store) -> None:
        store.put_soon("key", Completion(text="")).cancel()

    def put_into_refusing_store() -> None:
        with Store(PATH) as store:
            refuse_insertions(PATH)
            asyncio.run(put_and_cancel(store))

    with pytest.raises(StoreError, match="refused"):
        put_into_refusing_store()
    with Store(PATH) as store:
        refuse_insertions(PATH)
        with pytest.raises(StoreError, match="refused"):
            asyncio.run(put_texts(store, "key"))


async def put_texts(store: Store, *keys: str) -> None:
    await asyncio.gather(*(store.put_soon(key, Completion(text=key)) for key in keys))


class Put(NamedTuple):
    """A call of `put_soon`."""

    key: str
    text: str
    future: asyncio.Future[Completion]

    @property
    def has_raised(self) -> bool:
        """Whether the caller got an error."""
        return self.future.done() and not self.future.cancelled() and bool(self.future.exception())


class Interleaving:
    """Performs steps on one store: puts, cancellations, writes of another process, failures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.puts: list[Put] = []
        self.refusing = False
        self.raised: list[bool] = []  # for each put, before the exit
        self.exit_error: Exception | None = None

    async def run(self, steps: Sequence[tuple[str, int]], end: str) -> None:
        try:
            with Store(self.path) as store:
                for name, number in steps:
                    await self.step(store, name, number)
                if end == "cancel":
                    for put in self.puts:
                        put.future.cancel()
                self.raised = [put.has_raised for put in self.puts]
                if end == "raise":
                    raise ZeroDivisionError
        except (StoreError, ZeroDivisionError) as error:
            self.exit_error = error
        for put in self.puts:  # set by the last commit
            with suppress(StoreError, asyncio.CancelledError):
                await put.future

    async def step(self, store: Store, name: str, number: int) -> None:
        if name == "put":
            text = str(len(self.puts))
            future = store.put_soon(str(number), Completion(text=text))
            self.puts.append(Put(str(number), text, future))
        elif name == "other" and not self.refusing:
            with Store(self.path) as other:
                other.put(str(number), Completion(text="of another process"))
        elif name == "refuse":
            refuse_insertions(self.path)
            self.refusing = True
        elif name == "accept":
            accept_insertions(self.path)
            self.refusing = False
        elif name == "yield":
            await asyncio.sleep(0)
        elif self.puts:
            future = self.puts[number % len(self.puts)].future
            if name == "cancel":
                future.cancel()
            elif name == "wait":
                with suppress(StoreError, asyncio.CancelledError):
                    await future


STEPS = ["put", "put", "put", "cancel", "wait", "yield", "other", "refuse", "accept"]


@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 6)), max_size=25),
    st.sampled_from(["exit", "raise", "cancel"]),
)
def test_every_put_is_stored_or_its_loss_is_an_error(
    steps: list[tuple[str, int]], end: str
) -> None:
    path = Path(f"{time.monotonic_ns()}.sqlite")
    interleaving = Interleaving(path)
    asyncio.run(interleaving.run(steps, end))
    accept_insertions(path)
    keys = {put.key for put in interleaving.puts}
    with Store(path) as store:
        stored = store.get(keys, Completion)
    for put, raised in zip(interleaving.puts, interleaving.raised, strict=True):
        if not put.future.cancelled() and not put.future.exception():  # acknowledged
            assert put.future.result() == stored[put.key]
        if put.key not in stored:
            assert interleaving.refusing
            assert raised or isinstance(interleaving.exit_error, StoreError)
        elif stored[put.key].text.isdigit():  # the first one that was not refused
            assert stored[put.key].text in [p.text for p in interleaving.puts if p.key == put.key]
    if not interleaving.refusing:
        assert stored.keys() == keys
        assert isinstance(interleaving.exit_error, ZeroDivisionError) == (end == "raise")
