"""Helpers for asyncio: daemon threads, task groups, periodic callbacks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar

from bakeoff.errors import WorkError

T = TypeVar("T")


async def to_daemon_thread(function: Callable[[], T]) -> T:
    """Run `function` in a new daemon thread; return its result or raise its exception.

    Cancelling the caller abandons the thread; being a daemon, it does not delay process exit
    (`asyncio.to_thread` would).
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_outcome(setter: Callable[..., None], *value: object) -> None:
        if not future.done():
            setter(*value)

    def run() -> None:
        outcome: tuple[Callable[..., None], object]
        try:
            outcome = future.set_result, function()
        except BaseException as error:
            outcome = future.set_exception, error
        with suppress(RuntimeError):  # the loop is closed, and the caller with it
            loop.call_soon_threadsafe(set_outcome, *outcome)

    context = copy_context()
    threading.Thread(target=context.run, args=(run,), name="bakeoff-daemon", daemon=True).start()
    return await future


async def outcome_of(work: Awaitable[T]) -> T | WorkError:
    """Return the result of `work`, or the WorkError that it raises."""
    try:
        return await work
    except WorkError as error:
        return error


class _TaskGroup(asyncio.TaskGroup):
    """Closes the coroutine of a task that it refuses, as Python does from 3.13 on.

    Otherwise Python prints on stderr, at any later time, that the coroutine was never awaited.
    """

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        try:
            return super().create_task(coro, name=name, context=context)
        except RuntimeError:  # the group is shutting down
            coro.close()
            raise


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Open a task group that raises its first error as it is, not in an exception group."""
    try:
        async with _TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


@asynccontextmanager
async def run_periodically(callback: Callable[[], None], every: float) -> AsyncIterator[None]:
    """Call `callback` every `every` seconds while the body runs."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(every)
            callback()

    async with task_group() as group:
        task = group.create_task(repeat())
        try:
            yield
        finally:
            task.cancel()
