"""A worker in front of a server: as many items in flight as there are lanes.

What stops it after it has worked (a key that was revoked, a server that is gone) stops the run:
what it did is kept, and what is left is counted as stopped.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic

from pydantic import JsonValue

from bakeoff.errors import ConfigError, StoppedError, WorkError
from bakeoff.records import Usage
from bakeoff.runtime.cancellation import halt, stoppable
from bakeoff.runtime.tasks import outcome_of, tasks
from bakeoff.runtime.worker import Ask, Emit, I, O, Order


class PerItem(ABC, Generic[I, O]):
    """A worker in front of a server: override `one`. At most `lanes` items are in flight."""

    identity: JsonValue
    weights: str | None = None
    caveat: str | None = None
    exclusive = False
    stays = False
    patient = False
    order: Order = "both"  # of a judge
    partial = False

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._room = asyncio.Semaphore(lanes)
        self._worked = False  # whether it ever had an outcome

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

    def asks(self, item: I) -> Sequence[Ask]:
        """It is not known unless a subclass says so."""
        del item
        return ()

    def due(self, usage: Usage) -> float | None:
        """It is not known unless a subclass says so."""
        del usage
        return None

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
                    emit(index, await self._outcome(item))
                await asyncio.sleep(0)  # where nothing is waited for, the event loop goes on

        async with tasks() as group:
            for _ in range(min(self._lanes, len(items))):
                group.create_task(lane())

    async def _outcome(self, item: I) -> O | WorkError:
        """What comes of an item; nothing is begun any more where the run was stopped."""
        run = halt()
        if run.why is not None:
            return StoppedError(run.why)
        try:
            outcome = await outcome_of(self.one(item))
        except ConfigError as error:
            if not (self._worked and stoppable()):
                raise
            run.stop(str(error))
            return StoppedError(str(error))
        self._worked = self._worked or not isinstance(outcome, WorkError)
        return outcome
