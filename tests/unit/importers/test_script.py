from pathlib import Path
from typing import Any

import pytest

from tests.unit.importers.sample import (
    compared,
    counted,
    evidence,
    first_of,
    refusal,
    script,
    written,
)


def test_the_first_model_was_shown_first(tmp_path: Path) -> None:
    winners = ["model1", "MODEL2", "tie", "A", "b", "base"]
    found = evidence(tmp_path, script([compared(str(n), w) for n, w in enumerate(winners)]))
    assert found.models == ("tuned", "base")
    assert first_of(found.judgments) == [("tuned", p) for p in (1, 0, 0.5, 1, 0, 0)]
    one = found.judgments[0]
    assert (one.judge, one.second, one.presented) == ("gpt-4", "base", "recorded")
    assert one.verdict.reason == "because"
    assert [p.messages[0].content for p in found.prompts] == list("012345")
    assert [(c.model, c.completion.text) for c in found.completions[:2]] == [
        ("tuned", "one"),
        ("base", "two"),
    ]


def test_a_row_may_say_that_it_was_swapped(tmp_path: Path) -> None:
    rows = [
        compared("1", "model1", swapped=True),
        compared("2", "A", swapped=True),
        compared("3", "A", swapped=False),
        compared("4", "model2", swapped="yes"),
    ]
    found = evidence(tmp_path, script(rows))
    assert first_of(found.judgments) == [("base", 0), ("base", 1), ("tuned", 1), ("tuned", 0)]
    assert [j.presented for j in found.judgments] == ["recorded"] * 3 + ["unknown"]


def test_scores_come_along(tmp_path: Path) -> None:
    rows = [
        compared("1", model1_score=8, model2_score="3.5"),
        compared("2", model1_score=8, model2_score=3, swapped=True),
        compared("3", model1_score=None, model2_score=3),
        compared("4", model1_score=80, model2_score=30),
    ]
    found = evidence(tmp_path, script(rows))
    assert [j.verdict.scores for j in found.judgments] == [(8, 3.5), (3, 8), None]
    assert [(f.kind, f.raw) for f in found.failures] == [("unreadable", "80")]


def test_files_are_repeats_other_judges_or_other_completions(tmp_path: Path) -> None:
    found = evidence(
        tmp_path,
        script([compared()]),
        script([compared(winner="model2")]),
        script([compared()], judge_model="claude"),
        script([compared(model2_completion="another")]),
    )
    seen = [(j.judge, j.sample, j.repeat) for j in found.judgments]
    assert seen == [("gpt-4", 0, 0), ("gpt-4", 0, 1), ("claude", 0, 0), ("gpt-4", 1, 0)]
    assert len(found.prompts) == 1
    assert len(found.completions) == 4


def test_what_is_missing_or_of_a_wrong_type_is_a_failure(tmp_path: Path) -> None:
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
    found = evidence(tmp_path, script(rows))
    assert counted(found) == (3, 5)
    by_stage = [(f.stage, f.kind) for f in found.failures]
    assert by_stage[:5] == [("completion", "not text")] * 5
    assert [kind for _, kind in by_stage[5:]] == [
        "missing",
        "boolean",
        "unreadable",
        "missing",
        "not a number",
    ]
    assert [j.prompt_id for j in found.judgments[1:]] == ["row 6", "row 8"]


def test_a_bare_document_has_names_all_the_same(tmp_path: Path) -> None:
    found = evidence(tmp_path, {"model1_path": None, "judge_model": 3, "results": [compared()]})
    assert found.models == ("model1", "model2")
    assert found.judgments[0].judge == "3"
    bare = evidence(tmp_path, {"results": [compared()]})
    assert (bare.models, bare.judgments[0].judge) == (("model1", "model2"), "judge")


def test_a_model_against_itself(tmp_path: Path) -> None:
    found = evidence(tmp_path, script([compared(), compared("r", "same")], model1_path="base"))
    assert found.models == ("base", "base (2)")
    assert counted(found) == (1, 1)


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ({}, "'results' has to be a list of objects, not an object"),
        (None, "'results' has to be a list of objects, not null"),
        ([compared(), 5], "results, row 2 has to be an object, not a number"),
        ([], "holds no judgments: there is nothing to audit"),
    ],
)
def test_results_that_are_none(tmp_path: Path, results: Any, says: str) -> None:
    assert says in refusal(written(tmp_path / "a.json", script(results)))
