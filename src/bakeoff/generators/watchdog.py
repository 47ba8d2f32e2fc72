"""A process between a run and the server that it started: when the run is gone, the server goes.

A script of its own (`python guard.py GRACE COMMAND...`), made of the standard library alone: knows
nothing of bakeoff. Its standard input is a pipe that the run holds open and never writes to, so it
ends with the run, whatever ended that; SIGKILL too. Its exit code is the command's.
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
_GLANCE = 0.2  # seconds between two looks
_TIDYING = 2.0  # seconds for what the server leaves behind, to end by itself


def main(grace: float, command: list[str]) -> int:
    """Run a command as long as the parent is there; `grace` is its seconds to end by itself."""
    parent = os.getppid()
    # Handlers, not SIG_IGN: the command would inherit that, and could not be asked to end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _ended)
    if _LINUX:  # whoever outlives the server becomes a child of this process, in any session
        _prctl(_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(  # noqa: S603 - the run says what is to be started
        command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_die_with_guard
    )
    try:
        while server.poll() is None and os.getppid() == parent:
            if select.select([sys.stdin], [], [], _GLANCE)[0]:
                break  # the end of the pipe: nothing is ever written to it
    finally:
        _stop(server, grace)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _ended(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _die_with_guard() -> None:
    if _LINUX:
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _stop(server: "subprocess.Popen[bytes]", grace: float) -> None:
    """End the server, kindly at first, and then all that it started."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(grace)
    server.kill()
    server.wait()
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS: only zombies are
        os.killpg(server.pid, signal.SIGTERM)
    _wait(_TIDYING)
    # Python's trackers ignore SIGTERM to outlive the others, whose shared memory they unlink.
    _kill([child for child in _children() if not _ignores_sigterm(child)])
    _wait(_TIDYING)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    while children := _children():
        _kill(children)
        time.sleep(_GLANCE / 10)


def _wait(seconds: float) -> None:
    """Give what the server left behind so long to end by itself."""
    ends = time.monotonic() + seconds
    while _children() and time.monotonic() < ends:
        time.sleep(_GLANCE / 10)


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
    """Those that live of what the server started, once it has ended itself: its children are this
    process's then, and theirs in turn.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    own = os.getpid()
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat") if _LINUX else ():
        with suppress(OSError):  # it ended meanwhile
            # The name in parentheses may hold anything; behind it: the state, the parent.
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == own:
                found.append(int(stat.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
