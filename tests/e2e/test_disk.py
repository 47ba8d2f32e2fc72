"""Full disks, read-only disks, and stores that another process has locked."""

import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ConfigError
from bakeoff.report.export import RESULTS, save
from bakeoff.report.results_file import read_results
from bakeoff.runtime.progress import read_progress
from bakeoff.storage import Store
from bakeoff.storage.salvage import check, salvage
from bakeoff.testing import OpenAIServer, Reply, chat_completion, prefer_good, verdict_json
from tests.builders import sample_results
from tests.store_damage import leave_open, read_all, records_of

Disk = Callable[[str], Path]
MAIN = "from bakeoff.cli import main; main()"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a tmpfs of the given size; all are unmounted after the test."""
    folders: list[Path] = []

    def make(size: str) -> Path:
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        folders.append(folder)
        return folder

    yield make
    for folder in folders:
        subprocess.run(["umount", "-l", folder], check=True, timeout=30)


def mount(*arguments: str) -> None:
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    done = subprocess.run(
        ["mount", *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


def run_arguments(server: OpenAIServer, store: Path, out: Path, limit: int = 20) -> list[str]:
    url = f"?base_url={server.url}&retries=1"
    models = ["--model", f"good=api:good{url}", "--model", f"bad=api:bad{url}"]
    judge = ["--judge", f"judge=api:judge{url}", "--prompts", "starter"]
    places = ["--store", str(store), "--out", str(out)]
    return ["run", *models, *judge, *places, "--limit", str(limit), "--max-concurrency", "4"]


def start_bakeoff(arguments: list[str], folder: Path, code: str = MAIN) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **pipes)


def run_bakeoff(arguments: list[str], folder: Path, code: str = MAIN) -> tuple[int, str]:
    """The exit code and the error line (empty: no error)."""
    process = start_bakeoff(arguments, folder, code)
    _, errors = process.communicate(timeout=300)
    complaints = re.findall(r"^bakeoff: .*$", errors, re.MULTILINE)
    assert "Traceback" not in errors, errors
    assert len(complaints) == (process.returncode not in (0, 3)), errors
    return process.returncode, "".join(complaints)


class LongCompletions:
    """A responder with long completions that counts the requests per item."""

    def __init__(self, length: int = 20_000) -> None:
        self.length = length
        self.requests: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> Any:
        self.requests[repr((body["model"], body["messages"]))] += 1
        text = prefer_good(body)
        return text if body["model"] == "judge" else text + " more" * (self.length // 5)


RECORDS = 80  # 20 prompts: 40 completions and 40 verdicts
# The event loop waits for each commit, so that an error ends the run before further replies.
WAIT_FOR_COMMITS = f"""
import bakeoff.storage.writer
bakeoff.storage.writer.COMMIT_INTERVAL = bakeoff.storage.writer.MAX_DELAY = 0
{MAIN}
"""


def test_full_disk_keeps_stored_records_and_the_run_resumes(tmp_path: Path, disk: Disk) -> None:
    small, respond = disk("700k"), LongCompletions()
    with OpenAIServer(respond) as server:
        arguments = run_arguments(server, small / "store.sqlite", tmp_path / "out")
        code, error = run_bakeoff(arguments, tmp_path, WAIT_FOR_COMMITS)
        assert code == 2
        assert error.startswith(f"bakeoff: the store '{small}/store.sqlite' cannot be used (")
        assert "what it holds is kept; free space and run the same command again" in error
        checked = check(small / "store.sqlite")
        assert checked.sound
        assert 5 < checked.total < RECORDS
        requested = respond.requests.total()
        assert requested - checked.total <= 2 * 4 + 4  # requests in flight of models and judge
        unsaved = requested - checked.total
        code, _ = run_bakeoff(arguments, tmp_path, WAIT_FOR_COMMITS)
        assert code == 2  # still full, but for some short records: reported before many requests
        checked, requested = check(small / "store.sqlite"), respond.requests.total()
        assert requested - checked.total - unsaved <= 3 * 4
        mount("-o", "remount,size=50m", str(small))
        assert run_bakeoff(arguments, tmp_path)[0] == 0
    assert (
        respond.requests.total() == requested + RECORDS - checked.total
    )  # no stored record is requested again
    assert len(read_results(tmp_path / "out").judgments) == 40
    assert check(small / "store.sqlite").total == RECORDS + 1  # with the record of the run


FILE_SIZE_LIMITED = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
{MAIN}
"""


