"""Aggregation of orders, repeats, completions and judges to one comparison per prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.aggregate import compare
from bakeoff.records import Judgment, Scores
from tests.unit.analysis.builders import both, judgment, pair, rows


def comparison_of(*judgments: Judgment):  # type: ignore[no-untyped-def]
    (comparison,) = compare("a", "b", judgments)
    return comparison


def test_orders_have_equal_weight_however_often_each_was_judged() -> None:
    comparison = comparison_of(
        judgment(0, "a", 1.0), judgment(0, "b", 1.0), judgment(0, "b", 1.0, repeat=1)
    )
    assert (comparison.preference, comparison.winner, comparison.consistent) == (0.5, "tie", False)


def test_orders_that_contradict_each_other_are_a_tie_whatever_the_mean() -> None:
    comparison = comparison_of(judgment(0, "a", 0.9), judgment(0, "b", 0.6))
    assert comparison.preference == pytest.approx(0.65)
    assert (comparison.winner, comparison.flipped, comparison.consistent) == ("tie", True, False)


def test_a_win_in_one_order_and_a_tie_in_the_other_is_a_win() -> None:
    comparison = comparison_of(judgment(0, "a", 1.0), judgment(0, "b", 0.5))
    assert (comparison.preference, comparison.winner, comparison.flipped) == (0.75, "a", False)


@pytest.mark.parametrize("presented", ["recorded", "unknown", "pointwise"])
def test_consistency_is_unknown_without_both_orders(presented: str) -> None:
    comparison = comparison_of(judgment(0, "a", 1.0, presented=presented))
    assert (comparison.consistent, comparison.flipped) == (None, False)


def test_judgments_of_unknown_order_are_averaged_and_never_flipped() -> None:
    rows_ = [judgment(0, "a", 1.0, presented="unknown"), judgment(0, "b", 1.0, presented="unknown")]
    comparison = comparison_of(*rows_)
    assert (comparison.preference, comparison.flipped, comparison.consistent) == (0.5, False, None)


def test_completions_have_equal_weight_however_often_each_was_judged() -> None:
    first = [row for n in range(5) for row in both(0, 1.0, repeat=n)]
    comparison = comparison_of(*first, *both(0, 0.0, sample=1))
    assert (comparison.preference, comparison.winner) == (0.5, "tie")


def test_judges_have_equal_weight_and_the_majority_names_the_winner() -> None:
    tied = [row for n in range(3) for row in both(0, 0.5, judge="k", repeat=n)]
    comparison = comparison_of(*both(0, 1.0), *tied, *both(0, 0.5, judge="l"))
    assert comparison.preference == pytest.approx(2 / 3)
    assert comparison.winner == "tie"
    assert (
        comparison_of(*both(0, 1.0), *both(0, 1.0, judge="k"), *both(0, 0.0, judge="l")).winner
        == "a"
    )


@pytest.mark.parametrize(("other", "winner"), [(1.0, "a"), (0.5, "a"), (0.0, "tie")])
def test_two_judges_without_a_majority(other: float, winner: str) -> None:
    assert comparison_of(*both(0, 1.0), *both(0, other, judge="k")).winner == winner


def test_scores_are_averaged_by_model_and_scaled_to_0_1() -> None:
    summary = pair(
        [
            judgment(0, "a", 1.0, scores=Scores(8, 4)),
            judgment(0, "b", 0.0, scores=Scores(2, 6)),
            judgment(1, "a", 0.5, scores=Scores(5, 5)),
        ]
    )
    assert summary.scores_a is not None
    assert summary.scores_b is not None
    assert summary.score_difference is not None
    assert summary.scores_a.mean == pytest.approx(0.6)
    assert summary.scores_b.mean == pytest.approx(0.4)
    assert summary.score_difference.value.estimate == pytest.approx(0.2)
    assert (summary.scored_better, summary.scored_worse, summary.scored_equal) == (1, 0, 1)


@given(rows, st.integers(2, 3))
def test_a_comparison_is_within_the_range_of_its_judgments(
    judgments: list[Judgment], times: int
) -> None:
    for comparison in compare("a", "b", judgments * times):
        ours = [j for j in judgments if j.prompt_id == comparison.prompt_id]
        preferences = [j.verdict.first if j.first == "a" else 1 - j.verdict.first for j in ours]
        assert min(preferences) - 1e-9 <= comparison.preference <= max(preferences) + 1e-9
        assert not (comparison.flipped and comparison.consistent)
        assert not (
            comparison.flipped and len({j.judge for j in ours}) == 1 and comparison.winner != "tie"
        )
