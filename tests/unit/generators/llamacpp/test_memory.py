"""How much memory there is, by files as Linux and its containers have them."""

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


def test_this_machine_has_some() -> None:
    assert 1 << 20 < available_memory() < 1 << 50


def test_of_a_machine_what_can_be_had_counts_and_not_what_is_unused(
    meminfo: Path, tmp_path: Path
) -> None:
    assert available_memory(meminfo, tmp_path / "none") == 1000000 << 10


def test_a_container_may_have_less(meminfo: Path, tmp_path: Path) -> None:
    stat = "anon 5\ninactive_file 30000\n"
    group = write_files(
        tmp_path / "new", memory__max="500000\n", memory__current="100000", memory__stat=stat
    )
    assert available_memory(meminfo, group) == 430000
    (group / "memory.max").write_text("max\n")
    assert available_memory(meminfo, group) == 1000000 << 10
    (group / "memory.max").write_text("1000\n")
    assert available_memory(meminfo, group) == 0  # it has gone beyond its limit


def test_an_older_container_too(meminfo: Path, tmp_path: Path) -> None:
    files = {"limit_in_bytes": "900", "usage_in_bytes": "500", "stat": "total_inactive_file 50"}
    write_files(
        tmp_path / "old" / "memory", **{f"memory__{name}": text for name, text in files.items()}
    )
    assert available_memory(meminfo, tmp_path / "old") == 450


def test_where_no_file_says_so_it_is_half_of_what_is_built_in(tmp_path: Path) -> None:
    assert 1 << 20 < available_memory(tmp_path / "none", tmp_path) < 1 << 50
