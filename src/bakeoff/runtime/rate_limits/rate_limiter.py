"""Rate limiter of one server: from the user's limits, the server's headers and its refusals.

All times are seconds of any monotonic clock, passed by the caller.
"""

import math
from typing import NamedTuple

_SHARE = 0.96  # of the learned rate that is used: other clients, and clock differences
_PROBE_INTERVAL = 120.0  # seconds without a refusal after which twice the learned rate is tried
_MIN_GROWTH = 1.0  # starts a second: smaller rates grow as much as this one
_PRIOR = 5.0  # weight, in starts, of the previous rate beside a new measurement
_SLACK = 0.02  # seconds: starts delayed by the event loop are caught up
_IDLE = 5.0  # seconds without a start after which the measurement begins anew
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds, if a refusal does not say how long
_MAX_RETRY_PAUSE = 2.0  # seconds between attempts, if the server names too short a time
_MIN_WINDOW = 5.0  # seconds, and starts in them: retry-after from here on means a fixed window
_MERGE_RATIO = 1.2  # of throughput, from which two measured periods were one window
_BURST = 8.0  # times the average rate at which a window's quota is used
_MARGIN = 0.01  # share of a window, and seconds, by which the next one is delayed


class Quota(NamedTuple):
    """A rate limit as a server reports it in its headers."""

    limit: float
    remaining: float
    reset: float
    """Seconds until `remaining` equals `limit` again."""

    @property
    def refill_rate(self) -> float:
        """Units that come back per second; infinite if nothing is used."""
        used = self.limit - self.remaining
        return used / self.reset if used > 0 and self.reset > 0 else math.inf


class TokenBucket:
    """Spreads amounts evenly over time, at most `max_rate` units a second; None: no maximum."""

    def __init__(self, max_rate: float | None) -> None:
        self.max_rate = max_rate or math.inf
        self.next_start = 0.0
        """Time from which the next amount may be consumed."""

    def consume(self, now: float, amount: float, rate: float) -> None:
        """Consume `amount` units, at `rate` units a second."""
        self.next_start = max(self.next_start, now - _SLACK) + amount / rate


Period = tuple[float, int]  # its start, and the starts accepted in it


class FixedWindow:
    """Quota of starts per window of `length` seconds, for a server that counts in windows.

    The quota is used in the first eighth of each window. So it makes no difference whether the
    server's window slides, and no request waits for longer than one window.
    """

    def __init__(self, quota: int, length: float, start: float) -> None:
        self._learned = self._quota = quota
        self._learned_at = self.start = start
        self.length = length * (1 + _MARGIN) + _MARGIN
        self.used = 0
        """Starts in the current window."""
        self.previous: Period | None = None
        """The previous window."""

    def next_start(self) -> float:
        """Return the time from which a start is allowed."""
        return self.start + (self.length if self.used >= self._quota else 0)

    def consume(self, now: float) -> None:
        """Count one start."""
        if now >= self.start + self.length:
            self.previous = (self.start, self.used)
            self.start, self.used = now, 0
            minimum = _MIN_GROWTH * self.length
            self._quota = int(grow(self._learned, now - self._learned_at, minimum))
        self.used += 1


def grow(learned: float, seconds: float, minimum: float) -> float:
    """Return a learned limit after `seconds` without a refusal.

    It grows with the square of the time, as if it were at least `minimum`: slowly at first, so that
    a permanent limit is rarely exceeded, and within minutes far beyond a temporary one.
    """
    return learned + max(learned, minimum) * (seconds / _PROBE_INTERVAL) ** 2


