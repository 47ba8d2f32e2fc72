"""A worker that is an engine in this process: items in batches, on a thread of its own."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic

from pydantic import JsonValue

from bakeoff.errors import WorkError
from bakeoff.records import Usage
from bakeoff.runtime.cancellation import halt
from bakeoff.runtime.work_queue import Call, Feed
from bakeoff.runtime.worker import Ask, Emit, I, O, Order


class Batched(ABC, Generic[I, O]):
    """A worker that is an engine in this process: override `batch`, which runs on its own thread.

    Items of calls that overlap share batches, so that single items which trickle in do not run one
    by one. An engine that can take up items while it works on others overrides `work` too.
    """

    identity: JsonValue
    weights: str | None = None
    caveat: str | None = None
    exclusive = True
    stays = False
    patient = False
    order: Order = "both"  # of a judge
    partial = False

    def __init__(self, size: int) -> None:
        self._size = size
        self._feed: Feed[I, O] = Feed(self.rank)
        self._thread: ThreadPoolExecutor | None = None
        self._running: asyncio.Future[None] | None = None

    @abstractmethod
    def batch(self, items: Sequence[I]) -> Sequence[O | WorkError]:
        """The outcomes of a batch, in order. Runs on the engine's thread."""

    def work(self, feed: Feed[I, O]) -> None:
        """Take some of what waits, and give an outcome for each. Runs on the engine's thread."""
        taken = feed.take(self._size)
        outcomes = self.batch([ticket.item for ticket in taken])
        for ticket, outcome in list(zip(taken, outcomes, strict=True)):
            feed.give(ticket, outcome)

    def rank(self, item: I) -> int:
        """Items of like rank share a batch; by default all are alike."""
        del item
        return 0

    def release(self) -> None:
        """Free what `batch` loaded. Runs on the engine's thread."""

    @property
    def through(self) -> int:
        """Nothing is done elsewhere unless a subclass says so."""
        return 0

    @property
    def writing(self) -> int:
        """It is not known unless a subclass says so."""
        return 0

    def asks(self, item: I) -> Sequence[Ask]:
        """It is not known unless a subclass says so."""
        del item
        return ()

    def due(self, usage: Usage) -> float | None:
        """Nobody wants money for what this machine does."""
        del usage
        return 0.0

    def kept(self) -> None:
        """Nothing to forget unless a subclass sent something off."""

    async def prepare(self) -> None:
        """Nothing to fetch or check unless a subclass says so."""

    async def close(self) -> None:
        """Free the engine and end its thread."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.release)
            self._thread.shutdown()
            self._thread = self._running = None

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit every item's outcome as it is there, the largest rank first."""
        call: Call[I, O] = Call(items, emit)
        self._feed.add(call.tickets)
        with halt().telling(lambda error: self._feed.refuse(call, error)):
            self._start()
            try:
                await call.over()
            finally:
                self._feed.drop_unwanted()  # after an error, or cancelled

    def _start(self) -> None:
        """Let the engine work through what waits, unless it does so already."""
        loop = asyncio.get_running_loop()
        # Work that was begun in a loop which has ended since tells nobody when it stops.
        idle = self._running is None or self._running.get_loop() is not loop
        if idle and len(self._feed):
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="engine")
            at = copy_context()  # who measures times or logs knows whose work it is
            self._running = loop.run_in_executor(self._thread, at.run, self.work, self._feed)
            self._running.add_done_callback(self._stopped)

    def _stopped(self, running: asyncio.Future[None]) -> None:
        """Go on with what waits, once those are told whose items came to nothing."""
        self._running = None
        lost = self._feed.lost()
        error = running.exception()
        if error and not lost:  # it did not even begin, and would not the next time
            lost = self._feed.take(len(self._feed))
        for ticket in lost:
            ticket.call.fail(error or RuntimeError(f"{self!r} gave no outcome for an item"))
        self._start()
