import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError
from bakeoff.importers.labels import (
    ParseFailure,
    label_meanings,
    label_text,
    make_verdict,
    parse_model_name,
    parse_number,
    parse_prompt,
    parse_scores,
    parse_tags,
    parse_winner,
)
from bakeoff.records import Scores

MEANINGS = label_meanings(("model1", "A", "tuned"), ("model2", "B", "base"), ("tie",))


def failure_kind(value: Any) -> str:
    assert isinstance(value, ParseFailure), value
    return value.kind


@pytest.mark.parametrize(
    ("value", "preference"),
    [("model1", 1), (" a\n", 1), ("BASE", 0), ("Tie", 0.5)],
)
def test_winner_is_a_label_or_model_name_in_any_case(value: str, preference: float) -> None:
    assert parse_winner("winner", value, MEANINGS) == preference


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "missing"),
        ("", "missing"),
        (" \t", "missing"),
        (True, "boolean"),
        ("False", "boolean"),
        (math.nan, "not a number"),
        (-math.inf, "not a number"),
        ("NaN", "not a number"),
        ("C", "unreadable"),
        ("tie?", "unreadable"),
        (0.5, "unreadable"),
        (10**400, "unreadable"),
        ([], "unreadable"),
        ({"winner": "A"}, "unreadable"),
    ],
)
def test_invalid_winner_has_a_failure_kind(value: Any, kind: str) -> None:
    assert failure_kind(parse_winner("winner", value, MEANINGS)) == kind
    if value != 0.5:
        assert failure_kind(parse_number("score", value, 0, 10)) == kind


def test_label_of_both_sides_is_unreadable() -> None:
    meanings = label_meanings(("a", "tuned"), ("b", "A"), ("tie", "b"))
    assert failure_kind(parse_winner("winner", "a", meanings)) == "unreadable"
    assert failure_kind(parse_winner("winner", "b", meanings)) == "unreadable"
    assert parse_winner("winner", "tuned", meanings) == 1


@pytest.mark.parametrize(("value", "text"), [(1, "1"), (1.0, "1"), ("1.0", "1"), ("1", "1")])
def test_numbers_are_labels_in_any_notation(value: Any, text: str) -> None:
    assert parse_winner("winner", value, {text: 1.0}) == 1


@pytest.mark.parametrize("value", ["1_0", "٣", "0x1", "1,5", "--1", 11, -0.1, "1e999"])
def test_invalid_number_is_a_failure(value: Any) -> None:
    assert failure_kind(parse_number("score", value, 0, 10)) in ("unreadable", "not a number")


def test_numbers_may_be_text() -> None:
    assert parse_number("score", " 7.5 ") == 7.5
    assert parse_number("score", 0, 0, 10) == 0


@pytest.mark.parametrize(
    ("values", "scores"),
    [((7, "8.5"), Scores(7, 8.5)), ((None, 8), None), (("", None), None)],
)
def test_scores_are_two_or_none(values: Any, scores: Scores | None) -> None:
    assert parse_scores(("score_a", "score_b"), values) == scores


def test_invalid_score_fails_the_verdict() -> None:
    failure = make_verdict(1.0, parse_scores(("score_a", "score_b"), (7, 11)))
    assert failure == ParseFailure(
        "unreadable", "'score_b' says nothing that can be read: 11", "11"
    )


@given(st.recursive(st.none() | st.text() | st.floats(), lambda inner: st.lists(inner)))
def test_failure_message_is_one_line_and_raw_value_is_short(value: Any) -> None:
    failure = parse_winner("winner", value, {})
    assert isinstance(failure, ParseFailure)
    assert len(failure.raw) <= 200
    assert len(failure.message.splitlines()) == 1


def test_failure_of_a_deeply_nested_value() -> None:
    value: Any = 0
    for _ in range(5000):
        value = [value]
    assert failure_kind(parse_winner("winner", value, {})) == "unreadable"


@pytest.mark.parametrize(
    ("value", "name", "identity", "text"),
    [
        ("q", "x", "x", "q"),
        (None, "x", "x", "question x"),
        (" ", "x", "x", "question x"),
        (None, "", "row 4", "row 4"),
        (5, "x", "x", "5"),
        ({"a": ["é"]}, "x", "x", '{"a": ["é"]}'),
        ([{"role": "nobody"}], "x", "x", '[{"role": "nobody"}]'),
    ],
)
def test_prompt_is_a_text_or_a_placeholder(value: Any, name: str, identity: str, text: str) -> None:
    prompt = parse_prompt(value, prompt_id=name, default="row 4")
    assert (prompt.id, prompt.messages[0].content) == (identity, text)


def test_prompt_may_be_a_list_of_messages() -> None:
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert parse_prompt(turns, default="row 1").conversation() == turns
    assert parse_prompt("q", default="row 1").id.startswith("s1:")


@pytest.mark.parametrize(
    ("value", "label"),
    [(" x ", "x"), (7, "7"), (7.0, "7"), (0.5, "0.5"), (True, ""), (None, ""), ([1], "")],
)
def test_label_text_of_strings_and_numbers(value: Any, label: str) -> None:
    assert label_text(value) == label
    assert label_text(math.inf) == "inf"


@pytest.mark.parametrize(
    ("value", "problem"), [("", "blank"), (None, "null"), ([], "a list"), (True, "a boolean")]
)
def test_a_model_needs_a_name(value: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"row 2: 'model_a' has to be .* and is {problem}"):
        parse_model_name(value, "model_a", "row 2")


def test_tags_are_a_list_or_comma_separated() -> None:
    assert parse_tags("x, y,,x") == ("x", "y")
    assert parse_tags(["x, y", 3, None, {}]) == ("x, y", "3")
    assert parse_tags(None) == parse_tags({}) == ()
