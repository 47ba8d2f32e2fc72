"""Progress counters, and progress.json, which is always complete."""

import json
import logging
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import WorkError
from bakeoff.records import Completion, Usage, Verdict
from bakeoff.runtime.progress import (
    PROGRESS_FILE,
    ProgressCounter,
    ProgressFile,
    ProgressReport,
    ProgressUpdate,
    read_progress,
    tokens_of,
)

USAGE = st.builds(Usage, input_tokens=st.integers(0, 999), output_tokens=st.integers(0, 999))
COST = st.none() | st.floats(0, 9)
OUTCOMES = (
    st.builds(lambda u, c: Completion(text="", usage=u, cost=c), st.none() | USAGE, COST)
    | st.builds(lambda u, c: Verdict(first=1, usage=u, cost=c), st.none() | USAGE, COST)
    | st.just(WorkError("no"))
)
EVENTS = st.lists(st.none() | st.tuples(OUTCOMES, st.integers(1, 3)))


def updates_of(
    events: Iterable[tuple[Completion | Verdict | WorkError, int] | None],
) -> list[ProgressUpdate]:
    updates: list[ProgressUpdate] = []
    count = ProgressCounter("judgment", "j", 99, updates.append)
    for event in events:
        if event is None:
            count.add_stored()
        else:
            count.add_new(*event)
    return updates


@given(EVENTS)
def test_counts_add_up_and_repeated_outcomes_are_paid_once(
    events: list[tuple[Completion | Verdict | WorkError, int] | None],
) -> None:
    updates = updates_of(events)
    last, new = updates[-1], [event for event in events if event is not None]
    records = [outcome for outcome, _ in new if not isinstance(outcome, WorkError)]
    assert len(updates) == len(events) + 1
    assert last.stored == len(events) - len(new)
    assert last.failed == sum(times for outcome, times in new if isinstance(outcome, WorkError))
    assert last.done == last.stored + sum(times for _, times in new)
    assert last.tokens == sum(map(tokens_of, records))
    costs = [record.cost for record in records]
    if None in costs:
        assert last.cost is None
    else:
        assert last.cost == pytest.approx(sum(filter(None, costs)))


def test_remote_done_is_reported_on_change_until_an_outcome_arrives() -> None:
    updates: list[ProgressUpdate] = []
    count = ProgressCounter("judgment", "j", 5, updates.append)
    for through in (0, 2, 2, 3):
        count.set_remote_done(through)
    count.add_new(WorkError("no"))
    assert [progress.remote_done for progress in updates] == [0, 2, 3, 0]
    assert [progress.done for progress in updates] == [0, 0, 0, 1]


def test_tokens_in_progress_become_tokens_when_an_outcome_arrives() -> None:
    updates: list[ProgressUpdate] = []
    count = ProgressCounter("completion", "m", 3, updates.append)
    for tokens in (5, 9, 9):
        count.set_tokens_in_progress(tokens)
    count.add_new(Completion(text="", tokens=6))
    count.add_new(Completion(text="", tokens=7))  # more tokens than last reported
    count.set_tokens_in_progress(4)
    count.add_new(WorkError("no"))
    assert [(update.tokens, update.tokens_in_progress) for update in updates] == [
        *((0, 0), (0, 5), (0, 9)),
        *((6, 3), (13, 0), (13, 4), (13, 0)),
    ]


def test_tokens_of_adds_input_and_output() -> None:
    usage = Usage(input_tokens=30, output_tokens=5, cached_tokens=20)
    assert tokens_of(Verdict(first=1, usage=usage)) == 35
    assert tokens_of(Completion(text="", tokens=5, usage=usage)) == 35
    assert tokens_of(Completion(text="", tokens=5)) == 5
    assert tokens_of(Verdict(first=1)) == tokens_of(Completion(text="")) == 0


