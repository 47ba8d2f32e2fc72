"""How a run is stopped before its end: nothing more is begun, and what is under way is waited for.

Knows why, and who wants to be told; not what is under way. A worker finds the halt of the run that
it works in by itself, so that nobody has to hand it down: without one, nothing stops it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bakeoff.errors import StoppedError

Told = Callable[[StoppedError], None]


class Halt:
    """Whether a run is to begin nothing more, and `why`: the first reason counts."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.interrupted = False  # whether somebody wanted it
        self.working = False  # whether there may be something under way that is paid for
        self._told: set[Told] = set()

    def stop(self, why: str) -> None:
        """Begin nothing more. What waits for its turn ends in a StoppedError at once."""
        if self.why is None:
            self.why = why
            for tell in tuple(self._told):
                tell(StoppedError(why))

    def interrupt(self) -> None:
        """As somebody wants it, who is here: there is nothing to tell them."""
        self.interrupted = self.interrupted or self.why is None
        self.stop("the run was interrupted")

    @contextmanager
    def work(self) -> Iterator[None]:
        """What is begun in the body is worth waiting for."""
        self.working = True
        try:
            yield
        finally:
            self.working = False

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """What is begun in the body is stopped by this one."""
        token = _IN_FORCE.set(self)
        try:
            yield
        finally:
            _IN_FORCE.reset(token)

    @contextmanager
    def part(self) -> "Iterator[Part]":
        """What is begun in the body is stopped by this one, or when there is enough of it."""
        part = Part(self)
        with self.telling(part.end), part.in_force():
            yield part

    @contextmanager
    def telling(self, tell: Told) -> Iterator[None]:
        """Call `tell` when it stops, or at once where it has, while the body runs."""
        if self.why is not None:
            tell(StoppedError(self.why))
        self._told.add(tell)
        try:
            yield
        finally:
            self._told.discard(tell)


class Part(Halt):
    """Of a part of a run, which may end before the run does. What stops it stops the whole run."""

    def __init__(self, whole: Halt) -> None:
        super().__init__()
        self._whole = whole

    def stop(self, why: str) -> None:
        """Begin nothing more in the whole run."""
        self._whole.stop(why)

    def end(self, error: StoppedError) -> None:
        """Begin nothing more here."""
        super().stop(str(error))

    def enough(self) -> None:
        """Begin nothing more here: what is known suffices."""
        super().stop("enough is known")


_IN_FORCE: ContextVar[Halt | None] = ContextVar("halt", default=None)


def halt() -> Halt:
    """The halt of the run that this is part of; outside of any, one that nobody stops."""
    return _IN_FORCE.get() or Halt()


def stoppable() -> bool:
    """Whether this is part of a run that can be stopped, and go on from there."""
    return _IN_FORCE.get() is not None


async def unless_stopped(waiter: "asyncio.Future[Any]") -> None:
    """Wait for a future; it ends in a StoppedError where the run is stopped before."""

    def end(error: StoppedError) -> None:
        if not waiter.done():
            waiter.set_exception(error)

    with halt().telling(end):
        await waiter


async def pause(seconds: float) -> None:
    """Sleep; StoppedError where the run is stopped before that is over."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[object] = loop.create_future()
    timer = loop.call_later(seconds, _end, waiter)
    try:
        await unless_stopped(waiter)
    finally:
        timer.cancel()


def _end(waiter: "asyncio.Future[object]") -> None:
    if not waiter.done():
        waiter.set_result(None)
