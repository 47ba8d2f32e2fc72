"""Available memory, from files of Linux and its containers."""

from pathlib import Path

import pytest

from bakeoff.generators.llamacpp.memory import available_memory

MEMINFO = "MemTotal:       32000000 kB\nMemFree:  100 kB\nMemAvailable:   1000000 kB\nHuge: x\n"


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path / "meminfo"


def write_files(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_available_memory_of_this_machine_is_plausible() -> None:
    assert 1 << 20 < available_memory() < 1 << 50


def test_available_memory_is_memavailable_not_memfree(meminfo: Path, tmp_path: Path) -> None:
    assert available_memory(meminfo, tmp_path / "none") == 1000000 << 10


def test_available_memory_is_limited_by_the_cgroup(meminfo: Path, tmp_path: Path) -> None:
    stat = "anon 5\ninactive_file 30000\n"
    group = write_files(
        tmp_path / "new", memory__max="500000\n", memory__current="100000", memory__stat=stat
    )
    assert available_memory(meminfo, group) == 430000
    (group / "memory.max").write_text("max\n")
    assert available_memory(meminfo, group) == 1000000 << 10
    (group / "memory.max").write_text("1000\n")
    assert available_memory(meminfo, group) == 0  # usage exceeds the limit


def test_available_memory_is_limited_by_a_cgroup_v1(meminfo: Path, tmp_path: Path) -> None:
    files = {"limit_in_bytes": "900", "usage_in_bytes": "500", "stat": "total_inactive_file 50"}
    write_files(
        tmp_path / "old" / "memory", **{f"memory__{name}": text for name, text in files.items()}
    )
    assert available_memory(meminfo, tmp_path / "old") == 450


def test_without_proc_files_half_of_the_installed_memory_is_available(tmp_path: Path) -> None:
    assert 1 << 20 < available_memory(tmp_path / "none", tmp_path) < 1 << 50
