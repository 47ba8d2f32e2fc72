"""A worker that is an engine in this process: items in batches, on a thread of its own."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic

from pydantic import JsonValue

from bakeoff.errors import WorkError
from bakeoff.work.worker import Emit, I, O, Order


class Batched(ABC, Generic[I, O]):
    """A worker that is an engine in this process: override `batch`, which runs on its own thread.

    Items of calls that overlap share batches, so that single items which trickle in do not run one
    by one.
    """

    identity: JsonValue
    weights: str | None = None
    caveat: str | None = None
    exclusive = True
    order: Order = "both"  # of a judge
    partial = False

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: list[tuple[I, Callable[[O | WorkError], None]]] = []
        self._thread: ThreadPoolExecutor | None = None
        self._turn = asyncio.Lock()

    @abstractmethod
    def batch(self, items: Sequence[I]) -> Sequence[O | WorkError]:
        """The outcomes of a batch, in order. Runs on the engine's thread."""

    def rank(self, item: I) -> int:
        """Items of like rank share a batch; by default all are alike."""
        del item
        return 0

    def release(self) -> None:
        """Free what `batch` loaded. Runs on the engine's thread."""

    async def prepare(self) -> None:
        """Nothing to fetch or check unless a subclass says so."""

    async def close(self) -> None:
        """Free the engine and end its thread."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.release)
            self._thread.shutdown()
            self._thread = None

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit every item's outcome, batch by batch, the largest rank first."""
        owed = len(items)

        def taker(index: int) -> Callable[[O | WorkError], None]:
            def take(outcome: O | WorkError) -> None:
                nonlocal owed
                owed -= 1
                emit(index, outcome)

            return take

        own = [taker(index) for index in range(len(items))]
        self._waiting += zip(items, own, strict=True)
        try:
            while owed:
                async with self._turn:
                    if owed:
                        await self._step()
        finally:
            if owed:  # a bug, or cancelled: what nobody waits for is not worked on
                gone = set(own)
                self._waiting = [pair for pair in self._waiting if pair[1] not in gone]

    async def _step(self) -> None:
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._waiting.sort(key=lambda pair: self.rank(pair[0]), reverse=True)
        taken, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(
                self._thread, self.batch, [item for item, _ in taken]
            )
            done = list(zip(taken, outcomes, strict=True))
        except BaseException:
            self._waiting = taken + self._waiting  # other calls may still wait for some of it
            raise
        for (_, take), outcome in done:
            take(outcome)
