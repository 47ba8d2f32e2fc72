"""Where the wall time of a run goes, by kinds of work that overlap. Knows no run and no terminal.

Whoever does something slow says so with `timed`. That costs next to nothing where no watch runs.
"""

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Literal, NamedTuple, Self, get_args

# The earlier kind is inside the later one where both are under way: what a moment counts for.
Work = Literal["load", "store", "parse", "summarise", "generate", "judge"]
KINDS: tuple[Work, ...] = get_args(Work)


class Lap(NamedTuple):
    """One kind of work, in seconds: `counted` of the wall, `whole` while it was under way at all.

    `counted` adds up over all kinds: each moment counts for the first kind that was under way.
    """

    work: Work
    counted: float
    whole: float


class Stopwatch:
    """Measures what is `timed` in the context that enters it, and in the threads that copy it."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self._under_way = dict.fromkeys(KINDS, 0)
        self._counted = dict.fromkeys(KINDS, 0.0)
        self._whole = dict.fromkeys(KINDS, 0.0)
        self._lock = threading.Lock()  # engines load on threads of their own
        self._token: Token[Stopwatch | None]

    def __enter__(self) -> Self:
        self._token = _RUNNING.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        _RUNNING.reset(self._token)

    def turn(self, work: Work, by: int) -> None:
        """One more (1) or one less (-1) of a kind is under way."""
        with self._lock:
            self._account()
            self._under_way[work] += by

    def laps(self) -> tuple[list[Lap], float]:
        """Every kind so far, in the order of `KINDS`; and the seconds since the watch was made."""
        with self._lock:
            self._account()
            laps = [Lap(work, self._counted[work], self._whole[work]) for work in KINDS]
            return laps, self._last - self._began

    def _account(self) -> None:
        """Give the time since the last turn to whoever was under way."""
        now = self._clock()
        passed, self._last = now - self._last, now
        going = [work for work in KINDS if self._under_way[work]]
        for work in going:
            self._whole[work] += passed
        if going:
            self._counted[going[0]] += passed


_RUNNING: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


class timed:  # noqa: N801 - used like a function: `with timed("parse"):`
    """Count the body of a `with` as work of a kind, if a watch runs."""

    __slots__ = ("_watch", "_work")

    def __init__(self, work: Work) -> None:
        self._work = work
        self._watch = _RUNNING.get()

    def __enter__(self) -> None:
        if self._watch:
            self._watch.turn(self._work, 1)

    def __exit__(self, *ended: object) -> None:
        if self._watch:
            self._watch.turn(self._work, -1)
