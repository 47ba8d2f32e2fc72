from pathlib import Path
from typing import Any

import pytest

from bakeoff import audit
from bakeoff.analysis.summarize import summarize
from bakeoff.errors import ConfigError
from bakeoff.importers.documents import Document
from bakeoff.importers.reader import read
from bakeoff.importers.table_columns import STANDARD_COLUMNS, rename_columns, standard_rows
from bakeoff.prompts.rows import Row
from tests.builders import write_file
from tests.unit.importers.sample_files import Rows, counts_of, error_of, evidence, first_of


def winners(tmp_path: Path, *values: Any, a: Any = "tuned", b: Any = "base") -> list[float | str]:
    rows = [
        {"prompt_id": n, "model_a": a, "model_b": b, "winner": value}
        for n, value in enumerate(values, 1)
    ]
    result = evidence(tmp_path, rows)
    by_prompt: dict[str, float | str] = {j.prompt_id: j.verdict.first for j in result.judgments}
    by_prompt |= {f.prompt_id: f.kind for f in result.failures}
    return [by_prompt[str(n)] for n in range(1, len(values) + 1)]


def test_winner_labels_are_positions_names_or_ties(tmp_path: Path) -> None:
    for a in ("a", "A", "model_a", "model1", "left", "Tuned"):
        assert winners(tmp_path, a) == [1]
    for b in ("b", "B", "model_b", "MODEL2", "right", "base"):
        assert winners(tmp_path, b) == [0]
    for tie in ("tie", "Draw", "equal", "both"):
        assert winners(tmp_path, tie) == [0.5]


def test_numbers_are_labels_only_if_unambiguous(tmp_path: Path) -> None:
    assert winners(tmp_path, 1, 2, "1", 2.0) == [1, 0, 1, 0]
    assert winners(tmp_path, 1, 2, 3, "tie") == [1, 0, "unreadable", 0.5]


def test_name_that_is_a_label_of_the_other_model_is_unreadable(tmp_path: Path) -> None:
    assert winners(tmp_path, "a", "left", "base", a="b", b="base") == [1.0, 1, 0]
    assert winners(tmp_path, "a", "b", "left", a="b", b="a") == ["unreadable", "unreadable", 1]
    assert winners(tmp_path, 1, "left", a=2, b=1) == ["unreadable", 1]


def test_invalid_winner_is_a_failure(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    "label", ["tie (bothbad)", "both_bad", "bothbad", "Both bad", "tie (both bad)", "both are bad"]
)
def test_ties_of_two_bad_completions_are_counted(tmp_path: Path, label: str) -> None:
    assert winners(tmp_path, label, "tie", "a") == [0.5, 0.5, 1]
    rows = [{"prompt_id": n, "winner": w} for n, w in enumerate((label, "tie", label, "a"))]
    result = evidence(tmp_path, rows)
    assert [j.verdict.both_bad for j in result.judgments] == [True, False, True, False]
    assert "2 of 3 verdicts that are ties say that both completions are bad" in result.notes[0]
    assert all(note == result.notes[0] for note in summarize(result).notes)


def test_a_tie_of_two_bad_completions_is_written_and_read(tmp_path: Path) -> None:
    rows = [{"prompt_id": 1, "winner": "both_bad", "first": "b"}, {"prompt_id": 2, "winner": "tie"}]
    path = tmp_path / "results.json"
    path.write_text(audit([write_file(tmp_path / "a.json", rows)]).to_json())
    assert path.read_text().count('"both_bad": true') == 1
    assert [j.verdict.both_bad for j in read([path]).evidence.judgments] == [True, False]


@pytest.mark.parametrize(
    "label", ["tie (both good)", "bothgood", "both_equal", "tie (inconsistent)"]
)
def test_other_ties_are_plain(tmp_path: Path, label: str) -> None:
    assert winners(tmp_path, label) == [0.5]
    assert evidence(tmp_path, [{"prompt_id": 1, "winner": label}]).notes == ()


@pytest.mark.parametrize("label", ["bad", "tie?", "a bad", "not both bad"])
def test_labels_like_ties_are_unreadable(tmp_path: Path, label: str) -> None:
    assert winners(tmp_path, label) == ["unreadable"]