def test_the_file_exists_during_the_run_only(tmp_path: Path) -> None:
    updates: list[ProgressUpdate] = []
    with ProgressFile(tmp_path, updates.append) as progress:
        begun = read_progress(tmp_path)
        count = ProgressCounter("completion", "a", 2, progress)
        count.add_stored()
        progress.write()
        now = read_progress(tmp_path)
    assert begun is not None
    assert begun.rows == ()
    assert now is not None
    assert now.rows == (updates[-1],)
    assert now.started == begun.started <= begun.updated < now.updated
    assert now.results == "results.json"
    assert [update.done for update in updates] == [0, 1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ends", [KeyboardInterrupt, RuntimeError])
def test_the_file_stays_if_the_run_was_stopped(tmp_path: Path, ends: type[BaseException]) -> None:
    def stopped(rows: int) -> None:
        with ProgressFile(tmp_path) as progress:
            for _ in range(rows):
                ProgressCounter("completion", "a", 5, progress).add_stored()
            raise ends

    with pytest.raises(ends):
        stopped(1)
    left = read_progress(tmp_path)
    assert left is not None
    assert left.rows[0].done == 1  # written at the end of the block without a pause
    assert not left.is_stale(left.updated + timedelta(seconds=10))
    assert left.is_stale(left.updated + timedelta(seconds=20))
    with pytest.raises(ends):
        stopped(0)  # before anything had begun
    assert read_progress(tmp_path) is None


def test_the_file_is_not_written_for_every_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[Path] = []
    replace = Path.replace

    def replacing(self: Path, target: Path) -> Path:
        writes.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replacing)
    monkeypatch.setattr("bakeoff.runtime.progress._PAUSE", 3600.0)
    with ProgressFile(tmp_path) as progress:
        count = ProgressCounter("completion", "a", 1000, progress)
        for _ in range(1000):
            count.add_stored()
    assert writes == [tmp_path / PROGRESS_FILE]


def test_an_unwritable_file_is_logged_once_and_does_not_stop_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PROGRESS_FILE).mkdir()
    with caplog.at_level(logging.WARNING), ProgressFile(tmp_path) as progress:
        for _ in range(3):
            progress.write()
    assert len(caplog.messages) == 1
    assert "the run goes on" in caplog.messages[0]
    assert [path.name for path in tmp_path.iterdir()] == [
        PROGRESS_FILE
    ]  # nothing half written either


def test_a_concurrent_reader_never_sees_a_partial_file(tmp_path: Path) -> None:
    reports: list[ProgressReport | None] = []
    over = threading.Event()

    def read_until_over() -> None:
        reports.append(read_progress(tmp_path))
        while not over.is_set():
            reports.append(read_progress(tmp_path))

    with ProgressFile(tmp_path) as progress:
        for number in range(20):
            ProgressCounter("completion", f"{number}" * 500, 9, progress)
        reader = threading.Thread(target=read_until_over)
        reader.start()
        for _ in range(300):
            progress.write()
        over.set()
        reader.join()
    assert None not in reports


def written(folder: Path, content: bytes) -> Path:
    (folder / PROGRESS_FILE).write_bytes(content)
    return folder


def report_json(**more: object) -> bytes:
    now = datetime.now(UTC).isoformat()
    report = {"schema": "bakeoff-progress/1", "started": now, "updated": now} | more
    return json.dumps(report).encode()


ROW = {"stage": "completion", "participant": "a", "done": 1, "total": 2}


def test_a_valid_file_is_read(tmp_path: Path) -> None:
    report = read_progress(written(tmp_path, report_json(rows=[ROW])))
    assert report is not None
    assert report.rows == (ProgressUpdate(stage="completion", participant="a", done=1, total=2),)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        report_json()[:-9],
        b"[" * 100_000,
        report_json(more=1),
        report_json(schema="bakeoff-progress/2"),
        report_json(updated="2026-01-01T00:00:00"),  # of which zone?
        report_json(rows=[ROW | {"done": -1}]),
        report_json(rows=[ROW | {"cost": float("nan")}]),
        report_json(rows=[ROW | {"stage": "lunch"}]),
        report_json(rows=[ROW | {"participant": "x" * 2_000_000}]),
    ],
    ids=range(11),
)
def test_an_invalid_file_is_none(tmp_path: Path, content: bytes) -> None:
    assert read_progress(written(tmp_path, content)) is None


def test_a_missing_file_directory_or_pipe_is_none(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "nowhere") is None
    (tmp_path / PROGRESS_FILE).mkdir()
    assert read_progress(tmp_path) is None
    (tmp_path / PROGRESS_FILE).rmdir()
    os.mkfifo(tmp_path / PROGRESS_FILE)  # reading it would never end
    assert read_progress(tmp_path) is None
