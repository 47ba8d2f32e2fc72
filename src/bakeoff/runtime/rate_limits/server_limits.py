"""Limits of one server: how many requests it may have in flight, and how fast they start.

All times are seconds of any monotonic clock, passed by the caller.
"""

import math
from datetime import timedelta
from typing import NamedTuple

from bakeoff.runtime.rate_limits.concurrency_limit import INITIAL, ConcurrencyLimit
from bakeoff.runtime.rate_limits.rate_limiter import Quota, RateLimiter

REFUSAL_TIMEOUT = 600.0  # seconds that a server may refuse everything before requests fail,
UNREACHABLE_TIMEOUT = 600.0  # and that it may be unreachable, as a restart takes minutes
_SPREAD = 0.4  # of the latency, over which the first requests of a full limit are spread
_MAX_GAP = 0.005  # seconds between two starts, for that
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
    """What all clients of a server share: its learned limits, within those of a LimitConfig.

    Check `delay` before `on_start`; each start is followed by one of `on_reply`, `on_refusal`,
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

        With a learned rate, that rate is what limits them: twice what it needs are allowed, so that
        slower replies do not reduce it.
        """
        rate = self._rate.rate(now)
        needed = 2 * rate * self._concurrency.latency if rate < math.inf else 0
        return max(self._concurrency.size, min(self._max_concurrency, int(needed + 1)))

    @property
    def load(self) -> float:
        """Requests in flight as a share of the concurrency limit; above 1 at a learned rate."""
        return self.in_flight / self._concurrency.size

    @property
    def unreachable(self) -> bool:
        """Whether the latest connection failed."""
        return self._unreachable_since is not None

    def delay(self, now: float) -> float:
        """Return the seconds until a start is allowed; infinite: not before another reply."""
        if self.in_flight >= self.max_in_flight(now):
            return math.inf
        return max(self._next_start - now, self._rate.delay(now))

    def on_start(self, now: float) -> None:
        """Count a start.

        Starts are spread: requests that start together come back together, and then wait for each
        other here and at the server.
        """
        self.in_flight += 1
        self._rate.on_start(now, self._tokens)
        latency = self._concurrency.latency or _DEFAULT_LATENCY
        gap = min(_MAX_GAP, _SPREAD * latency / self._concurrency.size)
        self._next_start = max(self._next_start, now - _SLACK) + gap

    def on_reply(self, started: float, now: float, tokens: int | None = None) -> None:
        """Count a reply; `tokens` in and out, None if not known."""
        full = self.in_flight >= self.max_in_flight(now) or self._next_start > now
        self.in_flight -= 1
        self._refusing_since = self._unreachable_since = None
        extra = 0.0 if tokens is None else tokens - self._tokens
        self._rate.on_reply(started, extra)
        self._tokens += extra / 16
        self._concurrency.on_reply(now, now - started, full)

    def on_refusal(self, started: float, now: float, retry_after: float | None) -> None:
        """Count a refusal because of a rate limit; `retry_after` in seconds, if the server says."""
        self.in_flight -= 1
        self._refusing_since = now if self._refusing_since is None else self._refusing_since
        if self._rate.on_refusal(started, now, retry_after):
            self._concurrency.on_refusal()

    def on_overload(self, started: float, now: float, retry_after: float | None) -> None:
        """Count a refusal because the server is overloaded, independent of our request rate."""
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
        """Count a request that failed for a reason that is no limit of the server."""
        self.in_flight -= 1
        self._unreachable_since = None
        self._rate.on_reply(started)

    def update_quotas(self, now: float, requests: Quota | None, tokens: Quota | None) -> None:
        """Take over a rate from the server's headers, if requests in flight would use it up.

        A quota that is small beside what is in flight was full again before this was read.
        """
        for quota, each in ((requests, 1.0), (tokens, self._tokens)):
            in_flight = self.in_flight * each  # the server has counted most of these
            if quota and quota.remaining <= in_flight / 4 and in_flight < quota.limit / 2:
                self._rate.set_reported_rate(now, quota.refill_rate / each)

    def unavailable_reason(self, now: float) -> str | None:
        """Return why waiting is useless, or None.

        The server has refused everything for ten minutes, announces that it will for as long, or
        has been unreachable for as long.
        """
        if (seconds := self._rate.open_at - now) > REFUSAL_TIMEOUT:
            return f"it says to come again in {timedelta(seconds=round(seconds))}"
        if self._refusing_since is not None and now - self._refusing_since > REFUSAL_TIMEOUT:
            return f"it has refused everything for {REFUSAL_TIMEOUT / 60:.0f} minutes"
        lost = self._unreachable_since
        if lost is not None and now - lost > UNREACHABLE_TIMEOUT:
            return f"it could not be reached for {UNREACHABLE_TIMEOUT / 60:.0f} minutes"
        return None
