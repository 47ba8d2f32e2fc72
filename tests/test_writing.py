"""Files that are there whole or not at all, and the folder for what can be had again."""

from pathlib import Path

import pytest

from bakeoff.writing import cache_dir, write_whole


def test_a_file_takes_the_place_of_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    for content in (b"old", b"", bytes(range(256))):
        write_whole(file, content)
        assert file.read_bytes() == content
        assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old_one_and_nothing_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.txt"
    write_whole(file, b"old")

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(OSError, match=r"x\.txt"):
        write_whole(tmp_path / "x.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAKEOFF_CACHE", raising=False)
    usual = cache_dir()
    assert usual.name == "bakeoff"
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path != usual
