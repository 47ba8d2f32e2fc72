from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.documents import Document
from bakeoff.importers.reader import read
from bakeoff.importers.table import STANDARD_COLUMNS, rename_columns, standard_rows
from bakeoff.prompts.rows import Row
from tests.unit.importers.sample import Rows, counted, evidence, first_of, golden, refusal, written


def winners(tmp_path: Path, *values: Any, a: Any = "tuned", b: Any = "base") -> list[float | str]:
    rows = [{"model_a": a, "model_b": b, "winner": value} for value in values]
    found = evidence(tmp_path, rows)
    by_prompt: dict[str, float | str] = {j.prompt_id: j.verdict.first for j in found.judgments}
    by_prompt |= {f.prompt_id: f.kind for f in found.failures}
    return [by_prompt[f"row {n}"] for n in range(1, len(values) + 1)]


def test_winners_by_place_by_name_and_ties(tmp_path: Path) -> None:
    for a in ("a", "A", "model_a", "model1", "left", "Tuned"):
        assert winners(tmp_path, a) == [1]
    for b in ("b", "B", "model_b", "MODEL2", "right", "base"):
        assert winners(tmp_path, b) == [0]
    for tie in ("tie", "Draw", "equal", "both"):
        assert winners(tmp_path, tie) == [0.5]


def test_numbers_are_marks_where_they_can_mean_one_thing_only(tmp_path: Path) -> None:
    assert winners(tmp_path, 1, 2, "1", 2.0) == [1, 0, 1, 0]
    assert winners(tmp_path, 1, 2, 0) == [1, 0, 0.5]
    assert winners(tmp_path, 1, 0) == ["unreadable", "unreadable"]
    assert winners(tmp_path, 2, 0) == [0, "unreadable"]
    assert winners(tmp_path, 1, 2, 3) == [1, 0, "unreadable"]


def test_a_name_that_is_a_mark_of_the_other_is_neither(tmp_path: Path) -> None:
    assert winners(tmp_path, "a", "left", "base", a="b", b="base") == [1.0, 1, 0]
    assert winners(tmp_path, "a", "b", "left", a="b", b="a") == ["unreadable", "unreadable", 1]
    assert winners(tmp_path, 1, "left", a=2, b=1) == ["unreadable", 1]


def test_what_names_no_winner_is_a_failure(tmp_path: Path) -> None:
    values = (None, "", True, float("nan"), "neither", [1], {}, "tie")
    assert winners(tmp_path, *values) == [
        "missing",
        "missing",
        "boolean",
        "not a number",
        "unreadable",
        "unreadable",
        "unreadable",
        0.5,
    ]


def test_a_csv_with_everything(tmp_path: Path) -> None:
    text = (
        "prompt,prompt_id,tags,model_a,model_b,completion_a,completion_b,"
        "winner,score_a,score_b,judge,explanation,first\n"
        'q,7,"x, y",tuned,base,one,,b,3,9,ann,why,base\n'
        'q,7,"x, y",tuned,base,one,,a,9,3,ann,why,a\n'
        'q,7,"x, y",tuned,base,one,,a,9,30,ann,why,\n'
    )
    found = evidence(tmp_path, text, name="a.csv")
    (prompt,) = found.prompts
    assert (prompt.id, prompt.tags, prompt.messages[0].content) == ("7", ("x", "y"), "q")
    assert first_of(found.judgments) == [("base", 1), ("tuned", 1)]
    assert [j.verdict.scores for j in found.judgments] == [(9, 3), (9, 3)]
    assert {(j.judge, j.presented, j.verdict.reason) for j in found.judgments} == {
        ("ann", "recorded", "why")
    }
    assert [(c.model, c.completion.text) for c in found.completions] == [
        ("tuned", "one"),
        ("base", ""),
    ]
    assert [(f.kind, f.raw) for f in found.failures] == [("unreadable", "'30'")]


def test_a_preference_is_a_probability(tmp_path: Path) -> None:
    rows: Rows = [{"preference": p} for p in (0.7, "1", 1.5, None, "0.5x")]
    found = evidence(tmp_path, rows)
    assert found.models == ("a", "b")
    assert first_of(found.judgments) == [("a", 0.7), ("a", 1)]
    assert [f.kind for f in found.failures] == ["unreadable", "missing", "unreadable"]
    assert {j.judge for j in found.judgments} == {"judge"}


