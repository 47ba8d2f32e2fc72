"""How much one server may be asked at once and how fast, learned from how it replies and refuses.

Knows times, replies and refusals; not what was asked, and no clock.
"""

import math
from datetime import timedelta
from typing import NamedTuple

from bakeoff.runtime.rate_limits.concurrency_limit import START, Window
from bakeoff.runtime.rate_limits.rate_limiter import Pace, Quota

PATIENCE = 600.0  # seconds that a server may refuse everything before its requests fail,
LOST = 600.0  # and that it may be away: who starts it again needs some minutes for that
_SPREAD = 0.4  # of the time of a reply, in which a window of requests starts at the fastest
_GAP = 0.005  # seconds between two starts, for that, at most
_LATE = 0.002  # seconds: starts that the event loop was late for are caught up with
_UNKNOWN = 0.08  # seconds of a reply, until one is known
_GUESS = 800.0  # tokens of a request, until some are known


class Caps(NamedTuple):
    """What nobody may exceed at one server: requests in flight, requests and tokens a minute.

    `first` is how many are in flight before it is known how many the server takes.
    """

    most: int
    rpm: float | None = None
    tpm: float | None = None
    first: int = START


class Limiter:
    """What all share who ask one server: within the caps, what it turns out to take.

    Ask `wait` before a `start`; end each with `served`, `refused`, `busy`, `lost` or `dropped`.
    """

    def __init__(self, caps: Caps) -> None:
        self._most = caps.most
        self._window = Window(caps.most, caps.first)
        self._pace = Pace(caps.rpm, caps.tpm)
        self.in_flight = 0
        self._due = 0.0  # when the next start is due, for them to be spread
        self._tokens = _GUESS
        self._refusing: float | None = None  # since when it refuses everything,
        self._lost: float | None = None  # or cannot be reached

    def allowed(self, now: float) -> int:
        """How many requests may be in flight.

        A rate that was learned is what holds them then: twice what it takes, since replies that
        take longer must not slow it down.
        """
        rate = self._pace.rate(now)
        carries = 2 * rate * self._window.latency if rate < math.inf else 0
        return max(self._window.size, min(self._most, int(carries + 1)))

    @property
    def load(self) -> float:
        """How full it is: 1 where as much is in flight as it is known to take."""
        return self.in_flight / self._window.size

    @property
    def away(self) -> bool:
        """Whether it could not be reached the last time."""
        return self._lost is not None

    def wait(self, now: float) -> float:
        """Seconds until a request may start: 0 at once, infinite when another has come back."""
        if self.in_flight >= self.allowed(now):
            return math.inf
        return max(self._due - now, self._pace.wait(now))

    def start(self, now: float) -> None:
        """A request starts.

        Requests that start at once come back at once, and then wait for each other: here, and at
        the server. So they are spread a little, and stay so.
        """
        self.in_flight += 1
        self._pace.start(now, self._tokens)
        gap = min(_GAP, _SPREAD * (self._window.latency or _UNKNOWN) / self._window.size)
        self._due = max(self._due, now - _LATE) + gap

    def served(self, began: float, now: float, tokens: int | None = None) -> None:
        """The request that began then has its reply, and took so many tokens."""
        full = self.in_flight >= self.allowed(now) or self._due > now
        self.in_flight -= 1
        self._refusing = self._lost = None
        more = 0.0 if tokens is None else tokens - self._tokens
        self._pace.ended(began, more)
        self._tokens += more / 16
        self._window.served(now, now - began, full)

    def refused(self, began: float, now: float, after: float | None) -> None:
        """The server refuses the request that began then, for `after` seconds if it says so."""
        self.in_flight -= 1
        self._refusing = now if self._refusing is None else self._refusing
        if self._pace.refused(began, now, after):
            self._window.refused()

    def busy(self, began: float, now: float, after: float | None) -> None:
        """The server has too much to do for anybody, for `after` seconds if it says so."""
        self.in_flight -= 1
        self._refusing = now if self._refusing is None else self._refusing
        self._pace.lost(began, now, after)

    def lost(self, began: float, now: float) -> None:
        """The server was not there, or went away, for the request that began then."""
        self.in_flight -= 1
        self._lost = now if self._lost is None else self._lost
        self._pace.lost(began, now)

    def dropped(self, began: float) -> None:
        """The request that began then came to nothing, for another reason."""
        self.in_flight -= 1
        self._lost = None
        self._pace.ended(began)

    def told(self, now: float, requests: Quota | None, tokens: Quota | None) -> None:
        """What the server says is left: where what is under way uses it up, it sets a rate.

        A limit that is small beside what is under way was full again before this was read.
        """
        for quota, each in ((requests, 1.0), (tokens, self._tokens)):
            under_way = self.in_flight * each  # of which the server has counted most
            if quota and quota.remaining <= under_way / 4 and under_way < quota.limit / 2:
                self._pace.told(now, quota.refill / each)

    def hopeless(self, now: float) -> str | None:
        """Why it is not worth waiting for: it has refused everything for ten minutes, or says that
        it will for so long, or has been away for as long. None where it is.
        """
        if (opens := self._pace.opens - now) > PATIENCE:
            return f"it says to come again in {timedelta(seconds=round(opens))}"
        if self._refusing is not None and now - self._refusing > PATIENCE:
            return f"it has refused everything for {PATIENCE / 60:.0f} minutes"
        if self._lost is not None and now - self._lost > LOST:
            return f"it could not be reached for {LOST / 60:.0f} minutes"
        return None
