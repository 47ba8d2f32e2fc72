"""Request queues: order, load balancing, unreachable servers, and giving up."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from bakeoff.runtime import (
    LimitConfig,
    Permit,
    RateLimits,
    RequestQueue,
    Server,
    ServerUnavailableError,
)
from bakeoff.runtime.rate_limits import request_queue


class Clock(selectors.DefaultSelector):
    """Selector of an event loop whose time advances only when it waits, to the next timer.

    So the speed of the machine does not matter.
    """

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "deadlock: no timer is set"
        Clock.now += timeout + 1e-6  # against rounding: a timer has to be due after the wait
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(Clock())

    def time(self) -> float:
        return Clock.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "time", SimpleNamespace(monotonic=lambda: Clock.now))


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(work())


async def settled() -> None:
    """Let all tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_requests_are_first_in_first_out_and_a_refused_one_keeps_its_place() -> None:
    async def work() -> None:
        queue, went = RequestQueue([Server(LimitConfig(1))]), []

        async def go(number: int) -> None:
            permit = await queue.acquire(number)
            went.append(number)
            await asyncio.sleep(0)
            if went.count(number) == 1 and number == 1:
                permit.rate_limited(0.01)
                await go(number)
            else:
                permit.completed(None)

        await asyncio.gather(*map(go, (1, 2, 3)))
        assert went == [1, 1, 2, 3]

    run(work)


def test_queues_of_one_server_share_its_limits_and_alternate() -> None:
    async def work() -> None:
        limits = RateLimits()
        server = limits.server("here", LimitConfig(2))
        assert limits.server("here", LimitConfig(9)) is server
        assert limits.server("there", LimitConfig(2)) is not server
        queues, inside, went = [RequestQueue([server]), RequestQueue([server])], [], []

        async def go(index: int) -> None:
            permit = await queues[index].acquire(limits.next_number())
            inside.append(index)
            assert len(inside) <= 2
            went.append(index)
            await asyncio.sleep(0.001)
            inside.remove(index)
            permit.completed(10)

        await asyncio.gather(*(go(0) for _ in range(20)), *(go(1) for _ in range(20)))
        assert 4 <= sum(went[:16]) <= 12  # neither has to wait until the other is through

    run(work)


def test_a_completed_request_dispatches_the_waiting_ones() -> None:
    async def work() -> None:
        server = Server(LimitConfig(1))
        queues = [RequestQueue([server]) for _ in range(4)]
        for other in range(1, 4):
            permit = await queues[0].acquire(2 * other)
            waiting = asyncio.create_task(queues[other].acquire(2 * other + 1))
            await settled()
            assert not waiting.done()
            permit.completed(None)
            (await waiting).completed(None)

    run(work)


def test_the_server_with_the_lowest_load_is_chosen() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(2)), Server(LimitConfig(8))])
        permits = [await queue.acquire(n) for n in range(10)]
        assert sorted(permit.index for permit in permits) == [0] * 2 + [1] * 8
        for permit in permits[-4:]:
            permit.failed()
        free = sorted(permit.index for permit in permits[-4:])
        assert sorted([(await queue.acquire(n)).index for n in range(4)]) == free

    run(work)


def test_an_unreachable_server_is_skipped_and_retried_with_one_request() -> None:
    async def work() -> None:
        servers = [Server(LimitConfig(4)), Server(LimitConfig(4))]
        queue = RequestQueue(servers)
        first = await queue.acquire(0)
        assert first.index == 0
        first.connection_lost()
        assert servers[0].unreachable
        permits = [await queue.acquire(n) for n in range(1, 5)]
        assert {permit.index for permit in permits} == {1}
        again = await queue.acquire(5)  # the other one is full: as soon as this one may be tried
        assert again.index == 0
        later = asyncio.create_task(queue.acquire(6))
        await asyncio.sleep(0.05)
        assert not later.done()  # until the first request has succeeded
        again.completed(None)
        assert (await later).index == 0
        assert not servers[0].unreachable

    run(work)


def test_a_delayed_start_is_dispatched_in_time() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(9, rpm=1200))])
        begun = Clock.now
        for n in range(5):
            (await queue.acquire(n)).completed(None)
        assert Clock.now - begun == pytest.approx(4 * 60 / 1200, abs=0.03)

    run(work)


def test_a_cancelled_request_returns_its_permit() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(1))])
        permit = await queue.acquire(0)
        waiting = [asyncio.create_task(queue.acquire(n)) for n in (1, 2)]
        await settled()
        waiting[0].cancel()  # while it waits
        await settled()
        Clock.now += 0.02
        permit.completed(None)
        waiting[1].cancel()  # when it is its turn, and it does not know yet
        await settled()
        assert (await queue.acquire(3)).index == 0

    run(work)


def test_all_requests_fail_if_no_server_is_available() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(2)), Server(LimitConfig(2))])
        permits = [await queue.acquire(n) for n in range(3)]
        waiting = asyncio.create_task(queue.acquire(3))
        permits[0].rate_limited(3600)
        permits[2].rate_limited(3600)
        permit = await waiting  # the other one takes some
        permits[1].rate_limited(3600)
        permit.rate_limited(7200)
        with pytest.raises(ServerUnavailableError, match="come again in"):
            await queue.acquire(4)

    run(work)


def test_requests_wait_if_one_server_is_available() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(1)), Server(LimitConfig(1))])
        permits = [await queue.acquire(n) for n in range(2)]
        waiting = asyncio.create_task(queue.acquire(2))
        await settled()
        permits[0].rate_limited(3600)
        await settled()
        assert not waiting.done()
        permits[1].completed(None)
        assert (await waiting).index == 1

    run(work)


def test_every_outcome_of_a_permit_ends_its_request() -> None:
    async def work() -> None:
        ends: list[Callable[[Permit], None]] = [
            lambda permit: permit.completed(5),
            lambda permit: permit.failed(),
            lambda permit: permit.rate_limited(0.01),
            lambda permit: permit.rate_limited(None),
        ]
        server = Server(LimitConfig(4))
        queue = RequestQueue([server])
        for n, end in enumerate(ends):
            end(await queue.acquire(n))
            assert server.limits.in_flight == 0

    run(work)
