"""Ratings of several models."""

import json
import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.ratings import pairwise_outcomes
from bakeoff.analysis.summarize import summarize
from bakeoff.records import CLUSTER_TAG, Judgment, Rating, RatingModel, Summary
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry
from tests.unit.analysis.builders import evidence, failure, judgment, prompt, won

NAMES = ("weak", "strong", "middling")
ABC = ("a", "b", "c")
STRENGTH = {"weak": 0, "middling": 1, "strong": 2}


def outcome_rows(names: tuple[str, ...] = NAMES, prompts: int = 24) -> list[Judgment]:
    """The stronger model wins two prompts of three, and more where the gap is larger."""
    rows = []
    for a, b in combinations(names, 2):
        gap = STRENGTH[a] - STRENGTH[b]
        wins = prompts * (3 + gap) // 6
        for row in won(wins, prompts - wins):
            sides = {"first": a if row.first == "a" else b, "second": b if row.first == "a" else a}
            rows.append(row.model_copy(update=sides))
    return rows


def ratings(names: tuple[str, ...] = NAMES, **more: object) -> tuple[Rating, ...]:
    return summarize(evidence(outcome_rows(names), names, **more)).ratings


def test_ratings_are_sorted_by_strength_with_mean_0() -> None:
    all_ratings = ratings()
    assert [rating.model for rating in all_ratings] == ["strong", "middling", "weak"]
    assert sum(rating.strength.estimate for rating in all_ratings) == pytest.approx(0, abs=1e-9)
    assert all(
        rating.strength.low < rating.strength.estimate < rating.strength.high
        for rating in all_ratings
    )
    assert {rating.strength.n for rating in all_ratings} == {24}


def test_the_order_in_which_models_are_named_changes_nothing() -> None:
    all_ratings = ratings()
    for names in (("strong", "middling", "weak"), ("middling", "weak", "strong")):
        again = ratings(names)
        assert [rating.model for rating in again] == [rating.model for rating in all_ratings]
        for ours, theirs in zip(all_ratings, again, strict=True):
            assert ours.strength.estimate == pytest.approx(theirs.strength.estimate, abs=1e-5)