def test_csv_with_all_columns(tmp_path: Path) -> None:
    text = (
        "prompt,prompt_id,tags,model_a,model_b,completion_a,completion_b,"
        "winner,score_a,score_b,judge,explanation,first\n"
        'q,7,"x, y",tuned,base,one,,b,3,9,ann,why,base\n'
        'q,7,"x, y",tuned,base,one,,a,9,3,ann,why,a\n'
        'q,7,"x, y",tuned,base,one,,a,9,30,ann,why,\n'
    )
    result = evidence(tmp_path, text, name="a.csv")
    (prompt,) = result.prompts
    assert (prompt.id, prompt.tags, prompt.messages[0].content) == ("7", ("x", "y"), "q")
    assert first_of(result.judgments) == [("base", 1), ("tuned", 1)]
    assert [j.verdict.scores for j in result.judgments] == [(9, 3), (9, 3)]
    assert {(j.judge, j.presented, j.verdict.reason) for j in result.judgments} == {
        ("ann", "recorded", "why")
    }
    assert [(c.model, c.completion.text) for c in result.completions] == [
        ("tuned", "one"),
        ("base", ""),
    ]
    assert [(f.kind, f.raw) for f in result.failures] == [("unreadable", "'30'")]


def test_preference_is_a_probability(tmp_path: Path) -> None:
    rows: Rows = [{"preference": p} for p in (0.7, "1", 1.5, None, "0.5x")]
    result = evidence(tmp_path, rows)
    assert result.models == ("a", "b")
    assert first_of(result.judgments) == [("a", 0.7), ("a", 1)]
    assert [f.kind for f in result.failures] == ["unreadable", "missing", "unreadable"]
    assert {j.judge for j in result.judgments} == {"judge"}


def test_two_scores_are_compared(tmp_path: Path) -> None:
    pairs = [(7, 3), (3.5, "7"), (5, 5), (None, 5), (5, None), (True, 5), (5, 50)]
    rows: Rows = [{"score_1": a, "score_2": b} for a, b in pairs]
    result = evidence(tmp_path, rows)
    assert first_of(result.judgments) == [("a", 1), ("a", 0), ("a", 0.5)]
    assert result.judgments[1].verdict.scores == (3.5, 7)
    assert [(f.kind, f.message[:9]) for f in result.failures] == [
        ("missing", "'score_a'"),
        ("missing", "'score_b'"),
        ("boolean", "'score_a'"),
        ("unreadable", "'score_b'"),
    ]


def test_winner_takes_precedence_over_preference_and_scores(tmp_path: Path) -> None:
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
def test_first_column_is_the_order(
    tmp_path: Path, values: list[Any], firsts: list[str | None]
) -> None:
    rows = [
        {"model_a": "tuned", "model_b": "base", "winner": "a", "shown_first": v} for v in values
    ]
    judgments = evidence(tmp_path, rows).judgments
    names = {"a": "tuned", "b": "base"}
    assert [j.first if j.presented == "recorded" else None for j in judgments] == [
        names.get(first or "") for first in firsts
    ]
    assert all(j.verdict.first == (j.first == "tuned") for j in judgments)


def test_rows_without_prompt_are_prompts_and_cluster_is_a_tag(tmp_path: Path) -> None:
    rows: Rows = [{"winner": "a", "question_id": n} for n in (3, 3, 4)]
    assert [p.id for p in evidence(tmp_path, rows).prompts] == ["3", "4"]
    result = evidence(tmp_path, rows, columns={"cluster": "question_id"})
    assert [p.tags for p in result.prompts] == [("cluster:3",), ("cluster:3",), ("cluster:4",)]
    bare = evidence(tmp_path, [{"winner": "a"}, {"winner": "a"}], [{"winner": "a"}])
    assert len(bare.prompts) == len({p.id for p in bare.prompts}) == 3


def test_repeats_and_other_completions(tmp_path: Path) -> None:
    texts = [("x", "y"), ("x", "y"), ("x", "z")]
    rows: Rows = [{"prompt": "q", "winner": "a", "response1": a, "response2": b} for a, b in texts]
    result = evidence(tmp_path, rows)
    first, second, third = ((j.sample, j.repeat) for j in result.judgments)
    assert (first[0], {first[1], second[1]}) == (second[0], {0, 1})
    assert third == (1 - first[0], 0)


def scored(model: str, score: Any, prompt_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "model": model, "score": score, **more}


def test_scores_of_single_completions_are_paired(tmp_path: Path) -> None:
    rows = [scored("x", 9, completion="one"), scored("y", "4", completion="two"), scored("z", 9.0)]
    rows[0]["explanation"], rows[1]["explanation"] = "good", "bad"
    result = evidence(tmp_path, rows)
    assert result.models == ("x", "y", "z")
    assert [(j.first, j.second, j.verdict.first, j.verdict.scores) for j in result.judgments] == [
        ("x", "y", 1, (9, 4)),
        ("x", "z", 0.5, (9, 9)),
        ("y", "z", 0, (4, 9)),
    ]
    assert {(j.judge, j.presented) for j in result.judgments} == {("score", "pointwise")}
    assert result.judgments[0].verdict.reason == "good\n\nbad"
    assert [(c.model, c.completion.text) for c in result.completions] == [
        ("x", "one"),
        ("y", "two"),
    ]
    assert [(f.stage, f.participant) for f in result.failures] == [("completion", "z")]


