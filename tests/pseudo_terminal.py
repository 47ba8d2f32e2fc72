"""Runs a command on a pseudo-terminal; returns its output and exit code."""

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len


class TerminalOutput(NamedTuple):
    """The output and the exit code of a command on a terminal."""

    raw: str
    code: int

    @property
    def text(self) -> str:
        """The output without escape sequences; overwritten lines are kept."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw).replace("\r", "\n")

    @property
    def width(self) -> int:
        """The width of the widest line, in cells."""
        return max(map(cell_len, self.text.split("\n")))


class Terminal:
    """A command on a terminal of `columns` by 40 lines."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        columns: int = 80,
        env: Mapping[str, str] = {},
    ) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", **env}
        environment.pop("COLUMNS", None)
        self._pid, self._fd = pty.fork()
        if self._pid == 0:  # the child process must not run pytest's code
            os.chdir(folder)
            self._size(0, columns)
            os.execve(command[0], list(command), environment)

    def resize(self, columns: int) -> None:
        """Change the width while the command runs."""
        self._size(self._fd, columns)

    def type(self, keys: bytes) -> None:
        """Send key presses; `\\x03` is Ctrl-C."""
        os.write(self._fd, keys)

    def wait(self, on_output: Callable[[str], None] = lambda _: None) -> TerminalOutput:
        """Wait until the command ends; each read calls `on_output` with the output so far."""
        raw = b""
        while True:
            try:
                more = os.read(self._fd, 1 << 16)
            except OSError:  # Linux's end of file: the other side is closed
                break
            if not more:
                break
            raw += more
            on_output(raw.decode("utf-8", "replace"))
        _, status = os.waitpid(self._pid, 0)
        os.close(self._fd)
        return TerminalOutput(raw.decode("utf-8", "replace"), os.waitstatus_to_exitcode(status))

    def _size(self, fd: int, columns: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
