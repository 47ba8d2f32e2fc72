"""Checks of pointwise judges: scores that were given at different times, or in a file."""

import pytest

from bakeoff.records import Judgment, ScoreTimes
from tests.unit.analysis.builders import judgment, pair, reasons


def scored(offset: float, *, swapped: bool = False, strays: int = 0) -> list[Judgment]:
    """40 of 50 prompts won by a, which was scored `offset` seconds before b."""
    rows = []
    for n in range(50):
        a, b = 1000.0 + 10 * n, 1000.0 + 10 * n + offset
        if n < strays:
            a = 9e6
        first, value, times = "a", float(n % 5 > 0), ScoreTimes(a, b)
        if swapped and n % 2:
            first, value, times = "b", 1 - value, ScoreTimes(b, a)
        rows.append(judgment(n, first, value, presented="pointwise", score_times=times))
    return rows


@pytest.mark.parametrize("offset", [501, -501, 86_400])
@pytest.mark.parametrize("swapped", [False, True])
def test_scores_given_one_model_after_the_other_are_withheld(offset: float, swapped: bool) -> None:
    assert reasons(pair(scored(offset, swapped=swapped))) == ["scored apart"]


def test_a_repeated_request_does_not_make_the_times_overlap() -> None:
    assert reasons(pair(scored(501, strays=2))) == ["scored apart"]


@pytest.mark.parametrize("offset", [1, 5, -3, 200])
def test_scores_given_in_turns_are_not_withheld(offset: float) -> None:
    assert pair(scored(offset)).outcome == "better"


def test_scores_of_a_file_are_flagged_and_those_of_a_run_are_not() -> None:
    rows = [judgment(n, "a", float(n % 5 > 0), presented="pointwise") for n in range(50)]
    from_file, from_run = pair(rows), pair(rows, origins={"j": "api:j?template=scored"})
    assert from_file.outcome == "better"
    assert "scored separately" in [flag.kind for flag in from_file.flags]
    assert "scored separately" not in [flag.kind for flag in from_run.flags]
