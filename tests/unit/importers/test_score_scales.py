import math
from pathlib import Path
from typing import Any

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.importers.score_scales import FileScores, find_scale, rescale, score_scales
from tests.builders import write_file
from tests.unit.importers.sample_files import (
    compared,
    counts_of,
    error_of,
    evidence,
    script,
)

VOTES = [1, 2, 2, 3, 3, 4, 5, 7, 9, 14, 22, 41, 90, 350, 2100]


@pytest.mark.parametrize(
    ("values", "top"),
    [
        ([0.2, 0.9, 1], 1),
        ([0, 1, 1, 0], 1),
        ([0, 0], 1),
        ([1, 5, 3, 4] * 5, 5),
        ([1, 5, 3, 4], 10),  # too few values
        ([0, 5, 3, 4] * 5, 10),
        ([1, 4, 3, 2] * 5, 10),
        ([7, 3.5, 10], 10),
        ([1, 2, 3] * 40 + [50], 10),  # a typing error
        ([80, 60, 75], 100),
        ([95.5] * 60 + [20, 130], 100),
        ([80], 100),
        ([7, 3, 4, 80], 10),
        ([], 10),
        (VOTES, None),
        ([value for value in VOTES if value < 100], None),
        ([20, 15, 12, 18], None),
        ([1200, 1250, 1013], None),
    ],
)
def test_scale_of_scores(values: list[float], top: float | None) -> None:
    assert find_scale(values) == top


def test_judges_with_few_scores_share_a_scale() -> None:
    scales = score_scales({"a": [1, 1, 0], "b": [7, 3], "c": [0.5] * 20, "d": [50] * 30})
    assert scales == {"a": 10, "b": 10, "c": 1, "d": 100}
    assert score_scales({}) == {}


@pytest.mark.parametrize("top", [1, 5, 10, 100])
def test_rescaled_scores_are_from_0_to_10(top: float) -> None:
    scores = FileScores(("x", "y"), (top, str(top / 2)))
    assert scores.on_scale(top) == (10, 5)
    assert scores.swapped().on_scale(top) == (5, 10)
    assert FileScores(("x", "y"), (None, 1)).on_scale(top) is None
    assert rescale(0.0, top) == 0
    assert FileScores(("x", "y"), (-1, math.nan)).numbers() == []


def pointwise(scale: float) -> list[dict[str, Any]]:
    return [
        {"prompt_id": n, "model": model, "score": scale * (2 + (n * step) % 8) / 10}
        for n in range(40)
        for model, step in (("x", 3), ("y", 5))
    ] + [{"prompt_id": 40, "model": model, "score": scale} for model in "xy"]


@pytest.mark.parametrize("scale", [1, 100])
def test_scores_of_any_scale_are_shown_on_it(tmp_path: Path, scale: float) -> None:
    (pair,), notes = _pair(tmp_path, scale)
    (reference,), _ = _pair(tmp_path, 10)
    assert pair.scores_a == reference.scores_a
    assert (pair.wins, pair.losses, pair.ties) == (reference.wins, reference.losses, reference.ties)
    shown = "shown on that scale" if scale == 1 else "shown divided by 100"
    assert f"reach {scale}: they are read as scores to {scale} and {shown}." in " ".join(notes)


def _pair(tmp_path: Path, scale: float) -> tuple[Any, tuple[str, ...]]:
    summary = summarize(evidence(tmp_path, pointwise(scale)))
    return summary.pairs, summary.notes


def test_scores_from_1_to_5_are_divided_by_5(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": n, "score_a": 1 + n % 5, "score_b": 1 + n % 3, "winner": "a"}
        for n in range(30)
    ]
    result = evidence(tmp_path, rows)
    assert result.judgments[4].verdict.scores == (10, 4)
    assert "scores to 5 and shown divided by 5" in " ".join(result.notes)


def test_scores_of_a_pair_keep_their_scale_from_0_to_1(tmp_path: Path) -> None:
    rows = [compared(str(n), model1_score=0.7, model2_score="0.25") for n in range(3)]
    rows.append(compared("s", "model2", model1_score=0.1, model2_score=1, swapped=True))
    result = evidence(tmp_path, script(rows))
    assert [j.verdict.scores for j in result.judgments] == [(7, 2.5)] * 3 + [(10, 1)]
    assert [j.verdict.first for j in result.judgments] == [1, 1, 1, 1]


def test_scores_of_two_files_are_on_one_scale(tmp_path: Path) -> None:
    files = [
        [{"prompt_id": n, "model": m, "score": s} for n in range(30)]
        for m, s in (("x", 1), ("y", 9))
    ]
    result = evidence(tmp_path, *files)
    assert {j.verdict.scores for j in result.judgments} == {(1, 9)}
    assert result.notes == ()


def test_counts_of_votes_are_no_scores(tmp_path: Path) -> None:
    """Of the Stanford Human Preferences: score_A and score_B are upvotes."""
    rows = [
        {"history": f"q{n}", "score_A": votes, "score_B": VOTES[-n - 1], "labels": n % 2}
        for n, votes in enumerate(VOTES)
    ]
    message = error_of(write_file(tmp_path / "a.json", rows))
    assert "the scores of 'judge' reach 2100 with a median of 7" in message
    assert "counts of votes are no scores" in message
    single = [
        {"prompt_id": n, "model": model, "score": votes * factor}
        for n, votes in enumerate(VOTES)
        for model, factor in (("x", 1), ("y", 2))
    ]
    assert "counts of votes are no scores" in error_of(write_file(tmp_path / "b.json", single))


def test_counts_beside_a_winner_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": n, "winner": "b", "score_a": votes, "score_b": 30}
        for n, votes in enumerate(VOTES)
    ]
    result = evidence(tmp_path, rows)
    assert counts_of(result) == (len(VOTES), 0)
    assert {(j.verdict.first, j.verdict.scores) for j in result.judgments} == {(0, None)}
    assert "they are left out, and its winners count" in " ".join(result.notes)


@pytest.mark.parametrize(
    "name", ["votes_{}", "num_votes_{}", "n_votes_{}", "{} upvotes", "Count-{}"]
)
def test_a_column_named_as_a_count_is_no_score(tmp_path: Path, name: str) -> None:
    a, b = name.format("a"), name.format("b")
    path = write_file(tmp_path / "a.json", [{"prompt": "q", a: 3, b: 7}])
    assert "is of no known format" in error_of(path)
    message = error_of(path, columns={"score_a": a, "score_b": b})
    assert f"{a!r} counts votes, and counts are no scores" in message
    beside = evidence(tmp_path, [{"prompt": "q", a: 3, b: 7, "winner": "a"}])
    assert beside.judgments[0].verdict.scores is None
