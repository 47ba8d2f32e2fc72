from pathlib import Path
from typing import Any

import pytest

from tests.builders import write_file
from tests.unit.importers.sample_files import comparator, counts_of, error_of, evidence, first_of


def test_each_rater_score_is_a_judgment(tmp_path: Path) -> None:
    raters = [
        {"score": 1.5, "is_flipped": False, "rationale": "why"},
        {"score": -0.5, "is_flipped": True},
        {"score": 0.25, "rater_id": 7},
        {"score": -0.25, "name": "ann"},
    ]
    result = evidence(tmp_path, comparator({"individual_rater_scores": raters, "tags": ["x"]}))
    assert result.models == ("tuned", "base")
    assert first_of(result.judgments) == [("tuned", 1), ("base", 1), ("tuned", 0.5), ("tuned", 0.5)]
    assert [(j.judge, j.presented) for j in result.judgments] == [
        ("raters", "recorded"),
        ("raters", "recorded"),
        ("7", "unknown"),
        ("ann", "unknown"),
    ]
    assert result.judgments[0].verdict.reason == "why"
    assert result.prompts[0].tags == ("x",)
    assert len(result.completions) == 2


@pytest.mark.parametrize("raters", [[], None, "none"])
def test_example_score_is_used_without_raters(tmp_path: Path, raters: Any) -> None:
    examples = [{"score": -1, "individual_rater_scores": raters}, {"input_text": "r", "score": 0.3}]
    result = evidence(tmp_path, comparator(*examples))
    assert first_of(result.judgments) == [("tuned", 0), ("tuned", 1)]
    assert {(j.judge, j.presented) for j in result.judgments} == {("raters", "unknown")}


def test_missing_score_is_a_failure(tmp_path: Path) -> None:
    raters: list[Any] = [{"score": None}, {"score": True}, {"score": float("nan")}, {}, 3, None]
    result = evidence(tmp_path, comparator({"individual_rater_scores": raters}, {"score": "x"}))
    assert counts_of(result) == (0, 7)
    assert [f.kind for f in result.failures] == [
        "missing",
        "boolean",
        "not a number",
        "missing",
        "unreadable",
        "missing",
        "unreadable",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": [{"name": "a"}]}, "'models' has to name two, and names 1"),
        ({"models": {}}, "'models' has to be a list of objects, not an object"),
        ({"models": [{"name": "a"}, {}]}, "models, row 2: 'name' has to be the name of a model"),
        ({"examples": 3}, "'examples' has to be a list of objects, not a number"),
        ({"examples": []}, "holds no judgments"),
    ],
)
def test_invalid_structure_is_a_config_error(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_file(tmp_path / "a.json", {**comparator({"score": 1}), **change})
    assert message in error_of(path)
