"""Where requests wait for their turn at a server: first come, first served, at the freest one.

Knows limiters and the time; not what is asked, nor of whom.
"""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Hashable, Sequence

from bakeoff.runtime.cancellation import unless_stopped
from bakeoff.runtime.rate_limits.rate_limiter import Quota
from bakeoff.runtime.rate_limits.server_limits import Caps, Limiter


class HopelessError(Exception):
    """No server is worth waiting for; says why."""


class Server:
    """One server as all see it who ask it: its limiter, and the gates that lead there."""

    def __init__(self, caps: Caps) -> None:
        self.limiter = Limiter(caps)
        self.gates: list[Gate] = []

    @property
    def away(self) -> bool:
        """Whether it was not there when it was last asked."""
        return self.limiter.away

    def told(self, requests: Quota | None, tokens: Quota | None) -> None:
        """What the server says is left of its limits."""
        self.limiter.told(time.monotonic(), requests, tokens)

    def changed(self) -> None:
        """Let in who can go in; another gate is the first the next time."""
        self.gates.append(self.gates.pop(0))
        for gate in tuple(self.gates):
            gate.open()


class Turn:
    """A request's place at a server. It has to be ended, in one of five ways."""

    def __init__(self, server: Server, index: int) -> None:
        self.index = index  # of the server, among those that the gate leads to
        self._server = server
        self._began = time.monotonic()
        server.limiter.start(self._began)

    def served(self, tokens: int | None) -> None:
        """Its reply is there; it took so many tokens, read and written, where that is known."""
        self._server.limiter.served(self._began, time.monotonic(), tokens)
        self._server.changed()

    def busy(self, after: float | None) -> None:
        """The server has too much to do, for anybody: for `after` seconds, if it says so."""
        self._server.limiter.busy(self._began, time.monotonic(), after)
        self._server.changed()

    def refused(self, after: float | None) -> None:
        """The server takes no more of us: for `after` seconds, if it says so."""
        self._server.limiter.refused(self._began, time.monotonic(), after)
        self._server.changed()

    def lost(self) -> None:
        """The server could not be reached, or went away."""
        self._server.limiter.lost(self._began, time.monotonic())
        self._server.changed()

    def dropped(self) -> None:
        """It came to nothing, and the server is none the worse."""
        self._server.limiter.dropped(self._began)
        self._server.changed()


class Gate:
    """The way to one or more servers of the same kind, which others may lead to as well."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = tuple(servers)
        self._waiting: list[tuple[int, asyncio.Future[Turn]]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        for server in self._servers:
            server.gates.append(self)

    async def turn(self, ticket: int) -> Turn:
        """Wait until a server may be asked, the lowest ticket first. HopelessError where none will,
        StoppedError where the run is stopped.

        Who is refused comes again with the same ticket, and is before those who came later.
        """
        waiter: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket, waiter))
        self.open()
        try:
            await unless_stopped(waiter)
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                waiter.result().dropped()
            raise
        return waiter.result()

    def open(self) -> None:
        """Let in as many as may go in, and see to it that this is done again in time."""
        while self._waiting:
            if self._waiting[0][1].done():  # nobody waits there: it was cancelled
                heapq.heappop(self._waiting)
                continue
            now = time.monotonic()
            wait, _, index = min(
                (server.limiter.wait(now), server.limiter.load, index)
                for index, server in enumerate(self._servers)
            )
            if wait > 0:
                self._wait(now, wait)
                return
            waiter = heapq.heappop(self._waiting)[1]
            waiter.set_result(Turn(self._servers[index], index))

    def _wait(self, now: float, seconds: float) -> None:
        """See to it that the gate is opened again in time, or give up."""
        reasons = [server.limiter.hopeless(now) for server in self._servers]
        if all(reasons):
            for _, waiter in self._waiting:
                if not waiter.done():
                    waiter.set_exception(HopelessError(reasons[0]))
            self._waiting.clear()
        elif seconds < math.inf:  # the loop's clock is the one that is used here
            self._wake(now + seconds)

    def _wake(self, at: float) -> None:
        """Open the gate then, or a little sooner."""
        loop, alarm = asyncio.get_running_loop(), self._alarm
        if alarm is not None and self._loop is loop and loop.time() < alarm.when() <= at:
            return
        if alarm is not None:
            alarm.cancel()
        self._loop, self._alarm = loop, loop.call_at(at, self.open)


class Limits:
    """The servers of a run: who asks the same one with the same key shares what it can take.

    `rpm` and `tpm` are requests and tokens a minute at each of them, at most.
    """

    def __init__(self, rpm: float | None = None, tpm: float | None = None) -> None:
        self.rpm, self.tpm = rpm, tpm
        self._servers: dict[Hashable, Server] = {}
        self._tickets = itertools.count()

    def server(self, key: Hashable, caps: Caps) -> Server:
        """The server of that key; whoever is first says what its caps are."""
        if key not in self._servers:
            self._servers[key] = Server(caps)
        return self._servers[key]

    def ticket(self) -> int:
        """The next one in line."""
        return next(self._tickets)