def test_missing_score_fails_every_pair_of_the_model(tmp_path: Path) -> None:
    rows = [scored(m, s) for m, s in (("x", 9), ("y", ""), ("z", 3))]
    rows += [scored("x", 5, 2), scored("y", 11, 2)]
    result = evidence(tmp_path, rows)
    assert counts_of(result) == (1, 5)
    assert [(f.prompt_id, f.first, f.second, f.kind) for f in result.failures] == [
        ("1", "x", "y", "missing"),
        ("1", "y", "z", "missing"),
        ("2", "x", "y", "unreadable"),
        ("2", "x", "z", "missing"),
        ("2", "y", "z", "unreadable"),
    ]
    assert result.failures[0].message == "of 'y': 'score' is missing"


def test_scores_of_models_in_separate_files_are_paired(tmp_path: Path) -> None:
    files = [[scored(m, s, n) for n in (1, 2)] for m, s in (("x", 9), ("y", 4))]
    result = evidence(tmp_path, *files)
    assert [(j.prompt_id, j.first, j.second) for j in result.judgments] == [
        ("1", "x", "y"),
        ("2", "x", "y"),
    ]


def test_repeated_scores_are_paired_in_file_order(tmp_path: Path) -> None:
    rows = [scored("x", 9), scored("x", 1), scored("y", 5), scored("x", 7, judge="j")]
    result = evidence(tmp_path, rows)
    assert [(j.verdict.first, j.repeat) for j in result.judgments] == [(1, 0)]
    assert [(f.kind, f.repeat) for f in result.failures] == [("missing", 1)]


def test_scores_without_a_common_prompt_are_a_config_error(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.json", [scored("x", 9), scored("y", 9, 2)])
    assert "no two of the models 'x', 'y' were scored on the same prompt" in error_of(path)
    path = write_file(tmp_path / "b.json", [{"model": "x", "score": 3}])
    assert "name it with --columns prompt_id=COLUMN" in error_of(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"winner": "a", "model_a": None}], "row 1: 'model_a' has to be the name of a model"),
        ([{"winner": "a", "model_b": []}, {}], "row 1: 'model_b' has to be the name of a model"),
        ([scored(" ", 3)], "row 1: 'model' has to be the name of a model, and is blank"),
    ],
)
def test_a_model_needs_a_name(tmp_path: Path, rows: Rows, message: str) -> None:
    assert message in error_of(write_file(tmp_path / "a.json", rows))


def test_table_without_verdicts_is_a_config_error(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", "label,prompt\nb,q\n")
    message = error_of(path, format="table")
    assert "a table needs winner, preference, score_a and score_b, or model and score" in message
    assert "there are: 'label', 'prompt'" in message
    assert counts_of(read([path], columns={"winner": "label"}).evidence) == (1, 0)


def document_of(*rows: dict[str, Any]) -> Document:
    placed = tuple(Row(f"row {n}", values) for n, values in enumerate(rows, 1))
    return Document(Path("a.csv"), {}, placed)


def standard_values(document: Document) -> list[dict[str, Any]]:
    return [row.values for row in standard_rows(document)]


def test_standard_names_win_over_aliases_and_other_columns_are_dropped() -> None:
    rows = document_of(
        {"question_id": 1, "Model A": "x", "model_1": "y", "winner": "a", "other": 2}
    )
    assert standard_values(rows) == [{"prompt_id": 1, "model_a": "x", "winner": "a"}]


def test_row_without_a_column_lacks_the_value() -> None:
    assert standard_values(document_of({"winner": 1}, {"reason": "r"})) == [
        {"winner": 1},
        {"explanation": "r"},
    ]


def test_renamed_column_loses_its_name() -> None:
    rows = document_of({"question_id": 1, "label": "a", "winner": "old"})
    renamed = rename_columns(rows, {"cluster": "question_id", "winner": "label"})
    assert standard_values(renamed) == [{"cluster": 1, "winner": "a"}]


def test_one_column_may_have_two_standard_names() -> None:
    renamed = rename_columns(document_of({"q": 1}), {"cluster": "q", "prompt_id": "q"})
    assert standard_values(renamed) == [{"cluster": 1, "prompt_id": 1}]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"loser": "label"},
            "no column 'loser' to map to; there are: prompt, prompt_id, turn, cluster",
        ),
        ({"winner": "lable"}, "'a.csv': no row has the column 'lable'; there are: 'label'"),
    ],
)
def test_invalid_mapping_is_a_config_error(columns: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        rename_columns(document_of({"label": 1}), columns)
    assert message in str(error.value)


def test_aliases_are_unique() -> None:
    names = [
        name for standard, aliases in STANDARD_COLUMNS.items() for name in (standard, *aliases)
    ]
    assert len(names) == len(set(names))
