"""Rate limits of servers, limits on the requests in flight, and queues of waiting requests.

A request waits in a `RequestQueue` for a `Permit` of one of its servers. A `Server` gives one when
fewer requests are in flight than its `ConcurrencyLimit`, and when the `TokenBucket`s of the user's
limits and the `LearnedRate` allow a start. The outcome, reported to the permit, adjusts the limits.
All times are seconds of `time.monotonic`, which is the clock of asyncio's event loops.
"""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import NamedTuple

from bakeoff.runtime.cancellation import wait_or_stop

_TIMEOUT = 600.0  # seconds of refusals, or without a connection, after which requests fail
_USER_SHARE = 0.98  # of the user's limits that is used: requests reach the server less evenly
_SHARE = 0.97  # of the learned rate that is used, likewise, and for other clients
_MIN_WINDOW = 5.0  # seconds: a longer retry-after ends with a window, whose starts may be at once
_MIN_DOUBLING, _MAX_DOUBLING = 5.0, 120.0  # seconds without a refusal until twice the rate is tried
_IDLE = 5.0  # seconds without a start after which the measurement begins anew
_SLACK = 0.02  # seconds: starts delayed by the event loop are caught up
_MIN_PAUSE = 0.1  # seconds; after a shorter one the next requests would be refused, too
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds, if a refusal does not say how long
_DEFAULT_TOKENS = 800.0  # per request, until some are known


class LimitConfig(NamedTuple):
    """Limits set by the user, at most; None: no limit."""

    max_concurrency: int  # requests in flight
    rpm: float | None = None  # requests a minute
    tpm: float | None = None  # tokens a minute, in and out


class Quota(NamedTuple):
    """A rate limit as a server reports it in its headers."""

    limit: float
    remaining: float
    reset: float  # seconds until `remaining` equals `limit` again


class ServerUnavailableError(Exception):
    """No server of a queue will accept a request within ten minutes; the message is the reason."""


class TokenBucket:
    """Token bucket: gains `rate` units a second, and holds `burst` of them, as at first."""

    def __init__(self, rate: float = math.inf, burst: float = 1.0) -> None:
        self.rate, self.burst = rate, burst
        self.full_at = -math.inf  # time at which the bucket is full again

    def delay(self, now: float) -> float:
        """Return the seconds until any amount may be taken; 0 or less: now."""
        return self.full_at - max((self.burst - 1) / self.rate, _SLACK) - now

    def take(self, now: float, amount: float) -> None:
        """Take `amount` units; a negative amount returns them."""
        self.full_at = max(self.full_at, now) + amount / self.rate


class LearnedRate:
    """Starts a second that a server accepts, learned from its refusals; unlimited before the first.

    A refusal and those of other requests in flight are one series, which pauses starts until
    `open_at`. The server's limit is between the rate of the starts that it accepted since the end
    of the previous pause until the end of this one, and the rate that was refused.
    """

    def __init__(self) -> None:
        self.open_at = -math.inf  # time from which starts are allowed again
        self._paused = True  # no start since `open_at` was set
        self._failures = 0  # pauses in a row after which the server accepted nothing
        self._bucket = TokenBucket()
        self._rate, self._learned_at = math.inf, -math.inf  # starts a second, and since when
        self._doubling_time = _MAX_DOUBLING
        self._refused_at, self._refused_rate = -math.inf, math.inf  # of the latest series
        self._since, self._accepted = self._previous = 0.0, 0  # measured time and starts; before it

    def rate(self, now: float) -> float:
        """Return the starts a second, which grow with the square of the time since a pause."""
        return self._rate * (1 + (max(0.0, now - self._learned_at) / self._doubling_time) ** 2)

    def delay(self, now: float) -> float:
        """Return the seconds until a start; infinite while one request tests the server."""
        if self._failures and not self._paused:
            return math.inf
        return max(self.open_at - now, self._bucket.delay(now))

    def on_start(self, now: float) -> None:
        """Count a start."""
        if self._paused or now > self._bucket.full_at + _IDLE:
            self._previous = (self._since, self._accepted) if self._paused else (0.0, 0)
            self._since, self._accepted, self._paused = now, 0, False
        self._accepted += 1
        self._bucket.rate = self.rate(now)
        self._bucket.take(now, 1)

    def on_reply(self, started: float, now: float) -> None:
        """Count a reply that is no refusal."""
        if self._failures and started >= self.open_at:
            self._failures, self._since, self._accepted = 0, now, 0

    def on_refusal(self, started: float, now: float, retry_after: float | None) -> None:
        """Pause and learn the rate; `retry_after` is in seconds, None if it was not given."""
        if started > self._refused_at:
            self._refused_at, self._refused_rate = now, self.rate(now)
        elif not self._paused:  # of a series after which requests have started
            return
        self._accepted -= 1
        if self._accepted == 0:  # all refused: the measurement before the pause goes on
            (self._since, self._accepted), self._previous = self._previous, (0.0, 0)
            self._failures += 1
        self._pause(now, retry_after)
        if self._accepted > 0:
            seconds, refused_rate = self.open_at - self._since, self._refused_rate
            mean = self._accepted / seconds
            rate = math.sqrt(mean * refused_rate) if refused_rate < math.inf else mean
            certain = _MAX_DOUBLING * (mean / refused_rate) ** 4  # the closer, the slower it grows
            self._doubling_time = min(_MAX_DOUBLING, max(_MIN_DOUBLING, seconds, certain))
            self._rate, self._learned_at = _SHARE * rate, self.open_at
            windowed = (retry_after or 0.0) >= _MIN_WINDOW
            self._bucket = TokenBucket(self._rate, _SHARE * self._accepted if windowed else 1.0)

    def on_unavailable(self, started: float, now: float, retry_after: float | None) -> None:
        """Pause, because the server was unreachable or overloaded; the learned rate stays."""
        if started >= self.open_at:
            self._failures += 1
            self._pause(now, retry_after)

    def adopt(self, now: float, rate: float) -> None:
        """Use a rate that the server reports, in starts a second, unless one was learned."""
        if self._rate == math.inf:
            self._rate, self._learned_at = _SHARE * rate, now

    def _pause(self, now: float, retry_after: float | None) -> None:
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** max(0, self._failures - 1))
        if retry_after is not None:  # with a margin: clocks differ
            retry_after += min(1.0, retry_after / 100)
            pause = max(_MIN_PAUSE, retry_after, pause - _FIRST_PAUSE)
        self.open_at, self._paused = max(self.open_at, now + pause), True