@pytest.mark.long
def test_file_size_limit_is_treated_as_a_full_disk(tmp_path: Path) -> None:
    respond = LongCompletions()
    with OpenAIServer(respond) as server:
        arguments = run_arguments(server, tmp_path / "store.sqlite", tmp_path / "out")
        code, error = run_bakeoff(arguments, tmp_path, FILE_SIZE_LIMITED)
        assert code == 2
        assert "free space and run the same command again" in error
        checked = check(tmp_path / "store.sqlite")
        requested = respond.requests.total()
        assert (checked.sound, checked.total > 5) == (True, True)
        assert run_bakeoff(arguments, tmp_path)[0] == 0
    assert respond.requests.total() == requested + RECORDS - checked.total


def fail_judge(body: dict[str, Any]) -> Any:
    """Answer every judge request with an error."""
    return (
        Reply(400, {"error": {"message": "no"}}) if body["model"] == "judge" else prefer_good(body)
    )


def fill_disk(folder: Path, remaining: int) -> Path:
    """Fill the disk with a file, except `remaining` bytes."""
    filler, free = folder / "filler", shutil.disk_usage(folder).free
    with filler.open("wb") as file:
        file.write(bytes(max(0, free - remaining)))
    return filler


@pytest.mark.long
@pytest.mark.parametrize("room", [0, 200_000])  # nothing fits; the results fit without the page
@pytest.mark.parametrize("limit", [20, 19])  # the same comparison, and another one
def test_results_that_do_not_fit_keep_older_results(
    tmp_path: Path, disk: Disk, room: int, limit: int
) -> None:
    small, store = disk("9m"), tmp_path / "store.sqlite"
    with OpenAIServer(fail_judge) as server:
        assert run_bakeoff(run_arguments(server, store, small), tmp_path)[0] == 3
        before = (small / RESULTS).read_bytes()
        filler = fill_disk(small, room)
        server.respond = prefer_good
        arguments = run_arguments(server, store, small, limit)
        code, error = run_bakeoff(arguments, tmp_path)
        assert code == 2
        assert f"cannot write '{small}/" in error, error
        assert "everything that was paid for is in the store" in error
        kept = [path.read_bytes() for path in small.glob("results*.json")]
        assert before in kept or (room and limit == 20)
        for path in small.glob("results*.json"):
            assert len(read_results(path).completions) in (38, 40)
        assert not list(small.glob(".*"))
        requested = len(server.requests)
        filler.unlink()
        assert run_bakeoff(arguments, tmp_path)[0] == 0
        assert len(server.requests) == requested
    assert len(read_results(small).judgments) == 2 * limit
    assert read_progress(small) is None


