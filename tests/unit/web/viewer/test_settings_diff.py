import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from bakeoff.web.viewer.settings_diff import (
    SettingChange,
    changed_values,
    diff_spans,
    prompt_ids_by_content,
    prompt_overlap,
    setting_changes,
)
from tests.unit.web.viewer.builders import judge, model, results

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
TEXT = st.lists(st.sampled_from(["one", "two", " ", "\n", "three,", "\r\n", "é"])).map("".join)


@given(JSON)
def test_equal_values_have_no_changes(value: JsonValue) -> None:
    assert changed_values(value, value) == []


@given(JSON, JSON)
def test_changed_values_are_symmetric(first: JsonValue, second: JsonValue) -> None:
    forth = {(c.name, c.before, c.after) for c in changed_values(first, second)}
    assert {(c.name, c.after, c.before) for c in changed_values(second, first)} == forth


def test_changed_values_have_paths() -> None:
    first = {"a": {"b": 1, "c": "x"}, "same": [1], "removed": None, "yes": True}
    other = {"a": {"b": 2, "c": "y"}, "same": [1], "new": [1, 2], "yes": 1}
    assert changed_values(first, other) == [
        SettingChange("a.b", "1", "2"),
        SettingChange("a.c", "x", "y"),
        SettingChange("yes", "true", "1"),
        SettingChange("new", None, "[1, 2]"),
    ]


@given(TEXT, TEXT)
def test_diff_spans_contain_both_texts(first: str, second: str) -> None:
    spans = diff_spans(first, second)
    assert "".join(piece.text for piece in spans if piece.kind != "added") == first
    assert "".join(piece.text for piece in spans if piece.kind != "removed") == second


@given(TEXT)
def test_equal_texts_have_no_changes(text: str) -> None:
    assert {piece.kind for piece in diff_spans(text, text)} <= {"same"}


def test_words_are_compared_within_a_line() -> None:
    spans = diff_spans("keep\nsay A or B\nend", "keep\nsay A, B or tie\nend")
    assert "".join(piece.text for piece in spans if piece.kind == "removed") == "B"
    assert next(piece.text for piece in spans if piece.kind == "same").startswith("keep\n")


def test_huge_text_is_excerpted() -> None:
    spans = diff_spans("a " * 60_000, "b " * 60_000)
    assert [piece.kind for piece in spans] == ["removed", "added"]
    assert sum(len(piece.text) for piece in spans) < 300


@pytest.mark.parametrize("unit", ["\n", "a ", "a\n", "a b\n", " "])
def test_long_repetitive_text_is_diffed(unit: str) -> None:
    count = 99_000 // len(unit)
    first, second = unit * count, unit * (count // 2) + "x" + unit * (count // 2)
    spans = diff_spans(first, second)  # the time limit of all tests ends a quadratic comparison
    assert "".join(piece.text for piece in spans if piece.kind != "removed") == second


def test_prompts_are_matched_by_content() -> None:
    first = results(prompts=range(10))
    other = results(prompts=range(6, 13))
    renamed = [p.model_copy(update={"id": f"other {p.id}"}) for p in other.prompts]
    other = other.model_copy(update={"prompts": tuple(renamed)})
    assert prompt_overlap(first, other) == (4, 6, 3)
    assert not prompt_overlap(first, other).same
    assert prompt_overlap(first, first).same
    asks = first.prompts[0].model_copy(update={"reference": "a good one"})
    assert len(prompt_ids_by_content((first.prompts[0], asks))) == 2


def test_setting_changes_are_complete() -> None:
    first = results(config={"seed": 1, "out": "here", "store": "there"})
    identities = {
        "models": {"tuned": model("later"), "base": model("base")},
        "judges": {"judge": judge("Other words.")},
        "python": "3.12.0",
    }
    other = results(config={"seed": 2, "out": "elsewhere"}, identities=identities)
    names = {"tuned": "tuned", "base": "base"}
    changes = setting_changes(first, other, names, {"judge": "judge"})
    assert [topic.title for topic in changes] == [
        "Settings",
        "Model tuned",
        "Judge judge",
        "Versions and machine",
    ]
    assert [change.name for topic in changes for change in topic.changes] == [
        "seed",
        "model",
        "template",
        "python",
    ]
    assert setting_changes(first, first, names, {"judge": "judge"}) == ()


@pytest.mark.parametrize("turned", [False, True])
def test_participant_of_one_run_is_listed(turned: bool) -> None:
    runs = results(("tuned", "base")), results(("tuned", "base", "third"))
    first, second = reversed(runs) if turned else runs
    names = {"tuned": "tuned", "base": "base"}
    changes = {
        topic.title: topic.changes
        for topic in setting_changes(first, second, names, {"judge": "judge"})
    }
    there = ("yes", None) if turned else (None, "yes")
    assert changes["Model third"] == (SettingChange("takes part", *there),)
