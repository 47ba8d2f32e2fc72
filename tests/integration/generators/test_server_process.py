"""ServerProcess and its watchdog, with real processes and signals."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators import server_process as module
from bakeoff.generators import watchdog
from bakeoff.generators.server_process import ServerProcess
from tests.marks import long

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

# A server with a child of its process group, one of another session, and an orphan.
SERVER_CODE = """
import json, os, subprocess, sys, time
sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
orphan = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=2).pid)"
ours = subprocess.Popen(sleeps)
apart = subprocess.Popen(sleeps, start_new_session=True)
gone = subprocess.run([sys.executable, "-c", orphan, *sleeps], stdout=subprocess.PIPE)
pids = [os.getpid(), ours.pid, apart.pid, int(gone.stdout)]
with open("server_pids.part", "w") as file:
    json.dump(pids, file)
os.rename("server_pids.part", "server_pids")
time.sleep(600)
"""
STUBBORN_SERVER_CODE = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER_CODE
)
# A run that starts a server, waits until it is ready, and then sleeps.
RUN_CODE = """
import asyncio, os, signal, sys, time
from pathlib import Path
from bakeoff.generators.server_process import ServerProcess

async def there():
    return Path("server_pids").exists()

async def main():
    process = ServerProcess([sys.executable, "-c", sys.argv[1]], os.environ, Path("log"))
    assert await process.wait_ready(there, 60)
    Path("guard").write_text(str(process._watchdog.pid))
    Path("works").touch()
    await asyncio.sleep(600)

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, if these tests run under it, ignores that
asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    except OSError:
        return True
    return state != "Z"


def wait_until(holds: Callable[[], bool]) -> bool:
    for _ in range(2400):
        if holds():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(autouse=True)
def long_watchdog_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog may need long to clean up on a busy machine."""
    monkeypatch.setattr(module, "_WATCHDOG_SECONDS", 100.0)


def set_cleanup_seconds(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let watchdogs give the server's descendants more time to exit."""
    source = Path(watchdog.__file__).read_text()
    assert source.count("\nCLEANUP_SECONDS = 2.0 ") == 1
    changed = Path("watchdog.py").absolute()
    changed.write_text(
        source.replace("\nCLEANUP_SECONDS = 2.0 ", f"\nCLEANUP_SECONDS = {seconds} ")
    )
    monkeypatch.setattr(watchdog, "__file__", str(changed))


def server_pids() -> list[int]:
    assert wait_until(lambda: Path("server_pids").exists())
    pids: list[int] = json.loads(Path("server_pids").read_text())
    assert all(map(is_alive, pids))
    return pids


def start_server(code: str, grace: float = 10.0, **env: str) -> ServerProcess:
    return ServerProcess(
        [sys.executable, "-c", code], os.environ | env, Path("logs") / "log", grace=grace
    )


async def never() -> bool:
    return False


async def always() -> bool:
    return True


def test_a_command_gets_its_environment_and_a_private_log() -> None:
    async def go() -> ServerProcess:
        code = (
            "import os, sys; print(os.environ['A'], sys.stdin.read(), '\\n \\n'); sys.exit('bye')"
        )
        process = start_server(code, A="hello")
        assert not await process.wait_ready(never, 60)
        await process.stop()
        return process

    process = asyncio.run(go())
    assert process.returncode == 1
    assert process.last_lines(2) == ["hello", "bye"]
    assert process.last_lines(1) == ["bye"]
    assert stat.S_IMODE(process.log.stat().st_mode) == 0o600


def test_wait_ready_returns_false_when_the_process_exits() -> None:
    async def go() -> int | None:
        process = start_server("import os; os.kill(os.getpid(), 9)")
        assert not await process.wait_ready(never, 3600)
        await process.stop()
        return process.returncode

    assert asyncio.run(go()) == 128 + signal.SIGKILL


def test_wait_ready_polls_until_the_process_is_ready() -> None:
    looks = iter([False] * 5 + [True])

    async def in_the_end() -> bool:
        return next(looks)

    async def go() -> None:
        process = start_server("import time; time.sleep(600)")
        assert await process.wait_ready(in_the_end, 60)
        assert process.returncode is None
        await process.stop()

    asyncio.run(go())
    assert not list(looks)


@pytest.mark.parametrize("hangs", ["in its start", "in its reply"])
def test_wait_ready_returns_false_after_its_timeout(hangs: str) -> None:
    async def hanging() -> bool:
        await asyncio.sleep(600)
        return True

    async def go() -> None:
        process = start_server("import time; time.sleep(600)")
        assert not await process.wait_ready(hanging if hangs == "in its reply" else never, 0.3)
        assert process.returncode is None
        await process.stop()

    asyncio.run(go())


