"""How a command ends: an exit code for everything, one line for what somebody can mend, and Ctrl-C.

0 done; 2 something that you can fix; 3 done, but too much of the work failed; 130 interrupted.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from cyclopts import CycloptsError
from pydantic import ValidationError

from bakeoff.config import Config, first_problem
from bakeoff.errors import BakeoffError, InterruptError
from bakeoff.report.terminal import forgive_encodings, print_error
from bakeoff.runtime import StopToken

T = TypeVar("T")

BOOTH = ("Vote at", "Every vote is saved at once. Ctrl-C ends the vote.")
_STOPS = (signal.SIGINT, signal.SIGTERM)
_SAID = "interrupted; what was done is kept: the same command goes on"


async def stopping(work: Callable[[StopToken], Coroutine[Any, Any, T]]) -> T:
    """Do what may be stopped: Ctrl-C or SIGTERM lets what is under way come to its end, the second
    one ends it now. InterruptError in either case.
    """
    stop_token, loop = StopToken(), asyncio.get_running_loop()
    doing = asyncio.ensure_future(work(stop_token))

    def stop() -> None:
        if stop_token.interrupted or not stop_token.in_flight:
            stop_token.interrupt()
            doing.cancel()
            return
        stop_token.interrupt()
        words = "finishing what is under way, which is paid for; Ctrl-C again ends it now"
        print(words, file=sys.stderr, flush=True)

    try:
        with suppress(NotImplementedError):  # on Windows the first one ends it
            for which in _STOPS:
                loop.add_signal_handler(which, stop)
        return await doing
    except asyncio.CancelledError:
        if stop_token.interrupted:
            raise InterruptError from None
        raise
    finally:
        for which in _STOPS:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(which)


async def while_open(
    at: str,
    ends: str,
    work: Callable[[Callable[[str], None], asyncio.Event], Coroutine[Any, Any, T]],
) -> T:
    """Do what may open a page for people; from then on Ctrl-C ends no more than the page.

    `work` is given how to tell the address, and the event that ends it.
    """
    end, loop = asyncio.Event(), asyncio.get_running_loop()

    def announce(address: str) -> None:
        print(f"{at} {address}", ends, sep="\n", file=sys.stderr, flush=True)
        with suppress(NotImplementedError):  # on Windows it ends the command; no vote is lost
            loop.add_signal_handler(signal.SIGINT, end.set)

    try:
        return await work(announce, end)
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def guarded(work: Callable[[], object]) -> int:
    """The exit code of `work`: the one that it returns, or that of the error that it ends in.

    An error that you can fix is said in one line on stderr.
    """
    forgive_encodings()
    try:
        code = work()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        wrong = error.__cause__
        words = first_problem(wrong, Config) if isinstance(wrong, ValidationError) else str(error)
        print_error(words)
        return 2
    except (InterruptError, KeyboardInterrupt):
        print_error(_SAID)
        return 130
    except BakeoffError as error:
        print_error(str(error))
        return 2
