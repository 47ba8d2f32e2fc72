"""How fast requests may start at one server: what is allowed, what it tells, what it refuses.

Knows starts, replies and refusals; not what was asked, and no clock: every time is given, in
seconds of any clock that only goes forward.
"""

import math
from typing import NamedTuple

_SHARE = 0.96  # of the rate that was learned: what is left is for others, and for their clock
_AGAIN = 120.0  # seconds without a refusal after which twice that rate is tried
_LEAST = 1.0  # starts a second, of which growth is counted: who has little gets its part too
_PRIOR = 5.0  # starts that what is known of a rate counts as, beside a new finding
_SLACK = 0.02  # seconds: starts that the event loop was late for are caught up with
_IDLE = 5.0  # seconds without a start that could have been: from there on is counted anew
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds, where a refusal does not say how long
_TOLD_PAUSE = 2.0  # seconds at most between two tries, where it names a time that is too short
_WINDOW = 5.0  # seconds, and starts that fit into them: who names such a time counts in windows
_MORE = 1.2  # times what a period took, both it and the one before did: they are one
_SPEED = 8.0  # times the average, at which a window's budget is spent
_MARGIN = 0.01  # of a window, and seconds of it, that the next one begins later


class Quota(NamedTuple):
    """What a server says is left of a limit, and in how many seconds all of it is there again."""

    limit: float
    remaining: float
    reset: float

    @property
    def refill(self) -> float:
        """How much comes back in a second: of a bucket, and more or less of a window."""
        used = self.limit - self.remaining
        return used / self.reset if used > 0 and self.reset > 0 else math.inf


class Flow:
    """Amounts go through evenly, at a rate that may change."""

    def __init__(self, rate: float | None) -> None:
        self.cap = rate or math.inf
        self.due = 0.0  # when the next may go

    def spend(self, now: float, amount: float, rate: float) -> None:
        """So much goes through now."""
        self.due = max(self.due, now - _SLACK) + amount / rate


Period = tuple[float, int]  # since when, and how many starts were accepted


class Budget:
    """So many starts in each period, as a server takes them that counts in windows.

    They are spent in the first eighth of it: how a window slides does not matter then, and nobody
    waits longer than for the window.
    """

    def __init__(self, starts: int, period: float, begins: float) -> None:
        self._learned = self._starts = starts
        self._since = self.begins = begins
        self.period = period * (1 + _MARGIN) + _MARGIN
        self.used = 0
        self.last: Period | None = None  # the one before, and what was spent in it

    def due(self) -> float:
        """When the next start may be."""
        return self.begins + (self.period if self.used >= self._starts else 0)

    def spend(self, now: float) -> None:
        """One start."""
        if now >= self.begins + self.period:
            self.last = (self.begins, self.used)
            self.begins, self.used = now, 0
            self._starts = int(grown(self._learned, now - self._since, _LEAST * self.period))
        self.used += 1


def grown(learned: float, seconds: float, least: float) -> float:
    """What was learned, and more with the square of the time without a refusal: a hard limit is
    touched now and then, and one that was passing is forgotten within minutes.
    """
    return learned + max(learned, least) * (seconds / _AGAIN) ** 2


