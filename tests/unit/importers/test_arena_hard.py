from pathlib import Path
from typing import Any

import pytest

from tests.builders import write_file
from tests.unit.importers.sample_files import arena, counts_of, error_of, evidence, first_of


def test_baseline_is_a_in_the_first_game_and_b_in_the_second(tmp_path: Path) -> None:
    result = evidence(tmp_path, [arena("A>B", "A>B")], name="a.jsonl")
    assert result.models == ("tuned", "gpt-4-0314")
    assert first_of(result.judgments) == [("gpt-4-0314", 1), ("tuned", 1)]
    assert {j.presented for j in result.judgments} == {"recorded"}
    assert result.judgments[0].verdict.reason == "said A>B"
    (prompt,) = result.prompts
    assert (prompt.id, prompt.messages[0].content) == ("x1", "question x1")
    assert result.completions == ()
    assert any("gpt-4-0314" in note for note in result.notes)


@pytest.mark.parametrize(
    ("score", "preference"),
    [("A>>B", 1), ("A>B", 1), ("A=B", 0.5), ("B=A", 0.5), ("B>A", 0), ("B>>A", 0), ("[[A>B]]", 1)],
)
def test_scores_are_preferences(tmp_path: Path, score: str, preference: float) -> None:
    result = evidence(tmp_path, [arena(score)], name="a.jsonl")
    assert first_of(result.judgments) == [("gpt-4-0314", preference)]
    assert any("one win" in note for note in result.notes) == (">>" in score)


def test_version_2(tmp_path: Path) -> None:
    row = arena("B>A", baseline="o3", uid="u1", category="hard_prompt")
    del row["question_id"]
    row["games"][0]["judgment"] = {"answer": "well"}
    result = evidence(tmp_path, [row], name="a.jsonl")
    assert result.models == ("tuned", "o3")
    assert (result.prompts[0].id, result.prompts[0].tags) == ("u1", ("hard_prompt",))
    assert result.judgments[0].verdict.reason == "well"
    assert len(result.notes) == 1


@pytest.mark.parametrize(
    ("games", "kinds"),
    [
        (None, ["missing"]),
        ([], ["missing"]),
        ("A>B", ["unreadable"]),
        ([None, {"score": None}], ["missing", "missing"]),
        ([{"score": "A>C"}, {"score": True}], ["unreadable", "boolean"]),
        ([{"score": 1}, 5], ["unreadable", "unreadable"]),
        ([{}, {"score": float("nan")}], ["missing", "not a number"]),
    ],
)
def test_missing_score_is_a_failure(tmp_path: Path, games: Any, kinds: list[str]) -> None:
    result = evidence(tmp_path, [{**arena(), "games": games}], name="a.jsonl")
    assert counts_of(result) == (0, len(kinds))
    assert [f.kind for f in result.failures] == kinds
    assert {f.prompt_id for f in result.failures} == {"x1"}


def test_row_without_model_is_a_config_error(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.jsonl", [arena("A>B"), arena("A>B", model=None)])
    assert "row 2: 'model' has to be the name of a model" in error_of(path)
