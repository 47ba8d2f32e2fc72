import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.summarize import summarize
from bakeoff.errors import ConfigError
from bakeoff.importers.reader import importers, read
from tests.builders import write_file
from tests.unit.importers.sample_files import (
    alpaca,
    arena,
    comparator,
    compared,
    counts_of,
    error_of,
    evidence,
    panda,
    script,
)
from tests.unit.importers.test_own_results import RUN, results

FORMATS = tuple(importers())
SAMPLES: dict[str, Any] = {
    "script": script([compared()]),
    "alpaca_eval": [alpaca()],
    "arena_hard": [arena("A>B", "B>A")],
    "llm_comparator": comparator({"score": 1}),
    "pandalm": [panda(1)],
    "bakeoff": results(*RUN),
    "table": [{"winner": "a"}],
}


def test_every_format_is_detected(tmp_path: Path) -> None:
    assert set(SAMPLES) == set(FORMATS)
    paths = [write_file(tmp_path / f"{name}.json", value) for name, value in SAMPLES.items()]
    for path, name in zip(paths, SAMPLES, strict=True):
        assert read([path]).formats == read([path], format=name).formats == (name,)
    formats, result = read(paths)
    assert formats == tuple(SAMPLES)
    assert counts_of(result) == (9, 0)


def test_ambiguous_and_unknown_formats_are_config_errors(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.json", [{**alpaca(), **panda(1)}])
    message = error_of(path)
    assert f"{str(path)!r} could be alpaca_eval and pandalm: choose with --format " in message
    assert read([path], format="pandalm").formats == ("pandalm",)
    path = write_file(tmp_path / "b.json", {f"key{n}": n for n in range(20)})
    message = error_of(path)
    assert "is of no known format: it holds 'key0', 'key1'" in message
    assert (
        "--format alpaca_eval | arena_hard | bakeoff | llm_comparator | pandalm | script | table"
        in message
    )
    assert "there is no format 'xml': choose with --format" in error_of(path, format="xml")


def test_columns_are_for_tables_only(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", "label\nb\n")
    assert counts_of(read([path], format="table", columns={"winner": "label"}).evidence) == (1, 0)
    message = error_of(path, format="script", columns={"winner": "label"})
    assert message == "--columns is for tables: leave it out, or choose --format table"
    with pytest.raises(ConfigError, match="no file to read"):
        read([])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [{}, [{}], {"a": None}, {"results": 3}, [{"games": 1}]])
def test_wrong_explicit_format_is_a_one_line_config_error(
    tmp_path: Path, name: str, value: Any
) -> None:
    path = write_file(tmp_path / "a.json", value)
    with pytest.raises(ConfigError) as error:
        read([path], format=name)
    assert "\n" not in str(error.value)
    assert repr(str(path)) in str(error.value)


def test_unpaired_surrogates_and_nul_are_read(tmp_path: Path) -> None:
    row = compared("q\ud83d\0", explanation="e\udc00", model1_completion="c\ud83d\0")
    result = evidence(tmp_path, script([row], model1_path="t\ud83d"))
    assert result.models == ("t?", "base")
    assert result.prompts[0].messages[0].content == "q?\0"
    assert result.judgments[0].verdict.reason == "e?"
    assert result.completions[0].completion.text == "c?\0"
    result.model_dump_json()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        key: JSON
        for key in (
            *compared(swapped=None, model1_score=None, model2_score=None),
            *alpaca(top_logprobs=None, raw_completion=None),
            *arena(category=None, baseline=None),
            *panda(1),
            *("model_a", "model_b", "score_a", "score_b", "first", "cluster", "tags", "score"),
            *("input_text", "individual_rater_scores", "name"),
        )
    },
)
TOP = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("results", "models", "examples"), st.lists(ROW, max_size=3) | JSON),
        **dict.fromkeys(("model1_path", "judge_model", "schema", "prompts", "summary"), JSON),
        **dict.fromkeys(("judgments", "failures", "completions"), JSON),
    },
)


@given(st.lists(ROW, max_size=4) | TOP, st.sampled_from((None, *FORMATS)))
def test_wrong_types_are_read_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, value: Any, name: str | None
) -> None:
    path = write_file(tmp_path_factory.getbasetemp() / "wrong.json", json.dumps(value))
    message = ""
    try:
        read([path], format=name).evidence.model_dump_json()
    except ConfigError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


GARBAGE = (
    st.sampled_from([None, True, False, math.nan, math.inf, -math.inf, "", "nan", "tie?", [], {}])
    | st.sampled_from(["true", "None", "null", "AB", "a or b", "1/2", [0.5], {"winner": "tie"}])
    | st.text(alphabet="cdfgxyz _-?é", min_size=4)
    | st.lists(st.floats(0, 1), min_size=1, max_size=2)
)
NUMBERS = st.floats(max_value=-0.01) | st.floats(min_value=2.01)


