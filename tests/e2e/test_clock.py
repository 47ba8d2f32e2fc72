"""A clock that is set back by days while a run goes on: nobody waits for it, and nothing lies."""

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
from tests.e2e.test_disk import usual

DAYS = 3
# Python runs this before anything else: from when a file is there on, it is three days ago.
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
def test_a_run_whose_clock_is_set_back_goes_on(tmp_path: Path, retry: str) -> None:
    (tmp_path / "path").mkdir()
    trigger = tmp_path / "set-back"
    (tmp_path / "path" / "sitecustomize.py").write_text(SET_BACK.format(trigger=str(trigger)))
    asked: Counter[str] = Counter()
    refused: list[int] = []

    def respond(body: dict[str, Any]) -> Reply:
        asked[repr((body["model"], body["messages"]))] += 1
        if len(server.requests) == 30:
            trigger.touch()
        if len(server.requests) == 40:  # the server's clock is right
            refused.append(1)
            asked[repr((body["model"], body["messages"]))] -= 1
            now = datetime.now(UTC)
            until = format_datetime(now + timedelta(seconds=1), usegmt=True)
            after = {"Retry-After": "1" if retry == "1" else until}
            headers = after | {"Date": format_datetime(now, usegmt=True)}
            return Reply(429, {"error": {"message": "later"}}, headers)
        # The run does not end before it was seen with its clock set back.
        silent = len(server.requests) == 60
        return Reply(
            body=chat_completion(prefer_good(body)),
            delay=0.05,
            until=lambda: not silent or bool(back),
        )

    seen: list[tuple[float, ProgressReport]] = []
    back: list[ProgressReport] = []
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "path")}
    with OpenAIServer(respond) as server:
        arguments = usual(server, tmp_path / "store.sqlite", tmp_path / "out")
        command = [sys.executable, "-m", "bakeoff", *arguments]
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            text=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and time.monotonic() - begun < 150:
            if report := read_progress(tmp_path / "out"):
                seen.append((time.monotonic() - begun, report))
                if report.updated < datetime.now(UTC) - timedelta(days=2):
                    back.append(report)
            time.sleep(0.02)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        again = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert again.returncode == 0
    assert refused
    assert set(asked.values()) == {1}
    assert len(read_results(tmp_path / "out").judgments) == 40
    assert check(tmp_path / "store.sqlite").sound
    assert back  # it was set back while it told how far it was
    assert back[-1].started < datetime.now(UTC) - timedelta(days=2)
    for passed, report in seen:
        assert timedelta(0) <= report.updated - report.started <= timedelta(seconds=passed + 1)
        for row in report.rows:
            assert row.done <= row.total


def test_a_run_that_is_told_of_took_no_less_than_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - back

    monkeypatch.setattr("bakeoff.runtime.progress.datetime", Clock)
    reports: list[ProgressReport] = []
    with ProgressFile(tmp_path) as progress:
        progress(ProgressUpdate(stage="completion", participant="m", total=3))
        for days in (0, 9, 9, -9):
            back = timedelta(days=days)
            progress.write()
            reports.append(
                ProgressReport.model_validate_json((tmp_path / PROGRESS_FILE).read_bytes())
            )
    before, set_back, on, forward = reports
    for report in (before, set_back, on):
        assert timedelta() <= report.updated - report.started < timedelta(minutes=2)
    assert set_back.updated < before.updated - timedelta(days=8)
    assert on.started == set_back.started
    assert forward.started == on.started  # a machine that slept: the run did take that long
