"""Disks that are full, or that nobody may write to, and files that another process has."""

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
from tests.store_damage import left_open, read_all, records_of

Disk = Callable[[str], Path]
PLAIN = "from bakeoff.cli import main; main()"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Makes a disk of its own with room for so much; none is left after the test."""
    made: list[Path] = []

    def make(size: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        made.append(folder)
        return folder

    yield make
    for folder in made:
        subprocess.run(["umount", "-l", folder], check=True, timeout=30)


def mount(*arguments: str) -> None:
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    done = subprocess.run(
        ["mount", *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


def usual(server: OpenAIServer, store: Path, out: Path, limit: int = 20) -> list[str]:
    url = f"?base_url={server.url}&retries=1"
    models = ["--model", f"good=api:good{url}", "--model", f"bad=api:bad{url}"]
    judge = ["--judge", f"judge=api:judge{url}", "--prompts", "starter"]
    places = ["--store", str(store), "--out", str(out)]
    return ["run", *models, *judge, *places, "--limit", str(limit), "--max-concurrency", "4"]


def started(arguments: list[str], folder: Path, code: str = PLAIN) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **pipes)


def bakeoff(arguments: list[str], folder: Path, code: str = PLAIN) -> tuple[int, str]:
    """The exit code, and what it complained of: one line, or nothing."""
    process = started(arguments, folder, code)
    _, errors = process.communicate(timeout=120)
    complaints = re.findall(r"^bakeoff: .*$", errors, re.MULTILINE)
    assert "Traceback" not in errors, errors
    assert len(complaints) == (process.returncode not in (0, 3)), errors
    return process.returncode, "".join(complaints)


class Long:
    """A server of long completions that counts what it was asked."""

    def __init__(self, length: int = 20_000) -> None:
        self.length = length
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> Any:
        self.asked[repr((body["model"], body["messages"]))] += 1
        said = prefer_good(body)
        return said if body["model"] == "judge" else said + " more" * (self.length // 5)


WANTED = 80  # 20 prompts: 40 completions and 40 verdicts


def test_a_run_on_a_full_disk_keeps_what_fits_and_goes_on_when_there_is_room(
    tmp_path: Path, disk: Disk
) -> None:
    small, respond = disk("700k"), Long()
    with OpenAIServer(respond) as server:
        arguments = usual(server, small / "store.sqlite", tmp_path / "out")
        code, said = bakeoff(arguments, tmp_path)
        assert code == 2
        assert said.startswith(f"bakeoff: the store '{small}/store.sqlite' cannot be used (")
        assert "what it holds is kept; free space and run the same command again" in said
        found = check(small / "store.sqlite")
        assert found.sound
        assert 5 < found.total < WANTED
        asked = respond.asked.total()
        assert asked - found.total <= 2 * 4 + 4  # lanes of models and judge: what was in flight
        code, _ = bakeoff(arguments, tmp_path)  # as full as before: it is known before it is paid
        assert code == 2
        assert respond.asked.total() - asked <= 3 * 4
        found, asked = check(small / "store.sqlite"), respond.asked.total()
        mount("-o", "remount,size=50m", str(small))
        assert bakeoff(arguments, tmp_path)[0] == 0
    assert respond.asked.total() == asked + WANTED - found.total  # and nothing that was kept
    assert len(read_results(tmp_path / "out").judgments) == 40
    assert check(small / "store.sqlite").total == WANTED


LIMITED = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
{PLAIN}
"""


@pytest.mark.long
def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    respond = Long()
    with OpenAIServer(respond) as server:
        arguments = usual(server, tmp_path / "store.sqlite", tmp_path / "out")
        code, said = bakeoff(arguments, tmp_path, LIMITED)
        assert code == 2
        assert "free space and run the same command again" in said
        found = check(tmp_path / "store.sqlite")
        asked = respond.asked.total()
        assert (found.sound, found.total > 5) == (True, True)
        assert bakeoff(arguments, tmp_path)[0] == 0
    assert respond.asked.total() == asked + WANTED - found.total


def moody(body: dict[str, Any]) -> Any:
    """A judge that fails for every pair."""
    return (
        Reply(400, {"error": {"message": "no"}}) if body["model"] == "judge" else prefer_good(body)
    )


def filled(folder: Path, less: int) -> Path:
    """All the room of a disk but so many bytes, taken by a file."""
    filler, free = folder / "filler", shutil.disk_usage(folder).free
    with filler.open("wb") as file:
        file.write(bytes(max(0, free - less)))
    return filler


