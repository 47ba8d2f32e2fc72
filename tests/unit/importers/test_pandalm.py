from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.pandalm import split_keys
from tests.builders import write_file
from tests.unit.importers.sample_files import counts_of, error_of, evidence, first_of, panda


def test_each_annotator_is_a_judge(tmp_path: Path) -> None:
    result = evidence(tmp_path, [panda(1, 2, 0)], name="a.jsonl")
    assert result.models == ("tuned", "base")
    assert first_of(result.judgments) == [("tuned", 1), ("tuned", 0), ("tuned", 0.5)]
    assert [j.judge for j in result.judgments] == ["annotator1", "annotator2", "annotator3"]
    assert {j.presented for j in result.judgments} == {"unknown"}
    assert result.prompts[0].messages[0].content == "do\n\nit"


def test_blank_input_is_left_out_of_the_prompt(tmp_path: Path) -> None:
    rows = [panda(1, input=""), panda(1, input=None), panda(1, input=" ")]
    assert [p.messages[0].content for p in evidence(tmp_path, rows).prompts] == ["do"]


def test_booleans_as_completions_and_labels_are_failures(tmp_path: Path) -> None:
    rows = [panda(1, 2, response1=True), panda(True, 3), panda(None), panda("x", float("nan"))]
    result = evidence(tmp_path, rows)
    assert counts_of(result) == (2, 6)
    assert [(f.stage, f.participant, f.kind) for f in result.failures] == [
        ("completion", "tuned", "not text"),
        ("judgment", "annotator1", "boolean"),
        ("judgment", "annotator2", "unreadable"),
        ("judgment", "annotator1", "missing"),
        ("judgment", "annotator2", "missing"),
        ("judgment", "annotator1", "unreadable"),
        ("judgment", "annotator2", "not a number"),
    ]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["a_b"], [("a", "b")]),
        (["my_a_b", "my_a_c", "b_c"], [("my_a", "b"), ("my_a", "c"), ("b", "c")]),
        (["a_1_b_1", "a_1_c", "b_1_c"], [("a_1", "b_1"), ("a_1", "c"), ("b_1", "c")]),
        (["x_y_z", "q_z", "q_x_y"], [("x_y", "z"), ("q", "z"), ("q", "x_y")]),
    ],
)
def test_model_names_may_contain_underscores(keys: list[str], names: list[tuple[str, str]]) -> None:
    assert split_keys(keys, "x") == dict(zip(keys, names, strict=True))


@pytest.mark.parametrize("keys", [["a_b_c"], ["ab"], [""], ["_a"], ["a_b_c", "d_e_f"]])
def test_ambiguous_keys_are_config_errors(keys: list[str]) -> None:
    with pytest.raises(ConfigError, match="cannot tell the two models in cmp_key"):
        split_keys(keys, "x")


def test_missing_labels_and_keys_are_config_errors(tmp_path: Path) -> None:
    assert "no column 'annotator1'" in error_of(write_file(tmp_path / "a.json", [panda()]))
    path = write_file(tmp_path / "b.json", [panda(1, cmp_key=None)])
    assert "cannot tell the two models" in error_of(path)
