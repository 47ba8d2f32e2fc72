"""Vega's script is generated once and cached; a damaged cache file is replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.report.charts import vega_script


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder of the test; the script is not in memory before and afterwards."""
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    vega_script.cache_clear()
    yield tmp_path / "cache"
    vega_script.cache_clear()


def test_the_script_is_cached(cache_folder: Path) -> None:
    script = vega_script()
    (file,) = cache_folder.iterdir()
    assert "vegaEmbed" in script
    assert file.read_text(encoding="utf-8").endswith(script)
    vega_script.cache_clear()
    before = file.stat().st_mtime_ns
    assert vega_script() == script
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["cut", "changed", "binary", "empty"])
def test_a_damaged_cache_file_is_replaced(damage: str, cache_folder: Path) -> None:
    script = vega_script()
    (file,) = cache_folder.iterdir()
    content = file.read_bytes()
    damaged = {
        "cut": content[:-10],
        "changed": content.replace(b"vegaEmbed", b"vegaEvil!"),
        "binary": b"\xff" + content,
        "empty": b"",
    }
    file.write_bytes(damaged[damage])
    vega_script.cache_clear()
    assert vega_script() == script
    assert file.read_bytes() == content


def test_an_unwritable_cache_is_ignored(cache_folder: Path) -> None:
    cache_folder.write_text("a file where the folder should be")
    assert "vegaEmbed" in vega_script()
    assert cache_folder.read_text() == "a file where the folder should be"
