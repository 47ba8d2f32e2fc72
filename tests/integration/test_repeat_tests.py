"""The script that repeats tests beside busy processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "repeat_tests.py"

FLAKY = """
from pathlib import Path
import pytest

def test_passes():
    pass

@pytest.mark.parametrize("name", ["a - b"])
def test_fails_in_the_second_run(name):
    runs = Path("runs")
    runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
    assert runs.read_text() != "xx"
"""

WAITS = """
import time
from pathlib import Path

def test_waits():
    Path("waits").touch()
    try:
        time.sleep(600)
    finally:
        Path("tidied-up").touch()
"""


def command(*arguments: str) -> list[str]:
    # The tests run outside this repository, whose pytest settings must not apply.
    options = ["--rootdir=.", "-c", os.devnull, "test_it.py"]
    return [sys.executable, str(SCRIPT), *arguments, *options]


def busy_processes(parent: int) -> list[str]:
    """The ids of the busy processes that the script with the id `parent` started."""
    ids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if words[1:4] == ["-I", "-S", "-c"] and words[-2:-1] == [str(parent)]:
            ids.append(path.parent.name)
    return ids


def test_a_test_that_failed_once_is_counted_and_the_status_is_1() -> None:
    Path("test_it.py").write_text(FLAKY)
    done = subprocess.run(
        command("--times", "3", "--busy", "1", "--logs", "logs"), capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    runs = [line for line in done.stdout.splitlines() if line.startswith("run ")]
    assert [line.split(":")[0] for line in runs] == [f"run {n} of 3" for n in (1, 2, 3)]
    assert ["1 failed" in line for line in runs] == [False, True, False]
    assert done.stdout.splitlines()[-1] == (
        "1 of 3  test_it.py::test_fails_in_the_second_run[a - b]"
    )
    assert [path.name for path in Path("logs").iterdir()] == ["run-2.txt"]


@pytest.mark.parametrize(("expression", "status"), [("passes", 0), ("unknown", 1)])
def test_the_status_is_0_if_all_runs_passed_and_1_if_nothing_ran(
    expression: str, status: int
) -> None:
    Path("test_it.py").write_text(FLAKY)
    done = subprocess.run(
        command("--times", "2", "--busy", "0", "-k", expression), capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    assert ("all 2 runs passed" in done.stdout) == (status == 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_its_processes(number: signal.Signals, status: int) -> None:
    Path("test_it.py").write_text(WAITS)
    script = subprocess.Popen(command("--busy", "2"), stdout=subprocess.DEVNULL)
    try:
        while not Path("waits").exists():
            assert script.poll() is None
            time.sleep(0.01)
        assert len(busy_processes(script.pid)) == 2
        script.send_signal(number)
        assert script.wait(300) == status
    finally:
        script.kill()
        script.wait()
    assert Path("tidied-up").exists()  # pytest ran the `finally` block of the test
    assert busy_processes(script.pid) == []
