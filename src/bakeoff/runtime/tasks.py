"""Tasks of which the first error is the one that is raised, and what came of a piece of work."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from typing import TypeVar

from bakeoff.errors import WorkError

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """What `work` returns or raises, on a thread of its own: reading, fetching, importing.

    Nobody waits for that thread any more who is cancelled, and no process ends later for it, as it
    would for `asyncio.to_thread`.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(put: Callable[..., None], *what: object) -> None:
        if not done.done():
            put(*what)

    def run() -> None:
        outcome: tuple[Callable[..., None], object]
        try:
            outcome = done.set_result, work()
        except BaseException as error:
            outcome = done.set_exception, error
        with suppress(RuntimeError):  # the loop is gone, and with it who wanted to know
            loop.call_soon_threadsafe(tell, *outcome)

    context = copy_context()
    threading.Thread(target=context.run, args=(run,), name="bakeoff-aside", daemon=True).start()
    return await done


async def outcome_of(work: Awaitable[T]) -> T | WorkError:
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