@pytest.mark.parametrize("name", ["script", "alpaca_eval", "arena_hard", "table"])
@given(labels=st.lists(GARBAGE | NUMBERS, min_size=1, max_size=6))
def test_invalid_labels_are_failures_and_never_ties(
    tmp_path_factory: pytest.TempPathFactory, name: str, labels: list[Any]
) -> None:
    check(tmp_path_factory, name, labels)


@pytest.mark.parametrize("name", ["llm_comparator", "pandalm"])
@given(labels=st.lists(GARBAGE, min_size=1, max_size=6))
def test_invalid_labels_of_numeric_formats_are_failures(
    tmp_path_factory: pytest.TempPathFactory, name: str, labels: list[Any]
) -> None:
    check(tmp_path_factory, name, labels)


def check(tmp_path_factory: pytest.TempPathFactory, name: str, labels: list[Any]) -> None:
    documents: dict[str, Any] = {
        "script": script([compared(str(n), label) for n, label in enumerate(labels)]),
        "alpaca_eval": [alpaca(label) for label in labels],
        "arena_hard": [arena(label) for label in labels],
        "llm_comparator": comparator(*({"score": label} for label in labels)),
        "pandalm": [panda(label) for label in labels],
        "table": [
            row for label in labels for row in ({"winner": label}, {"winner": "a"}, {"winner": "b"})
        ],
    }
    path = write_file(tmp_path_factory.getbasetemp() / "garbage.json", documents[name])
    result = read([path], format=name).evidence
    judged, failed = counts_of(result)
    assert failed == len(labels)
    assert judged == (2 * len(labels) if name == "table" else 0)
    assert all(j.verdict.first in (0, 1) for j in result.judgments)
    assert {f.kind for f in result.failures} <= {"missing", "boolean", "not a number", "unreadable"}


WINNING = st.sampled_from(["a", "b", "tie", "both_bad", "model_a", "x", "", "?"])
TABLE_ROW = st.fixed_dictionaries(
    {"winner": WINNING},
    optional={
        "prompt": st.sampled_from(["p", "q", "r", None]),
        "prompt_id": st.sampled_from([1, "2", None]),
        "turn": st.sampled_from([1, 2, None]),
        "tags": st.sampled_from(["s", "t", "s,t"]),
        "cluster": st.sampled_from(["c", ""]),
        "model_a": st.sampled_from(["x", "y", "z"]),
        "model_b": st.sampled_from(["x", "y", "z"]),
        "completion_a": st.sampled_from(["one", "two", None]),
        "completion_b": st.sampled_from(["one", "three"]),
        "score_a": st.sampled_from([0.5, 3, "7", 12, None]),
        "score_b": st.sampled_from([0, 1, 9]),
        "judge": st.sampled_from(["j", "k", ["l", "m"]]),
        "first": st.sampled_from(["a", "b", "y", "?"]),
    },
)


@given(rows=st.lists(TABLE_ROW, min_size=2, max_size=12), data=st.data())
def test_the_order_of_rows_changes_no_number(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    models = {"model_a", "model_b"} & {key for row in rows for key in row}
    rows = [{**dict.fromkeys(models, "x"), **row} for row in rows]
    summaries = []
    for order in (rows, data.draw(st.permutations(rows))):
        path = write_file(tmp_path_factory.getbasetemp() / "rows.json", order)
        summaries.append(summarize(read([path]).evidence).model_dump())
    assert summaries[0] == summaries[1]


SCORE_ROW = st.fixed_dictionaries(
    {
        "prompt_id": st.sampled_from([1, 2, 3]),
        "model": st.sampled_from(["x", "y", "z"]),
        "score": st.sampled_from([0, 0.5, 3, "7", 12, None]),
    },
    optional={
        "turn": st.sampled_from([1, 2]),
        "judge": st.sampled_from(["j", "k"]),
        "completion": st.sampled_from(["one", "two"]),
        "explanation": st.sampled_from(["good", "bad"]),
    },
)


@given(rows=st.lists(SCORE_ROW, min_size=2, max_size=16), data=st.data())
def test_the_order_of_scores_changes_no_number(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    results = []
    for order in (rows, data.draw(st.permutations(rows))):
        path = write_file(tmp_path_factory.getbasetemp() / "scores.json", order)
        try:
            results.append(str(summarize(read([path]).evidence)))
        except ConfigError as error:
            results.append(str(error))
    assert results[0] == results[1]
