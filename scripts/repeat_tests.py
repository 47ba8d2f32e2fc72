"""Run pytest many times beside busy processes, and list the tests that failed at least once.

    python scripts/repeat_tests.py [--times 20] [--busy 4] [--logs FOLDER] [pytest arguments ...]

A test whose result depends on the scheduler, on a sleep being long enough or on an idle machine
passes most of the time on an idle machine. Beside more busy processes than the machine has cores,
every process is suspended at arbitrary points, and such a test fails within a few runs.

Prints one line for each run and, at the end, a table of the tests that failed with the number of
runs in which they did. All arguments that are not listed above go to pytest. The exit status is 0
where all runs passed, 1 where a test or a run failed, 2 for wrong arguments, 130 after Ctrl-C.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn
from xml.etree import ElementTree

PYTEST_GRACE = 30.0  # seconds for pytest to run its teardowns after Ctrl-C, before it is killed
NOTHING_TO_REPEAT = (4, 5)  # exit statuses of pytest: wrong arguments, no tests collected

# Computes until its parent is gone, so that a SIGKILL of this script leaves no busy process.
BUSY_LOOP = """
import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    sum(range(100_000))
"""


@contextmanager
def busy_processes(count: int) -> Iterator[list[int]]:
    """Run `count` processes that compute without a pause while the body runs; yields their ids."""
    started: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-I", "-S", "-c", BUSY_LOOP]
    try:
        for _ in range(count):
            # A session of its own: Ctrl-C in the terminal does not reach it, the `finally` does.
            process = subprocess.Popen(  # noqa: S603 - a constant command
                [*command, str(os.getpid())], stdin=subprocess.DEVNULL, start_new_session=True
            )
            started.append(process)
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def failed_tests(report: Path) -> list[str]:
    """The node ids of the tests that failed, or whose setup or teardown did, in a JUnit report.

    Empty where pytest ended before it wrote the report.
    """
    if not report.exists():
        return []
    failed = []
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        if case.find("failure") is not None or case.find("error") is not None:
            file, name = case.get("file", ""), case.get("name", "")
            failed.append(f"{file}::{name}" if file else name)
    return sorted(set(failed))


def run_pytest(arguments: Sequence[str], folder: Path) -> tuple[int, list[str], str]:
    """Run pytest once: its exit status, the tests that failed and everything that it printed.

    Interrupted, it lets pytest run its teardowns first, and kills it where they take too long.
    """
    report, log = folder / "report.xml", folder / "output.txt"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    command += [f"--junitxml={report}", "-o", "junit_family=xunit1"]  # xunit2 names no file
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the arguments of the caller
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    return status, failed_tests(report), log.read_text(errors="replace")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PYTEST_GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # a second Ctrl-C ends the wait
        process.kill()
        process.wait()


def table(failures: Counter[str], times: int) -> str:
    """The tests that failed, those that failed most often first, one a line."""
    width = len(str(times))
    rows = sorted(failures.items(), key=lambda row: (-row[1], row[0]))
    return "\n".join(f"{count:>{width}} of {times}  {name}" for name, count in rows)


def parser() -> argparse.ArgumentParser:
    """The argument parser of this script; unknown arguments go to pytest."""
    lines = (__doc__ or "").split("\n\n")
    options = argparse.ArgumentParser(
        description=lines[0],
        epilog="All other arguments go to pytest.",
        allow_abbrev=False,  # `--time` may be an option of a pytest plugin
    )
    options.add_argument("--times", type=_count, default=20, help="runs of pytest (default: 20)")
    options.add_argument(
        "--busy", type=int, default=4, help="busy processes beside them (default: 4)"
    )
    options.add_argument("--logs", type=Path, help="keep the output of each failed run here")
    return options


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run pytest `--times` times and print the table; returns the exit status of the script."""
    options, for_pytest = parser().parse_known_args(arguments)
    failures: Counter[str] = Counter()
    signal.signal(signal.SIGTERM, _terminated)  # so that `finally` runs
    with tempfile.TemporaryDirectory() as folder, busy_processes(options.busy):
        for number in range(1, options.times + 1):
            began = time.perf_counter()
            status, failed, output = run_pytest(for_pytest, Path(folder))
            seconds = time.perf_counter() - began
            last_line = output.strip().rpartition("\n")[2].strip("= ")
            print(f"run {number} of {options.times}: {seconds:.0f} s, {last_line}", flush=True)
            if status == 0:
                continue
            failures.update(failed or [f"(pytest itself, exit status {status})"])
            if options.logs:
                options.logs.mkdir(parents=True, exist_ok=True)
                (options.logs / f"run-{number}.txt").write_text(output)
            if not failed:
                print(output)
            if status in NOTHING_TO_REPEAT:
                break
    if failures:
        print(f"\nfailed at least once:\n{table(failures, options.times)}")
        return 1
    print(f"\nall {options.times} runs passed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
