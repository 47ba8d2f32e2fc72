"""Servers as children: real processes, real signals."""

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
from bakeoff.generators import server_process as child_module
from bakeoff.generators.server_process import Child
from tests.marks import long

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what Linux alone can do")

# A server with children: one of its group, one in a session of its own, one whose parent is gone.
FAMILY = """
import json, os, subprocess, sys, time
sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
orphan = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=2).pid)"
ours = subprocess.Popen(sleeps)
apart = subprocess.Popen(sleeps, start_new_session=True)
gone = subprocess.run([sys.executable, "-c", orphan, *sleeps], stdout=subprocess.PIPE)
pids = [os.getpid(), ours.pid, apart.pid, int(gone.stdout)]
with open("family.part", "w") as file:
    json.dump(pids, file)
os.rename("family.part", "family")
time.sleep(600)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY
# A run that starts a server, waits until it is there, and then works.
RUN = """
import asyncio, os, signal, sys, time
from pathlib import Path
from bakeoff.generators.server_process import Child

async def there():
    return Path("family").exists()

async def main():
    child = Child([sys.executable, "-c", sys.argv[1]], os.environ, Path("log"))
    assert await child.becomes(there, 60)
    Path("guard").write_text(str(child._guard.pid))
    Path("works").touch()
    await asyncio.sleep(600)

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, if these tests run under it, ignores that
asyncio.run(main())
"""


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie that its parent has to bury."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    except OSError:
        return True
    return state != "Z"


def soon(holds: Callable[[], bool]) -> bool:
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.05)
    return False


def family() -> list[int]:
    assert soon(lambda: Path("family").exists())
    pids: list[int] = json.loads(Path("family").read_text())
    assert all(map(lives, pids))
    return pids


def started(code: str, grace: float = 10.0, **env: str) -> Child:
    return Child([sys.executable, "-c", code], os.environ | env, Path("logs") / "log", grace=grace)


async def never() -> bool:
    return False


async def always() -> bool:
    return True


def test_a_command_gets_its_environment_and_its_words_are_kept_for_this_user_alone() -> None:
    async def go() -> Child:
        code = (
            "import os, sys; print(os.environ['A'], sys.stdin.read(), '\\n \\n'); sys.exit('bye')"
        )
        child = started(code, A="hello")
        assert not await child.becomes(never, 60)
        await child.stop()
        return child

    child = asyncio.run(go())
    assert child.code == 1
    assert child.last_lines(2) == ["hello", "bye"]
    assert child.last_lines(1) == ["bye"]
    assert stat.S_IMODE(child.log.stat().st_mode) == 0o600


def test_one_that_dies_at_once_is_not_waited_for_though_it_would_be_healthy_later() -> None:
    async def go() -> int | None:
        child = started("import os; os.kill(os.getpid(), 9)")
        assert not await child.becomes(never, 3600)
        await child.stop()
        return child.code

    assert asyncio.run(go()) == 128 + signal.SIGKILL


def test_one_that_takes_its_time_is_waited_for_and_asked_again_and_again() -> None:
    looks = iter([False] * 5 + [True])

    async def in_the_end() -> bool:
        return next(looks)

    async def go() -> None:
        child = started("import time; time.sleep(600)")
        assert await child.becomes(in_the_end, 60)
        assert child.code is None
        await child.stop()

    asyncio.run(go())
    assert not list(looks)


@pytest.mark.parametrize("hangs", ["in its start", "in its reply"])
def test_patience_ends(hangs: str) -> None:
    async def hanging() -> bool:
        await asyncio.sleep(600)
        return True

    async def go() -> None:
        child = started("import time; time.sleep(600)")
        assert not await child.becomes(hanging if hangs == "in its reply" else never, 0.3)
        assert child.code is None
        await child.stop()

    asyncio.run(go())


def test_a_command_that_is_not_there_says_so_in_its_log() -> None:
    async def go() -> list[str]:
        child = Child(["/nowhere/vllm"], os.environ, Path("log"))
        assert not await child.becomes(never, 60)
        await child.stop()
        return child.last_lines(1)

    assert "/nowhere/vllm" in asyncio.run(go())[0]


def test_a_log_that_cannot_be_written_is_one_line() -> None:
    Path("file").touch()
    with pytest.raises(ConfigError, match="cannot write the log of a server"):
        Child(["true"], os.environ, Path("file") / "log")


@LINUX
@pytest.mark.parametrize("code", [FAMILY, *long([STUBBORN])], ids=["polite", "stubborn"])
def test_stopped_it_is_gone_with_all_that_it_started(code: str) -> None:
    async def go() -> list[int]:
        child = started(code, grace=0.5)
        pids = await asyncio.to_thread(family)
        await child.stop()
        return pids

    assert not [pid for pid in asyncio.run(go()) if lives(pid)]


@LINUX
def test_what_a_server_started_is_asked_to_end_before_it_is_killed() -> None:
    engine = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
    engine += "open('loads', 'w')\ntry: time.sleep(600)\nfinally: open('tidy', 'w')"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {engine!r}])"

    async def go() -> None:
        child = started(code)
        assert await asyncio.to_thread(soon, Path("loads").exists)
        await child.stop()

    asyncio.run(go())
    assert Path("tidy").exists()


# A server with an engine that cannot be asked to end, and a tracker that ends behind the engine.
TRACKED = """
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