@pytest.mark.long
@pytest.mark.parametrize("room", [0, 200_000])  # for nothing, and for the results without the page
@pytest.mark.parametrize("limit", [20, 19])  # the same question again, and another one
def test_results_that_do_not_fit_take_nothing_from_older_ones(
    tmp_path: Path, disk: Disk, room: int, limit: int
) -> None:
    small, store = disk("9m"), tmp_path / "store.sqlite"
    with OpenAIServer(moody) as server:
        assert bakeoff(usual(server, store, small), tmp_path)[0] == 3
        before = (small / RESULTS).read_bytes()
        filler = filled(small, room)
        server.respond = prefer_good
        arguments = usual(server, store, small, limit)
        code, said = bakeoff(arguments, tmp_path)
        assert code == 2
        assert f"cannot write '{small}/" in said, said
        assert "everything that was paid for is in the store" in said
        kept = [path.read_bytes() for path in small.glob("results*.json")]
        assert before in kept or (room and limit == 20)
        for path in small.glob("results*.json"):
            assert len(read_results(path).completions) in (38, 40)
        assert not list(small.glob(".*"))
        asked = len(server.requests)
        filler.unlink()
        assert bakeoff(arguments, tmp_path)[0] == 0
        assert len(server.requests) == asked
    assert len(read_results(small).judgments) == 2 * limit
    assert read_progress(small) is None


@pytest.mark.parametrize("room", [0, 20_000])
def test_a_file_that_does_not_fit_leaves_the_old_one(disk: Disk, room: int) -> None:
    folder = disk("9m")
    old = sample_results()
    save(old, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    filled(folder, room)
    with pytest.raises(ConfigError, match=r"cannot write .*No space left on device.*in the store"):
        save(old.model_copy(update={"environment": {"more": "x" * 100_000}}), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.stem != "filler"} == (
        before
    )
    assert read_results(folder).completions == old.completions


@pytest.mark.parametrize("what", ["store", "out"])
def test_what_nobody_may_write_to_is_told_before_anything_is_paid_for(
    tmp_path: Path, disk: Disk, what: str
) -> None:
    places = {"store": tmp_path / "store", "out": tmp_path / "out"}
    places[what] = disk("9m")
    store = places["store"] / "s.sqlite"
    with Store(store):
        pass
    mount("-o", "remount,ro", str(places[what]))
    with OpenAIServer() as server:
        arguments = usual(server, store, places["out"])
        code, said = bakeoff(arguments, tmp_path)
        assert code == 2
        assert f"--{what}" in said
        assert "Read-only" in said or "readonly" in said or "unable to open" in said
        assert not server.requests
    assert check(store).sound


def test_a_sound_store_on_a_disk_that_is_read_only_is_checked(tmp_path: Path, disk: Disk) -> None:
    folder, records = disk("9m"), records_of(50)
    left_open(folder / "store.sqlite", {}, records)
    mount("-o", "remount,ro", str(folder))
    found = check(folder / "store.sqlite")
    assert (found.sound, found.total) == (True, 50)
    salvage(folder / "store.sqlite", tmp_path / "new.sqlite")
    assert read_all(tmp_path / "new.sqlite", records) == records


PATIENT = f"""
import bakeoff.storage.database
bakeoff.storage.database.LOCK_TIMEOUT = 1.5
{PLAIN}
"""


def locked(path: Path) -> sqlite3.Connection:
    """Somebody else's connection that has the store for itself."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN EXCLUSIVE")
    return db


def test_a_store_that_another_process_keeps_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path):
        pass
    other = locked(path)
    with OpenAIServer() as server:
        begun = time.monotonic()
        code, said = bakeoff(usual(server, path, tmp_path / "out"), tmp_path, PATIENT)
        assert time.monotonic() - begun >= 1.5
    other.close()
    assert code == 2
    assert said.startswith(f"bakeoff: the store '{path}' cannot be used (database is locked): ")
    assert "another process has kept it for 1.5 seconds" in said
    assert not server.requests


@pytest.mark.long
def test_a_store_that_another_process_has_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path):
        pass
    other = locked(path)
    with OpenAIServer() as server:
        process = started(usual(server, path, tmp_path / "out"), tmp_path)
        time.sleep(5)
        assert process.poll() is None
        assert not server.requests
        other.execute("ROLLBACK")
        other.close()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert check(path).total == WANTED


@pytest.mark.long
def test_a_store_that_another_process_takes_midway_keeps_what_was_paid_for(tmp_path: Path) -> None:
    path, holding = tmp_path / "store.sqlite", threading.Event()
    others: list[sqlite3.Connection] = []

    def respond(body: dict[str, Any]) -> Reply:
        if len(server.requests) == 30 and not others:
            others.append(locked(path))
            holding.set()
        said = verdict_json("tie") if body["model"] == "judge" else body["model"]
        return Reply(body=chat_completion(said), delay=0.02)

    with OpenAIServer(respond) as server:
        arguments = usual(server, path, tmp_path / "out")
        process = started(arguments, tmp_path, PATIENT)
        assert holding.wait(60)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "Traceback" not in errors
        assert errors.splitlines()[-1].startswith(f"bakeoff: the store '{path}' cannot be used (")
        assert "another process has kept it for 1.5 seconds" in errors
        others[0].execute("ROLLBACK")
        others[0].close()
        found, asked = check(path), len(server.requests)
        assert found.sound
        assert asked - found.total <= 12  # what was in flight
        assert bakeoff(arguments, tmp_path)[0] == 0
        assert len(server.requests) == asked + WANTED - found.total
