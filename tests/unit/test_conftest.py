import socket
import sys
import threading

import pytest

from tests.unit.conftest import ForbiddenError, Guard

Failed = pytest.fail.Exception


def refused(guard: Guard, event: str, *arguments: object) -> None:
    with pytest.raises(ForbiddenError):
        guard(event, arguments)


@pytest.mark.parametrize("event", ["socket.bind", "socket.connect", "socket.sendto"])
def test_network_sockets_fail_a_test_that_swallows_the_error(event: str) -> None:
    guard, message = Guard(), r"^test_x uses a network socket .*: move it to tests/integration$"
    with socket.socket() as opened, pytest.raises(Failed, match=message), guard.watch("test_x"):
        refused(guard, event, opened, ("127.0.0.1", 80))


@pytest.mark.parametrize("event", ["subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"])
def test_processes_fail_a_test(event: str) -> None:
    guard, message = Guard(), rf"^test_x starts a process \({event}\): move it"
    with pytest.raises(Failed, match=message), guard.watch("test_x"):
        refused(guard, event)


def test_unix_sockets_and_other_events_are_allowed() -> None:
    guard, (first, second) = Guard(), socket.socketpair()
    with first, second, guard.watch("test_x"):
        guard("socket.connect", (first, "/a/path"))
        guard("open", ("a file", "r", 0))


def test_events_outside_a_test_are_allowed() -> None:
    guard = Guard()
    with guard.watch("test_x"):
        pass
    guard("os.fork", ())


def test_threads_of_an_earlier_test_are_ignored_and_new_ones_are_not() -> None:
    guard, start, results = Guard(), threading.Event(), []

    def act() -> None:
        start.wait(300)
        try:
            guard("os.fork", ())
        except ForbiddenError:
            results.append("refused")
        else:
            results.append("allowed")

    earlier = threading.Thread(target=act)
    earlier.start()
    watch = guard.watch("test_x")
    watch.__enter__()
    start.set()
    earlier.join()
    later = threading.Thread(target=act)
    later.start()
    later.join()
    with pytest.raises(Failed):
        watch.__exit__(None, None, None)
    assert results == ["allowed", "refused"]


def test_the_guard_is_installed(request: pytest.FixtureRequest) -> None:
    with pytest.raises(ForbiddenError, match=r"starts a process \(subprocess.Popen\)"):
        sys.audit("subprocess.Popen", "true", ["true"], None, None)
    module = sys.modules["tests.unit.conftest"]
    assert module.guard._events.pop() == "starts a process (subprocess.Popen)"
