"""Simulated servers with rate limits, an artificial clock, and a client that sends to a server."""

import asyncio
import math
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol
from unittest import mock

from bakeoff.runtime import LimitConfig, Quota, RequestQueue, Server, rate_limits


class Clock(selectors.DefaultSelector):
    """Selector of an event loop whose time advances only when it waits, to the next timer.

    So the speed of the machine does not matter.
    """

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "deadlock: no timer is set"
        if timeout > 0:
            Clock.now += timeout + 1e-6  # against rounding: a timer has to be due after the wait
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(Clock())

    def time(self) -> float:
        return Clock.now


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` by the artificial clock."""
    clock = SimpleNamespace(monotonic=lambda: Clock.now)
    with mock.patch.object(rate_limits, "time", clock), asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(work())


class SimulatedServer(Protocol):
    """A simulated server."""

    def take(self, now: float) -> float:
        """Return 0.0 if a request is accepted, else the seconds until it would be."""
        ...


class SlidingWindowServer:
    """Sliding window: `limit` requests in any `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.window = limit, window
        self.served: deque[float] = deque()

    def take(self, now: float) -> float:
        while self.served and self.served[0] <= now - self.window:
            self.served.popleft()
        if len(self.served) >= self.limit:
            return self.served[0] + self.window - now
        self.served.append(now)
        return 0.0


class FixedWindowServer:
    """Fixed window of the server's clock, which reads `phase` at the first request."""

    def __init__(self, limit: int, window: float, phase: float = 0.0) -> None:
        self.limit, self.window, self.phase = limit, window, phase
        self.count, self.number = 0, -1
        self.began: float | None = None

    def take(self, now: float) -> float:
        self.began = now if self.began is None else self.began
        now += self.phase - self.began
        number = int(now // self.window)
        if number != self.number:
            self.count, self.number = 0, number
        if self.count >= self.limit:
            return (number + 1) * self.window - now
        self.count += 1
        return 0.0


class TokenBucketServer:
    """Token bucket: holds `capacity` requests, refilled at `rate` a second."""

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate, self.capacity = rate, capacity
        self.left, self.at = capacity, -math.inf

    def take(self, now: float) -> float:
        self.left = min(self.capacity, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return (1 - self.left) / self.rate
        self.left -= 1
        return 0.0


class QuotaReportingServer(TokenBucketServer):
    """A token bucket that reports its quota with each reply."""

    def quota(self) -> Quota:
        return Quota(self.capacity, math.floor(self.left), (self.capacity - self.left) / self.rate)


class UnlimitedServer:
    """Accepts every request."""

    def take(self, now: float) -> float:
        del now
        return 0.0


@dataclass
class Simulation:
    """Result of a simulation: times since its begin of starts, replies and refusals."""

    started: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    most: int = 0  # in flight

    @property
    def end(self) -> float:
        return self.served[-1]

    def goodput(self, since: float = 0.0) -> float:
        """Return the replies a second after `since`."""
        return sum(at > since for at in self.served) / (self.end - since)

    def refused_share(self, since: float) -> float:
        """Return the share of refusals among the outcomes after `since`."""
        refused = sum(at > since for at in self.refused)
        return refused / max(1, refused + sum(at > since for at in self.served))


def simulate(
    simulated: SimulatedServer,
    requests: int,
    *,
    config: LimitConfig | None = None,
    latency: Callable[[random.Random], float] = lambda _: 0.2,
    after: Callable[[float], float | None] = lambda seconds: seconds,
    tokens: int | None = None,
    cpu: float = 0.0005,
) -> Simulation:
    """Send `requests` all at once, and each until it is accepted.

    `after` maps the real delay of a refusal to its retry-after. Each start and each outcome keeps
    the client for `cpu` seconds, one after the other.
    """
    chance, simulation = random.Random(7), Simulation()

    async def work() -> None:
        server, begin, free_at = Server(config or LimitConfig(256)), Clock.now, Clock.now
        queue = RequestQueue([server])

        async def compute() -> None:
            nonlocal free_at
            free_at = max(free_at, Clock.now) + cpu
            await asyncio.sleep(free_at - Clock.now)

        async def send(number: int) -> None:
            while True:
                permit = await queue.acquire(number)
                simulation.started.append(Clock.now - begin)
                simulation.most = max(simulation.most, server.in_flight)
                await compute()
                await asyncio.sleep(0.001 + chance.expovariate(1 / 0.004))
                delay = simulated.take(Clock.now)
                if not delay:
                    break
                simulation.refused.append(Clock.now - begin)
                await compute()
                permit.rate_limited(after(delay))
            await asyncio.sleep(latency(chance))
            await compute()
            simulation.served.append(Clock.now - begin)
            if isinstance(simulated, QuotaReportingServer):
                server.update_quotas(simulated.quota(), None)
            permit.completed(tokens)

        await asyncio.gather(*map(send, range(requests)))

    run(work)
    return simulation
