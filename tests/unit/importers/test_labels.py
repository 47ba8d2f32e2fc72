import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.importers.labels import Unread, marks, number_of, scores_of, verdict_of, winner_of
from bakeoff.records import Scores

KNOWN = marks(("model1", "A", "tuned"), ("model2", "B", "base"), ("tie",))


def kind_of(found: Any) -> str:
    assert isinstance(found, Unread), found
    return found.kind


@pytest.mark.parametrize(
    ("value", "preference"),
    [("model1", 1), (" a\n", 1), ("BASE", 0), ("Tie", 0.5)],
)
def test_a_winner_is_a_mark_or_a_name_in_any_case(value: str, preference: float) -> None:
    assert winner_of("winner", value, KNOWN) == preference


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
def test_what_is_no_winner_has_its_kind(value: Any, kind: str) -> None:
    assert kind_of(winner_of("winner", value, KNOWN)) == kind
    if value != 0.5:
        assert kind_of(number_of("score", value, 0, 10)) == kind


def test_a_mark_of_both_is_of_neither() -> None:
    known = marks(("a", "tuned"), ("b", "A"), ("tie", "b"))
    assert kind_of(winner_of("winner", "a", known)) == "unreadable"
    assert kind_of(winner_of("winner", "b", known)) == "unreadable"
    assert winner_of("winner", "tuned", known) == 1


@pytest.mark.parametrize(("value", "text"), [(1, "1"), (1.0, "1"), ("1.0", "1"), ("1", "1")])
def test_numbers_are_marks_however_they_are_written(value: Any, text: str) -> None:
    assert winner_of("winner", value, {text: 1.0}) == 1


@pytest.mark.parametrize("value", ["1_0", "٣", "0x1", "1,5", "--1", 11, -0.1, "1e999"])
def test_what_is_no_number_in_range(value: Any) -> None:
    assert kind_of(number_of("score", value, 0, 10)) in ("unreadable", "not a number")


def test_numbers_may_be_written_out() -> None:
    assert number_of("score", " 7.5 ") == 7.5
    assert number_of("score", 0, 0, 10) == 0


@pytest.mark.parametrize(
    ("values", "scores"),
    [((7, "8.5"), Scores(7, 8.5)), ((None, 8), None), (("", None), None)],
)
def test_scores_are_two_or_none(values: Any, scores: Scores | None) -> None:
    assert scores_of(("score_a", "score_b"), values) == scores


def test_a_score_that_cannot_be_read_makes_no_verdict() -> None:
    found = verdict_of(1.0, scores_of(("score_a", "score_b"), (7, 11)))
    assert found == Unread("unreadable", "'score_b' says nothing that can be read: 11", "11")


@given(st.recursive(st.none() | st.text() | st.floats(), lambda inner: st.lists(inner)))
def test_raw_is_short_and_on_one_line(value: Any) -> None:
    found = winner_of("winner", value, {})
    assert isinstance(found, Unread)
    assert len(found.raw) <= 200
    assert len(found.message.splitlines()) == 1


def test_a_label_of_any_depth_is_shown() -> None:
    value: Any = 0
    for _ in range(5000):
        value = [value]
    assert kind_of(winner_of("winner", value, {})) == "unreadable"
