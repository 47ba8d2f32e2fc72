"""Tasks of which the first error is the one that is raised, and what came of a piece of work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bakeoff.errors import WorkError
from bakeoff.work.worker import O


async def outcome_of(work: Awaitable[O]) -> O | WorkError:
    """What came of the work: its result, or the WorkError that it raised."""
    try:
        return await work
    except WorkError as error:
        return error


@asynccontextmanager
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose first error cancels the rest and is raised as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


@asynccontextmanager
async def meanwhile(act: Callable[[], None], every: float) -> AsyncIterator[None]:
    """Call `act` every so many seconds while the body runs, and not a moment longer."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every)
            act()

    async with tasks() as group:
        beating = group.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()
