"""Rows of judgments and comparisons, and frames of the installed library."""

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import summarize
from bakeoff.errors import ConfigError
from bakeoff.records import Evidence, Results, Scores, Usage
from bakeoff.report.frames import Column, frame_of
from tests.marks import examples
from tests.unit.analysis.builders import evidence, judgment, prompt, rows, won

COLUMNS = (Column("text", "text"), Column("flag", "flag", optional=True), Column("tags", "texts"))
ROWS = [("one", True, ["x"]), ("two", None, [])]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the libraries missing: importing them raises ModuleNotFoundError."""

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_frames_of_both_libraries_have_the_rows() -> None:
    ours, theirs = (frame_of(library, COLUMNS, ROWS) for library in ("pandas", "polars"))
    assert isinstance(ours, pandas.DataFrame)
    assert isinstance(theirs, polars.DataFrame)
    assert ours["flag"].tolist() == [True, pandas.NA]
    assert ours["tags"].tolist() == [["x"], []]
    assert theirs.rows() == ROWS


def test_lone_surrogates_are_escaped() -> None:
    rows = [("half \ud800", None, ["\udfff"])]
    assert frame_of("polars", COLUMNS, rows).rows() == [("half \\ud800", None, ["\\udfff"])]
    ours = frame_of("pandas", COLUMNS, rows)
    assert (ours["text"][0], ours["tags"][0]) == ("half \\ud800", ["\\udfff"])


def test_the_default_library_is_pandas_then_polars(missing: Callable[..., None]) -> None:
    assert isinstance(frame_of(None, COLUMNS, ROWS), pandas.DataFrame)
    missing("pandas")
    assert isinstance(frame_of(None, COLUMNS, ROWS), polars.DataFrame)
    with pytest.raises(ConfigError, match=r"^a frame needs pandas: pip install pandas$"):
        frame_of("pandas", COLUMNS, ROWS)


def test_without_a_library_the_error_names_the_package(missing: Callable[..., None]) -> None:
    missing("pandas", "polars")
    with pytest.raises(ConfigError, match=r"^a frame needs pandas: .* pandas \(or polars\)$"):
        frame_of(None, COLUMNS, ROWS)
    with pytest.raises(ConfigError, match=r"^a frame needs polars: pip install polars$"):
        frame_of("polars", COLUMNS, ROWS)


def test_a_missing_dependency_of_a_library_is_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pandas.py").write_text("import a_part_that_is_gone")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pandas")
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_gone"):
        frame_of(None, COLUMNS, ROWS)


def test_an_unknown_library_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"^there is no frame 'arrow': ask for"):
        frame_of("arrow", COLUMNS, ROWS)  # type: ignore[call-overload]


def results_of(data: Evidence, panel: str = "mean") -> Results:
    config = {"panel": panel}
    return Results.of(data, summarize(data, AnalysisConfig.from_config(config)), dict(config), {})


@examples(60)
@given(rows, st.sampled_from(["mean", "majority"]))
def test_comparisons_add_up_to_the_summary(judgments: list, panel: str) -> None:
    results = results_of(evidence(judgments), panel)
    frame = results.comparisons("polars")
    (pair,) = results.summary.pairs
    assert frame.height == pair.prompts
    # A summary looks at nine digits, so that no rank depends on the last bit.
    assert frame["preference"].mean() == pytest.approx(pair.published.estimate, abs=1e-8)
    assert (frame["winner"] == "a").sum() == pair.wins
    assert (frame["winner"] == "b").sum() == pair.losses
    assert (frame["winner"] == "tie").sum() == pair.ties
    if pair.flipped is not None:
        # Of the prompts judged in both orders.
        flag_count = sum(isinstance(flag, bool | np.bool_) for flag in frame["consistent"])
        assert frame["flipped"].sum() / flag_count == pytest.approx(pair.flipped)
    if pair.scores_a:
        assert frame["score_a"].mean() / 10 == pytest.approx(pair.scores_a.mean)


@examples(60)
@given(rows)
def test_frames_of_both_libraries_have_equal_values(judgments: list) -> None:
    results = results_of(evidence(judgments))
    for call in (results.judgments, results.comparisons):
        ours, theirs = call("pandas"), call("polars")
        assert list(ours.columns) == theirs.columns
        back = ours.astype(object).where(ours.notna(), None).to_dict("records")
        assert back == theirs.to_dicts()


@examples(60)
@given(rows)
def test_every_judgment_is_a_row(judgments: list) -> None:
    results = results_of(evidence(judgments))
    table = results.judgments("polars")
    assert table.height == len(results.judgments) == len(judgments)
    assert table["preference"].mean() == pytest.approx(fmean(j.verdict.first for j in judgments))
    for row, expected in zip(table.iter_rows(named=True), judgments, strict=True):
        better = {True: expected.first, False: expected.second}.get(expected.verdict.first > 0.5)
        assert row["winner"] == ("tie" if abs(expected.verdict.first - 0.5) < 1e-9 else better)


def test_winners_are_model_names_in_either_order() -> None:
    scores = {"scores": Scores(2, 9)}
    judgments = [judgment(0, "b", 0.0, **scores), judgment(1, "a", 0.5)]
    frame = results_of(evidence(judgments)).comparisons("pandas")
    assert list(frame["winner"]) == ["a", "tie"]
    assert list(frame["preference"]) == [1.0, 0.5]
    assert frame.loc[0, ["score_a", "score_b"]].tolist() == [9, 2]
    assert frame["score_a"].isna().tolist() == [False, True]


def test_unknown_values_are_missing_and_keep_the_column_type() -> None:
    known = {
        "usage": Usage(input_tokens=5, output_tokens=2),
        "cost": 0.25,
        "snapshot": "gpt-4-0613",
    }
    judgments = [judgment(0, "a", 1.0, **known), judgment(1, "a", 1.0)]
    ours = results_of(evidence(judgments)).judgments("pandas")
    assert ours.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(("prompt_id", "judge", "first", "second", "presented"), "string"),
        **dict.fromkeys(("winner", "reason", "retry_reason", "snapshot"), "string"),
        **dict.fromkeys(("repeat", "sample"), "int64"),
        **dict.fromkeys(("shown_characters", "tokens_in", "tokens_out"), "Int64"),
        **dict.fromkeys(("score_first", "score_second", "cost"), "Float64"),
        "preference": "float64",
        "contradictory": "bool",
    }
    assert ours["tokens_in"].tolist() == [5, pandas.NA]
    theirs = results_of(evidence(judgments)).judgments("polars")
    assert theirs["tokens_in"].dtype == polars.Int64
    assert theirs["snapshot"].to_list() == ["gpt-4-0613", None]


def test_a_frame_without_judgments_has_the_same_columns() -> None:
    empty = results_of(
        Evidence(models=("a",), prompts=(), completions=(), judgments=(), failures=())
    )
    full = results_of(evidence(won(2, 1)))
    for library in ("pandas", "polars"):
        for name in ("judgments", "comparisons"):
            nothing, something = (getattr(r, name)(library) for r in (empty, full))
            assert len(nothing) == 0
            assert list(nothing.columns) == list(something.columns)
            assert list(nothing.dtypes) == list(something.dtypes)


def test_three_models_have_three_pairs_with_tags_and_clusters() -> None:
    judgments = [
        judgment(n, first, 1.0, second=second)
        for n in range(2)
        for first, second in (("a", "b"), ("a", "c"), ("c", "b"))
    ]
    prompts = (prompt(0, tags=("math", "cluster:x")), prompt(1))
    frame = results_of(evidence(judgments, ("a", "b", "c"), prompts=prompts)).comparisons("polars")
    assert set(frame.select("a", "b").rows()) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert frame.filter(polars.col("a") == "b")["winner"].to_list() == ["c", "c"]
    assert frame["unit"].to_list() == ["cluster:x", "p1"] * 3
    assert frame["tags"].to_list()[:2] == [["math", "cluster:x"], []]
