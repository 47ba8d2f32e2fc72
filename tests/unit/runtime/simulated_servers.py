"""Simulated servers with rate limits, and a discrete-event simulation of a client."""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bakeoff.runtime import LimitConfig, Quota
from bakeoff.runtime.rate_limits.server_limits import ServerLimits


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
    """Fixed window of the server's clock, which reads `phase` at the start."""

    def __init__(self, limit: int, window: float, phase: float = 0.0) -> None:
        self.limit, self.window, self.phase = limit, window, phase
        self.count, self.number = 0, -1

    def take(self, now: float) -> float:
        number = int((now + self.phase) // self.window)
        if number != self.number:
            self.count, self.number = 0, number
        if self.count >= self.limit:
            return (number + 1) * self.window - self.phase - now
        self.count += 1
        return 0.0


class TokenBucketServer:
    """Token bucket: holds `capacity` requests, refilled at `rate` a second."""

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate, self.capacity = rate, capacity
        self.left, self.at = capacity, 0.0

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


class QueueingServer:
    """Processes `slots` requests at once; others wait in its queue."""

    def __init__(self, slots: int, seconds: float) -> None:
        self.slots, self.seconds = slots, seconds
        self.free_at = [0.0] * slots

    def take(self, now: float) -> float:
        del now
        return 0.0

    def latency(self, now: float) -> float:
        """Return the seconds until the reply to a request that arrives now."""
        end = max(now, heapq.heappop(self.free_at)) + self.seconds
        heapq.heappush(self.free_at, end)
        return end - now


@dataclass
class Simulation:
    """Result of a simulation: times of replies and refusals."""

    limiter: ServerLimits
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


Latency = Callable[[random.Random], float]


def simulate(
    server: SimulatedServer,
    requests: int,
    *,
    config: LimitConfig | None = None,
    latency: Latency = lambda _: 0.2,
    after: Callable[[float], float | None] = lambda seconds: seconds,
    tokens: int | None = None,
) -> Simulation:
    """Send `requests`; `after` maps the real delay of a refusal to its retry-after."""
    chance = random.Random(7)
    limiter = ServerLimits(config or LimitConfig(256))
    simulation, now, order = Simulation(limiter), 0.0, itertools.count()
    events: list[tuple[float, int, str, float]] = []
    waiting, due = requests, math.inf  # requests, and the time of the next attempt to start one

    def schedule(seconds: float, event: str, started_at: float) -> None:
        heapq.heappush(events, (now + seconds, next(order), event, started_at))

    def start() -> None:
        nonlocal waiting, due
        while waiting:
            if (wait := limiter.delay(now)) > 0:
                if now + wait < due:
                    due = now + max(wait, 1e-6)
                    schedule(max(wait, 1e-6), "start", 0.0)
                return
            limiter.on_start(now)
            waiting -= 1
            simulation.most = max(simulation.most, limiter.in_flight)
            schedule(0.001 + chance.expovariate(1 / 0.004), "arrival", now)

    start()
    while len(simulation.served) < requests:
        now, _, event, started_at = heapq.heappop(events)
        if event == "start":
            due = math.inf
        elif event == "arrival":
            wait = server.take(now)
            if wait:
                simulation.refused.append(now)
                limiter.on_refusal(started_at, now, after(wait))
                waiting += 1
            else:
                seconds = (
                    server.latency(now) if isinstance(server, QueueingServer) else latency(chance)
                )
                schedule(seconds, "reply", started_at)
        else:
            simulation.served.append(now)
            limiter.on_reply(started_at, now, tokens)
            if isinstance(server, QuotaReportingServer):
                limiter.update_quotas(now, server.quota(), None)
        start()
    return simulation
