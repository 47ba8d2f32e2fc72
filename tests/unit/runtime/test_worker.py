import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.runtime import Batched, PerItem, WorkQueue, outcome_of


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run `work` with a timeout."""

    async def watched() -> Any:
        async with asyncio.timeout(60):
            return await work()

    return asyncio.run(watched())


class Server(PerItem[int, int]):
    """Doubles a number after some steps of the event loop; a negative one is an error."""

    def __init__(self, max_concurrency: int, bug: BaseException | None = None) -> None:
        super().__init__(max_concurrency)
        self.bug = bug
        self.now = 0
        self.most = 0
        self.begun: list[int] = []

    async def process(self, item: int) -> int:
        self.begun.append(item)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(1 + abs(item) % 5):
                await asyncio.sleep(0)
            if item == 13 and self.bug:
                raise self.bug
            if item < 0:
                raise BackendError(f"no {item}", status=500)
            return 2 * item
        finally:
            self.now -= 1


class Engine(Batched[int, int]):
    """Doubles numbers in batches; raises `bug`, if given, at 13."""

    def __init__(self, size: int, bug: Exception | None = None) -> None:
        super().__init__(size)
        self.bug = bug
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.released_on: list[int] = []
        self.begun = 0
        self.permits = threading.Semaphore(10**6)

    def process_batch(self, items: Sequence[int]) -> Sequence[int | WorkError]:
        self.begun += 1
        assert self.permits.acquire(timeout=300)
        self.batches.append(list(items))
        self.threads.add(threading.get_ident())
        if 13 in items and self.bug:
            raise self.bug
        return [BackendError(f"no {item}") if item < 0 else 2 * item for item in items]

    def release(self) -> None:
        self.released_on.append(threading.get_ident())


class Ranked(Engine):
    """Sorts items by their absolute value."""

    def sort_key(self, item: int) -> int:
        return abs(item)


Outcomes = list[tuple[int, int | WorkError]]


async def outcomes_of(worker: Server | Engine, items: Sequence[int]) -> Outcomes:
    emitted: Outcomes = []
    await worker(items, lambda index, outcome: emitted.append((index, outcome)))
    return emitted


def check(items: Sequence[int], emitted: Outcomes) -> None:
    """Assert that every item has exactly one outcome."""
    assert sorted(index for index, _ in emitted) == list(range(len(items)))
    for index, outcome in emitted:
        if items[index] < 0:
            assert isinstance(outcome, BackendError)
            assert outcome.message == f"no {items[index]}"
        else:
            assert outcome == 2 * items[index]


def engines() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("engine")]


numbers = st.lists(st.integers(-50, 50).filter(lambda n: n != 13), max_size=12)
calls = st.lists(numbers, min_size=1, max_size=4)


@given(calls, st.integers(1, 6))
def test_overlapping_calls_share_max_concurrency_and_every_item_has_an_outcome(
    items: list[list[int]], max_concurrency: int
) -> None:
    async def go() -> tuple[Server, list[Outcomes]]:
        server = Server(max_concurrency)
        return server, await asyncio.gather(*(outcomes_of(server, some) for some in items))

    server, emitted = run(go)
    for some, outcomes in zip(items, emitted, strict=True):
        check(some, outcomes)
    assert sorted(server.begun) == sorted(number for some in items for number in some)
    assert server.most == min(max_concurrency, sum(map(len, items)))  # no more, and no fewer


@given(calls, st.integers(1, 6))
def test_a_worker_can_be_called_again(items: list[list[int]], size: int) -> None:
    async def go() -> None:
        for worker in (server, engine):
            for some in items:
                check(some, await outcomes_of(worker, some))
            await worker.close()

    server, engine = Server(size), Engine(size)
    run(go)


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), ConfigError("no key"), OSError("net")])
@given(numbers, numbers, st.integers(1, 4))
def test_an_exception_other_than_work_error_is_raised_by_the_call(
    bug: Exception, before: list[int], after: list[int], max_concurrency: int
) -> None:
    server = Server(max_concurrency, bug)
    items = [*before, 13, *after]
    emitted: Outcomes = []

    async def go() -> None:
        await server(items, lambda index, outcome: emitted.append((index, outcome)))

    with pytest.raises(type(bug)) as caught:
        run(go)
    assert caught.value is bug
    assert server.now == 0
    # What was emitted before is good; nothing is emitted twice; a lane takes nothing up any more.
    check([items[index] for index, _ in emitted], [(n, o) for n, (_, o) in enumerate(emitted)])
    assert len({index for index, _ in emitted}) == len(emitted)
    if max_concurrency == 1:
        assert server.begun == [*before, 13]


@pytest.mark.parametrize("make", [Server, Engine])
def test_an_exception_of_emit_is_raised_by_the_call(
    make: Callable[[int], Server | Engine],
) -> None:
    full = OSError("the disk is full")

    def emit(index: int, outcome: int | WorkError) -> None:
        raise full

    async def go() -> None:
        worker = make(2)
        try:
            await worker([1, 2, 3], emit)
        finally:
            await worker.close()

    with pytest.raises(OSError, match="full") as caught:
        run(go)
    assert caught.value is full


@given(numbers, st.integers(1, 5))
def test_batches_have_at_most_batch_size_items(items: list[int], size: int) -> None:
    async def go() -> Outcomes:
        try:
            return await outcomes_of(engine, items)
        finally:
            await engine.close()

    engine = Engine(size)
    check(items, run(go))
    assert [number for batch in engine.batches for number in batch] == items
    full, rest = divmod(len(items), size)
    assert [len(batch) for batch in engine.batches] == [size] * full + [rest] * (rest > 0)


@given(numbers, st.integers(1, 5))
def test_items_are_batched_in_descending_order_of_sort_key(items: list[int], size: int) -> None:
    async def go() -> Outcomes:
        try:
            return await outcomes_of(engine, items)
        finally:
            await engine.close()

    engine = Ranked(size)
    check(items, run(go))
    ranks = [abs(number) for batch in engine.batches for number in batch]
    assert ranks == sorted(map(abs, items), reverse=True)


@given(st.lists(st.integers(-50, 12), min_size=1, max_size=12), st.integers(1, 5))
def test_single_items_of_overlapping_calls_share_batches(items: list[int], size: int) -> None:
    async def go() -> list[Outcomes]:
        engine.permits = threading.Semaphore(0)
        waiting = await start_behind_first(engine, [[item] for item in items])
        engine.permits.release(len(items))
        try:
            return await asyncio.gather(*waiting)
        finally:
            await engine.close()

    engine = Ranked(size)
    for item, outcomes in zip(items, run(go), strict=True):
        check([item], outcomes)
    first, *others = engine.batches
    assert first == items[:1]
    assert [len(batch) for batch in others[:-1]] == [size] * (len(others) - 1)
    assert sum(map(len, others)) == len(items) - 1
    ranks = [abs(number) for batch in others for number in batch]
    assert ranks == sorted(ranks, reverse=True)


def test_an_engine_works_on_one_thread_that_close_ends() -> None:
    async def go() -> None:
        engine = Engine(2)
        await engine.close()
        assert engine.released_on == []  # nothing was loaded, nothing is freed
        for run_number in (1, 2):
            check([1, 2, 3], await outcomes_of(engine, [1, 2, 3]))
            assert len(engines()) == 1
            await engine.close()
            assert engines() == []
            assert len(engine.released_on) == run_number
        assert set(engine.released_on) == engine.threads
        assert threading.get_ident() not in engine.threads

    run(go)


class SlowToStop(Engine):
    """Keeps running after it has put all outcomes."""

    def process_queue(self, queue: WorkQueue[int, int]) -> None:
        super().process_queue(queue)
        time.sleep(0.05)


def test_a_call_in_a_new_event_loop_restarts_the_engine() -> None:
    engine = SlowToStop(3)
    for _ in range(3):
        check([1, 2, 3], run(lambda: outcomes_of(engine, [1, 2, 3])))
    run(engine.close)


async def wait_for_batches(engine: Engine, batches: int) -> None:
    while engine.begun < batches:
        await asyncio.sleep(0.001)


async def start_behind_first(
    engine: Engine, calls: Sequence[Sequence[int]]
) -> list[asyncio.Task[Outcomes]]:
    """Start calls; return when the first is in the engine and all others wait."""
    first = asyncio.create_task(outcomes_of(engine, calls[0]))
    await wait_for_batches(
        engine, 1
    )  # it would take up others with the first, did they wait already
    others = [asyncio.create_task(outcomes_of(engine, items)) for items in calls[1:]]
    await asyncio.sleep(0)
    return [first, *others]


def test_an_exception_in_a_batch_is_raised_by_its_calls_and_no_other_call_hangs() -> None:
    async def go() -> list[Outcomes | BaseException]:
        engine.permits = threading.Semaphore(0)
        some = await start_behind_first(engine, ([1], [2, 13], [3], [5]))
        engine.permits.release(10)
        try:
            return await asyncio.gather(*some, return_exceptions=True)
        finally:
            await engine.close()

    bug = ZeroDivisionError("bug")
    engine = Engine(3, bug)
    outcomes = run(go)
    assert engine.batches == [[1], [2, 13, 3], [5]]  # 3 shared a batch with the bug
    assert outcomes == [[(0, 2)], bug, bug, [(0, 10)]]


def test_cancelled_calls_leave_other_calls_and_the_queue_intact() -> None:
    async def go() -> None:
        engine.permits = threading.Semaphore(0)
        calls = await start_behind_first(engine, [[n] * 3 for n in (1, 2, 3, 4)])
        calls[2].cancel()  # it waits
        engine.permits.release()
        await wait_for_batches(engine, 2)
        calls[1].cancel()  # it has the turn, and the first item of another call in its batch
        engine.permits.release(10)
        check([4] * 3, await calls[3])
        check([5], await outcomes_of(engine, [5]))
        await engine.close()

    engine = Engine(4)
    run(go)
    assert engine.batches == [[1] * 3, [2, 2, 2, 4], [4] * 2, [5]]


class Streaming(Engine):
    """Processes items one by one, each when the test gives a permit.

    Items of cancelled calls are skipped.
    """

    def process_queue(self, queue: WorkQueue[int, int]) -> None:
        self.begun += 1
        for work_item in queue.take(self._batch_size):
            while work_item.is_wanted() and not self.permits.acquire(timeout=0.01):
                pass
            if work_item.is_wanted():
                queue.put_outcome(work_item, 2 * work_item.item)
                self.batches.append([work_item.item])


def test_outcomes_are_emitted_as_soon_as_the_engine_puts_them() -> None:
    async def go() -> None:
        engine.permits = threading.Semaphore(0)
        emitted: Outcomes = []
        call = asyncio.create_task(
            engine([1, 2, 3], lambda index, outcome: emitted.append((index, outcome)))
        )
        for done in (1, 2, 3):
            engine.permits.release()
            while len(emitted) < done:
                await asyncio.sleep(0.001)
            assert emitted == [(n, 2 * n + 2) for n in range(done)]
        await call
        await engine.close()

    engine = Streaming(5)
    run(go)
    assert engine.begun == 1


def test_items_of_a_cancelled_call_are_not_wanted() -> None:
    async def go() -> None:
        engine.permits = threading.Semaphore(0)
        call = asyncio.create_task(outcomes_of(engine, [1, 2, 3]))
        await wait_for_batches(engine, 1)
        call.cancel()
        await engine.close()  # ends without a permit for any item

    engine = Streaming(5)
    run(go)
    assert engine.batches == []


def test_a_cancelled_call_emits_nothing() -> None:
    async def go() -> None:
        engine.permits = threading.Semaphore(0)
        emitted: Outcomes = []
        call = asyncio.create_task(
            engine([1, 2], lambda index, outcome: emitted.append((index, outcome)))
        )
        await wait_for_batches(engine, 1)
        call.cancel()
        await asyncio.sleep(0)
        engine.permits.release()
        await engine.close()
        assert emitted == []

    engine = Engine(2)
    run(go)
    assert engine.batches == [[1, 2]]


def test_an_exception_of_emit_drops_the_other_items_of_the_call() -> None:
    full = OSError("the disk is full")

    def emit(index: int, outcome: int | WorkError) -> None:
        raise full

    async def go() -> None:
        engine.permits = threading.Semaphore(1)
        with pytest.raises(OSError, match="full"):
            await engine([1, 2, 3], emit)
        await engine.close()

    engine = Streaming(5)
    run(go)
    assert engine.batches == [[1]]


@pytest.mark.parametrize("error", [None, ConfigError("no file")])
def test_an_engine_without_outcomes_fails_all_waiting_calls(error: ConfigError | None) -> None:
    class Silent(Engine):
        def process_queue(self, queue: WorkQueue[int, int]) -> None:
            if error:
                raise error
            queue.take(9)

    async def go() -> list[Outcomes | BaseException]:
        calls = (outcomes_of(engine, items) for items in ([1, 2], [3]))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await engine.close()
        return outcomes

    engine = Silent(2)
    outcomes = run(go)
    assert [type(outcome) for outcome in outcomes] == [type(error) if error else RuntimeError] * 2


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_batch_with_the_wrong_number_of_outcomes_is_an_error(answers: int) -> None:
    class Short(Engine):
        def process_batch(self, items: Sequence[int]) -> Sequence[int]:
            return [0] * answers

    async def go() -> None:
        engine = Short(2)
        try:
            await outcomes_of(engine, [1, 2])
        finally:
            await engine.close()

    with pytest.raises(ValueError, match="zip"):
        run(go)


def test_outcome_of_returns_work_errors_only() -> None:
    async def raises(error: BaseException) -> int:
        raise error

    async def returns() -> int:
        return 7

    error = WorkError("no")
    assert run(lambda: outcome_of(returns())) == 7
    assert run(lambda: outcome_of(raises(error))) is error
    with pytest.raises(KeyError):
        run(lambda: outcome_of(raises(KeyError("k"))))
