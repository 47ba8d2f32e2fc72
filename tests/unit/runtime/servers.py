"""Servers with a limit, and a limiter that asks one: by a clock that jumps from event to event."""

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


class Limited(Protocol):
    """Takes a request, or says in how many seconds it would."""

    def take(self, now: float) -> float:
        """0.0 where it is served."""
        ...


class Sliding:
    """So many requests in any so many seconds."""

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


class Fixed:
    """So many in each so many seconds by the server's clock, which reads `phase` at the start."""

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


class Bucket:
    """Holds so many, and gets `rate` more a second."""

    def __init__(self, rate: float, holds: float) -> None:
        self.rate, self.holds = rate, holds
        self.left, self.at = holds, 0.0

    def take(self, now: float) -> float:
        self.left = min(self.holds, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return (1 - self.left) / self.rate
        self.left -= 1
        return 0.0


class Telling(Bucket):
    """Says with each reply what is left."""

    def quota(self) -> Quota:
        return Quota(self.holds, math.floor(self.left), (self.holds - self.left) / self.rate)


class Free:
    """Serves everything."""

    def take(self, now: float) -> float:
        del now
        return 0.0


class OneByOne:
    """Has room for so many at once; who comes when it is full waits, and is served later."""

    def __init__(self, room: int, seconds: float) -> None:
        self.room, self.seconds = room, seconds
        self.free = [0.0] * room

    def take(self, now: float) -> float:
        del now
        return 0.0

    def latency(self, now: float) -> float:
        """Seconds until it has replied to one that comes now."""
        end = max(now, heapq.heappop(self.free)) + self.seconds
        heapq.heappush(self.free, end)
        return end - now


@dataclass
class Told:
    """What came of a simulation: when each request was served and refused."""

    limiter: ServerLimits
    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    most: int = 0  # in flight

    @property
    def end(self) -> float:
        return self.served[-1]

    def goodput(self, since: float = 0.0) -> float:
        """Requests served a second, from then on."""
        return sum(at > since for at in self.served) / (self.end - since)

    def refused_share(self, since: float) -> float:
        """Of the requests that came back from then on, those that were refused."""
        refused = sum(at > since for at in self.refused)
        return refused / max(1, refused + sum(at > since for at in self.served))


Latency = Callable[[random.Random], float]


def simulate(
    server: Limited,
    requests: int,
    *,
    config: LimitConfig | None = None,
    latency: Latency = lambda _: 0.2,
    after: Callable[[float], float | None] = lambda seconds: seconds,
    tokens: int | None = None,
) -> Told:
    """Ask for so many; `after` is what a refusal says of the seconds until the server takes one."""
    chance = random.Random(7)
    limiter = ServerLimits(config or LimitConfig(256))
    told, now, order = Told(limiter), 0.0, itertools.count()
    events: list[tuple[float, int, str, float]] = []
    waiting, due = requests, math.inf  # when it will be looked again whether one may start

    def then(seconds: float, what: str, of: float) -> None:
        heapq.heappush(events, (now + seconds, next(order), what, of))

    def start() -> None:
        nonlocal waiting, due
        while waiting:
            if (wait := limiter.delay(now)) > 0:
                if now + wait < due:
                    due = now + max(wait, 1e-6)
                    then(max(wait, 1e-6), "start", 0.0)
                return
            limiter.on_start(now)
            waiting -= 1
            told.most = max(told.most, limiter.in_flight)
            then(0.001 + chance.expovariate(1 / 0.004), "arrives", now)

    start()
    while len(told.served) < requests:
        now, _, what, began = heapq.heappop(events)
        if what == "start":
            due = math.inf
        elif what == "arrives":
            wait = server.take(now)
            if wait:
                told.refused.append(now)
                limiter.on_refusal(began, now, after(wait))
                waiting += 1
            else:
                queued = isinstance(server, OneByOne)
                then(server.latency(now) if queued else latency(chance), "served", began)
        else:
            told.served.append(now)
            limiter.on_reply(began, now, tokens)
            if isinstance(server, Telling):
                limiter.update_quotas(now, server.quota(), None)
        start()
    return told
