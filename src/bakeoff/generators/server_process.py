"""A server as a subprocess: start it, wait until it is ready, read the end of its log, stop it.

`watchdog.py` runs between this process and the server, and ends the server and all its descendants
when this process exits, even by SIGKILL.
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

_POLL_SECONDS = 0.1  # between two readiness checks
_WATCHDOG_SECONDS = 10.0  # for the watchdog to exit, after the grace period of its server
# From the exit of a command to that of its watchdog, which first ends the command's descendants:
# as long as these may take, and a second of slack.
_CLEANUP_SECONDS = watchdog.POLL_SECONDS + 2 * watchdog.CLEANUP_SECONDS + 1.0
_TAIL_BYTES = 1 << 16  # of the log that `last_lines` reads


class ServerProcess:
    """A command that runs until `stop()`, or until this process exits.

    The command starts at once. Its output is appended to `log`, which only this user can read.
    `grace` is the seconds from SIGTERM to SIGKILL. Raises ConfigError if the log cannot be written.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, *, grace: float = 5.0
    ) -> None:
        self.log = log
        self._grace = grace
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot write the log of a server: {error}") from None
        try:
            # -I and -S: the watchdog needs no site packages, and starts faster without them.
            self._watchdog = subprocess.Popen(  # noqa: S603 - the command is the caller's
                [sys.executable, "-I", "-S", watchdog.__file__, str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(env),
                start_new_session=True,  # Ctrl-C in the terminal goes to this process only
            )
        finally:
            os.close(output)

    @property
    def returncode(self) -> int | None:
        """The exit code of the command; None until it and its descendants have exited."""
        return self._watchdog.poll()

    async def wait_ready(self, is_ready: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Wait until `is_ready` returns true, and return True.

        Returns False if the process exits first, or after `seconds`. Raises StoppedError if the run
        is stopped, as loading a model takes minutes.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.returncode is None:
                    if await is_ready():
                        return True
                    await sleep_or_stop(_POLL_SECONDS)
        except TimeoutError:
            return False
        return False

    async def wait_exit(self, seconds: float) -> bool:
        """Return whether the command exits within `seconds`; waits for its descendants, too.

        A command that does not exit is waited for 5 seconds longer: only the exit of the watchdog
        can be observed. Raises StoppedError if the run is stopped.
        """
        await self.wait_ready(_never, seconds + _CLEANUP_SECONDS)
        return self.returncode is not None

    def last_lines(self, count: int) -> list[str]:
        """Return the last `count` lines of the log that are not empty, oldest first."""
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return list(deque((line.rstrip() for line in text.splitlines() if line.strip()), count))

    async def stop(self) -> None:
        """Terminate the command and all its descendants, and wait until they have exited."""
        assert self._watchdog.stdin is not None  # noqa: S101 - for mypy: it is a pipe
        self._watchdog.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._watchdog.wait, self._grace + _WATCHDOG_SECONDS)
        self._watchdog.kill()  # no effect once it has exited; on Linux the server dies with it
        await asyncio.to_thread(self._watchdog.wait)


async def _never() -> bool:
    return False
