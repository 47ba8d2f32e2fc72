"""Limits that are learned from simulated servers with every kind of rate limit."""

import math
import random

import pytest

from bakeoff.runtime import LimitConfig, Quota
from bakeoff.runtime.rate_limits.server_limits import ServerLimits
from tests.unit.runtime.simulated_servers import (
    FixedWindowServer,
    QueueingServer,
    QuotaReportingServer,
    SlidingWindowServer,
    TokenBucketServer,
    UnlimitedServer,
    simulate,
)

# 600 requests a minute, in each of the ways in which that can be meant.
HARD = {
    "sliding minute": lambda: SlidingWindowServer(600, 60),
    "sliding second": lambda: SlidingWindowServer(10, 1),
    "minute": lambda: FixedWindowServer(600, 60),
    "minute, of which half is over": lambda: FixedWindowServer(600, 60, phase=31),
    "second": lambda: FixedWindowServer(10, 1),
    "bucket of a minute": lambda: TokenBucketServer(10, 600),
    "bucket of a second": lambda: TokenBucketServer(10, 10),
}


@pytest.mark.parametrize("kind", HARD)
def test_a_hard_limit_is_used_to_90_percent_with_few_refusals(kind: str) -> None:
    simulation = simulate(HARD[kind](), 1800)
    assert len(simulation.served) == 1800
    assert simulation.goodput() >= 0.9 * 10
    assert simulation.refused_share(since=10) < 0.02


@pytest.mark.parametrize("kind", HARD)
def test_a_limit_is_learned_without_retry_after(kind: str) -> None:
    simulation = simulate(HARD[kind](), 1800, after=lambda _: None)
    assert simulation.goodput() >= 0.7 * 10
    assert simulation.refused_share(since=10) < 0.02


def test_slow_replies_get_the_concurrency_that_the_rate_needs() -> None:
    simulation = simulate(
        TokenBucketServer(10, 10), 1800, latency=lambda chance: 0.5 + chance.expovariate(1 / 6)
    )
    assert simulation.goodput() >= 0.85 * 10


def test_reported_quotas_halve_the_refusals() -> None:
    reported, unreported = (
        simulate(QuotaReportingServer(10, 600), 1200),
        simulate(TokenBucketServer(10, 600), 1200),
    )
    assert 2 * len(reported.refused) < len(unreported.refused)
    assert reported.goodput() >= 0.9 * unreported.goodput()


def test_quotas_that_suffice_do_not_delay_requests() -> None:
    limiter = ServerLimits(LimitConfig(256))
    for _ in range(30):
        limiter.on_start(0.0)
    limiter.update_quotas(0.1, Quota(1000, 970, 1.8), None)
    limiter.update_quotas(0.1, Quota(10, 2, 0.8), None)  # full again before this is read
    limiter.update_quotas(0.1, None, Quota(10**6, 10**5, 54.0))
    assert limiter.delay(0.1) == 0
    limiter.update_quotas(0.1, None, Quota(10**6, 5000, 59.7))
    limiter.on_start(0.1)
    assert limiter.delay(0.1) > 0


def test_concurrency_starts_at_32_and_grows_with_throughput() -> None:
    assert simulate(UnlimitedServer(), 31).most == 31
    simulation = simulate(UnlimitedServer(), 5000)
    assert simulation.most == 256
    assert sum(at < 0.25 for at in simulation.served) == 32
    assert not simulation.refused


def test_concurrency_does_not_grow_if_latency_does() -> None:
    simulation = simulate(QueueingServer(32, 0.2), 6000)
    assert simulation.goodput() >= 0.95 * 32 / 0.2
    assert simulation.most <= 128  # tried once in a while
    assert simulation.limiter.max_in_flight(simulation.end) <= 64
    assert simulate(QueueingServer(200, 0.2), 6000).goodput() >= 0.9 * 200 / 0.2


def test_concurrency_grows_within_a_few_replies() -> None:
    simulation = simulate(UnlimitedServer(), 2000)
    assert sum(at < 1.05 for at in simulation.served) >= 400


def test_a_fixed_window_is_used_as_soon_as_it_opens() -> None:
    for kind in ("sliding minute", "minute"):
        simulation = simulate(HARD[kind](), 1000)
        assert simulation.end < 75, kind  # 600 at once, and the others after a minute
        assert simulation.refused_share(since=10) < 0.01


def test_user_limits_are_never_exceeded() -> None:
    assert simulate(UnlimitedServer(), 500, config=LimitConfig(7)).most == 7
    paced = simulate(UnlimitedServer(), 500, config=LimitConfig(256, rpm=1200))
    assert 0.97 * 20 <= paced.goodput() <= 1.01 * 20
    spent = simulate(UnlimitedServer(), 500, config=LimitConfig(256, tpm=600_000), tokens=1000)
    assert 0.9 * 10 <= spent.goodput(10) <= 1.01 * 10


def refusing(limiter: ServerLimits, at: float, after: float | None) -> None:
    """Start one request and refuse it at once."""
    limiter.on_start(at)
    limiter.on_refusal(at, at, after)


