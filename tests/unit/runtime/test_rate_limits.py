"""Rate limits, concurrency limits and request queues, by an artificial clock."""

import asyncio
import math
import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.runtime import (
    LimitConfig,
    Permit,
    Quota,
    RateLimits,
    RequestQueue,
    Server,
    ServerUnavailableError,
)
from tests.unit.runtime.simulated_servers import (
    Clock,
    FixedWindowServer,
    QuotaReportingServer,
    SimulatedServer,
    SlidingWindowServer,
    TokenBucketServer,
    UnlimitedServer,
    run,
    simulate,
)

# 600 requests a minute, in each of the ways in which that can be meant.
HARD: dict[str, Callable[[], SimulatedServer]] = {
    "sliding minute": lambda: SlidingWindowServer(600, 60),
    "sliding second": lambda: SlidingWindowServer(10, 1),
    "minute": lambda: FixedWindowServer(600, 60),
    "minute, of which half is over": lambda: FixedWindowServer(600, 60, phase=31),
    "second": lambda: FixedWindowServer(10, 1),
    "bucket of a minute": lambda: TokenBucketServer(10, 600),
    "bucket of a second": lambda: TokenBucketServer(10, 10),
}


# Learned limits


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(["sliding minute", "sliding second", "minute", "bucket"]),
    rate=st.integers(8, 30),
    latency=st.floats(0.05, 2),
    phase=st.floats(0, 59),
)
def test_a_hard_limit_is_used_to_90_percent_with_few_late_refusals(
    kind: str, rate: int, latency: float, phase: float
) -> None:
    server: SimulatedServer
    if kind == "bucket":
        server = TokenBucketServer(rate, 60 * rate)
    elif kind == "minute":
        server = FixedWindowServer(60 * rate, 60, phase)
    else:
        window = 60 if kind == "sliding minute" else 1
        server = SlidingWindowServer(window * rate, window)
    simulation = simulate(server, 100 * rate, latency=lambda _: latency)
    assert len(simulation.served) == 100 * rate
    assert simulation.goodput() >= 0.9 * rate
    assert simulation.refused_share(since=10) < 0.02


@pytest.mark.parametrize("kind", HARD)
def test_no_time_is_lost_if_the_client_is_slow(kind: str) -> None:
    """Many requests at once wait for the CPU; so the first measurement of the rate is too low."""
    simulation = simulate(HARD[kind](), 1200, cpu=0.003)
    assert simulation.goodput() >= 0.9 * 10


@pytest.mark.parametrize("kind", HARD)
def test_a_limit_is_learned_without_retry_after(kind: str) -> None:
    simulation = simulate(HARD[kind](), 1800, after=lambda _: None)
    assert simulation.goodput() >= 0.7 * 10
    assert simulation.refused_share(since=10) < 0.02


def test_slow_replies_do_not_lower_the_rate() -> None:
    simulation = simulate(
        TokenBucketServer(10, 10), 1800, latency=lambda chance: 0.5 + chance.expovariate(1 / 6)
    )
    assert simulation.goodput() >= 0.85 * 10


def test_a_window_is_used_as_soon_as_it_opens() -> None:
    for kind in ("sliding minute", "minute"):
        simulation = simulate(HARD[kind](), 1000)
        assert simulation.end < 65, kind  # 600 at once, and the others after a minute
        assert simulation.refused_share(since=10) < 0.01


def test_reported_quotas_halve_the_refusals() -> None:
    reported, unreported = (
        simulate(QuotaReportingServer(10, 600), 1200, cpu=0),
        simulate(TokenBucketServer(10, 600), 1200, cpu=0),
    )
    assert 2 * len(reported.refused) < len(unreported.refused)
    assert reported.goodput() >= 0.9 * unreported.goodput()


def test_two_clients_of_one_limit_both_get_a_share() -> None:
    """Two processes share a key, and one starts later; each sees its own refusals only."""

    async def work() -> None:
        limited, begin = TokenBucketServer(10, 10), Clock.now
        servers = [Server(LimitConfig(256)), Server(LimitConfig(256))]
        served, refused, chance = [0, 0], [0, 0], random.Random(3)
        while (now := Clock.now) < begin + 240:
            for client in chance.sample([0, 1], 2) if now > begin + 20 else [0]:
                while servers[client].delay(now) <= 0:
                    permit = start(servers[client])
                    if wait := limited.take(now):
                        refused[client] += 1
                        permit.rate_limited(wait)
                    else:
                        served[client] += 1
                        permit.completed(None)
            Clock.now += 0.005
        assert sum(served) >= 0.9 * 2400
        assert min(served) >= 0.3 * sum(served)
        assert sum(refused) < 0.03 * sum(served)

    run(work)


def start(server: Server) -> Permit:
    """Start a request, whether the limits allow it or not."""
    if not server.queues:
        RequestQueue([server])
    return Permit(server, 0, Clock.now)


