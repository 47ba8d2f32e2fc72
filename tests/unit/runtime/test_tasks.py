import asyncio
import inspect
import threading
from collections.abc import Coroutine
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.runtime import run_periodically, task_group, to_daemon_thread
from tests.unit.runtime.test_worker import run


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_group_raises_its_first_error_as_itself_and_cancels_the_rest(
    first: int, more: int
) -> None:
    ended: list[str] = []

    async def fails(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        try:
            {}["cause"]
        except KeyError as cause:
            raise ValueError(turns) from cause

    async def waits() -> None:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def go() -> None:
        async with task_group() as group:
            group.create_task(waits())
            group.create_task(fails(first))
            group.create_task(fails(first + more))
            group.create_task(waits())

    with pytest.raises(ValueError, match=f"^{first}$") as caught:
        run(go)
    assert ended == ["cancelled"] * 2
    assert isinstance(caught.value.__cause__, KeyError)  # a bug keeps its story


def test_the_body_of_a_group_is_one_of_its_tasks() -> None:
    async def go() -> None:
        async with task_group():
            raise LookupError("body")

    with pytest.raises(LookupError, match="body"):
        run(go)


def test_a_group_that_shuts_down_closes_the_coroutine_of_a_refused_task() -> None:
    refused: list[Coroutine[object, object, None]] = []

    async def never() -> None:
        raise AssertionError

    async def fails() -> None:
        raise ValueError("the first error")

    async def starts_another(group: asyncio.TaskGroup) -> None:
        try:
            await asyncio.sleep(1e6)
        finally:  # cancelled, because the other task failed
            refused.append(never())
            group.create_task(refused[0])

    async def go() -> None:
        async with task_group() as group:
            group.create_task(starts_another(group))
            await asyncio.sleep(0)
            group.create_task(fails())

    with pytest.raises(ValueError, match="the first error"):
        asyncio.run(go())
    assert inspect.getcoroutinestate(refused[0]) == inspect.CORO_CLOSED


def test_a_group_without_errors_waits_for_all() -> None:
    async def go() -> list[int]:
        done: list[int] = []

        async def work(number: int) -> None:
            for _ in range(number):
                await asyncio.sleep(0)
            done.append(number)

        async with task_group() as group:
            for number in (3, 1, 2):
                group.create_task(work(number))
        return done

    assert run(go) == [1, 2, 3]


def test_periodic_calls_end_with_the_body() -> None:
    async def go() -> tuple[int, int]:
        beats: list[int] = []
        async with run_periodically(lambda: beats.append(1), every=0):
            while len(beats) < 3:
                await asyncio.sleep(0)
        then = len(beats)
        for _ in range(20):
            await asyncio.sleep(0)
        return then, len(beats)

    then, after = run(go)
    assert then == after >= 3


@pytest.mark.parametrize("where", ["body", "beat"])
def test_an_error_of_the_body_or_the_callback_is_raised_as_itself(where: str) -> None:
    def beat() -> None:
        if where == "beat":
            raise LookupError(where)

    async def go() -> None:
        async with run_periodically(beat, every=0):
            if where == "body":
                raise LookupError(where)
            await asyncio.sleep(1e6)  # ended by the other's error

    with pytest.raises(LookupError, match=where):
        run(go)


def test_cancelling_the_body_ends_the_periodic_calls() -> None:
    async def go() -> list[int]:
        beats: list[int] = []

        async def work() -> None:
            async with run_periodically(lambda: beats.append(1), every=0):
                await asyncio.sleep(1e6)

        task = asyncio.create_task(work())
        while not beats:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1  # this one
        return beats

    assert run(go)


def test_a_daemon_thread_returns_or_raises() -> None:
    context: ContextVar[str] = ContextVar("context")

    async def go() -> None:
        context.set("seen")
        main = threading.get_ident()
        assert await to_daemon_thread(lambda: (context.get(), threading.get_ident() != main)) == (
            "seen",
            True,
        )
        with pytest.raises(ZeroDivisionError):
            await to_daemon_thread(lambda: 1 / 0)

    asyncio.run(go())


def test_a_cancelled_caller_does_not_wait_for_its_daemon_thread() -> None:
    gate = threading.Event()

    async def go() -> None:
        waiting = asyncio.create_task(to_daemon_thread(gate.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    before = set(threading.enumerate())
    asyncio.run(go())
    (thread,) = {
        thread for thread in threading.enumerate() if thread.name == "bakeoff-daemon"
    } - before
    gate.set()  # the thread ends after its event loop, without an error
    thread.join()
