"""Who may ask which server next: turns, tickets, servers that are away, and an end of waiting."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from bakeoff.runtime import Caps, Gate, HopelessError, Limits, Server, Turn
from bakeoff.runtime.rate_limits import request_queue as gate_module


class Clock(selectors.DefaultSelector):
    """The selector of an event loop whose time stands still while anything runs, and jumps to the
    next timer: how long a test takes on this machine changes nothing.
    """

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "deadlock: no timer is set"
        Clock.now += timeout + 1e-6  # else a timer that is due by rounding only fires for ever
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(Clock())

    def time(self) -> float:
        return Clock.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "time", SimpleNamespace(monotonic=lambda: Clock.now))


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(work())


async def settled() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_comes_first_goes_first_and_who_was_refused_before_the_later_ones() -> None:
    async def work() -> None:
        gate, went = Gate([Server(Caps(1))]), []

        async def go(ticket: int) -> None:
            turn = await gate.turn(ticket)
            went.append(ticket)
            await asyncio.sleep(0)
            if went.count(ticket) == 1 and ticket == 1:
                turn.refused(0.01)
                await go(ticket)
            else:
                turn.served(None)

        await asyncio.gather(*map(go, (1, 2, 3)))
        assert went == [1, 1, 2, 3]

    run(work)


def test_all_gates_to_a_server_share_what_it_takes_and_take_turns() -> None:
    async def work() -> None:
        limits = Limits()
        server = limits.server("here", Caps(2))
        assert limits.server("here", Caps(9)) is server
        assert limits.server("there", Caps(2)) is not server
        gates, inside, went = [Gate([server]), Gate([server])], [], []

        async def go(who: int) -> None:
            turn = await gates[who].turn(limits.ticket())
            inside.append(who)
            assert len(inside) <= 2
            went.append(who)
            await asyncio.sleep(0.001)
            inside.remove(who)
            turn.served(10)

        await asyncio.gather(*(go(0) for _ in range(20)), *(go(1) for _ in range(20)))
        assert 4 <= sum(went[:16]) <= 12  # neither has to wait until the other is through

    run(work)


def test_whoever_waits_is_let_in_by_whoever_leaves() -> None:
    async def work() -> None:
        server = Server(Caps(1))
        gates = [Gate([server]) for _ in range(4)]
        for other in range(1, 4):
            turn = await gates[0].turn(2 * other)
            waiting = asyncio.create_task(gates[other].turn(2 * other + 1))
            await settled()
            assert not waiting.done()
            turn.served(None)
            (await waiting).served(None)

    run(work)


def test_the_server_with_most_room_is_asked() -> None:
    async def work() -> None:
        gate = Gate([Server(Caps(2)), Server(Caps(8))])
        turns = [await gate.turn(n) for n in range(10)]
        assert sorted(turn.index for turn in turns) == [0] * 2 + [1] * 8
        for turn in turns[-4:]:
            turn.dropped()
        free = sorted(turn.index for turn in turns[-4:])
        assert sorted([(await gate.turn(n)).index for n in range(4)]) == free

    run(work)


def test_a_server_that_is_away_is_left_out_and_tried_again_by_one_request() -> None:
    async def work() -> None:
        servers = [Server(Caps(4)), Server(Caps(4))]
        gate = Gate(servers)
        first = await gate.turn(0)
        assert first.index == 0
        first.lost()
        assert servers[0].away
        turns = [await gate.turn(n) for n in range(1, 5)]
        assert {turn.index for turn in turns} == {1}
        again = await gate.turn(5)  # the other one is full: as soon as this one may be tried
        assert again.index == 0
        later = asyncio.create_task(gate.turn(6))
        await asyncio.sleep(0.05)
        assert not later.done()  # it is not known yet whether it is back
        again.served(None)
        assert (await later).index == 0
        assert not servers[0].away

    run(work)


def test_a_start_that_has_to_wait_is_made_in_time() -> None:
    async def work() -> None:
        gate = Gate([Server(Caps(9, rpm=1200))])
        begun = Clock.now
        for n in range(5):
            (await gate.turn(n)).served(None)
        assert Clock.now - begun == pytest.approx(4 * 60 / 1200, abs=0.03)

    run(work)


def test_who_is_cancelled_gives_its_place_back() -> None:
    async def work() -> None:
        gate = Gate([Server(Caps(1))])
        held = await gate.turn(0)
        waiting = [asyncio.create_task(gate.turn(n)) for n in (1, 2)]
        await settled()
        waiting[0].cancel()  # while it waits
        await settled()
        Clock.now += 0.02
        held.served(None)
        waiting[1].cancel()  # when it is its turn, and it does not know yet
        await settled()
        assert (await gate.turn(3)).index == 0

    run(work)


def test_where_no_server_is_worth_waiting_for_everybody_is_told_at_once() -> None:
    async def work() -> None:
        gate = Gate([Server(Caps(2)), Server(Caps(2))])
        turns = [await gate.turn(n) for n in range(3)]
        waiting = asyncio.create_task(gate.turn(3))
        turns[0].refused(3600)
        turns[2].refused(3600)
        turn = await waiting  # the other one takes some
        turns[1].refused(3600)
        turn.refused(7200)
        with pytest.raises(HopelessError, match="come again in"):
            await gate.turn(4)

    run(work)


def test_one_server_that_is_worth_waiting_for_is_waited_for() -> None:
    async def work() -> None:
        gate = Gate([Server(Caps(1)), Server(Caps(1))])
        turns = [await gate.turn(n) for n in range(2)]
        waiting = asyncio.create_task(gate.turn(2))
        await settled()
        turns[0].refused(3600)
        await settled()
        assert not waiting.done()
        turns[1].served(None)
        assert (await waiting).index == 1

    run(work)


def test_a_turn_ends_in_any_of_its_ways() -> None:
    async def work() -> None:
        ends: list[Callable[[Turn], None]] = [
            lambda turn: turn.served(5),
            lambda turn: turn.dropped(),
            lambda turn: turn.refused(0.01),
            lambda turn: turn.refused(None),
        ]
        server = Server(Caps(4))
        gate = Gate([server])
        for n, end in enumerate(ends):
            end(await gate.turn(n))
            assert server.limiter.in_flight == 0

    run(work)