def test_refusals_of_requests_in_flight_are_one_series() -> None:
    async def work() -> None:
        server = Server(LimitConfig(256))
        permits = [start(server) for _ in range(32)]
        Clock.now += 0.1
        for permit in permits[:20]:
            permit.rate_limited(1.0)
        assert server.delay(Clock.now) == pytest.approx(1, abs=0.02)
        assert server.in_flight == 12
        Clock.now += server.delay(Clock.now)
        # 12 were accepted within the 1.1 seconds.
        assert server.learned.rate(Clock.now) == pytest.approx(12 / 1.1, rel=0.05)

    run(work)


def test_the_longest_retry_after_of_a_series_is_respected() -> None:
    async def work() -> None:
        server, begin = Server(LimitConfig(256)), Clock.now
        permits = [start(server) for _ in range(3)]
        for permit, after in zip(permits, (2.0, 5.0, 1.0), strict=True):
            permit.rate_limited(after)
        assert 5.0 <= server.delay(begin) <= 5.1
        assert server.delay(begin + 5.1) == 0.0

    run(work)


def test_a_server_that_accepts_nothing_is_tried_by_one_request_with_backoff() -> None:
    async def work() -> None:
        server, pauses = Server(LimitConfig(256)), []
        for _ in range(9):
            start(server).rate_limited(None)
            pauses.append(server.delay(Clock.now))
            Clock.now += pauses[-1]
        assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 15, 15, 15, 15])
        permit = start(server)
        assert server.delay(Clock.now + 3600) == math.inf  # until the reply of that request
        permit.completed(None)
        assert server.delay(Clock.now + 60) == 0

    run(work)


def test_a_temporary_limit_is_forgotten_within_minutes() -> None:
    async def work() -> None:
        server = Server(LimitConfig(256))
        permits = [start(server) for _ in range(20)]
        Clock.now += 1
        permits[0].rate_limited(1.0)
        for permit in permits[1:]:
            permit.completed(None)
        rates = [server.learned.rate(Clock.now + 60 * minutes) for minutes in range(5)]
        assert rates == sorted(rates)
        assert rates[-1] > 3 * rates[0]

    run(work)


def test_idle_time_does_not_lower_the_learned_rate() -> None:
    async def work() -> None:
        server = Server(LimitConfig(256))
        start(server).completed(None)
        Clock.now += 600
        permits = [start(server) for _ in range(21)]
        Clock.now += 0.5
        permits.pop().rate_limited(0.5)
        assert server.learned.rate(Clock.now) >= 0.95 * 20  # in the latest second

    run(work)


def test_quotas_that_suffice_do_not_delay_requests() -> None:
    async def work() -> None:
        server = Server(LimitConfig(256))
        for _ in range(30):
            start(server)
        Clock.now += 0.1
        server.update_quotas(Quota(1000, 970, 1.8), None)
        server.update_quotas(Quota(10, 2, 0.8), None)  # full again before this is read
        server.update_quotas(None, Quota(10**6, 10**5, 54.0))
        assert server.delay(Clock.now) == 0
        server.update_quotas(Quota(100, 0, 0.0), None)  # full again at once
        assert server.learned.rate(Clock.now) == math.inf
        server.update_quotas(Quota(100, 0, 10.0), None)
        assert server.learned.rate(Clock.now) == pytest.approx(10, rel=0.05)
        start(server)
        assert server.delay(Clock.now) > 0

    run(work)


def test_a_server_is_unavailable_after_ten_minutes_of_refusals_or_a_longer_retry_after() -> None:
    async def work() -> None:
        server = Server(LimitConfig(256))
        start(server).rate_limited(30.0)
        Clock.now += 590
        start(server).rate_limited(30.0)
        assert server.unavailable_reason(Clock.now) is None
        Clock.now += 50
        start(server).rate_limited(30.0)
        assert server.unavailable_reason(Clock.now) == "it has refused everything for 10 minutes"
        Clock.now += 60
        start(server).completed(None)
        assert server.unavailable_reason(Clock.now) is None
        Clock.now += 100
        start(server).rate_limited(3600.0)
        assert server.unavailable_reason(Clock.now) == "it says to come again in 1:00:00"

    run(work)


def test_an_unreachable_server_is_retried_for_ten_minutes() -> None:
    async def work() -> None:
        server, begin = Server(LimitConfig(256)), Clock.now
        assert not server.unreachable
        while Clock.now <= begin + 600:
            assert server.unavailable_reason(Clock.now) is None
            start(server).connection_lost()
            assert server.unreachable
            assert 0 < server.delay(Clock.now) <= 15 + 1e-6  # of rounding
            Clock.now += server.delay(Clock.now)
        assert server.unavailable_reason(Clock.now) == "it could not be reached for 10 minutes"
        start(server).failed()  # an error is a sign of life
        assert not server.unreachable
        assert server.unavailable_reason(Clock.now) is None

    run(work)


