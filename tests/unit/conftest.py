"""Fails a unit test that connects or binds a network socket, or starts a process.

Such tests belong to tests/integration: unit tests run in any sandbox and never wait for a machine.
"""

import platform
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_SOCKETS = {"socket.bind", "socket.connect", "socket.sendmsg", "socket.sendto"}
_PROCESSES = {
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
}


class ForbiddenError(RuntimeError):
    """Raised in place of a system call that a unit test must not make."""


class Guard:
    """Audit hook that refuses the forbidden events of one test, and records them.

    Code under test may swallow the exception, so the test fails by the record. Threads that an
    earlier test left behind are not this test's: their events pass.
    """

    def __init__(self) -> None:
        self._active = False
        self._earlier_threads: set[threading.Thread] = set()
        self._events: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active or threading.current_thread() in self._earlier_threads:
            return
        if event in _PROCESSES:
            action = f"starts a process ({event})"
        elif event in _SOCKETS and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
            action = f"uses a network socket ({event} {arguments[1]})"
        else:
            return
        self._events.append(action)
        raise ForbiddenError(f"a unit test {action}")

    @contextmanager
    def watch(self, test: str) -> Iterator[None]:
        """Fail `test` where the body makes a forbidden call."""
        self._earlier_threads = set(threading.enumerate()) - {threading.main_thread()}
        self._events.clear()
        self._active = True
        try:
            yield
        finally:
            self._active = False
            if self._events:
                message = f"{test} {self._events[0]}: move it to tests/integration"
                raise pytest.fail.Exception(message, pytrace=False) from None


platform.platform()  # starts `uname -p` once per process, and caches its output
guard = Guard()
sys.addaudithook(guard)  # cannot be removed: it does nothing outside `watch`


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with guard.watch(item.name):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with guard.watch(item.name):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    with guard.watch(item.name):
        return (yield)