def test_ratings_equal_a_direct_bradley_terry_fit() -> None:
    rows = [
        (NAMES.index(a), NAMES.index(b), value, number)
        for a, b in combinations(NAMES, 2)
        for wins in [24 * (3 + STRENGTH[a] - STRENGTH[b]) // 6]
        for number, value in enumerate([1.0] * wins + [0.0] * (24 - wins))
    ]
    left, right, values, prompts = (np.array(column) for column in zip(*rows, strict=True))
    plain = bradley_terry(PairwiseOutcomes(left, right, values, prompts), 3, resamples=0).strengths
    for rating in ratings():
        expected = plain[NAMES.index(rating.model)].estimate
        assert rating.strength.estimate == pytest.approx(expected, abs=1e-6)


def test_prompts_of_a_cluster_are_one_unit() -> None:
    prompts = tuple(prompt(n, tags=[f"{CLUSTER_TAG}{n // 2}"]) for n in range(24))
    all_ratings, plain = ratings(prompts=prompts), ratings()
    assert {rating.strength.n for rating in all_ratings} == {12}
    for ours, theirs in zip(all_ratings, plain, strict=True):
        assert ours.strength.estimate == pytest.approx(theirs.strength.estimate, abs=1e-6)


def test_two_models_or_no_judgments_have_no_ratings() -> None:
    for summary in (summarize(evidence(won(15, 10))), summarize(evidence([], NAMES))):
        assert (summary.ratings, summary.rating_model) == ((), None)


def sound(summary: Summary) -> bool:
    """No number is NaN or infinite, which JSON does not have."""
    text = json.dumps([rating.model_dump() for rating in summary.ratings], allow_nan=False)
    ranked = summary.rating_model is not None and bool(summary.ratings)
    return bool(text) and ranked != bool(summary.ratings_withheld)


# What the fit says beside the strengths.


def fitted(rows: Iterable[Judgment], names: Sequence[str] = ABC, **more: Any) -> RatingModel:
    rating_model = summarize(evidence(rows, names, **more)).rating_model
    assert rating_model is not None
    return rating_model


def circle(n: int, sides: Sequence[float], **more: Any) -> list[Judgment]:
    """a against b, b against c and c against a on each prompt; `sides` are for the first one."""
    pairs = [("a", "b"), ("b", "c"), ("c", "a")]
    return [
        judgment(prompt, first, sides[prompt % len(sides)], second=second, **more)
        for prompt in range(n)
        for first, second in pairs
    ]


def chain(n: int, sides: Sequence[float], **more: Any) -> list[Judgment]:
    """As `circle`, but a against c: the model with most wins is rated first."""
    return [
        judgment(nth, first, sides[(nth + at) % len(sides)], second=second, **more)
        for nth in range(n)
        for at, (first, second) in enumerate(("ab", "bc", "ac"))
    ]


def shown_in_other_order(rows: Iterable[Judgment]) -> list[Judgment]:
    """The same preferences with the other model shown first."""
    return [
        row.model_copy(
            update={"first": row.second, "second": row.first, "verdict": row.verdict.swapped()}
        )
        for row in rows
    ]


def test_without_ties_no_tie_parameter_and_balanced_orders_have_effect_0() -> None:
    rating_model = fitted(outcome_rows(), NAMES)
    assert rating_model.tie_parameter is None
    assert rating_model.first_advantage == pytest.approx(0, abs=1e-6)
    assert (rating_model.prompts, rating_model.clusters, rating_model.components) == (24, None, 1)
    assert (
        rating_model.method
        == "Bradley-Terry, with the order of presentation; BCa bootstrap over prompts"
    )


def test_ties_are_fitted_by_davidsons_model() -> None:
    rows = circle(40, [1.0, 0.0, 0.5, 0.5])
    rating_model = fitted(rows + shown_in_other_order(rows))
    assert rating_model.tie_parameter == pytest.approx(
        2, abs=1e-4
    )  # half of all are ties: nu / (2 + nu)
    assert rating_model.method.startswith("Davidson, with the order of presentation;")


def test_a_preference_counts_as_a_win_of_the_preferred_model() -> None:
    """A preference of 0.6 is a win, and so is 1."""
    soft, hard = chain(40, [0.9, 0.6, 0.2, 0.5]), chain(40, [1.0, 1.0, 0.0, 0.5])
    ours, theirs = (
        summarize(evidence(rows + shown_in_other_order(rows), ABC)) for rows in (soft, hard)
    )
    assert (ours.ratings, ours.rating_model) == (theirs.ratings, theirs.rating_model)


def test_the_order_effect_is_fitted_if_both_orders_are_recorded() -> None:
    rows = circle(40, [1.0, 1.0, 1.0, 0.0])  # three of four for the one shown first
    pushed = [
        *rows,
        *(row.model_copy(update={"first": row.second, "second": row.first}) for row in rows),
    ]
    in_one = [(n // 4 * 7 % 10 < 5) == (n % 2 == 0) for n in range(40)]  # equally often per side
    half = [row for row in pushed if in_one[int(row.prompt_id[1:])] == (row in rows)]
    assert fitted(half).first_advantage == pytest.approx(math.log(3), abs=1e-4)
    assert all(
        rating.strength.estimate == pytest.approx(0)
        for rating in summarize(evidence(half, ABC)).ratings
    )


def test_no_order_effect_is_fitted_without_an_order() -> None:
    rating_model = fitted(circle(40, [1.0, 1.0, 0.0], presented="pointwise"))
    assert rating_model.first_advantage is None
    assert rating_model.method.startswith("Bradley-Terry; ")


@pytest.mark.parametrize("presented", ["recorded", "unknown"])
def test_pairs_without_a_verdict_are_not_ranked(presented: str) -> None:
    """Each pair was always shown in one order, or no order is recorded."""
    summary = summarize(evidence(circle(40, [1.0, 1.0, 0.0], presented=presented), ABC))
    assert (summary.ratings, summary.rating_model) == ((), None)
    assert summary.ratings_withheld.startswith(
        "Ranking withheld: 3 of 3 pairs allow no conclusion ("
    )


def test_models_are_ranked_by_the_pairs_that_allow_a_conclusion() -> None:
    """The verdict on a against c is withheld; the other two pairs connect all models."""
    rows = [row for row in chain(40, [1.0, 1.0, 0.0]) if {row.first, row.second} != {"a", "c"}]
    rows += shown_in_other_order(rows)
    one_order = [judgment(n, "c", 1.0, second="a") for n in range(40)]
    with_withheld = summarize(evidence([*rows, *one_order], ABC))
    assert with_withheld.pairs[1].outcome == "withheld"
    assert with_withheld.ratings == summarize(evidence(rows, ABC)).ratings
    assert with_withheld.ratings_withheld == ""


def test_a_prompt_judged_in_both_orders_counts_as_much_as_one_judged_in_one() -> None:
    rows = [judgment(n, "ab"[n % 2], 1.0) for n in range(40)]
    rows += shown_in_other_order(rows[:10])
    (data,) = build_pair_data(evidence(rows), AnalysisConfig())
    outcomes = pairwise_outcomes(("a", "b"), [data])
    assert len(outcomes.values) == 50
    by_prompt = np.bincount(outcomes.prompts, outcomes.counts)
    assert by_prompt == pytest.approx(np.ones(40))


def test_prompts_in_one_order_are_weighted_so_that_both_orders_count_equally() -> None:
    rng = Random(3)
    rows = [judgment(n, "a" if rng.random() < 0.3 else "b", 1.0) for n in range(100)]
    (data,) = build_pair_data(evidence(rows), AnalysisConfig())
    outcomes = pairwise_outcomes(("a", "b"), [data])
    a_first = outcomes.left == 0
    assert outcomes.counts[a_first].sum() == pytest.approx(50)
    assert outcomes.counts[~a_first].sum() == pytest.approx(50)


def test_repeats_judges_and_samples_are_averaged_before_the_winner_is_determined() -> None:
    def both_orders(sides: Sequence[float], **more: Any) -> list[Judgment]:
        return (rows := chain(30, sides, **more)) + shown_in_other_order(rows)

    rows = both_orders([1.0, 1.0, 0.0, 0.5])
    for more in ({"repeat": 1}, {"judge": "k"}, {"sample": 1}):
        again = both_orders([1.0, 1.0, 0.0, 0.5], **more)
        assert (
            summarize(evidence(rows + again, ABC)).ratings == summarize(evidence(rows, ABC)).ratings
        )
        against = both_orders([0.0, 0.0, 1.0, 0.5], **more)
        assert fitted(rows + against).tie_parameter > 100  # type: ignore[operator]


def test_the_majority_panel_applies_to_ratings() -> None:
    rows = chain(30, [0.6, 0.6, 0.3]) + chain(30, [0.6, 0.6, 0.3], judge="k")
    rows += chain(30, [0.0, 0.0, 1.0], judge="l")
    mean, majority = (
        summarize(evidence(rows, ABC), AnalysisConfig(panel=panel))
        for panel in ("mean", "majority")
    )
    two = chain(30, [1.0, 1.0, 0.0])
    assert majority.ratings == summarize(evidence(two, ABC)).ratings
    assert mean.ratings == summarize(evidence(chain(30, [0.0, 0.0, 1.0]), ABC)).ratings


def test_clusters_are_counted_beside_prompts() -> None:
    prompts = tuple(prompt(n, tags=[f"{CLUSTER_TAG}{n // 2}"]) for n in range(24))
    rating_model = fitted(outcome_rows(), NAMES, prompts=prompts)
    assert (rating_model.prompts, rating_model.clusters) == (24, 12)
    assert rating_model.method.endswith("BCa bootstrap over clusters of prompts")


# Ranks and letters.


def shares(rating: Rating, other: Rating) -> bool:
    assert rating.group
    assert other.group
    return bool(set(rating.group) & set(other.group))


def test_rank_intervals_are_wide_without_and_single_with_significance() -> None:
    for rating in ratings():  # 24 prompts, won 2 of 3
        assert rating.ranks is not None
    strict = [
        row
        for n in range(60)
        for a, b in ("ab", "ac", "bc")
        for row in (
            judgment(n, a, float(n % 10 > 0), second=b),
            judgment(n, b, float(n % 10 == 0), second=a),
        )
    ]
    all_ratings = summarize(evidence(strict, ABC)).ratings
    assert [rating.ranks for rating in all_ratings] == [(1, 1), (2, 2), (3, 3)]
    assert [rating.group for rating in all_ratings] == ["a", "b", "c"]
    even = circle(60, [1.0, 0.0])
    all_ratings = summarize(evidence(even + shown_in_other_order(even), ABC)).ratings
    assert [rating.ranks for rating in all_ratings] == [(1, 3)] * 3
    assert [(rating.model, rating.group) for rating in all_ratings] == [
        ("a", "a"),
        ("b", "a"),
        ("c", "a"),
    ]


def test_a_model_that_always_wins_is_first_given_enough_prompts() -> None:
    for prompts, ranks in ((6, (1, 3)), (7, (1, 1))):  # 2 / 2^7 is below 0.05 / 3
        rows = [
            row
            for n in range(prompts)
            for a, b, value in (("a", "b", 1.0), ("a", "c", 1.0), ("b", "c", float(n % 2)))
            for row in [judgment(n, a, value, second=b)]
        ]
        summary = summarize(evidence(rows + shown_in_other_order(rows), ABC))
        assert sound(summary)
        assert (summary.ratings[0].model, summary.ratings[0].ranks) == ("a", ranks)
        assert summary.rating_model is not None
        assert summary.rating_model.components == 2
        assert (
            "with a ridge of 0.01: the win graph falls into 2 parts" in summary.rating_model.method
        )


def test_a_model_without_judgments_has_strength_0_and_any_rank() -> None:
    summary = summarize(evidence(won(20, 4), ABC))
    assert sound(summary)
    assert [rating.model for rating in summary.ratings] == ["a", "c", "b"]
    assert summary.ratings[1].ranks == (1, 3)
    assert summary.ratings[1].strength.estimate == pytest.approx(0, abs=1e-9)


def test_one_prompt_gives_strengths_without_significance() -> None:
    rows = circle(1, [1.0])[:2]
    summary = summarize(evidence(rows + shown_in_other_order(rows), ABC))
    assert sound(summary)
    assert [rating.ranks for rating in summary.ratings] == [(1, 3)] * 3
    assert summary.rating_model is not None
    assert summary.rating_model.method.endswith("; one unit: no interval")


def test_a_model_and_its_copy_are_adjacent() -> None:
    rows = [
        judgment(n, a, value, second=b)
        for n in range(40)
        for a, b, value in (
            ("a", "b", 0.5),
            ("a", "c", float(n % 4 > 0)),
            ("b", "c", float(n % 4 > 0)),
        )
    ]
    summary = summarize(evidence(rows + shown_in_other_order(rows), ABC))
    assert sound(summary)
    all_ratings = summary.ratings
    assert [rating.model for rating in all_ratings] == ["a", "b", "c"]
    assert all_ratings[0].strength.estimate == pytest.approx(all_ratings[1].strength.estimate)
    assert [rating.group for rating in all_ratings] == ["a", "a", "b"]


sides = st.sampled_from([0.0, 0.5, 1.0, 0.7])
several = st.lists(
    st.builds(
        lambda n, pair, value, more: judgment(n, pair[0], value, second=pair[1], **more),
        st.integers(0, 9),
        st.sampled_from(["ab", "ba", "ac", "ca", "bc", "cb"]),
        sides,
        st.fixed_dictionaries(
            {
                "repeat": st.integers(0, 1),
                "judge": st.sampled_from("jk"),
                "presented": st.sampled_from(["recorded"] * 4 + ["unknown", "pointwise"]),
            }
        ),
    ),
    min_size=1,
    max_size=60,
)


@given(several)
def test_ratings_of_any_judgments_are_sound(rows: list[Judgment]) -> None:
    summary = summarize(evidence(rows, ABC))
    assert sound(summary)
    for place, rating in enumerate(summary.ratings, start=1):
        assert rating.ranks is not None
        assert 1 <= rating.ranks[0] <= place <= rating.ranks[1] <= 3
    below = [
        sum(not shares(rating, other) for other in summary.ratings) for rating in summary.ratings
    ]
    widths = [
        3 - (high - low) - 1 for low, high in (rating.ranks or (0, 0) for rating in summary.ratings)
    ]
    assert below == widths


@given(several, st.permutations(ABC))
def test_ratings_do_not_depend_on_names_and_order_of_models(
    rows: list[Judgment], names: list[str]
) -> None:
    called = dict(zip(ABC, names, strict=True))
    other = [
        row.model_copy(update={"first": called[row.first], "second": called[row.second]})
        for row in rows
    ]
    ours = summarize(evidence(rows, ABC))
    theirs = summarize(evidence(other, ABC))
    standing = {rating.model: rating for rating in theirs.ratings}
    assert bool(ours.ratings_withheld) == bool(theirs.ratings_withheld)
    if ours.rating_model and theirs.rating_model:
        assert ours.rating_model.method == theirs.rating_model.method
    for rating in ours.ratings:
        two = standing[called[rating.model]]
        assert rating.strength.estimate == pytest.approx(two.strength.estimate, abs=1e-5)
        assert rating.ranks == two.ranks


@given(several)
def test_swapping_all_outcomes_mirrors_the_strengths(rows: list[Judgment]) -> None:
    other = [
        row.model_copy(
            update={"verdict": row.verdict.model_copy(update={"first": 1 - row.verdict.first})}
        )
        for row in rows
    ]
    ours, theirs = (summarize(evidence(these, ABC)) for these in (rows, other))
    negative = {rating.model: -rating.strength.estimate for rating in theirs.ratings}
    for rating in ours.ratings:
        assert rating.strength.estimate == pytest.approx(negative[rating.model], abs=1e-5)


@given(several, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[Judgment], random: Random) -> None:
    plain = summarize(evidence(rows, ABC))
    mixed = random.sample(rows, len(rows))
    other = summarize(evidence(mixed, ABC))
    assert other.ratings == plain.ratings
    assert other.rating_model == plain.rating_model


def test_failures_that_withhold_no_verdict_change_nothing() -> None:
    rows = chain(60, [1.0, 1.0, 0.0])
    rows += shown_in_other_order(rows)
    plain = summarize(evidence(rows, ABC))
    lost = (failure("p3"), failure("p99"), failure("p1", first="c"))
    other = summarize(evidence(rows, ABC, failures=lost))
    assert plain.ratings
    assert (other.ratings, other.rating_model) == (plain.ratings, plain.rating_model)
