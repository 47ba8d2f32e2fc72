"""Thread-safe queue between callers in event loops and an engine on its own thread.

A call of a worker is a submission of work items; the engine takes items and puts their outcomes.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from bakeoff.errors import StoppedError, WorkError

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - its result

Emit = Callable[[int, O | WorkError], None]  # called with the index of an item and its outcome


class Submission(Generic[I, O]):
    """One call of a worker: waits in its event loop for the outcomes of all its items."""

    def __init__(self, items: Sequence[I], emit: Emit[O]) -> None:
        self.work_items = [WorkItem(self, index, item) for index, item in enumerate(items)]
        self.abandoned = False
        """Whether the caller has stopped waiting."""
        self._emit = emit
        self._missing = len(items)
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def wait(self) -> None:
        """Wait for all outcomes. Raises what `emit` raises, or the error that ended the engine."""
        try:
            if self._missing:
                await self._done
        finally:
            self.abandoned = True

    def fail(self, error: BaseException) -> None:
        """Let `wait` raise `error`. Call it in the event loop."""
        if not (self.abandoned or self._done.done()):
            self._done.set_exception(error)

    def deliver(self, index: int, outcome: O | WorkError) -> None:
        """Emit an outcome, unless the submission is abandoned. May be called in any thread."""
        self._loop.call_soon_threadsafe(self._deliver, index, outcome)

    def _deliver(self, index: int, outcome: O | WorkError) -> None:
        if self.abandoned or self._done.done():
            return
        try:
            self._emit(index, outcome)
        except Exception as error:
            self.fail(error)
            return
        self._missing -= 1
        if not self._missing:
            self._done.set_result(None)


class WorkItem(Generic[I, O]):
    """One item of a submission."""

    def __init__(self, submission: Submission[I, O], index: int, item: I) -> None:
        self.submission = submission
        self.index = index
        self.item = item

    def is_wanted(self) -> bool:
        """Return whether the caller still waits for the outcome."""
        return not self.submission.abandoned


class WorkQueue(Generic[I, O]):
    """Work items that wait for the engine, in descending order of `sort_key`."""

    def __init__(self, sort_key: Callable[[I], int]) -> None:
        self._sort_key = sort_key
        self._lock = threading.Lock()
        self._waiting: list[WorkItem[I, O]] = []
        self._taken: dict[WorkItem[I, O], None] = {}

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._waiting)

    def add(self, work_items: Sequence[WorkItem[I, O]]) -> None:
        """Add items; those with equal keys stay in the order in which they were added."""
        with self._lock:
            self._waiting += work_items
            self._waiting.sort(key=lambda work_item: self._sort_key(work_item.item), reverse=True)

    def drop_unwanted(self) -> None:
        """Remove the items of abandoned submissions."""
        with self._lock:
            self._waiting = [item for item in self._waiting if item.is_wanted()]

    def reject(self, submission: Submission[I, O], error: StoppedError) -> None:
        """Remove the waiting items of a submission; `error` is the outcome of each."""
        with self._lock:
            rejected = [item for item in self._waiting if item.submission is submission]
            self._waiting = [item for item in self._waiting if item.submission is not submission]
        for item in rejected:
            submission.deliver(item.index, error)

    def take(self, limit: int) -> list[WorkItem[I, O]]:
        """Remove and return up to `limit` items."""
        with self._lock:
            taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
            self._taken |= dict.fromkeys(taken)
        return taken

    def put_outcome(self, work_item: WorkItem[I, O], outcome: O | WorkError) -> None:
        """Deliver the outcome of an item that was taken; once per item."""
        with self._lock:
            del self._taken[work_item]
        work_item.submission.deliver(work_item.index, outcome)

    def take_unfinished(self) -> list[WorkItem[I, O]]:
        """Remove and return the items that were taken and have no outcome."""
        with self._lock:
            unfinished, self._taken = list(self._taken), {}
        return unfinished
