"""Vega's script: made once, kept whole, made anew where what is kept is not whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.report.charts import vega_script


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of its own; whoever comes later does not find what was made in it."""
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    vega_script.cache_clear()
    yield tmp_path / "cache"
    vega_script.cache_clear()


def test_the_script_is_cached(kept: Path) -> None:
    script = vega_script()
    (file,) = kept.iterdir()
    assert "vegaEmbed" in script
    assert file.read_text(encoding="utf-8").endswith(script)
    vega_script.cache_clear()
    before = file.stat().st_mtime_ns
    assert vega_script() == script
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["cut", "changed", "binary", "empty"])
def test_a_damaged_cache_file_is_replaced(damage: str, kept: Path) -> None:
    script = vega_script()
    (file,) = kept.iterdir()
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


def test_an_unwritable_cache_is_ignored(kept: Path) -> None:
    kept.write_text("a file where the folder should be")
    assert "vegaEmbed" in vega_script()
    assert kept.read_text() == "a file where the folder should be"
