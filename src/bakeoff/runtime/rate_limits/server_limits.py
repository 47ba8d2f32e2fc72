"""Limits of one server: the number of requests in flight, and the rate of starts.

All times are seconds of any monotonic clock, passed by the caller.
"""

import math
from datetime import timedelta
from typing import NamedTuple

from bakeoff.runtime.rate_limits.concurrency_limit import INITIAL, ConcurrencyLimit
from bakeoff.runtime.rate_limits.rate_limiter import Quota, RateLimiter

REFUSAL_TIMEOUT = 600.0  # seconds of refusals without a success, after which requests fail
UNREACHABLE_TIMEOUT = 600.0  # seconds without a connection, likewise; a restart takes minutes
_SPREAD = 0.4  # of the latency, over which as many starts as may be in flight are spread
_MAX_GAP = 0.005  # seconds between two starts, at most, because of _SPREAD
_SLACK = 0.002  # seconds: starts delayed by the event loop are caught up
_DEFAULT_LATENCY = 0.08  # seconds, until one is measured
_DEFAULT_TOKENS = 800.0  # per request, until some are known


class LimitConfig(NamedTuple):
    """Limits set by the user."""

    max_concurrency: int
    """Requests in flight, at most."""
    rpm: float | None = None
    """Requests a minute, at most."""
    tpm: float | None = None
    """Tokens a minute, in and out, at most."""
    initial_concurrency: int = INITIAL
    """Requests in flight before the server's own limit is known."""


class ServerLimits:
    """The limits of one server: those of a LimitConfig, and lower ones learned from its replies.

    Call `on_start` when `delay` is 0, and after each start one of `on_reply`, `on_refusal`,
    `on_overload`, `on_connection_loss` and `on_failure`.
    """

    def __init__(self, config: LimitConfig) -> None:
        self._max_concurrency = config.max_concurrency
        self._concurrency = ConcurrencyLimit(config.max_concurrency, config.initial_concurrency)
        self._rate = RateLimiter(config.rpm, config.tpm)
        self.in_flight = 0
        self._next_start = 0.0
        self._tokens = _DEFAULT_TOKENS  # of a request: moving average
        self._refusing_since: float | None = None
        self._unreachable_since: float | None = None

    def max_in_flight(self, now: float) -> int:
        """Return how many requests may be in flight.

        That is the concurrency limit, or with a learned rate twice as many as this rate needs at
        the present latency, if that is more: so the rate limits the requests, and latency does not.
        """
        rate = self._rate.rate(now)
        needed = 2 * rate * self._concurrency.latency if rate < math.inf else 0
        return max(self._concurrency.size, min(self._max_concurrency, int(needed + 1)))

    @property
    def load(self) -> float:
        """Requests in flight over the concurrency limit; may exceed 1 with a learned rate."""
        return self.in_flight / self._concurrency.size

    @property
    def unreachable(self) -> bool:
        """Whether the latest connection failed."""
        return self._unreachable_since is not None

    def delay(self, now: float) -> float:
        """Return the seconds until a start is allowed; infinite if it depends on another reply."""
        if self.in_flight >= self.max_in_flight(now):
            return math.inf
        return max(self._next_start - now, self._rate.delay(now))

    def on_start(self, now: float) -> None:
        """Count a start.

        Starts are spread a little: requests that start at the same time finish at the same time,
        and would then wait for each other at the server and in this process.
        """
        self.in_flight += 1
        self._rate.on_start(now, self._tokens)
        latency = self._concurrency.latency or _DEFAULT_LATENCY
        gap = min(_MAX_GAP, _SPREAD * latency / self._concurrency.size)
        self._next_start = max(self._next_start, now - _SLACK) + gap

    def on_reply(self, started: float, now: float, tokens: int | None = None) -> None:
        """Count a reply; `tokens` in and out, None if unknown."""
        full = self.in_flight >= self.max_in_flight(now) or self._next_start > now
        self.in_flight -= 1
        self._refusing_since = self._unreachable_since = None
        extra = 0.0 if tokens is None else tokens - self._tokens
        self._rate.on_reply(started, extra)
        self._tokens += extra / 16
        self._concurrency.on_reply(now, now - started, full)

    def on_refusal(self, started: float, now: float, retry_after: float | None) -> None:
        """Count a refusal because of a rate limit; `retry_after` in seconds, None if not given."""
        self.in_flight -= 1
        self._refusing_since = now if self._refusing_since is None else self._refusing_since
        if self._rate.on_refusal(started, now, retry_after):
            self._concurrency.on_refusal()

    def on_overload(self, started: float, now: float, retry_after: float | None) -> None:
        """Pause new requests after a refusal because of overload; `retry_after` is in seconds.

        The learned rate and concurrency stay, as they did not cause the overload.
        """
        self.in_flight -= 1
        self._refusing_since = now if self._refusing_since is None else self._refusing_since
        self._rate.on_unavailable(started, now, retry_after)

    def on_connection_loss(self, started: float, now: float) -> None:
        """Count a connection that failed or broke."""
        self.in_flight -= 1
        if self._unreachable_since is None:
            self._unreachable_since = now
        self._rate.on_unavailable(started, now)

    def on_failure(self, started: float) -> None:
        """Count a request that failed for a reason other than limits."""
        self.in_flight -= 1
        self._unreachable_since = None
        self._rate.on_reply(started)

    def update_quotas(self, now: float, requests: Quota | None, tokens: Quota | None) -> None:
        """Adopt the rate of a quota from a reply's headers, if requests in flight may use it up.

        A quota of less than twice what is in flight is ignored: it may have been refilled before
        its header is read.
        """
        for quota, per_request in ((requests, 1.0), (tokens, self._tokens)):
            in_flight = self.in_flight * per_request  # the server has counted most of these
            if quota and quota.remaining <= in_flight / 4 and in_flight < quota.limit / 2:
                self._rate.set_reported_rate(now, quota.refill_rate / per_request)

    def unavailable_reason(self, now: float) -> str | None:
        """Return why requests to the server should fail instead of waiting; None if it is usable.

        The reason is that for ten minutes it has refused everything or has been unreachable, or
        that its retry-after is longer than that.
        """
        if (seconds := self._rate.open_at - now) > REFUSAL_TIMEOUT:
            return f"it says to come again in {timedelta(seconds=round(seconds))}"
        if self._refusing_since is not None and now - self._refusing_since > REFUSAL_TIMEOUT:
            return f"it has refused everything for {REFUSAL_TIMEOUT / 60:.0f} minutes"
        lost = self._unreachable_since
        if lost is not None and now - lost > UNREACHABLE_TIMEOUT:
            return f"it could not be reached for {UNREACHABLE_TIMEOUT / 60:.0f} minutes"
        return None
