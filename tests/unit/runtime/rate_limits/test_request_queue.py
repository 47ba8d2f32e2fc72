"""Who may ask which server next: permits, tickets, servers that are away, and an end of waiting."""

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
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_comes_first_goes_first_and_who_was_refused_before_the_later_ones() -> None:
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


def test_all_gates_to_a_server_share_what_it_takes_and_take_turns() -> None:
    async def work() -> None:
        limits = RateLimits()
        server = limits.server("here", LimitConfig(2))
        assert limits.server("here", LimitConfig(9)) is server
        assert limits.server("there", LimitConfig(2)) is not server
        queues, inside, went = [RequestQueue([server]), RequestQueue([server])], [], []

        async def go(who: int) -> None:
            permit = await queues[who].acquire(limits.next_number())
            inside.append(who)
            assert len(inside) <= 2
            went.append(who)
            await asyncio.sleep(0.001)
            inside.remove(who)
            permit.completed(10)

        await asyncio.gather(*(go(0) for _ in range(20)), *(go(1) for _ in range(20)))
        assert 4 <= sum(went[:16]) <= 12  # neither has to wait until the other is through

    run(work)


def test_whoever_waits_is_let_in_by_whoever_leaves() -> None:
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


def test_the_server_with_most_room_is_asked() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(2)), Server(LimitConfig(8))])
        permits = [await queue.acquire(n) for n in range(10)]
        assert sorted(permit.index for permit in permits) == [0] * 2 + [1] * 8
        for permit in permits[-4:]:
            permit.failed()
        free = sorted(permit.index for permit in permits[-4:])
        assert sorted([(await queue.acquire(n)).index for n in range(4)]) == free

    run(work)


def test_a_server_that_is_away_is_left_out_and_tried_again_by_one_request() -> None:
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
        assert not later.done()  # it is not known yet whether it is back
        again.completed(None)
        assert (await later).index == 0
        assert not servers[0].unreachable

    run(work)


def test_a_start_that_has_to_wait_is_made_in_time() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(9, rpm=1200))])
        begun = Clock.now
        for n in range(5):
            (await queue.acquire(n)).completed(None)
        assert Clock.now - begun == pytest.approx(4 * 60 / 1200, abs=0.03)

    run(work)


def test_who_is_cancelled_gives_its_place_back() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(1))])
        held = await queue.acquire(0)
        waiting = [asyncio.create_task(queue.acquire(n)) for n in (1, 2)]
        await settled()
        waiting[0].cancel()  # while it waits
        await settled()
        Clock.now += 0.02
        held.completed(None)
        waiting[1].cancel()  # when it is its turn, and it does not know yet
        await settled()
        assert (await queue.acquire(3)).index == 0

    run(work)


def test_where_no_server_is_worth_waiting_for_everybody_is_told_at_once() -> None:
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


def test_one_server_that_is_worth_waiting_for_is_waited_for() -> None:
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


def test_a_turn_ends_in_any_of_its_ways() -> None:
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