@pytest.mark.long
@LINUX
def test_a_tracker_of_shared_memory_is_the_last_to_go() -> None:
    async def go() -> None:
        child = started(TRACKED)
        for sign in ("listens", "loads"):
            assert await asyncio.to_thread(soon, Path(sign).exists)
        await child.stop()

    asyncio.run(go())
    assert Path("tidy").exists()


@pytest.mark.long
@LINUX
def test_what_a_server_left_behind_is_gone_when_it_died_by_itself() -> None:
    async def go() -> list[int]:
        child = started(FAMILY)
        pids = await asyncio.to_thread(family)
        os.kill(pids[0], signal.SIGSEGV)
        assert not await child.becomes(never, 60)
        assert child.code == 128 + signal.SIGSEGV
        await child.stop()
        return pids

    assert not [pid for pid in asyncio.run(go()) if lives(pid)]


@LINUX
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *long([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])]
)
def test_however_a_run_ends_its_server_ends_too(number: signal.Signals) -> None:
    with Path("said").open("w") as said:
        run = subprocess.Popen([sys.executable, "-c", RUN, FAMILY], stdout=said, stderr=said)
    pids = family()
    assert soon(Path("works").exists)
    guard = int(Path("guard").read_text())
    run.send_signal(number)
    run.wait(60)
    assert soon(lambda: not any(map(lives, [guard, *pids])))


def test_an_interrupt_at_the_terminal_is_for_the_run_alone() -> None:
    """Which may have to end its requests before it ends its server."""
    careful = "import signal; signal.signal(signal.SIGINT, lambda *_: open('heard', 'w'))\n" + RUN
    run = subprocess.Popen([sys.executable, "-c", careful, FAMILY], start_new_session=True)
    pids = family()
    assert soon(Path("works").exists)
    os.killpg(run.pid, signal.SIGINT)
    assert soon(Path("heard").exists)
    time.sleep(1)  # a guard that heard it too would have ended the server by then
    assert all(map(lives, pids))
    run.kill()
    run.wait(60)
    assert soon(lambda: not any(map(lives, pids)))


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, *long([signal.SIGTERM])])
def test_a_server_does_not_outlive_its_guard(number: signal.Signals) -> None:
    async def go() -> list[int]:
        child = started(FAMILY)
        pids = await asyncio.to_thread(family)
        os.kill(child._guard.pid, number)
        assert not await child.becomes(never, 60)
        await child.stop()
        return pids

    server, *others = asyncio.run(go())
    assert soon(lambda: not lives(server))
    left = [pid for pid in others if lives(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    # Nobody is left to see to the others where the guard was killed.
    assert not left or number == signal.SIGKILL


def test_a_guard_that_hangs_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_OVERTIME", 0.2)

    async def go() -> int | None:
        child = started("import time; time.sleep(600)", grace=0.1)
        assert await child.becomes(always, 60)
        os.kill(child._guard.pid, signal.SIGSTOP)
        await child.stop()
        return child.code

    assert asyncio.run(go()) == -signal.SIGKILL
