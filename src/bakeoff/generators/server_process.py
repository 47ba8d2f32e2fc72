"""A server as a child process: started, waited for, its words kept in a file, and gone in the end.

However the run ends, the server and all that it started end with it: `guard.py` sees to that. Knows
no model and no protocol; what a healthy server is, its owner says.
"""

import asyncio
import os
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.generators import watchdog
from bakeoff.runtime import sleep_or_stop

_GLANCE = 0.1  # seconds between two looks at a server that starts
_OVERTIME = 10.0  # seconds for a guard to end, after the grace of its server
_TAIL = 1 << 16  # bytes at the end of a log that are looked at


class Child:
    """A command that runs until `stop()`, or until this process is gone, whichever is first.

    What it says is appended to `log`, which only this user can read. `grace` is how many seconds it
    gets to end by itself. Starts at once; ConfigError where the log cannot be written.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, *, grace: float = 5.0
    ) -> None:
        self.log = log
        self._grace = grace
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            words = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot write the log of a server: {error}") from None
        try:
            # -I and -S: the guard needs nothing of this environment, and starts in no time.
            self._guard = subprocess.Popen(  # noqa: S603 - its owner says what is to be started
                [sys.executable, "-I", "-S", watchdog.__file__, str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=words,
                env=dict(env),
                start_new_session=True,  # Ctrl-C in the terminal is for the run, which says when
            )
        finally:
            os.close(words)

    @property
    def code(self) -> int | None:
        """What the command ended with; None while it runs."""
        return self._guard.poll()

    async def becomes(self, healthy: Callable[[], Awaitable[bool]], patience: float) -> bool:
        """Wait until it is healthy; false where it ended before, or `patience` seconds went by.

        StoppedError where the run is stopped before: a model takes minutes to load.
        """
        try:
            async with asyncio.timeout(patience):
                while self.code is None:
                    if await healthy():
                        return True
                    await sleep_or_stop(_GLANCE)
        except TimeoutError:
            return False
        return False

    async def ended(self, within: float) -> bool:
        """Whether it has ended, or does within so many seconds: its guard tidies up behind it."""
        return not await self.becomes(_never, within) and self.code is not None

    def last_lines(self, count: int) -> list[str]:
        """The last lines of its log that are not empty, at most `count`, the oldest first."""
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            text = file.read().decode(errors="replace")
        return list(deque((line.rstrip() for line in text.splitlines() if line.strip()), count))

    async def stop(self) -> None:
        """End it, and come back when it and all that it started are gone."""
        assert self._guard.stdin is not None  # noqa: S101 - it was asked for
        self._guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._guard.wait, self._grace + _OVERTIME)
        self._guard.kill()  # where that did not help; the server dies with its guard
        await asyncio.to_thread(self._guard.wait)


async def _never() -> bool:
    return False
