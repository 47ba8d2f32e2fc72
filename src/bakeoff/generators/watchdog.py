"""Runs a command, and ends it and all its descendants when the parent process exits.

A script (`python watchdog.py GRACE COMMAND...`) that needs the standard library only. Its standard
input is a pipe that the parent holds open and never writes to: the pipe is closed when the parent
exits, even by SIGKILL. Its exit code is the command's, or 128 plus the number of the signal that
killed the command.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

_LINUX = sys.platform == "linux"
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)
POLL_SECONDS = 0.2
CLEANUP_SECONDS = 2.0  # for the server's descendants to exit, after each of two signals


def main(grace: float, command: list[str]) -> int:
    """Run `command` until it exits or the parent does; return the exit code of the watchdog.

    `grace` is the seconds from SIGTERM to SIGKILL.
    """
    parent = os.getppid()
    # Handlers, not SIG_IGN: the command would inherit that, and SIGTERM could not end it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)
    if _LINUX:  # orphans of the server, of any session, become children of this process
        _prctl(_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(  # noqa: S603 - the command is the caller's
        command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_die_with_parent
    )
    try:
        while server.poll() is None and os.getppid() == parent:
            if select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
                break  # the pipe is closed
    finally:
        _stop(server, grace)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _exit_on_signal(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _die_with_parent() -> None:
    if _LINUX:
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _stop(server: "subprocess.Popen[bytes]", grace: float) -> None:
    """Terminate the server, then its descendants; kill those that do not exit."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(grace)
    server.kill()
    server.wait()
    with suppress(ProcessLookupError, PermissionError):  # an empty group; macOS: only zombies
        os.killpg(server.pid, signal.SIGTERM)
    _wait_for_children()
    # multiprocessing's resource trackers ignore SIGTERM: they unlink shared memory at the end.
    _kill([child for child in _children() if not _ignores_sigterm(child)])
    _wait_for_children()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    while children := _children():
        _kill(children)
        time.sleep(POLL_SECONDS / 10)


def _wait_for_children() -> None:
    """Wait until no child is left, for at most `CLEANUP_SECONDS`."""
    end = time.monotonic() + CLEANUP_SECONDS
    while _children() and time.monotonic() < end:
        time.sleep(POLL_SECONDS / 10)


def _kill(children: list[int]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _ignores_sigterm(child: int) -> bool:
    status = Path(f"/proc/{child}/status")
    with suppress(OSError):
        masks = (line for line in status.read_text().splitlines() if line.startswith("SigIgn:"))
        return any(int(mask.split()[1], 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)
    return False


def _children() -> list[int]:
    """Return the process ids of this process's children: the server, and orphans of it."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    own_pid = os.getpid()
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat") if _LINUX else ():
        with suppress(OSError):  # the process exited meanwhile
            # The name in parentheses may contain anything; after it come the state and the parent.
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == own_pid:
                children.append(int(stat.parent.name))
    return children


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
