"""The system clock is set back by days during a run: no wait, no wrong duration."""

import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from bakeoff.report.results_file import read_results
from bakeoff.runtime.progress import (
    PROGRESS_FILE,
    ProgressFile,
    ProgressReport,
    ProgressUpdate,
    read_progress,
)
from bakeoff.storage.salvage import check
from bakeoff.testing import OpenAIServer, Reply, chat_completion, prefer_good
from tests.e2e.test_disk import run_arguments

DAYS = 3
# sitecustomize.py: sets the clock back by three days once the trigger file exists.
SET_BACK = f"""
import datetime
import os
import time

_real, _trigger = time.time, {{trigger!r}}


def _time():
    return _real() - ({DAYS * 86400} if os.path.exists(_trigger) else 0)


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_time(), tz)


time.time = _time
datetime.datetime = _Datetime
"""


@pytest.mark.long
@pytest.mark.parametrize("retry", ["date", "1"])
def test_run_continues_when_the_clock_is_set_back(tmp_path: Path, retry: str) -> None:
    (tmp_path / "path").mkdir()
    trigger = tmp_path / "set-back"
    (tmp_path / "path" / "sitecustomize.py").write_text(SET_BACK.format(trigger=str(trigger)))
    requests_by_item: Counter[str] = Counter()
    refused: list[int] = []

    def respond(body: dict[str, Any]) -> Reply:
        requests_by_item[repr((body["model"], body["messages"]))] += 1
        if len(server.requests) == 30:
            trigger.touch()
        if len(server.requests) == 40:  # the server's clock is not set back
            refused.append(1)
            requests_by_item[repr((body["model"], body["messages"]))] -= 1
            now = datetime.now(UTC)
            until = format_datetime(now + timedelta(seconds=1), usegmt=True)
            after = {"Retry-After": "1" if retry == "1" else until}
            headers = after | {"Date": format_datetime(now, usegmt=True)}
            return Reply(429, {"error": {"message": "later"}}, headers)
        # Hold a reply until a progress report with the new clock was read.
        silent = len(server.requests) == 60
        return Reply(
            body=chat_completion(prefer_good(body)),
            delay=0.05,
            until=lambda: not silent or bool(reports_after),
        )

    reports: list[tuple[float, ProgressReport]] = []
    reports_after: list[ProgressReport] = []
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "path")}
    with OpenAIServer(respond) as server:
        arguments = run_arguments(server, tmp_path / "store.sqlite", tmp_path / "out")
        command = [sys.executable, "-m", "bakeoff", *arguments]
        started_at = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            text=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and time.monotonic() - started_at < 150:
            if report := read_progress(tmp_path / "out"):
                reports.append((time.monotonic() - started_at, report))
                if report.updated < datetime.now(UTC) - timedelta(days=2):
                    reports_after.append(report)
            time.sleep(0.02)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert second.returncode == 0
    assert refused
    assert set(requests_by_item.values()) == {1}
    assert len(read_results(tmp_path / "out").judgments) == 40
    assert check(tmp_path / "store.sqlite").sound
    assert reports_after  # a progress report was written with the new clock
    assert reports_after[-1].started < datetime.now(UTC) - timedelta(days=2)
    for elapsed, report in reports:
        assert timedelta(0) <= report.updated - report.started <= timedelta(seconds=elapsed + 1)
        for row in report.rows:
            assert row.done <= row.total


def test_progress_never_reports_negative_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - offset

    monkeypatch.setattr("bakeoff.runtime.progress.datetime", Clock)
    reports: list[ProgressReport] = []
    with ProgressFile(tmp_path) as progress:
        progress(ProgressUpdate(stage="completion", participant="m", total=3))
        for days in (0, 9, 9, -9):
            offset = timedelta(days=days)
            progress.write()
            reports.append(
                ProgressReport.model_validate_json((tmp_path / PROGRESS_FILE).read_bytes())
            )
    before, set_back, unchanged, forward = reports
    for report in (before, set_back, unchanged):
        assert timedelta() <= report.updated - report.started < timedelta(minutes=2)
    assert set_back.updated < before.updated - timedelta(days=8)
    assert unchanged.started == set_back.started
    assert forward.started == unchanged.started  # as after suspend: the run did take that long
