"""Vega's script: made once, kept whole, made anew where what is kept is not whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.report.charts import javascript


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of its own; whoever comes later does not find what was made in it."""
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    javascript.cache_clear()
    yield tmp_path / "cache"
    javascript.cache_clear()


def test_it_is_kept_and_read_from_there(kept: Path) -> None:
    made = javascript()
    (file,) = kept.iterdir()
    assert "vegaEmbed" in made
    assert file.read_text(encoding="utf-8").endswith(made)
    javascript.cache_clear()
    before = file.stat().st_mtime_ns
    assert javascript() == made
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["cut", "changed", "binary", "empty"])
def test_what_is_damaged_is_made_anew(damage: str, kept: Path) -> None:
    made = javascript()
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    damaged = {
        "cut": whole[:-10],
        "changed": whole.replace(b"vegaEmbed", b"vegaEvil!"),
        "binary": b"\xff" + whole,
        "empty": b"",
    }
    file.write_bytes(damaged[damage])
    javascript.cache_clear()
    assert javascript() == made
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_none(kept: Path) -> None:
    kept.write_text("a file where the folder should be")
    assert "vegaEmbed" in javascript()
    assert kept.read_text() == "a file where the folder should be"
