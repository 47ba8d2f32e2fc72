"""The summary is prepared while a run waits for replies."""

import asyncio
import importlib
import sys
import threading
from pathlib import Path

import pytest

from bakeoff.errors import BackendError
from bakeoff.evaluation import preload
from bakeoff.records import Completion

PROBE = "bakeoff_preload_probe"
SOURCE = f"""
import sys, threading
thread = threading.current_thread()
imported = sys.modules["{PROBE}_event"]
imported.set()
"""


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the only module of `MODULES` is imported."""
    event = threading.Event()
    (tmp_path / f"{PROBE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, f"{PROBE}_event", event)
    monkeypatch.setattr(preload, "MODULES", (PROBE,))
    monkeypatch.delitem(sys.modules, PROBE, raising=False)
    return event


async def wait_in_a_run(event: threading.Event) -> bool:
    async with preload.preload_summary(()):
        return await asyncio.to_thread(event.wait, 60)


def test_a_run_that_waits_imports_the_modules_in_a_daemon_thread(imported: threading.Event) -> None:
    assert asyncio.run(wait_in_a_run(imported))
    thread = importlib.import_module(PROBE).thread
    assert thread.daemon
    assert thread is not threading.main_thread()
    sys.modules.pop(PROBE)


def test_a_run_that_ends_before_it_waits_imports_nothing(imported: threading.Event) -> None:
    async def run() -> set[asyncio.Task[None]]:
        async with preload.preload_summary(()):
            pass
        await asyncio.sleep(0)  # the cancelled task ends
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()
    assert not imported.is_set()


def test_a_busy_loop_does_not_put_off_the_import_forever(
    imported: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preload, "_MAX_LOAD", 0.0)  # every loop counts as busy
    monkeypatch.setattr(preload, "_MAX_WINDOWS", 2)
    assert asyncio.run(wait_in_a_run(imported))
    sys.modules.pop(PROBE)


def test_a_module_that_cannot_be_imported_leaves_the_error_to_the_summary(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preload, "MODULES", ("bakeoff.no_module",))
    with caplog.at_level("DEBUG", logger="bakeoff"):
        preload._preload((), threading.Event())
    assert [record.getMessage() for record in caplog.records] == [
        "cannot prepare the summary early (No module named 'bakeoff.no_module')"
    ]


def test_completions_are_checked_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, completions, ended = list[str](), dict[int, object](), threading.Event()

    def check(text: str) -> None:
        checked.append(text)
        if len(checked) == 1:
            completions[1] = BackendError("no reply")
            completions[2] = Completion(text="second", finish="stop")
        else:
            ended.set()

    monkeypatch.setattr("bakeoff.analysis.injection.detect_injection", check)
    monkeypatch.setattr(preload, "_INTERVAL", 0.0)
    completions[0] = Completion(text="first", finish="stop")
    preload._preload(completions.values(), ended)
    assert checked == ["first", "second"]


def test_the_modules_exist() -> None:
    for name in preload.MODULES:
        assert importlib.import_module(name).__name__ == name
