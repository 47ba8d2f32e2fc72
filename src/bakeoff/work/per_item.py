"""A worker in front of a server: as many items in flight as there are lanes."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic

from pydantic import JsonValue

from bakeoff.work.tasks import outcome_of, tasks
from bakeoff.work.worker import Emit, I, O, Order


class PerItem(ABC, Generic[I, O]):
    """A worker in front of a server: override `one`. At most `lanes` items are in flight."""

    identity: JsonValue
    weights: str | None = None
    caveat: str | None = None
    exclusive = False
    patient = False
    order: Order = "both"  # of a judge
    partial = False

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._room = asyncio.Semaphore(lanes)

    @abstractmethod
    async def one(self, item: I) -> O:
        """The outcome of one item; a WorkError where it has none."""

    @property
    def through(self) -> int:
        """Nothing is done elsewhere unless a subclass says so."""
        return 0

    @property
    def writing(self) -> int:
        """It is not known unless a subclass says so."""
        return 0

    def kept(self) -> None:
        """Nothing to forget unless a subclass sent something off."""

    async def prepare(self) -> None:
        """Nothing to fetch or check unless a subclass says so."""

    async def close(self) -> None:
        """Nothing to give back unless a subclass opened something."""

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit every item's outcome; lanes take the next item from one shared iterator."""
        waiting = iter(enumerate(items))

        async def lane() -> None:
            for index, item in waiting:
                async with self._room:
                    emit(index, await outcome_of(self.one(item)))

        async with tasks() as group:
            for _ in range(min(self._lanes, len(items))):
                group.create_task(lane())
