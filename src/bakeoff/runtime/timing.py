"""Measures where the wall time of a run goes, by kinds of work that may overlap.

Code that does slow work is wrapped in `timed`, which costs next to nothing without a stopwatch.
"""

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Literal, NamedTuple, Self, get_args

# In order of precedence: while several run, the time is attributed to the first of them.
# `commit` is last: while something else is running, nothing waits for the store's thread.
WorkKind = Literal["load", "store", "parse", "summarise", "generate", "judge", "commit"]
WORK_KINDS: tuple[WorkKind, ...] = get_args(WorkKind)


class Timing(NamedTuple):
    """Wall time of one kind of work, in seconds."""

    kind: WorkKind
    attributed: float
    """Time while it was running and no kind of higher precedence was; no time counts twice."""
    total: float
    """Time while it was running."""


class Stopwatch:
    """Measures `timed` work in the context that enters it, and in threads with a copy of it."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self._running = dict.fromkeys(WORK_KINDS, 0)
        self._attributed = dict.fromkeys(WORK_KINDS, 0.0)
        self._total = dict.fromkeys(WORK_KINDS, 0.0)
        self._lock = threading.Lock()  # engines load on threads of their own
        self._token: Token[Stopwatch | None]

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _CURRENT.reset(self._token)

    def start(self, kind: WorkKind) -> None:
        """Count one more running piece of work of this kind."""
        self._change(kind, 1)

    def stop(self, kind: WorkKind) -> None:
        """Count one less running piece of work of this kind."""
        self._change(kind, -1)

    def timings(self) -> tuple[list[Timing], float]:
        """Return the timings so far, in the order of `WORK_KINDS`, and the seconds since start."""
        with self._lock:
            self._add_elapsed()
            timings = [
                Timing(kind, self._attributed[kind], self._total[kind]) for kind in WORK_KINDS
            ]
            return timings, self._last - self._began

    def _change(self, kind: WorkKind, by: int) -> None:
        with self._lock:
            self._add_elapsed()
            self._running[kind] += by

    def _add_elapsed(self) -> None:
        """Add the time since the last change to the kinds that were running."""
        now = self._clock()
        elapsed, self._last = now - self._last, now
        running = [kind for kind in WORK_KINDS if self._running[kind]]
        for kind in running:
            self._total[kind] += elapsed
        if running:
            self._attributed[running[0]] += elapsed


_CURRENT: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


class timed:  # noqa: N801 - used like a function: `with timed("parse"):`
    """Context manager that measures its body as one kind of work, if a stopwatch is active."""

    __slots__ = ("_kind", "_stopwatch")

    def __init__(self, kind: WorkKind) -> None:
        self._kind = kind
        self._stopwatch = _CURRENT.get()

    def __enter__(self) -> None:
        if self._stopwatch:
            self._stopwatch.start(self._kind)

    def __exit__(self, *error: object) -> None:
        if self._stopwatch:
            self._stopwatch.stop(self._kind)