def test_refusals_of_requests_in_flight_count_once() -> None:
    limiter = ServerLimits(LimitConfig(256))
    for _ in range(32):
        limiter.on_start(0.0)
    for _ in range(20):
        limiter.on_refusal(0.0, 0.1, 1.0)
    assert limiter.max_in_flight(0.1) == 16  # once, and not twenty times
    assert limiter.in_flight == 12
    assert limiter.delay(0.1) == pytest.approx(1.0)


def test_the_latest_retry_after_is_respected() -> None:
    limiter = ServerLimits(LimitConfig(256))
    for _ in range(3):
        limiter.on_start(0.0)
    for after in (2.0, 5.0, 1.0):
        limiter.on_refusal(0.0, 0.0, after)
    assert limiter.delay(0.0) == 5.0
    assert limiter.delay(5.0) == 0.0


def test_a_server_that_accepts_nothing_is_tried_by_one_request_with_backoff() -> None:
    limiter, now, pauses = ServerLimits(LimitConfig(256)), 0.0, []
    for _ in range(9):
        refusing(limiter, now, None)
        pauses.append(limiter.delay(now))
        now += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15, 15]
    limiter.on_start(now)
    assert limiter.delay(now + 3600) == math.inf  # until the reply of that request
    limiter.on_reply(now, now + 1)
    assert limiter.delay(now + 60) < math.inf


def test_a_temporary_limit_is_forgotten_within_minutes() -> None:
    limiter = ServerLimits(LimitConfig(256))
    now, rates = 0.0, []
    for _ in range(20):
        limiter.on_start(now)
    limiter.on_refusal(0.0, 1.0, 1.0)
    for _ in range(19):
        limiter.on_reply(0.0, 1.0)
    for _ in range(4):
        now += 60
        count = 0
        at = now
        while at < now + 1:
            at += max(limiter.delay(at), 1e-6)
            limiter.on_start(at)
            limiter.on_reply(at, at)
            count += 1
        rates.append(count)
    assert rates == sorted(rates)
    assert rates[-1] > 3 * rates[0]


def test_a_server_is_unavailable_after_ten_minutes_of_refusals_or_a_longer_retry_after() -> None:
    limiter = ServerLimits(LimitConfig(256))
    refusing(limiter, 0.0, 30.0)
    refusing(limiter, 590.0, 30.0)
    assert limiter.unavailable_reason(590.0) is None
    refusing(limiter, 640.0, 30.0)
    assert limiter.unavailable_reason(640.0) == "it has refused everything for 10 minutes"
    limiter.on_start(700.0)
    limiter.on_reply(700.0, 701.0)
    assert limiter.unavailable_reason(701.0) is None
    refusing(limiter, 800.0, 3600.0)
    assert limiter.unavailable_reason(800.0) == "it says to come again in 1:00:00"


def test_an_unreachable_server_is_retried_for_ten_minutes() -> None:
    limiter, now = ServerLimits(LimitConfig(256)), 0.0
    assert not limiter.unreachable
    for _ in range(60):
        limiter.on_start(now)
        limiter.on_connection_loss(now, now)
        assert limiter.unreachable
        if now > 600:
            break
        assert limiter.unavailable_reason(now) is None
        assert limiter.delay(now) <= 15
        now += limiter.delay(now)
    assert limiter.unavailable_reason(now) == "it could not be reached for 10 minutes"
    limiter.on_start(now)
    limiter.on_failure(now)  # an error is a sign of life
    assert not limiter.unreachable
    assert limiter.unavailable_reason(now) is None


def test_an_overloaded_server_is_retried_and_teaches_no_rate() -> None:
    limiter, now, pauses = ServerLimits(LimitConfig(256)), 0.0, []
    for _ in range(100):
        limiter.on_start(now)
        limiter.on_reply(now, now + 0.1)
        now += 0.1
    for _ in range(5):
        limiter.on_start(now)
        limiter.on_overload(now, now, None)
        pauses.append(limiter.delay(now))
        now += pauses[-1]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8])
    limiter.on_start(now)
    assert limiter.delay(now) == math.inf  # by one
    limiter.on_reply(now, now + 0.1)
    assert limiter._rate.rate(now + 0.1) == math.inf
    limiter.on_start(now)
    limiter.on_overload(now, now, 3.0)
    assert limiter.delay(now) == pytest.approx(3)
    assert limiter.unavailable_reason(now) is None
    assert not limiter.unreachable


def test_two_clients_of_one_limit_both_get_a_share() -> None:
    """Two processes share a key, and one starts later; each sees its own refusals only."""
    server = TokenBucketServer(10, 10)
    limiters = [ServerLimits(LimitConfig(256)), ServerLimits(LimitConfig(256))]
    served, refused, now, chance = [0, 0], [0, 0], 0.0, random.Random(3)
    while now < 240:
        for client in chance.sample([0, 1], 2) if now > 20 else [0]:
            limiter = limiters[client]
            while limiter.delay(now) <= 0:
                limiter.on_start(now)
                if wait := server.take(now):
                    refused[client] += 1
                    limiter.on_refusal(now, now, wait)
                else:
                    served[client] += 1
                    limiter.on_reply(now, now)
        now += 0.005
    assert sum(served) >= 0.9 * 2400
    assert min(served) >= 0.3 * sum(served)
    assert sum(refused) < 0.03 * sum(served)
