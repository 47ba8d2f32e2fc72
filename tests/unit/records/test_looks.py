"""Designs with earlier and planned looks."""

from typing import Any

import pytest

from bakeoff.records import Design, Look, PlannedLook, merged_design, ordinal


def look(a: str, b: str, prompts: int = 50, **more: Any) -> Look:
    fields: dict[str, Any] = {"outcome": "better", "time": f"2026-01-{prompts % 28 + 1:02}"}
    return Look(a=a, b=b, prompts=prompts, **fields | more)


def test_a_pair_with_an_earlier_look_is_sequential_and_others_are_not() -> None:
    design = Design(looks=(look("b", "a"), look("a", "b", 51)))
    assert design.for_pair("a", "b").sequential
    assert design.for_pair("a", "b").looks == design.looks
    assert design.for_pair("a", "c") == Design()
    assert design.label("a", "b") == design.label("b", "a") == "third look"
    assert design.label("a", "c") is None


def test_alpha_is_shared_by_sequential_pairs_and_that_of_a_planned_look() -> None:
    planned = PlannedLook(a="a", b="b", number=2, looks=3, alpha=0.014)
    design = Design(planned=(planned,))
    assert design.for_pair("a", "b").alpha(1) == 0.014
    assert design.label("b", "a") == "planned look 2 of 3"
    assert design.for_pair("a", "c").alpha(3) == 0.05
    both = Design(planned=(planned,), looks=(look("a", "b"),)).for_pair("a", "b")
    assert both.alpha(5) == 0.01
    assert both.label("a", "b") == "second look"


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "first"), (2, "second"), (9, "ninth"), (10, "10th"), (11, "11th"), (12, "12th"),
     (21, "21st"), (22, "22nd"), (103, "103rd"), (111, "111th")],
)  # fmt: skip
def test_ordinals(number: int, word: str) -> None:
    assert ordinal(number) == word


def test_designs_of_several_results_are_merged() -> None:
    one = Design(baseline="a", looks=(look("a", "b", 51), look("a", "b")))
    two = Design(baseline="a", sequential=True, looks=(look("a", "b"),))
    merged = merged_design([one, two])
    assert merged == Design(
        baseline="a", sequential=True, looks=(look("a", "b", 50), look("a", "b", 51))
    )
    assert merged_design([one, Design()]).baseline is None
    assert merged_design([]) == Design()
