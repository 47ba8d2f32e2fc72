"""Queues of requests to servers, and the registry of servers that a run shares."""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Hashable, Sequence

from bakeoff.runtime.cancellation import wait_or_stop
from bakeoff.runtime.rate_limits.rate_limiter import Quota
from bakeoff.runtime.rate_limits.server_limits import LimitConfig, ServerLimits


class ServerUnavailableError(Exception):
    """No server of a queue will accept a request within ten minutes; the message is the reason."""


class Server:
    """One server: its limits, and the queues that send requests to it."""

    def __init__(self, config: LimitConfig) -> None:
        self.limits = ServerLimits(config)
        self.queues: list[RequestQueue] = []

    @property
    def unreachable(self) -> bool:
        """Whether the latest connection failed."""
        return self.limits.unreachable

    def update_quotas(self, requests: Quota | None, tokens: Quota | None) -> None:
        """Take over the quotas in the headers of a reply."""
        self.limits.update_quotas(time.monotonic(), requests, tokens)

    def dispatch(self) -> None:
        """Dispatch the requests of all its queues, a different queue first each time."""
        self.queues.append(self.queues.pop(0))
        for queue in tuple(self.queues):
            queue.dispatch()


class Permit:
    """Permission to send one request to a server. Call exactly one of its methods afterwards."""

    def __init__(self, server: Server, index: int) -> None:
        self.index = index
        """Index of the server in its queue."""
        self._server = server
        self._started = time.monotonic()
        server.limits.on_start(self._started)

    def completed(self, tokens: int | None) -> None:
        """Report a reply; `tokens` in and out, None if unknown."""
        self._server.limits.on_reply(self._started, time.monotonic(), tokens)
        self._server.dispatch()

    def rate_limited(self, retry_after: float | None) -> None:
        """Report a refusal because of a rate limit; `retry_after` in seconds, None if not given."""
        self._server.limits.on_refusal(self._started, time.monotonic(), retry_after)
        self._server.dispatch()

    def overloaded(self, retry_after: float | None) -> None:
        """Report a refusal because of overload; `retry_after` in seconds, None if not given."""
        self._server.limits.on_overload(self._started, time.monotonic(), retry_after)
        self._server.dispatch()

    def connection_lost(self) -> None:
        """Report that the server could not be reached, or that the connection broke."""
        self._server.limits.on_connection_loss(self._started, time.monotonic())
        self._server.dispatch()

    def failed(self) -> None:
        """Report a failure for a reason other than limits, or that no request was sent."""
        self._server.limits.on_failure(self._started)
        self._server.dispatch()


class RequestQueue:
    """Queue of requests for interchangeable servers, the lowest number first.

    Several queues may share a server.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = tuple(servers)
        self._waiting: list[tuple[int, asyncio.Future[Permit]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        for server in self._servers:
            server.queues.append(self)

    async def acquire(self, number: int) -> Permit:
        """Return a permit of the server that allows a start first; of several, the least loaded.

        `number` is from `RateLimits.next_number`: a refused request that acquires another permit
        with the same number is ahead of later requests. Raises ServerUnavailableError, or
        StoppedError if the run is stopped.
        """
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
            now = time.monotonic()
            delay, _, index = min(
                (server.limits.delay(now), server.limits.load, index)
                for index, server in enumerate(self._servers)
            )
            if delay > 0:
                self._wait(now, delay)
                return
            waiter = heapq.heappop(self._waiting)[1]
            waiter.set_result(Permit(self._servers[index], index))

    def _wait(self, now: float, delay: float) -> None:
        """Set the timer, or fail all requests if no server is available."""
        reasons = [server.limits.unavailable_reason(now) for server in self._servers]
        if all(reasons):
            for _, waiter in self._waiting:
                if not waiter.done():
                    waiter.set_exception(ServerUnavailableError(reasons[0]))
            self._waiting.clear()
        elif delay < math.inf:  # `now` is time.monotonic, the event loop's clock
            self._set_timer(now + delay)

    def _set_timer(self, when: float) -> None:
        """Dispatch at this time; an earlier timer is kept."""
        loop, timer = asyncio.get_running_loop(), self._timer
        if timer is not None and self._loop is loop and loop.time() < timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
        self._loop, self._timer = loop, loop.call_at(when, self.dispatch)


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
        if key not in self._servers:
            self._servers[key] = Server(config)
        return self._servers[key]

    def next_number(self) -> int:
        """Return the next of consecutive numbers, which order all requests of the run."""
        return next(self._numbers)