class RateLimiter:
    """Spreads starts at the highest rate that the server accepts; no limit until it refuses one.

    `rpm` is requests and `tpm` tokens a minute, at most. The rate is learned from refusals: it is
    the number of starts that were accepted between two of them, over the time. After a refusal with
    a retry-after in which many starts would fit, the server is taken to count in windows, and the
    rate becomes a quota for each window; otherwise starts are spread evenly.
    """

    def __init__(self, rpm: float | None = None, tpm: float | None = None) -> None:
        self._requests = TokenBucket(rpm and rpm / 60)
        self._tokens = TokenBucket(tpm and tpm / 60)
        self._window: FixedWindow | None = None
        self.open_at = 0.0
        """Time from which the server accepts requests again."""
        self._learned_rate = math.inf  # starts a second
        self._refused_at: float | None = None  # start of the latest series of refusals
        self._rate_before = math.inf  # the rate until then
        self._measured_from: float | None = None  # start of the measurement
        self._accepted = 0  # starts in the measurement
        self._since_open = 0  # starts since `open_at`
        self._period_before: Period | None = None
        self._failed_openings = 0  # times in a row that no start was accepted after `open_at`
        self._failed_openings_before = 0

    def rate(self, now: float) -> float:
        """Return the allowed starts per second; infinite without a limit."""
        learned = self._learned_rate
        if self._window:
            learned *= _BURST
        elif now > self.open_at:
            learned = grow(learned, now - self.open_at, _MIN_GROWTH)
        return min(self._requests.max_rate, learned)

    def delay(self, now: float) -> float:
        """Return the seconds until a start is allowed.

        Infinite while the first request after a failed opening is in flight.
        """
        if self._failed_openings and self._since_open:
            return math.inf
        next_start = max(self.open_at, self._requests.next_start, self._tokens.next_start)
        in_window = self._window.next_start() - now if self._window else 0.0
        return max(0.0, next_start - now, in_window)

    def on_start(self, now: float, tokens: float) -> None:
        """Count a start of a request that is expected to take `tokens`, in and out."""
        idle_from = max(self.open_at, self._requests.next_start) + _IDLE
        if not self._failed_openings and now > idle_from:
            self._measured_from, self._accepted, self._since_open = None, 0, 0
        if self._measured_from is None:
            self._measured_from = now
        self._since_open += 1
        if self._window:
            self._window.consume(now)
        self._requests.consume(now, 1, self.rate(now))
        self._tokens.consume(now, tokens, self._tokens.max_rate)

    def on_reply(self, started: float, extra_tokens: float = 0.0) -> None:
        """End the trial, if this reply without a refusal is that of one.

        `extra_tokens` were used beyond those expected at the start; they are consumed now.
        """
        if started >= self.open_at:
            self._failed_openings = 0
        self._tokens.next_start += extra_tokens / self._tokens.max_rate

    def on_unavailable(self, started: float, now: float, retry_after: float | None = None) -> None:
        """Pause, because the server was unreachable or overloaded; the learned rate stays."""
        if started >= self.open_at:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._failed_openings)
            pause = pause if retry_after is None else max(retry_after, pause - _FIRST_PAUSE)
            self.open_at, self._since_open = max(self.open_at, now + pause), 0
            self._failed_openings += 1

    def set_reported_rate(self, now: float, rate: float) -> None:
        """Use the rate that the server reports, in starts a second, unless one was learned."""
        if self._learned_rate == math.inf and rate < math.inf:
            self._learned_rate, self.open_at = _SHARE * rate, max(self.open_at, now)

    def on_refusal(self, started: float, now: float, retry_after: float | None) -> bool:
        """Pause, and learn a rate from a refusal; return whether it is the first of a series.

        A series is a refusal and those of the requests that were in flight then. `retry_after` is
        in seconds; None if it was not given.
        """
        is_new = self._refused_at is None or started > self._refused_at
        if is_new:
            self._start_series(now)
        self._uncount_refused()
        pause, factor = retry_after, 2 ** max(0, self._failed_openings - 1)
        if pause is None:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * factor) if is_new else 0.0
        elif self._failed_openings:
            pause = max(pause, min(_MAX_RETRY_PAUSE, _FIRST_PAUSE / 4 * factor))
        self.open_at = self._requests.next_start = max(self.open_at, now + pause)
        self._learn(retry_after or 0.0)
        return is_new

    def _start_series(self, now: float) -> None:
        """End the measurement of accepted starts, at the first refusal of a series."""
        if self._refused_at is None:
            self._period_before = None
        else:
            self._period_before = (self._measured_from or 0.0, self._accepted)
        first = self._refused_at is None or self._window
        self._rate_before = math.inf if first else self.rate(now)
        if self._window:
            self._measured_from, self._accepted = self._window.start, self._window.used
            self._period_before = self._window.previous
        elif self._refused_at is not None:
            self._measured_from, self._accepted = self.open_at, self._since_open
        else:
            self._accepted = self._since_open
        self._refused_at, self._since_open = now, 0
        self._failed_openings_before, self._failed_openings = self._failed_openings, 0

    def _uncount_refused(self) -> None:
        """Uncount the refused start; if none is left, continue the previous period."""
        self._accepted = max(0, self._accepted - 1)
        if self._accepted == 0:
            if self._period_before:
                (self._measured_from, self._accepted) = self._period_before
                self._period_before = None
            if not self._window:
                self._failed_openings = self._failed_openings_before + 1

    def _learn(self, retry_after: float) -> None:
        seconds = self.open_at - (self._measured_from or 0.0)
        if not self._accepted or seconds <= 0:
            return
        rate = self._accepted / seconds
        if self._period_before and self._window:  # both may have been one window of the server
            start, accepted = self._period_before
            merged = (accepted + self._accepted) / (self.open_at - start)
            if merged > _MERGE_RATIO * rate:
                rate, seconds = merged, self.open_at - start
        if retry_after >= _MIN_WINDOW and retry_after * rate >= _MIN_WINDOW:
            quota = round(rate * seconds)
            quota -= quota // 20  # a share for other clients
            self._learned_rate = rate
            self._window = FixedWindow(quota, seconds, self.open_at)
            return
        self._window = None
        if not self._failed_openings and self._rate_before < math.inf:
            rate = (self._accepted + _PRIOR) / (seconds + _PRIOR / self._rate_before)
        self._learned_rate = _SHARE * min(rate, self._rate_before)