def test_two_scores_are_compared(tmp_path: Path) -> None:
    pairs = [(7, 3), (3.5, "7"), (5, 5), (None, 5), (5, None), (True, 5), (5, 50)]
    rows: Rows = [{"score_1": a, "score_2": b} for a, b in pairs]
    found = evidence(tmp_path, rows)
    assert first_of(found.judgments) == [("a", 1), ("a", 0), ("a", 0.5)]
    assert found.judgments[1].verdict.scores == (3.5, 7)
    assert [(f.kind, f.message[:9]) for f in found.failures] == [
        ("missing", "'score_a'"),
        ("missing", "'score_b'"),
        ("boolean", "'score_a'"),
        ("unreadable", "'score_b'"),
    ]


def test_the_winner_decides_over_a_preference_and_scores(tmp_path: Path) -> None:
    rows: Rows = [{"winner": "a", "preference": 0.1, "score_a": 2, "score_b": 8}]
    (judgment,) = evidence(tmp_path, rows).judgments
    assert (judgment.verdict.first, judgment.verdict.scores) == (1, (2, 8))


@pytest.mark.parametrize(
    ("values", "firsts"),
    [
        (["a", "b"], ["a", "b"]),
        (["1", "2"], ["a", "b"]),
        (["0", "1"], [None, None]),
        (["tie", True], [None, None]),
        (["tuned", "base"], ["a", "b"]),
    ],
)
def test_who_was_shown_first(tmp_path: Path, values: list[Any], firsts: list[str | None]) -> None:
    rows = [
        {"model_a": "tuned", "model_b": "base", "winner": "a", "shown_first": v} for v in values
    ]
    judgments = evidence(tmp_path, rows).judgments
    names = {"a": "tuned", "b": "base"}
    assert [j.first if j.presented == "recorded" else None for j in judgments] == [
        names.get(first or "") for first in firsts
    ]
    assert all(j.verdict.first == (j.first == "tuned") for j in judgments)


def test_rows_without_a_prompt_are_prompts_and_a_cluster_is_a_tag(tmp_path: Path) -> None:
    rows: Rows = [{"winner": "a", "question_id": n} for n in (3, 3, 4)]
    assert [p.id for p in evidence(tmp_path, rows).prompts] == ["3", "4"]
    found = evidence(tmp_path, rows, columns={"cluster": "question_id"})
    assert [(p.id, p.tags) for p in found.prompts] == [
        ("row 1", ("cluster:3",)),
        ("row 2", ("cluster:3",)),
        ("row 3", ("cluster:4",)),
    ]
    bare = evidence(tmp_path, [{"winner": "a"}], [{"winner": "b"}])
    assert [p.id for p in bare.prompts] == ["row 1", "row 1 of file 2"]


def test_repeats_and_other_completions(tmp_path: Path) -> None:
    texts = [("x", "y"), ("x", "y"), ("x", "z")]
    rows: Rows = [{"prompt": "q", "winner": "a", "response1": a, "response2": b} for a, b in texts]
    found = evidence(tmp_path, rows)
    assert [(j.sample, j.repeat) for j in found.judgments] == [(0, 0), (0, 1), (1, 0)]


def scored(model: str, score: Any, prompt_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "model": model, "score": score, **more}


def test_scores_of_single_completions_are_paired(tmp_path: Path) -> None:
    rows = [scored("x", 9, completion="one"), scored("y", "4", completion="two"), scored("z", 9.0)]
    rows[0]["explanation"], rows[1]["explanation"] = "good", "bad"
    found = evidence(tmp_path, rows)
    assert found.models == ("x", "y", "z")
    assert [(j.first, j.second, j.verdict.first, j.verdict.scores) for j in found.judgments] == [
        ("x", "y", 1, (9, 4)),
        ("x", "z", 0.5, (9, 9)),
        ("y", "z", 0, (4, 9)),
    ]
    assert {(j.judge, j.presented) for j in found.judgments} == {("score", "apart")}
    assert found.judgments[0].verdict.reason == "good\n\nbad"
    assert [(c.model, c.completion.text) for c in found.completions] == [("x", "one"), ("y", "two")]
    assert [(f.stage, f.who) for f in found.failures] == [("completion", "z")]


def test_a_score_that_is_not_there_fails_for_every_pair(tmp_path: Path) -> None:
    rows = [scored(m, s) for m, s in (("x", 9), ("y", ""), ("z", 3))]
    rows += [scored("x", 5, 2), scored("y", 11, 2)]
    found = evidence(tmp_path, rows)
    assert counted(found) == (1, 5)
    assert [(f.prompt_id, f.first, f.second, f.kind) for f in found.failures] == [
        ("1", "x", "y", "missing"),
        ("2", "x", "y", "unreadable"),
        ("2", "x", "z", "missing"),
        ("1", "y", "z", "missing"),
        ("2", "y", "z", "unreadable"),
    ]
    assert found.failures[0].message == "of 'y': 'score' is missing"