class Pace:
    """Starts are spread at the rate that is allowed; without any limit they are not held.

    `rpm` is requests and `tpm` tokens a minute, at most. A refusal teaches a rate: what was
    accepted from one opening of the server to the next, by the time between the two. Where the
    server names the time at which it opens, and many starts would fit into that, it counts in
    windows, and what it took is a budget for each; else starts are even, as if a bucket was filled.
    """

    def __init__(self, rpm: float | None = None, tpm: float | None = None) -> None:
        self._requests = Flow(rpm and rpm / 60)
        self._tokens = Flow(tpm and tpm / 60)
        self._budget: Budget | None = None
        self.opens = 0.0  # when the server takes requests again
        self._learned = math.inf  # starts a second
        self._event: float | None = None  # when it began to refuse
        self._before = math.inf  # the rate until then
        self._since: float | None = None  # from when on accepted starts are counted,
        self._count = 0  # how many there are,
        self._fresh = 0  # and how many since it opened again
        self._behind: Period | None = None  # what was counted before
        self._in_vain = 0  # times in a row that it opened and accepted nothing
        self._in_vain_before = 0

    def rate(self, now: float) -> float:
        """Starts a second, as things are; infinite where nothing limits them."""
        learned = self._learned
        if self._budget:
            learned *= _SPEED
        elif now > self.opens:
            learned = grown(learned, now - self.opens, _LEAST)
        return min(self._requests.cap, learned)

    def wait(self, now: float) -> float:
        """Seconds until the next start is allowed; infinite: not before a trial has come back."""
        if self._in_vain and self._fresh:
            return math.inf
        due = max(self.opens, self._requests.due, self._tokens.due)
        return max(0.0, due - now, self._budget.due() - now if self._budget else 0.0)

    def start(self, now: float, tokens: float) -> None:
        """A request starts that is expected to take so many tokens, read and written."""
        if not self._in_vain and now > max(self.opens, self._requests.due) + _IDLE:
            self._since, self._count, self._fresh = None, 0, 0
        if self._since is None:
            self._since = now
        self._fresh += 1
        if self._budget:
            self._budget.spend(now)
        self._requests.spend(now, 1, self.rate(now))
        self._tokens.spend(now, tokens, self._tokens.cap)

    def ended(self, began: float, more: float = 0.0) -> None:
        """A request came back that was not refused, and took so many more tokens than expected."""
        if began >= self.opens:
            self._in_vain = 0
        self._tokens.due += more / self._tokens.cap

    def lost(self, began: float, now: float, after: float | None = None) -> None:
        """The server was not there for a request, or too busy for anybody: it is tried again, by
        one, in a while. What it takes otherwise that does not say.
        """
        if began >= self.opens:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._in_vain)
            pause = pause if after is None else max(after, pause - _FIRST_PAUSE)
            self.opens, self._fresh = max(self.opens, now + pause), 0
            self._in_vain += 1

    def told(self, now: float, rate: float) -> None:
        """The server says how fast it takes requests; counts until its refusals say better."""
        if self._learned == math.inf and rate < math.inf:
            self._learned, self.opens = _SHARE * rate, max(self.opens, now)

    def refused(self, began: float, now: float, after: float | None) -> bool:
        """A request was refused, for `after` seconds where that is told; whether that is news.

        What was under way already when the first was refused is no news.
        """
        news = self._event is None or began > self._event
        if news:
            self._begin(now)
        self._take_back()
        pause, times = after, 2 ** max(0, self._in_vain - 1)
        if pause is None:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * times) if news else 0.0
        elif self._in_vain:
            pause = max(pause, min(_TOLD_PAUSE, _FIRST_PAUSE / 4 * times))
        self.opens = self._requests.due = max(self.opens, now + pause)
        self._learn(after or 0.0)
        return news

    def _begin(self, now: float) -> None:
        """A time of refusals begins, and a time of starts is over."""
        self._behind = (self._since or 0.0, self._count) if self._event is not None else None
        self._before = math.inf if self._event is None or self._budget else self.rate(now)
        if self._budget:
            self._since, self._count = self._budget.begins, self._budget.used
            self._behind = self._budget.last
        elif self._event is not None:
            self._since, self._count = self.opens, self._fresh
        else:
            self._count = self._fresh
        self._event, self._fresh = now, 0
        self._in_vain_before, self._in_vain = self._in_vain, 0

    def _take_back(self) -> None:
        """One that was counted was refused; where none is left, what was counted before goes on."""
        self._count = max(0, self._count - 1)
        if self._count == 0:
            if self._behind:
                (self._since, self._count), self._behind = self._behind, None
            if not self._budget:
                self._in_vain = self._in_vain_before + 1

    def _learn(self, after: float) -> None:
        passed = self.opens - (self._since or 0.0)
        if not self._count or passed <= 0:
            return
        found = self._count / passed
        if self._behind and self._budget:  # a period that was taken for two
            since, count = self._behind
            whole = (count + self._count) / (self.opens - since)
            if whole > _MORE * found:
                found, passed = whole, self.opens - since
        if after >= _WINDOW and after * found >= _WINDOW:
            starts = round(found * passed)
            starts -= starts // 20  # a share for others, as of a rate
            self._learned, self._budget = found, Budget(starts, passed, self.opens)
            return
        self._budget = None
        if not self._in_vain and self._before < math.inf:
            found = (self._count + _PRIOR) / (passed + _PRIOR / self._before)
        self._learned = _SHARE * min(found, self._before)
