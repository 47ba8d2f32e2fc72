"""Null checks: fair judges, unfair judges and identical completions."""

import math

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Judgment, Summary
from tests.unit.analysis.builders import evidence, judgment, texts, won

NULL = ("a", "a, drawn again")


def between(prompt: int, first: int, value: float, **more: object) -> Judgment:
    names = NULL if first == 0 else NULL[::-1]
    return judgment(prompt, names[0], value, second=names[1], **more)


def summary_with_null_check(
    rows: list[Judgment], contents: tuple[list[str], list[str]] | None = None
) -> Summary:
    n = 1 + max(int(row.prompt_id[1:]) for row in rows)
    first, second = contents or (["x"] * n, ["y"] * n)
    null: Evidence = evidence(
        rows, models=NULL, completions=(*texts(NULL[0], first), *texts(NULL[1], second))
    )
    return summarize(evidence(won(12, 8), null_check=null))


def test_a_judge_that_always_picks_first_decides_no_prompt() -> None:
    rows = [between(n, first, 1.0) for n in range(16) for first in (0, 1)]
    (check,) = summary_with_null_check(rows).null_checks
    assert check.win_rate.estimate == 0.5
    assert check.first_wins is not None
    assert check.first_wins.estimate == 1
    assert (check.decided, check.prompts, check.judge, check.model) == (0, 16, "j", "a")


def test_a_judge_with_a_spurious_preference_is_outside_the_band() -> None:
    rows = [between(n, first, float(first == 0)) for n in range(16) for first in (0, 1)]
    (check,) = summary_with_null_check(rows).null_checks
    assert check.win_rate.estimate == 1
    assert check.decided == 1
    assert check.band == pytest.approx((0.5 - 1.96 * 2 / 16, 0.5 + 1.96 * 2 / 16))
    assert check.win_rate.estimate > check.band[1]


def test_the_band_covers_coin_flips() -> None:
    values = [1.0, 0.0, 0.5, 1.0, 0.75]
    rows = [between(n, 0, value) for n, value in enumerate(values)]
    (check,) = summary_with_null_check(rows).null_checks
    half = 1.96 * math.sqrt(sum((value - 0.5) ** 2 for value in values)) / len(values)
    assert check.band == pytest.approx((max(0, 0.5 - half), min(1, 0.5 + half)))
    assert check.decided is None  # one order cannot tell


def test_identical_draws_are_left_out_and_noted() -> None:
    rows = [between(n, first, 0.5) for n in range(4) for first in (0, 1)]
    some = summary_with_null_check(rows, (["same", "b", "c", "d"], ["same", "x", "y", "z"]))
    assert (some.null_checks[0].prompts, some.null_checks[0].identical) == (3, 1)
    none = summary_with_null_check(rows, (["same"] * 4, ["same"] * 4))
    assert none.null_checks == ()
    assert "said the same twice to all 4 prompts" in none.notes[-1]


def test_each_judge_is_checked_and_the_pair_itself_does_not_change() -> None:
    rows = [between(n, f, 0.5, judge=j) for n in range(4) for f in (0, 1) for j in ("j", "k")]
    summary = summary_with_null_check(rows)
    assert [check.judge for check in summary.null_checks] == ["j", "k"]
    assert summary.pairs == summarize(evidence(won(12, 8))).pairs


def test_a_run_without_null_check_has_none() -> None:
    assert summarize(evidence(won(3, 2))).null_checks == ()
