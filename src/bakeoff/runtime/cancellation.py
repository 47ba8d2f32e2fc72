"""Stop tokens: how a run ends early, finishing requests in flight and starting no new ones.

The token of a run is in a context variable, so that it need not be passed to the workers.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bakeoff.errors import StoppedError

StopCallback = Callable[[StoppedError], None]


class StopToken:
    """Cooperative stop signal of a run."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why the run was stopped, the first reason given; None while it goes on."""
        self.interrupted = False
        """Whether the user stopped it."""
        self.in_flight = False
        """Whether requests may be in flight that cost money and are worth waiting for."""
        self._callbacks: set[StopCallback] = set()

    def stop(self, reason: str) -> None:
        """Start no more work; work that waits for a permit raises StoppedError at once."""
        if self.reason is None:
            self.reason = reason
            for callback in tuple(self._callbacks):
                callback(StoppedError(reason))

    def interrupt(self) -> None:
        """Stop because the user interrupted; no message needed."""
        self.interrupted = self.interrupted or self.reason is None
        self.stop("the run was interrupted")

    @contextmanager
    def mark_in_flight(self) -> Iterator[None]:
        """Set `in_flight` while the body runs."""
        self.in_flight = True
        try:
            yield
        finally:
            self.in_flight = False

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Make this the current stop token of the body and of the tasks that it starts."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    @contextmanager
    def child(self) -> "Iterator[ChildStopToken]":
        """Activate a child token in the body; stopping this token stops the child, too."""
        child = ChildStopToken(self)
        with self.on_stop(child.end), child.activate():
            yield child

    @contextmanager
    def on_stop(self, callback: StopCallback) -> Iterator[None]:
        """Call `callback` if the token is stopped while the body runs, or is stopped already."""
        if self.reason is not None:
            callback(StoppedError(self.reason))
        self._callbacks.add(callback)
        try:
            yield
        finally:
            self._callbacks.discard(callback)


class ChildStopToken(StopToken):
    """Stop token of one stage. `stop` stops the whole run; `finish_early` ends only the stage."""

    def __init__(self, parent: StopToken) -> None:
        super().__init__()
        self._parent = parent

    def stop(self, reason: str) -> None:
        """Stop the whole run."""
        self._parent.stop(reason)

    def end(self, error: StoppedError) -> None:
        """Stop the stage because the run was stopped."""
        super().stop(str(error))

    def finish_early(self) -> None:
        """Stop the stage because its result is decided."""
        super().stop("enough is known")


_CURRENT: ContextVar[StopToken | None] = ContextVar("stop_token", default=None)


def current_stop_token() -> StopToken:
    """Return the active stop token; outside of a run a new one, which nothing stops."""
    return _CURRENT.get() or StopToken()


def has_stop_token() -> bool:
    """Return whether a stop token is active: the code is part of a run that can be resumed."""
    return _CURRENT.get() is not None


async def wait_or_stop(future: "asyncio.Future[Any]") -> None:
    """Wait for a future. Raises StoppedError as soon as the run is stopped."""

    def end(error: StoppedError) -> None:
        if not future.done():
            future.set_exception(error)

    with current_stop_token().on_stop(end):
        await future


async def sleep_or_stop(seconds: float) -> None:
    """Sleep for `seconds`. Raises StoppedError as soon as the run is stopped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[object] = loop.create_future()
    timer = loop.call_later(seconds, _finish, future)
    try:
        await wait_or_stop(future)
    finally:
        timer.cancel()


def _finish(future: "asyncio.Future[object]") -> None:
    if not future.done():
        future.set_result(None)
