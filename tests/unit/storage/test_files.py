"""Atomic file writes, and the cache directory."""

import errno
import os
import threading
from pathlib import Path

import pytest

from bakeoff.storage.files import cache_dir, write_atomically, write_new


def test_write_atomically_replaces_the_file_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    for content in (b"old", b"", bytes(range(256))):
        write_atomically(file, content)
        assert file.read_bytes() == content
        assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_leaves_the_old_file_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.txt"
    write_atomically(file, b"old")

    def disk_full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_at_the_path_is_an_error_and_is_kept(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(OSError, match=r"x\.txt"):
        write_atomically(tmp_path / "x.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_concurrent_writers_of_a_file_do_not_interfere(tmp_path: Path) -> None:
    file, wrong = tmp_path / "x.txt", []

    # Threads share a process id, as processes in two containers may.
    def write(character: bytes) -> None:
        for _ in range(100):
            write_atomically(file, character * 100_000)
            content = file.read_bytes()
            if content not in (b"a" * 100_000, b"b" * 100_000):
                wrong.append(content)

    threads = [threading.Thread(target=write, args=[character]) for character in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("links", [True, False])  # not every file system supports hard links
def test_write_new_replaces_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    file = tmp_path / "x.txt"
    write_new(file, b"first")
    with pytest.raises(FileExistsError):
        write_new(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        write_new(file / "below", b"")


def test_the_cache_directory_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAKEOFF_CACHE", raising=False)
    default = cache_dir()
    assert default.name == "bakeoff"
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path != default
