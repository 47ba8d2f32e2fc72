"""Calls of workers through the store: when records are emitted, and how errors end a call."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ConfigError, StoppedError, StoreError, WorkError
from bakeoff.evaluation.cache import run_cached
from bakeoff.records import Completion
from bakeoff.runtime import Emit, StopToken
from bakeoff.runtime.progress import ProgressCounter
from bakeoff.runtime.worker import BaseWorker
from bakeoff.storage import Store, writer

PATH = Path("store.sqlite")


class Replies(BaseWorker[int, Completion]):
    """Emits a record for the first `count` items at once; then raises, or waits for ever."""

    identity = "replies"

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.emitted = asyncio.Event()
        self._count = count
        self._error = error

    async def __call__(self, items: Sequence[int], emit: Emit[Completion]) -> None:
        for index, item in enumerate(items[: self._count]):
            emit(index, Completion(text=str(item)))
        self.emitted.set()
        if self._error is not None:
            raise self._error
        if self._count < len(items):
            await asyncio.Event().wait()


Take = Callable[[int, Completion | WorkError], None]


async def call(worker: Replies, store: Store, take: Take, count: int = 3) -> ProgressCounter:
    """Request items 0 to `count`; return their progress."""
    requests = [(f"key {number}", number) for number in range(count)]
    progress = ProgressCounter("completion", "m", count, lambda _: None)
    await run_cached(worker, requests, store, Completion, take, progress)
    return progress


async def start(worker: Replies, store: Store, take: Take) -> asyncio.Task[ProgressCounter]:
    """Call the worker in a task, and wait until it has emitted its records."""
    running = asyncio.create_task(call(worker, store, take))
    await worker.emitted.wait()
    return running


async def cancel(running: asyncio.Task[ProgressCounter]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def run_read_only(work: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine with a store that cannot be written."""
    with Store(PATH) as store:
        assert store._writer is not None
        store._writer._db.execute("PRAGMA query_only = ON")
        asyncio.run(work(store))


@pytest.fixture
def loop_errors(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The errors that event loops report, instead of logging them."""
    errors: list[dict[str, Any]] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop,
        "default_exception_handler",
        lambda _, context: errors.append(context),
    )
    return errors


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No commit begins before this event is set."""
    ready, insert = threading.Event(), writer.insert_rows

    def insert_when_ready(*arguments: Any) -> int:
        assert ready.wait(300)
        return insert(*arguments)

    monkeypatch.setattr(writer, "insert_rows", insert_when_ready)
    yield ready
    ready.set()


def stored_texts() -> list[str]:
    with Store(PATH) as store:
        records = store.get([f"key {number}" for number in range(9)], Completion)
    return [record.text for record in records.values()]


def ignore(index: int, outcome: Completion | WorkError) -> None:
    del index, outcome


def test_the_worker_goes_on_while_its_records_are_committed(disk: threading.Event) -> None:
    emitted: list[int] = []

    async def release_after_the_worker() -> None:
        running = await start(Replies(3), store, lambda index, _: emitted.append(index))
        assert emitted == []
        disk.set()
        progress = await running
        assert emitted == [0, 1, 2]
        assert progress.has_results

    with Store(PATH) as store:
        asyncio.run(release_after_the_worker())


def test_a_cancelled_call_emits_nothing_and_its_records_are_stored(
    disk: threading.Event, loop_errors: list[dict[str, Any]]
) -> None:
    emitted: list[int] = []

    async def cancel_during_the_commit() -> None:
        await cancel(await start(Replies(3), store, lambda index, _: emitted.append(index)))
        disk.set()
        await store.put_soon("later", Completion(text=""))  # is committed after the others

    with Store(PATH) as store:
        asyncio.run(cancel_during_the_commit())
    assert (emitted, loop_errors) == ([], [])
    assert stored_texts() == ["0", "1", "2"]


def test_records_of_a_cancelled_call_that_cannot_be_written_are_an_error(
    disk: threading.Event,
) -> None:
    async def cancel_before_the_error(store: Store) -> None:
        await cancel(await start(Replies(3), store, ignore))
        disk.set()
        with pytest.raises(StoreError, match="readonly"):
            await store.put_soon("later", Completion(text=""))

    with pytest.raises(StoreError, match="readonly"):
        run_read_only(cancel_before_the_error)


def test_a_failed_commit_cancels_the_worker(loop_errors: list[dict[str, Any]]) -> None:
    async def call_two(store: Store) -> None:
        await call(Replies(2), store, ignore)  # the worker waits for ever

    with pytest.raises(StoreError, match="readonly"):
        run_read_only(call_two)
    assert loop_errors == []


@pytest.mark.parametrize("count", [2, 3])  # the worker waits for ever; it has returned
def test_an_error_in_the_emit_callback_cancels_the_worker(count: int) -> None:
    def fail(index: int, outcome: Completion | WorkError) -> None:
        raise ZeroDivisionError(index)

    with Store(PATH) as store, pytest.raises(ZeroDivisionError, match="0"):
        asyncio.run(call(Replies(count), store, fail))
    assert stored_texts() == [str(number) for number in range(count)]


def test_an_error_of_the_worker_is_raised_and_its_records_are_stored(disk: threading.Event) -> None:
    emitted: list[int] = []
    with Store(PATH) as store:
        worker = Replies(2, ValueError("a bug"))
        with pytest.raises(ValueError, match="a bug"):
            asyncio.run(call(worker, store, lambda index, _: emitted.append(index)))
        disk.set()
    assert emitted == []
    assert stored_texts() == ["0", "1"]


def test_a_config_error_after_a_record_that_is_not_committed_stops_the_run(
    disk: threading.Event,
) -> None:
    outcomes: dict[int, Completion | WorkError] = {}

    async def call_and_release(token: StopToken) -> None:
        worker = Replies(2, ConfigError("revoked"))
        running = await start(worker, store, outcomes.__setitem__)
        await asyncio.sleep(0)
        assert token.reason == "revoked"
        disk.set()
        await running

    with Store(PATH) as store, (token := StopToken()).activate():
        asyncio.run(call_and_release(token))
    assert [type(outcomes[index]) for index in range(3)] == [Completion, Completion, StoppedError]