class ConcurrencyLimit:
    """Limit of requests in flight, by additive increase and multiplicative decrease (AIMD).

    `size` is at first `maximum`. Requests that time out or lose their connection halve it, once for
    all that were in flight together; a round of replies raises it by a sixteenth of `maximum`.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = self.size = float(maximum)
        self._halved_at = -math.inf

    def on_reply(self) -> None:
        """Count a reply."""
        self.size = min(self.maximum, self.size + max(1.0, self.maximum / 16) / self.size)

    def on_loss(self, started: float, now: float) -> None:
        """Count a request that timed out or lost its connection."""
        if started > self._halved_at:
            self.size, self._halved_at = max(1.0, self.size / 2), now


class Server:
    """One server: its limits, and the queues that send requests to it."""

    def __init__(self, config: LimitConfig) -> None:
        self.queues: list[RequestQueue] = []
        self.in_flight = 0  # permits whose outcome is not reported
        self.concurrency = ConcurrencyLimit(config.max_concurrency)
        self.requests = TokenBucket(_USER_SHARE * config.rpm / 60 if config.rpm else math.inf)
        self.tokens = TokenBucket(_USER_SHARE * config.tpm / 60 if config.tpm else math.inf)
        self.tokens_per_request = _DEFAULT_TOKENS  # moving average
        self.learned = LearnedRate()
        self.failing_since: float | None = None  # first refusal or lost connection after a reply
        self.unreachable = False  # whether the latest connection failed

    def delay(self, now: float) -> float:
        """Return the seconds until a start is allowed; infinite if it depends on another reply."""
        if self.in_flight + 1 > self.concurrency.size:
            return math.inf
        return max(self.requests.delay(now), self.tokens.delay(now), self.learned.delay(now), 0.0)

    def update_quotas(self, requests: Quota | None, tokens: Quota | None) -> None:
        """Adopt the rate of a quota from a reply's headers, if requests in flight may use it up.

        A quota of less than twice what is in flight may be full again, and is ignored.
        """
        for quota, per_request in ((requests, 1.0), (tokens, self.tokens_per_request)):
            in_flight = self.in_flight * per_request  # the server has counted most of these
            if quota and quota.remaining <= in_flight / 4 and in_flight < quota.limit / 2:
                used, seconds = quota.limit - quota.remaining, quota.reset * per_request
                self.learned.adopt(time.monotonic(), used / seconds if seconds > 0 else math.inf)

    def unavailable_reason(self, now: float) -> str | None:
        """Return why requests should fail instead of waiting, ten minutes or more; None: wait."""
        if (seconds := self.learned.open_at - now) > _TIMEOUT:
            return f"it says to come again in {timedelta(minutes=round(seconds / 60))}"
        if self.failing_since is None or now - self.failing_since <= _TIMEOUT:
            return None
        what = "could not be reached" if self.unreachable else "has refused everything"
        return f"it {what} for {_TIMEOUT / 60:.0f} minutes"

    def finish(self) -> None:
        """Count the end of a request; dispatch all queues, a different one first each time."""
        self.in_flight -= 1
        self.queues.append(self.queues.pop(0))
        for queue in tuple(self.queues):
            queue.dispatch()


class Permit:
    """Permission to send one request to a server. Call exactly one of its methods afterwards."""

    def __init__(self, server: Server, index: int, now: float) -> None:
        self.index = index  # of the server in its queue
        self._server, self._started = server, now
        server.in_flight += 1
        server.learned.on_start(now)
        server.requests.take(now, 1)
        server.tokens.take(now, server.tokens_per_request)

    def completed(self, tokens: int | None) -> None:
        """Report a reply; `tokens` in and out, None if unknown."""
        self._server.concurrency.on_reply()
        if tokens is not None:
            extra = tokens - self._server.tokens_per_request
            self._server.tokens.take(time.monotonic(), extra)
            self._server.tokens_per_request += extra / 16
        self.failed()

    def rate_limited(self, retry_after: float | None) -> None:
        """Report a refusal because of a rate limit; `retry_after` in seconds, None if not given."""
        self._refused(self._server.learned.on_refusal, retry_after)

    def overloaded(self, retry_after: float | None) -> None:
        """Report a refusal because of overload; `retry_after` in seconds, None if not given."""
        self._refused(self._server.learned.on_unavailable, retry_after)

    def connection_lost(self) -> None:
        """Report that the server could not be reached, or that the connection broke."""
        self._server.concurrency.on_loss(self._started, time.monotonic())
        self._server.unreachable = True
        self._refused(self._server.learned.on_unavailable, None)

    def failed(self, *, timed_out: bool = False) -> None:
        """Report a failure for a reason other than limits, or that no request was sent."""
        if timed_out:  # the server may have too many requests
            self._server.concurrency.on_loss(self._started, time.monotonic())
        self._server.learned.on_reply(self._started, time.monotonic())
        self._server.failing_since, self._server.unreachable = None, False
        self._server.finish()

    def _refused(self, pause: Callable[..., None], retry_after: float | None) -> None:
        now = time.monotonic()
        pause(self._started, now, retry_after)
        self._server.failing_since = self._server.failing_since or now
        self._server.finish()


class RequestQueue:
    """Queue of requests for interchangeable servers, the lowest number first; queues may share."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = tuple(servers)
        self._waiting: list[tuple[int, asyncio.Future[Permit]]] = []  # a heap
        self._timer: asyncio.TimerHandle | None = None
        for server in self._servers:
            server.queues.append(self)

    async def acquire(self, number: int) -> Permit:
        """Return a permit of the server that allows a start first; of several, the least loaded.

        `number` is from `RateLimits.next_number`; a refused request with the same number is ahead
        of later ones. Raises ServerUnavailableError, or StoppedError if the run is stopped.
        """
        if not self._waiting:  # the usual case: no future and no task
            delay, _, index = self._first_start(now := time.monotonic())
            if delay <= 0:
                return Permit(self._servers[index], index, now)
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, waiter))
        self.dispatch()
        try:
            await wait_or_stop(waiter)
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                waiter.result().failed()
            raise
        return waiter.result()

    def dispatch(self) -> None:
        """Give a permit to each request that may start now, and set a timer for the next one."""
        while self._waiting:
            if self._waiting[0][1].done():  # cancelled, or stopped
                heapq.heappop(self._waiting)
                continue
            delay, _, index = self._first_start(now := time.monotonic())
            if delay > 0:
                self._wait(now, delay)
                return
            waiter = heapq.heappop(self._waiting)[1]
            waiter.set_result(Permit(self._servers[index], index, now))

    def _first_start(self, now: float) -> tuple[float, float, int]:
        """Return the seconds until a start is allowed, the load of its server, and its index."""
        return min(
            (server.delay(now), server.in_flight / server.concurrency.size, index)
            for index, server in enumerate(self._servers)
        )

    def _wait(self, now: float, delay: float) -> None:
        """Set the timer, or fail all requests if no server is available."""
        reasons = [server.unavailable_reason(now) for server in self._servers]
        if all(reasons):
            for _, waiter in self._waiting:
                if not waiter.done():
                    waiter.set_exception(ServerUnavailableError(reasons[0]))
            self._waiting.clear()
        elif delay < math.inf:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(now + delay, self.dispatch)


class RateLimits:
    """Registry of the servers of a run: generators with the same server share its limits.

    `rpm` and `tpm` are requests and tokens a minute, at most, at each server; None: no limit.
    """

    def __init__(self, rpm: float | None = None, tpm: float | None = None) -> None:
        self.rpm, self.tpm = rpm, tpm
        self._servers: dict[Hashable, Server] = {}
        self._numbers = itertools.count()

    def server(self, key: Hashable, config: LimitConfig) -> Server:
        """Return the server of `key`, created with `config` if it is new."""
        return self._servers.setdefault(key, Server(config))

    def next_number(self) -> int:
        """Return the next of consecutive numbers, which order all requests of the run."""
        return next(self._numbers)
