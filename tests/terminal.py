"""A command on a terminal of its own: what it prints there, and how it ends."""

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


class Seen(NamedTuple):
    """Everything that a terminal was sent, in the order of sending."""

    raw: str
    code: int

    @property
    def text(self) -> str:
        """Without what moves the cursor or colours; what was drawn over is still there."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw).replace("\r", "\n")

    @property
    def width(self) -> int:
        """The cells of the widest line."""
        return max(map(cell_len, self.text.split("\n")))


class Terminal:
    """A command that runs on a terminal of `columns` by 40."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        columns: int = 80,
        env: Mapping[str, str] = {},
    ) -> None:
        told = {**os.environ, "TERM": "xterm-256color", **env}
        told.pop("COLUMNS", None)
        self._pid, self._fd = pty.fork()
        if self._pid == 0:  # the child: nothing of pytest is to run here
            os.chdir(folder)
            self._size(0, columns)
            os.execve(command[0], list(command), told)

    def resize(self, columns: int) -> None:
        """Make it narrower or wider while the command runs."""
        self._size(self._fd, columns)

    def type(self, keys: bytes) -> None:
        """Press keys; `\\x03` is Ctrl-C."""
        os.write(self._fd, keys)

    def watch(self, each: Callable[[str], None] = lambda _: None) -> Seen:
        """Everything until the command ends; `each` is called with what there is so far."""
        raw = b""
        while True:
            try:
                more = os.read(self._fd, 1 << 16)
            except OSError:  # how Linux says that nobody is there any more
                break
            if not more:
                break
            raw += more
            each(raw.decode("utf-8", "replace"))
        _, status = os.waitpid(self._pid, 0)
        os.close(self._fd)
        return Seen(raw.decode("utf-8", "replace"), os.waitstatus_to_exitcode(status))

    def _size(self, fd: int, columns: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
