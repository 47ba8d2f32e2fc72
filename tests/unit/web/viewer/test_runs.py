import os
from pathlib import Path

import pytest

from bakeoff.web.viewer import runs
from bakeoff.web.viewer.runs import find_runs
from tests.unit.web.viewer.builders import results, write_progress, write_results

SMALL = results(prompts=range(2))


def names(root: Path) -> set[str]:
    return {run.name for run in find_runs(root).runs.values()}


def test_every_run_below_a_folder_is_found(tmp_path: Path) -> None:
    for name in ("one", "deep/er/run", "1/2/3/4"):
        write_results(tmp_path / name, SMALL)
    write_progress(tmp_path / "new")
    runs = find_runs(tmp_path)
    assert not runs.single
    assert not runs.truncated
    assert {run.name for run in runs.runs.values()} == {"one", "deep/er/run", "1/2/3/4", "new"}
    states = {run.name: (run.version is None, run.progress is None) for run in runs.runs.values()}
    assert states["new"] == (True, False)
    assert states["one"] == (False, True)


@pytest.mark.parametrize("name", [".hidden", "a/.venv/b", "node_modules/x", "1/2/3/4/5"])
def test_skipped_folders(name: str, tmp_path: Path) -> None:
    write_results(tmp_path / name, SMALL)
    write_results(tmp_path / "seen", SMALL)
    assert names(tmp_path) == {"seen"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    write_results(tmp_path / "elsewhere", SMALL)
    root = tmp_path / "root"
    write_results(root / "run", SMALL)
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "run" / "loop").symlink_to(root)
    (root / "broken").symlink_to(tmp_path / "nowhere")
    assert names(root) == {"run"}


def test_folders_and_pipes_are_not_results(tmp_path: Path) -> None:
    (tmp_path / "folder" / "results.json").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "results.json")
    runs = find_runs(tmp_path)
    assert all(run.version is None for run in runs.runs.values())


def test_unreadable_folder_hides_no_other(tmp_path: Path) -> None:
    write_results(tmp_path / "seen", SMALL)
    write_results(tmp_path / "closed", SMALL)
    (tmp_path / "closed").chmod(0)
    try:
        assert "seen" in names(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_hostile_names_are_kept(tmp_path: Path) -> None:
    nasty = ["<img src=x onerror=alert(1)>", "\u202etxt", "a'b\"c", "a\nb", "%2e%2e", "…"]
    for name in nasty:
        write_results(tmp_path / name, SMALL)
    raw = os.fsencode(tmp_path) + b"/\xff\xfe"
    Path(os.fsdecode(raw)).mkdir()
    write_results(Path(os.fsdecode(raw)), SMALL)
    runs = find_runs(tmp_path)
    assert {run.name for run in runs.runs.values()} == {*nasty, os.fsdecode(b"\xff\xfe")}
    assert all(key.isalnum() and key.isascii() and len(key) == 16 for key in runs.runs)


def test_run_is_found_by_file_or_folder(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "run", SMALL)
    write_results(folder / "below", SMALL)
    for path in (folder, folder / "results.json"):
        runs = find_runs(path)
        assert runs.single
        (run,) = runs.runs.values()
        assert run.file == folder / "results.json"
        assert run.version is not None
    (run,) = find_runs(write_progress(tmp_path / "new")).runs.values()
    assert (run.name, run.version, run.progress is None) == ("new", None, False)


def test_keys_do_not_depend_on_other_runs(tmp_path: Path) -> None:
    write_results(tmp_path / "one", SMALL)
    (before,) = find_runs(tmp_path).runs
    write_results(tmp_path / "another", SMALL)
    assert before in find_runs(tmp_path).runs


def test_too_many_folders_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path / "a", SMALL)
    for number in range(20):
        (tmp_path / f"b{number}").mkdir()
    monkeypatch.setattr(runs, "MAX_FOLDERS", 10)
    listing = find_runs(tmp_path)
    assert listing.truncated
    assert {run.name for run in listing.runs.values()} == {"a"}