def test_models_may_come_in_files_of_their_own(tmp_path: Path) -> None:
    files = [[scored(m, s, n) for n in (1, 2)] for m, s in (("x", 9), ("y", 4))]
    found = evidence(tmp_path, *files)
    assert [(j.prompt_id, j.first, j.second) for j in found.judgments] == [
        ("1", "x", "y"),
        ("2", "x", "y"),
    ]


def test_more_scores_of_one_completion_pair_in_their_order(tmp_path: Path) -> None:
    rows = [scored("x", 9), scored("x", 1), scored("y", 5), scored("x", 7, judge="j")]
    found = evidence(tmp_path, rows)
    assert [(j.verdict.first, j.repeat) for j in found.judgments] == [(1, 0)]
    assert [(f.kind, f.repeat) for f in found.failures] == [("missing", 1)]


def test_scores_that_meet_no_other_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", [scored("x", 9), scored("y", 9, 2)])
    assert "no two of the models 'x', 'y' were scored on the same prompt" in refusal(path)
    path = written(tmp_path / "b.json", [{"model": "x", "score": 3}])
    assert "name it with --columns prompt_id=COLUMN" in refusal(path)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"winner": "a", "model_a": None}], "row 1: 'model_a' has to be the name of a model"),
        ([{"winner": "a", "model_b": []}, {}], "row 1: 'model_b' has to be the name of a model"),
        ([scored(" ", 3)], "row 1: 'model' has to be the name of a model, and is blank"),
    ],
)
def test_a_model_needs_a_name(tmp_path: Path, rows: Rows, says: str) -> None:
    assert says in refusal(written(tmp_path / "a.json", rows))


def test_a_table_without_verdicts(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "label,prompt\n1,q\n")
    said = refusal(path, format="table")
    assert "a table needs winner, preference, score_a and score_b, or model and score" in said
    assert "there are: 'label', 'prompt'" in said
    assert counted(read([path], columns={"winner": "label"}).evidence) == (1, 0)


def test_real_scores_of_single_completions() -> None:
    found = read([golden("arena_hard/arena_bench_v1_scores.csv.gz")]).evidence
    pair = {"claude-2.1", "claude-2"}
    assert sum({j.first, j.second} == pair for j in found.judgments) == 298
    assert sum({f.first, f.second} == pair for f in found.failures) == 2
    assert len(found.prompts) == 300


def test_real_pairs() -> None:
    found = read([golden("arena_hard/arena_hard_battles_57a9881.jsonl.gz")]).evidence
    assert counted(found) == (1348, 0)
    assert len(found.prompts) == 100
    assert found.models[0] == "claude-3-haiku-20240307"
    food = read([golden("evalica/food.csv")]).evidence
    assert counted(food) == (30, 0)
    assert sum(j.verdict.first == 0.5 for j in food.judgments) == 2


def document_of(*rows: dict[str, Any]) -> Document:
    placed = tuple(Row(f"row {n}", values) for n, values in enumerate(rows, 1))
    return Document(Path("a.csv"), {}, placed)


def standard_values(document: Document) -> list[dict[str, Any]]:
    return [row.values for row in standard_rows(document)]


def test_standard_names_win_over_aliases_and_the_rest_is_left() -> None:
    rows = document_of(
        {"question_id": 1, "Model A": "x", "model_1": "y", "winner": "a", "other": 2}
    )
    assert standard_values(rows) == [{"prompt_id": 1, "model_a": "x", "winner": "a"}]


def test_a_row_without_the_column_has_none() -> None:
    assert standard_values(document_of({"winner": 1}, {"reason": "r"})) == [
        {"winner": 1},
        {"explanation": "r"},
    ]


def test_a_mapped_column_has_no_other_meaning() -> None:
    rows = document_of({"question_id": 1, "label": "a", "winner": "old"})
    renamed = rename_columns(rows, {"cluster": "question_id", "winner": "label"})
    assert standard_values(renamed) == [{"cluster": 1, "winner": "a"}]


def test_one_column_may_serve_twice() -> None:
    renamed = rename_columns(document_of({"q": 1}), {"cluster": "q", "prompt_id": "q"})
    assert standard_values(renamed) == [{"cluster": 1, "prompt_id": 1}]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"loser": "label"}, "no column 'loser' to map to; there are: prompt, prompt_id, cluster"),
        ({"winner": "lable"}, "'a.csv': no row has the column 'lable'; there are: 'label'"),
    ],
)
def test_a_mapping_that_fits_nothing(columns: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        rename_columns(document_of({"label": 1}), columns)
    assert says in str(error.value)


def test_no_alias_is_of_two_columns() -> None:
    names = [
        name for standard, aliases in STANDARD_COLUMNS.items() for name in (standard, *aliases)
    ]
    assert len(names) == len(set(names))