@pytest.mark.parametrize("room", [0, 20_000])
def test_failed_write_keeps_the_old_file(disk: Disk, room: int) -> None:
    folder = disk("9m")
    old = sample_results()
    save(old, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fill_disk(folder, room)
    with pytest.raises(ConfigError, match=r"cannot write .*No space left on device.*in the store"):
        save(old.model_copy(update={"environment": {"more": "x" * 100_000}}), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.stem != "filler"} == (
        before
    )
    assert read_results(folder).completions == old.completions


@pytest.mark.parametrize("option", ["store", "out"])
def test_read_only_paths_are_reported_before_any_request(
    tmp_path: Path, disk: Disk, option: str
) -> None:
    places = {"store": tmp_path / "store", "out": tmp_path / "out"}
    places[option] = disk("9m")
    store = places["store"] / "s.sqlite"
    with Store(store):
        pass
    mount("-o", "remount,ro", str(places[option]))
    with OpenAIServer() as server:
        arguments = run_arguments(server, store, places["out"])
        code, error = run_bakeoff(arguments, tmp_path)
        assert code == 2
        assert f"--{option}" in error
        assert "Read-only" in error or "readonly" in error or "unable to open" in error
        assert not server.requests
    assert check(store).sound


def test_store_on_a_read_only_disk_is_checked(tmp_path: Path, disk: Disk) -> None:
    folder, records = disk("9m"), records_of(50)
    leave_open(folder / "store.sqlite", {}, records)
    mount("-o", "remount,ro", str(folder))
    checked = check(folder / "store.sqlite")
    assert (checked.sound, checked.total) == (True, 50)
    salvage(folder / "store.sqlite", tmp_path / "new.sqlite")
    assert read_all(tmp_path / "new.sqlite", records) == records


SHORT_LOCK_TIMEOUT = f"""
import bakeoff.storage.database
bakeoff.storage.database.LOCK_TIMEOUT = 1.5
{WAIT_FOR_COMMITS}
"""


def exclusive_connection(path: Path) -> sqlite3.Connection:
    """A connection with an exclusive lock on the store."""
    db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN EXCLUSIVE")
    return db


def test_locked_store_is_an_error_after_the_timeout(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path):
        pass
    other = exclusive_connection(path)
    with OpenAIServer() as server:
        started_at = time.monotonic()
        code, error = run_bakeoff(
            run_arguments(server, path, tmp_path / "out"), tmp_path, SHORT_LOCK_TIMEOUT
        )
        assert time.monotonic() - started_at >= 1.5
    other.close()
    assert code == 2
    assert error.startswith(f"bakeoff: the store '{path}' cannot be used (database is locked): ")
    assert "another process has kept it for 1.5 seconds" in error
    assert not server.requests


@pytest.mark.long
def test_run_waits_for_a_locked_store(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path):
        pass
    other = exclusive_connection(path)
    with OpenAIServer() as server:
        process = start_bakeoff(run_arguments(server, path, tmp_path / "out"), tmp_path)
        time.sleep(5)
        assert process.poll() is None
        assert not server.requests
        other.execute("ROLLBACK")
        other.close()
        process.communicate(timeout=300)
    assert process.returncode == 0
    assert check(path).total == RECORDS + 1  # with the record of the run


@pytest.mark.long
def test_lock_during_a_run_keeps_stored_records(tmp_path: Path) -> None:
    path, holding = tmp_path / "store.sqlite", threading.Event()
    others: list[sqlite3.Connection] = []

    def respond(body: dict[str, Any]) -> Reply:
        if len(server.requests) == 30 and not others:
            others.append(exclusive_connection(path))
            holding.set()
        reply = verdict_json("tie") if body["model"] == "judge" else body["model"]
        return Reply(body=chat_completion(reply), delay=0.02)

    with OpenAIServer(respond) as server:
        arguments = run_arguments(server, path, tmp_path / "out")
        process = start_bakeoff(arguments, tmp_path, SHORT_LOCK_TIMEOUT)
        assert holding.wait(300)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 2
        assert "Traceback" not in errors
        assert errors.splitlines()[-1].startswith(f"bakeoff: the store '{path}' cannot be used (")
        assert "another process has kept it for 1.5 seconds" in errors
        others[0].execute("ROLLBACK")
        others[0].close()
        checked, requested = check(path), len(server.requests)
        assert checked.sound
        assert requested - checked.total <= 12  # requests in flight
        assert run_bakeoff(arguments, tmp_path)[0] == 0
        assert len(server.requests) == requested + RECORDS - checked.total
