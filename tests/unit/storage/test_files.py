"""Files that are there whole or not at all, and the folder for what can be had again."""

import errno
import os
import threading
from pathlib import Path

import pytest

from bakeoff.storage.files import cache_dir, write_atomically, write_new


def test_a_file_takes_the_place_of_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    for content in (b"old", b"", bytes(range(256))):
        write_atomically(file, content)
        assert file.read_bytes() == content
        assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old_one_and_nothing_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.txt"
    write_atomically(file, b"old")

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(OSError, match=r"x\.txt"):
        write_atomically(tmp_path / "x.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_two_that_write_one_file_at_once_are_in_nobodys_way(tmp_path: Path) -> None:
    file, wrong = tmp_path / "x.txt", []

    def write(sign: bytes) -> None:  # in one process, as in two containers: with one number
        for _ in range(100):
            write_atomically(file, sign * 100_000)
            found = file.read_bytes()
            if found not in (b"a" * 100_000, b"b" * 100_000):
                wrong.append(found)

    threads = [threading.Thread(target=write, args=[sign]) for sign in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("links", [True, False])  # not every file system has them
def test_a_new_file_takes_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def none(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", none)
    file = tmp_path / "x.txt"
    write_new(file, b"first")
    with pytest.raises(FileExistsError):
        write_new(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        write_new(file / "below", b"")


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAKEOFF_CACHE", raising=False)
    usual = cache_dir()
    assert usual.name == "bakeoff"
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path != usual
