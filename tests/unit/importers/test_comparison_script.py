from pathlib import Path
from typing import Any

import pytest

from tests.builders import write_file
from tests.unit.importers.sample_files import (
    compared,
    counts_of,
    error_of,
    evidence,
    first_of,
    script,
)


def test_first_model_was_shown_first(tmp_path: Path) -> None:
    winners = ["model1", "MODEL2", "tie", "A", "b", "base"]
    result = evidence(tmp_path, script([compared(str(n), w) for n, w in enumerate(winners)]))
    assert result.models == ("tuned", "base")
    assert first_of(result.judgments) == [("tuned", p) for p in (1, 0, 0.5, 1, 0, 0)]
    judgment = result.judgments[0]
    assert (judgment.judge, judgment.second, judgment.presented) == ("gpt-4", "base", "recorded")
    assert judgment.verdict.reason == "because"
    assert [p.messages[0].content for p in result.prompts] == list("012345")
    assert [(c.model, c.completion.text) for c in result.completions[:2]] == [
        ("tuned", "one"),
        ("base", "two"),
    ]


def test_swapped_row_was_shown_in_the_other_order(tmp_path: Path) -> None:
    rows = [
        compared("1", "model1", swapped=True),
        compared("2", "A", swapped=True),
        compared("3", "A", swapped=False),
        compared("4", "model2", swapped="yes"),
    ]
    result = evidence(tmp_path, script(rows))
    assert first_of(result.judgments) == [("base", 0), ("base", 1), ("tuned", 1), ("tuned", 0)]
    assert [j.presented for j in result.judgments] == ["recorded"] * 3 + ["unknown"]


def test_scores_are_read(tmp_path: Path) -> None:
    rows = [
        compared("1", model1_score=8, model2_score="3.5"),
        compared("2", model1_score=8, model2_score=3, swapped=True),
        compared("3", model1_score=None, model2_score=3),
        compared("4", model1_score=80, model2_score=30),
    ]
    result = evidence(tmp_path, script(rows))
    assert [j.verdict.scores for j in result.judgments] == [(8, 3.5), (3, 8), None]
    assert [(f.kind, f.raw) for f in result.failures] == [("unreadable", "80")]


def test_a_tie_of_two_bad_completions_is_one_of_its_own(tmp_path: Path) -> None:
    result = evidence(tmp_path, script([compared("1", "tie (bothbad)"), compared("2", "tie")]))
    assert [(j.verdict.first, j.verdict.both_bad) for j in result.judgments] == [
        (0.5, True),
        (0.5, False),
    ]


def test_several_files_are_repeats_other_judges_or_samples(tmp_path: Path) -> None:
    result = evidence(
        tmp_path,
        script([compared()]),
        script([compared(winner="model2")]),
        script([compared()], judge_model="claude"),
        script([compared(model2_completion="another")]),
    )
    keys = [(j.judge, j.sample, j.repeat) for j in result.judgments]
    assert keys == [("gpt-4", 0, 0), ("gpt-4", 0, 1), ("claude", 0, 0), ("gpt-4", 1, 0)]
    assert len(result.prompts) == 1
    assert len(result.completions) == 4


def test_missing_values_and_wrong_types_are_failures(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        compared("1", None),
        compared("2", True),
        compared("3", "nobody"),
        {"prompt": "4"},
        compared("5", model1_completion=False, explanation=["x"]),
        {"winner": "tie"},
        compared("7", float("nan")),
        {**compared(), "prompt": None},
    ]
    result = evidence(tmp_path, script(rows))
    assert counts_of(result) == (3, 5)
    by_stage = [(f.stage, f.kind) for f in result.failures]
    assert by_stage[:5] == [("completion", "not text")] * 5
    assert [kind for _, kind in by_stage[5:]] == [
        "missing",
        "boolean",
        "unreadable",
        "missing",
        "not a number",
    ]
    texts = [p.messages[0].content for p in result.prompts]
    assert [j.prompt_id for j in result.judgments[1:]] == [texts[5], texts[7]]
    assert all(text.startswith("row ") for text in (texts[5], texts[7]))


def test_document_without_names_gets_default_names(tmp_path: Path) -> None:
    result = evidence(tmp_path, {"model1_path": None, "judge_model": 3, "results": [compared()]})
    assert result.models == ("model1", "model2")
    assert result.judgments[0].judge == "3"
    bare = evidence(tmp_path, {"results": [compared()]})
    assert (bare.models, bare.judgments[0].judge) == (("model1", "model2"), "judge")


def test_a_model_against_itself(tmp_path: Path) -> None:
    result = evidence(tmp_path, script([compared(), compared("r", "same")], model1_path="base"))
    assert result.models == ("base", "base (2)")
    assert counts_of(result) == (1, 1)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, "'results' has to be a list of objects, not an object"),
        (None, "'results' has to be a list of objects, not null"),
        ([compared(), 5], "results, row 2 has to be an object, not a number"),
        ([], "holds no judgments: there is nothing to audit"),
    ],
)
def test_invalid_results_are_config_errors(tmp_path: Path, results: Any, message: str) -> None:
    assert message in error_of(write_file(tmp_path / "a.json", script(results)))