@pytest.mark.parametrize(("code", "exits"), [("", True), ("import time; time.sleep(600)", False)])
def test_wait_exit_allows_for_the_cleanup_after_the_exit(
    code: str, exits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CLEANUP_SECONDS", 60.0 if exits else 0.1)

    async def go() -> bool:
        process = start_server(code)
        try:
            return await process.wait_exit(0.0)
        finally:
            await process.stop()

    assert asyncio.run(go()) == exits


def test_a_missing_command_is_reported_in_the_log() -> None:
    async def go() -> list[str]:
        process = ServerProcess(["/nowhere/vllm"], os.environ, Path("log"))
        assert not await process.wait_ready(never, 60)
        await process.stop()
        return process.last_lines(1)

    assert "/nowhere/vllm" in asyncio.run(go())[0]


def test_an_unwritable_log_is_a_config_error() -> None:
    Path("file").touch()
    with pytest.raises(ConfigError, match="cannot write the log of a server"):
        ServerProcess(["true"], os.environ, Path("file") / "log")


@LINUX
@pytest.mark.parametrize(
    "code", [SERVER_CODE, *long([STUBBORN_SERVER_CODE])], ids=["polite", "stubborn"]
)
def test_stop_ends_the_server_and_its_descendants(code: str) -> None:
    async def go() -> list[int]:
        process = start_server(code, grace=0.5)
        pids = await asyncio.to_thread(server_pids)
        await process.stop()
        return pids

    assert not [pid for pid in asyncio.run(go()) if is_alive(pid)]


@LINUX
def test_descendants_get_sigterm_before_sigkill(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cleanup_seconds(60.0, monkeypatch)  # it exits as soon as it has cleaned up
    engine = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
    engine += "open('loads', 'w')\ntry: time.sleep(600)\nfinally: open('tidy', 'w')"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {engine!r}])"

    async def go() -> None:
        process = start_server(code)
        assert await asyncio.to_thread(wait_until, Path("loads").exists)
        await process.stop()

    asyncio.run(go())
    assert Path("tidy").exists()


# A server with an engine that ignores SIGTERM, and a resource tracker that exits after the engine.
TRACKER_CODE = """
import os, subprocess, sys, time
reads, writes = os.pipe()
tracker = "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
tracker += "open('listens', 'w'); os.read(int(sys.argv[1]), 1); open('tidy', 'w')"
subprocess.Popen([sys.executable, "-c", tracker, str(reads)], pass_fds=[reads])
engine = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: None);"
engine += "open('loads', 'w')\\nwhile True: time.sleep(1)"
subprocess.Popen([sys.executable, "-c", engine], pass_fds=[writes])
time.sleep(600)
"""


@LINUX
def test_a_process_that_ignores_sigterm_is_ended_last(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cleanup_seconds(10.0, monkeypatch)

    async def go() -> None:
        process = start_server(TRACKER_CODE)
        for marker in ("listens", "loads"):
            assert await asyncio.to_thread(wait_until, Path(marker).exists)
        await process.stop()

    asyncio.run(go())
    assert Path("tidy").exists()


@LINUX
def test_descendants_are_ended_when_the_server_crashes() -> None:
    async def go() -> list[int]:
        process = start_server(SERVER_CODE)
        pids = await asyncio.to_thread(server_pids)
        os.kill(pids[0], signal.SIGSEGV)
        assert not await process.wait_ready(never, 60)
        assert process.returncode == 128 + signal.SIGSEGV
        await process.stop()
        return pids

    assert not [pid for pid in asyncio.run(go()) if is_alive(pid)]


@LINUX
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *long([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])]
)
def test_a_server_exits_when_its_run_is_killed_by_a_signal(number: signal.Signals) -> None:
    with Path("output").open("w") as output:
        run = subprocess.Popen(
            [sys.executable, "-c", RUN_CODE, SERVER_CODE], stdout=output, stderr=output
        )
    pids = server_pids()
    assert wait_until(Path("works").exists)
    guard = int(Path("guard").read_text())
    run.send_signal(number)
    run.wait(300)
    assert wait_until(lambda: not any(map(is_alive, [guard, *pids])))


def test_ctrl_c_in_the_terminal_does_not_reach_the_server() -> None:
    """The run may have to end its requests before its server."""
    careful = (
        "import signal; signal.signal(signal.SIGINT, lambda *_: open('heard', 'w'))\n" + RUN_CODE
    )
    run = subprocess.Popen([sys.executable, "-c", careful, SERVER_CODE], start_new_session=True)
    pids = server_pids()
    assert wait_until(Path("works").exists)
    guard = int(Path("guard").read_text())
    # The terminal sends it to the run's process group.
    assert run.pid not in {os.getpgid(pid) for pid in (guard, *pids)}
    os.killpg(run.pid, signal.SIGINT)
    assert wait_until(Path("heard").exists)
    assert all(map(is_alive, (guard, *pids)))
    run.kill()
    run.wait(300)
    assert wait_until(lambda: not any(map(is_alive, pids)))


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, *long([signal.SIGTERM])])
def test_a_server_exits_when_its_watchdog_is_killed(number: signal.Signals) -> None:
    async def go() -> list[int]:
        process = start_server(SERVER_CODE)
        pids = await asyncio.to_thread(server_pids)
        os.kill(process._watchdog.pid, number)
        assert not await process.wait_ready(never, 60)
        await process.stop()
        return pids

    server, *others = asyncio.run(go())
    assert wait_until(lambda: not is_alive(server))
    left = [pid for pid in others if is_alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    # After SIGKILL, the watchdog cannot end the others.
    assert not left or number == signal.SIGKILL


def test_stop_kills_a_watchdog_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WATCHDOG_SECONDS", 0.2)

    async def go() -> int | None:
        process = start_server("import time; time.sleep(600)", grace=0.1)
        assert await process.wait_ready(always, 60)
        os.kill(process._watchdog.pid, signal.SIGSTOP)
        await process.stop()
        return process.returncode

    assert asyncio.run(go()) == -signal.SIGKILL