def test_an_overloaded_server_is_retried_and_teaches_no_rate() -> None:
    async def work() -> None:
        server, pauses = Server(LimitConfig(256)), []
        for _ in range(100):
            permit = start(server)
            Clock.now += 0.1
            permit.completed(None)
        for _ in range(5):
            start(server).overloaded(None)
            pauses.append(server.delay(Clock.now))
            Clock.now += pauses[-1]
        assert pauses == pytest.approx([0.5, 1, 2, 4, 8])
        permit = start(server)
        assert server.delay(Clock.now) == math.inf  # by one
        Clock.now += 0.1
        permit.completed(None)
        assert server.learned.rate(Clock.now) == math.inf
        assert server.concurrency.size == 256
        start(server).overloaded(3.0)
        assert server.delay(Clock.now) == pytest.approx(3, rel=0.02)
        assert server.unavailable_reason(Clock.now) is None
        assert not server.unreachable

    run(work)


# Limits of the user, and of requests in flight


@settings(max_examples=20, deadline=None)
@given(
    rpm=st.integers(1, 500),
    concurrency=st.integers(1, 256),
    latency=st.floats(0, 3),
    cpu=st.sampled_from([0, 0.0005, 0.01]),
)
def test_no_minute_has_more_starts_than_the_user_allows(
    rpm: int, concurrency: int, latency: float, cpu: float
) -> None:
    config = LimitConfig(concurrency, rpm=rpm)
    started = simulate(
        UnlimitedServer(), 2 * rpm + 20, config=config, latency=lambda _: latency, cpu=cpu
    ).started
    assert len(started) == 2 * rpm + 20
    assert all(late - early >= 60 for early, late in zip(started, started[rpm:], strict=False))


def test_limits_of_the_user_are_used() -> None:
    paced = simulate(UnlimitedServer(), 500, config=LimitConfig(256, rpm=1200))
    assert 0.97 * 20 <= paced.goodput() <= 20
    spent = simulate(UnlimitedServer(), 500, config=LimitConfig(256, tpm=600_000), tokens=1000)
    assert 0.9 * 10 <= spent.goodput(10) <= 10


@given(concurrency=st.integers(1, 300), requests=st.integers(1, 600))
@settings(max_examples=20, deadline=None)
def test_requests_start_at_once_up_to_the_limit_of_concurrency(
    concurrency: int, requests: int
) -> None:
    simulation = simulate(UnlimitedServer(), requests, config=LimitConfig(concurrency))
    assert simulation.most == min(concurrency, requests)
    assert simulation.started[simulation.most - 1] == 0.0
    rounds = math.ceil(requests / concurrency)
    assert simulation.end <= rounds * (0.2 + 0.06) + 2 * 0.0005 * requests


def test_lost_requests_halve_the_concurrency_once_and_replies_restore_it() -> None:
    async def work() -> None:
        server = Server(LimitConfig(256))
        permits = [start(server) for _ in range(256)]
        Clock.now += 600
        for permit in permits[:100]:
            permit.failed(timed_out=True)
        assert server.concurrency.size == 128
        for permit in permits[100:]:
            permit.completed(None)
        between = server.concurrency.size
        assert 140 < between < 160
        Clock.now += 1
        permits = [start(server) for _ in range(10)]
        Clock.now += 1
        permits[0].connection_lost()
        assert server.concurrency.size == between / 2
        for permit in permits[1:]:
            permit.failed()
        for _ in range(2000):
            start(server).completed(None)
        assert server.concurrency.size == 256
        for _ in range(20):
            Clock.now += 1
            start(server).failed(timed_out=True)
        assert server.concurrency.size == 1
        assert server.delay(Clock.now) == 0  # one request is always allowed

    run(work)


# Queues


async def settled() -> None:
    """Let all tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


@given(numbers=st.permutations(range(30)), concurrency=st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_waiting_requests_start_in_the_order_of_their_numbers(
    numbers: list[int], concurrency: int
) -> None:
    async def work() -> None:
        queue, went = RequestQueue([Server(LimitConfig(concurrency))]), []
        permits = [await queue.acquire(-1) for _ in range(concurrency)]

        async def go(number: int) -> None:
            permit = await queue.acquire(number)
            went.append(number)
            await asyncio.sleep(0.1)
            permit.completed(None)

        tasks = [asyncio.create_task(go(number)) for number in numbers]
        await settled()
        assert not went
        for permit in permits:
            permit.completed(None)
        await asyncio.gather(*tasks)
        assert went == sorted(numbers)

    run(work)


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


def test_a_free_permit_is_returned_without_a_wait() -> None:
    async def work() -> None:
        queue = RequestQueue([Server(LimitConfig(1))])
        acquiring = queue.acquire(0)
        with suppress(StopIteration):
            acquiring.send(None)
            pytest.fail("the coroutine waited")
        waiting = queue.acquire(1)
        assert waiting.send(None) is not None  # a future
        waiting.close()

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
            lambda permit: permit.overloaded(None),
            lambda permit: permit.connection_lost(),
        ]
        server = Server(LimitConfig(4))
        queue = RequestQueue([server])
        for n, end in enumerate(ends):
            end(await queue.acquire(n))
            assert server.in_flight == 0

    run(work)
