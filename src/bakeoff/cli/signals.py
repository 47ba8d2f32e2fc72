"""SIGINT and SIGTERM: the first one finishes requests in flight, the second one ends the run."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from bakeoff.errors import InterruptError
from bakeoff.runtime import StopToken

T = TypeVar("T")

VOTING_MESSAGES = ("Vote at", "Every vote is saved at once. Ctrl-C ends the vote.")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def interruptible(work: Callable[[StopToken], Coroutine[Any, Any, T]]) -> T:
    """Run `work` with a stop token that SIGINT and SIGTERM set.

    The first signal stops the work after the requests in flight, the second one cancels it.
    Raises InterruptError in both cases.
    """
    token, loop = StopToken(), asyncio.get_running_loop()
    task = asyncio.ensure_future(work(token))

    def stop() -> None:
        if token.interrupted or not token.in_flight:
            token.interrupt()
            task.cancel()
            return
        token.interrupt()
        message = "finishing what is under way, which is paid for; Ctrl-C again ends it now"
        print(message, file=sys.stderr, flush=True)

    try:
        with suppress(NotImplementedError):  # on Windows the first signal ends the process
            for number in _SIGNALS:
                loop.add_signal_handler(number, stop)
        return await task
    except asyncio.CancelledError:
        if token.interrupted:
            raise InterruptError from None
        raise
    finally:
        for number in _SIGNALS:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)


async def serve_until_interrupted(
    prefix: str,
    hint: str,
    work: Callable[[Callable[[str], None], asyncio.Event], Coroutine[Any, Any, T]],
) -> T:
    """Run `work`, which may serve a page; while a page is served, SIGINT ends only the serving.

    `work` is called with a function that announces the address (it prints `prefix`, the address and
    `hint`), and with an event that is set to end the serving.
    """
    end, loop = asyncio.Event(), asyncio.get_running_loop()

    def announce(address: str) -> None:
        print(f"{prefix} {address}", hint, sep="\n", file=sys.stderr, flush=True)
        with suppress(NotImplementedError):  # on Windows SIGINT ends the process; votes are saved
            loop.add_signal_handler(signal.SIGINT, end.set)

    try:
        return await work(announce, end)
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
