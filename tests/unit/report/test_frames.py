"""Frames: of the library that is there, or one line that says what to install."""

import sys
from collections.abc import Callable
from pathlib import Path

import pandas
import polars
import pytest

from bakeoff.errors import ConfigError
from bakeoff.report.frames import Column, frame_of

COLUMNS = (Column("text", "text"), Column("flag", "flag", optional=True), Column("tags", "texts"))
ROWS = [("one", True, ["x"]), ("two", None, [])]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """As where they are not installed: importing them is a ModuleNotFoundError."""

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_both_hold_the_rows() -> None:
    ours, theirs = (frame_of(library, COLUMNS, ROWS) for library in ("pandas", "polars"))
    assert isinstance(ours, pandas.DataFrame)
    assert isinstance(theirs, polars.DataFrame)
    assert ours["flag"].tolist() == [True, pandas.NA]
    assert ours["tags"].tolist() == [["x"], []]
    assert theirs.rows() == ROWS


def test_half_a_surrogate_pair_is_shown_as_python_writes_it() -> None:
    rows = [("half \ud800", None, ["\udfff"])]
    assert frame_of("polars", COLUMNS, rows).rows() == [("half \\ud800", None, ["\\udfff"])]
    ours = frame_of("pandas", COLUMNS, rows)
    assert (ours["text"][0], ours["tags"][0]) == ("half \\ud800", ["\\udfff"])


def test_pandas_comes_first_and_polars_where_it_is_missing(missing: Callable[..., None]) -> None:
    assert isinstance(frame_of(None, COLUMNS, ROWS), pandas.DataFrame)
    missing("pandas")
    assert isinstance(frame_of(None, COLUMNS, ROWS), polars.DataFrame)
    with pytest.raises(ConfigError, match=r"^a frame needs pandas: pip install pandas$"):
        frame_of("pandas", COLUMNS, ROWS)


def test_without_either_it_says_what_to_install(missing: Callable[..., None]) -> None:
    missing("pandas", "polars")
    with pytest.raises(ConfigError, match=r"^a frame needs pandas: .* pandas \(or polars\)$"):
        frame_of(None, COLUMNS, ROWS)
    with pytest.raises(ConfigError, match=r"^a frame needs polars: pip install polars$"):
        frame_of("polars", COLUMNS, ROWS)


def test_what_a_library_itself_lacks_is_not_taken_for_the_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pandas.py").write_text("import a_part_that_is_gone")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pandas")
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_gone"):
        frame_of(None, COLUMNS, ROWS)


def test_a_library_that_there_is_not_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^there is no frame 'arrow': ask for"):
        frame_of("arrow", COLUMNS, ROWS)  # type: ignore[call-overload]
