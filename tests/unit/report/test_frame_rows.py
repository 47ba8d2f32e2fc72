"""Tables: their numbers are the summary's, and their types hold what is not known."""

from statistics import fmean

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.analysis.pair_data import Terms
from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Results, Scores, Usage
from tests.unit.analysis.cases import evidence, judgment, prompt, rows, won


def results_of(given_: Evidence, panel: str = "mean") -> Results:
    config = {"panel": panel}
    return Results.of(given_, summarize(given_, Terms.of(config)), dict(config), {})


@settings(max_examples=60)
@given(rows, st.sampled_from(["mean", "majority"]))
def test_comparisons_add_up_to_the_summary(found: list, panel: str) -> None:
    results = results_of(evidence(found), panel)
    frame = results.comparisons("polars")
    (pair,) = results.summary.pairs
    assert frame.height == pair.prompts
    # A summary looks at nine digits, so that no rank depends on the last bit.
    assert frame["preference"].mean() == pytest.approx(pair.win_rate.estimate, abs=1e-8)
    assert (frame["winner"] == "a").sum() == pair.wins
    assert (frame["winner"] == "b").sum() == pair.losses
    assert (frame["winner"] == "tie").sum() == pair.ties
    if pair.flipped is not None:
        # Of what was judged in both orders.
        told = sum(isinstance(flag, bool | np.bool_) for flag in frame["consistent"])
        assert frame["flipped"].sum() / told == pytest.approx(pair.flipped)
    if pair.scores_a:
        assert frame["score_a"].mean() / 10 == pytest.approx(pair.scores_a.mean)


@settings(max_examples=60)
@given(rows)
def test_both_libraries_hold_the_same(found: list) -> None:
    results = results_of(evidence(found))
    for call in (results.judgments, results.comparisons):
        ours, theirs = call("pandas"), call("polars")
        assert list(ours.columns) == theirs.columns
        back = ours.astype(object).where(ours.notna(), None).to_dict("records")
        assert back == theirs.to_dicts()


@settings(max_examples=60)
@given(rows)
def test_every_judgment_is_a_row(found: list) -> None:
    results = results_of(evidence(found))
    table = results.judgments("polars")
    assert table.height == len(results.judgments) == len(found)
    assert table["preference"].mean() == pytest.approx(fmean(j.verdict.first for j in found))
    for row, one in zip(table.iter_rows(named=True), found, strict=True):
        better = {True: one.first, False: one.second}.get(one.verdict.first > 0.5)
        assert row["winner"] == ("tie" if abs(one.verdict.first - 0.5) < 1e-9 else better)


def test_models_go_by_name_whoever_was_shown_first() -> None:
    scores = {"scores": Scores(2, 9)}
    found = [judgment(0, "b", 0.0, **scores), judgment(1, "a", 0.5)]
    frame = results_of(evidence(found)).comparisons("pandas")
    assert list(frame["winner"]) == ["a", "tie"]
    assert list(frame["preference"]) == [1.0, 0.5]
    assert frame.loc[0, ["score_a", "score_b"]].tolist() == [9, 2]
    assert frame["score_a"].isna().tolist() == [False, True]


def test_what_is_not_known_is_missing_and_keeps_the_type_of_its_column() -> None:
    known = {
        "usage": Usage(input_tokens=5, output_tokens=2),
        "cost": 0.25,
        "snapshot": "gpt-4-0613",
    }
    found = [judgment(0, "a", 1.0, **known), judgment(1, "a", 1.0)]
    ours = results_of(evidence(found)).judgments("pandas")
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
    theirs = results_of(evidence(found)).judgments("polars")
    assert theirs["tokens_in"].dtype == polars.Int64
    assert theirs["snapshot"].to_list() == ["gpt-4-0613", None]


def test_no_judgment_makes_a_table_of_the_same_columns() -> None:
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


def test_three_models_are_three_pairs_and_tags_and_clusters_are_told() -> None:
    found = [
        judgment(n, first, 1.0, second=second)
        for n in range(2)
        for first, second in (("a", "b"), ("a", "c"), ("c", "b"))
    ]
    prompts = (prompt(0, tags=("math", "cluster:x")), prompt(1))
    frame = results_of(evidence(found, ("a", "b", "c"), prompts=prompts)).comparisons("polars")
    assert set(frame.select("a", "b").rows()) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert frame.filter(polars.col("a") == "b")["winner"].to_list() == ["c", "c"]
    assert frame["unit"].to_list() == ["cluster:x", "p1"] * 3
    assert frame["tags"].to_list()[:2] == [["math", "cluster:x"], []]
