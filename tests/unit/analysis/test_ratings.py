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

from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import summarize
from bakeoff.records import CLUSTER_TAG, Judgment, Rating, RatingModel, Summary
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry
from tests.unit.analysis.cases import evidence, failure, judgment, prompt, won

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
    found = ratings()
    assert [one.model for one in found] == ["strong", "middling", "weak"]
    assert sum(one.strength.estimate for one in found) == pytest.approx(0, abs=1e-9)
    assert all(one.strength.low < one.strength.estimate < one.strength.high for one in found)
    assert {one.strength.n for one in found} == {24}


def test_the_order_in_which_models_are_named_changes_nothing() -> None:
    found = ratings()
    for names in (("strong", "middling", "weak"), ("middling", "weak", "strong")):
        again = ratings(names)
        assert [one.model for one in again] == [one.model for one in found]
        for ours, theirs in zip(found, again, strict=True):
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
    for one in ratings():
        expected = plain[NAMES.index(one.model)].estimate
        assert one.strength.estimate == pytest.approx(expected, abs=1e-6)


def test_prompts_of_a_cluster_are_one_unit() -> None:
    prompts = tuple(prompt(n, tags=[f"{CLUSTER_TAG}{n // 2}"]) for n in range(24))
    found, plain = ratings(prompts=prompts), ratings()
    assert {one.strength.n for one in found} == {12}
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.strength.estimate == pytest.approx(theirs.strength.estimate, abs=1e-6)


def test_two_models_or_no_judgments_have_no_ratings() -> None:
    for found in (summarize(evidence(won(15, 10))), summarize(evidence([], NAMES))):
        assert (found.ratings, found.rating_model) == ((), None)


def sound(found: Summary) -> bool:
    """No number is NaN or infinite, which JSON does not have."""
    text = json.dumps([one.model_dump() for one in found.ratings], allow_nan=False)
    return bool(text) and found.rating_model is not None


# What the fit says beside the strengths.


def fitted(rows: Iterable[Judgment], names: Sequence[str] = ABC, **more: Any) -> RatingModel:
    found = summarize(evidence(rows, names, **more)).rating_model
    assert found is not None
    return found


def circle(n: int, sides: Sequence[float], **more: Any) -> list[Judgment]:
    """a against b, b against c and c against a on each prompt; `sides` are for the first one."""
    pairs = [("a", "b"), ("b", "c"), ("c", "a")]
    return [
        judgment(prompt, one, sides[prompt % len(sides)], second=two, **more)
        for prompt in range(n)
        for one, two in pairs
    ]


def chain(n: int, sides: Sequence[float], **more: Any) -> list[Judgment]:
    """As `circle`, but a against c: the model with most wins is rated first."""
    return [
        judgment(nth, one, sides[(nth + at) % len(sides)], second=two, **more)
        for nth in range(n)
        for at, (one, two) in enumerate(("ab", "bc", "ac"))
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
    found = fitted(outcome_rows(), NAMES)
    assert found.tie_parameter is None
    assert found.first_advantage == pytest.approx(0, abs=1e-6)
    assert (found.prompts, found.clusters, found.components) == (24, None, 1)
    assert found.method == "Bradley-Terry, with the order of showing; BCa bootstrap over prompts"


def test_ties_are_fitted_by_davidsons_model() -> None:
    rows = circle(40, [1.0, 0.0, 0.5, 0.5])
    found = fitted(rows + shown_in_other_order(rows))
    assert found.tie_parameter == pytest.approx(2, abs=1e-4)  # half of all are ties: nu / (2 + nu)
    assert found.method.startswith("Davidson, with the order of showing;")


def test_a_preference_counts_as_the_side_it_favors() -> None:
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
    assert fitted(pushed).first_advantage == pytest.approx(math.log(3), abs=1e-4)
    half = [row for row in pushed if (int(row.prompt_id[1:]) % 8 < 4) == (row in rows)]
    assert fitted(half).first_advantage == pytest.approx(math.log(3), abs=1e-4)
    assert all(
        one.strength.estimate == pytest.approx(0)
        for one in summarize(evidence(pushed, ABC)).ratings
    )


def test_no_order_effect_is_fitted_for_rare_or_unknown_orders() -> None:
    rows = circle(40, [1.0, 1.0, 0.0])
    found = fitted(rows)
    assert found.first_advantage is None
    assert "without the order of showing: both orders are too rare;" in found.method
    few = [*rows[:-9], *shown_in_other_order(rows[-9:])]
    assert fitted(few).first_advantage is None
    assert fitted([*rows[:-15], *shown_in_other_order(rows[-15:])]).first_advantage is not None
    for presented in ("unknown", "pointwise"):
        found = fitted(circle(40, [1.0, 1.0, 0.0], presented=presented))
        assert found.first_advantage is None
        assert found.method.startswith("Bradley-Terry; ")


def test_verdicts_without_an_order_take_part_beside_those_with_one() -> None:
    rows = circle(40, [1.0, 1.0, 1.0, 0.0])
    shown = [
        *rows,
        *(row.model_copy(update={"first": row.second, "second": row.first}) for row in rows),
    ]
    more = [
        judgment(n, "a", float(n % 3 > 0), second="b", presented="unknown") for n in range(40, 100)
    ]
    found = summarize(evidence(shown + more, ABC))
    assert found.rating_model is not None
    assert found.rating_model.first_advantage == pytest.approx(math.log(3), abs=0.05)
    assert (
        "with the order of showing, which 67% of the verdicts record;" in found.rating_model.method
    )
    assert [one.model for one in found.ratings] == ["a", "c", "b"]


def test_a_prompt_judged_in_both_orders_counts_as_much_as_one_judged_in_one() -> None:
    """a wins 20 prompts in both orders and loses 20 in one: neither is ahead."""
    names = [("a", "b"), ("a", "c"), ("b", "c")]
    twice = [judgment(n, one, 1.0, second=two) for n in range(20) for one, two in names]
    once = [judgment(n, one, 0.0, second=two) for n in range(20, 40) for one, two in names]
    rows = [
        *twice,
        *shown_in_other_order(twice),
        *(once if i % 2 else shown_in_other_order([once])[0] for i, once in enumerate(once)),
    ]
    for one in summarize(evidence(rows, ABC)).ratings:
        assert one.strength.estimate == pytest.approx(0, abs=0.1)
    assert fitted(rows).prompts == 40


def test_repeats_judges_and_samples_are_averaged_before_a_side_is_taken() -> None:
    rows = chain(30, [1.0, 1.0, 0.0, 0.5])
    for more in ({"repeat": 1}, {"judge": "k"}, {"sample": 1}):
        again = chain(30, [1.0, 1.0, 0.0, 0.5], **more)
        assert (
            summarize(evidence(rows + again, ABC)).ratings == summarize(evidence(rows, ABC)).ratings
        )
        against = chain(30, [0.0, 0.0, 1.0, 0.5], **more)
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
    found = fitted(outcome_rows(), NAMES, prompts=prompts)
    assert (found.prompts, found.clusters) == (24, 12)
    assert found.method.endswith("BCa bootstrap over clusters of prompts")


# Ranks and letters.


def shares(one: Rating, other: Rating) -> bool:
    assert one.group
    assert other.group
    return bool(set(one.group) & set(other.group))


def test_rank_intervals_are_wide_without_and_single_with_significance() -> None:
    for one in ratings():  # 24 prompts, won 2 of 3
        assert one.ranks is not None
    strict = [
        row
        for n in range(60)
        for a, b in ("ab", "ac", "bc")
        for row in (
            judgment(n, a, float(n % 10 > 0), second=b),
            judgment(n, b, float(n % 10 == 0), second=a),
        )
    ]
    found = summarize(evidence(strict, ABC)).ratings
    assert [one.ranks for one in found] == [(1, 1), (2, 2), (3, 3)]
    assert [one.group for one in found] == ["a", "b", "c"]
    even = circle(60, [1.0, 0.0])
    found = summarize(evidence(even + shown_in_other_order(even), ABC)).ratings
    assert [one.ranks for one in found] == [(1, 3)] * 3
    assert [(one.model, one.group) for one in found] == [("a", "a"), ("b", "a"), ("c", "a")]


def test_a_model_that_always_wins_is_first_where_there_are_prompts_enough() -> None:
    for prompts, ranks in ((6, (1, 3)), (7, (1, 1))):  # 2 / 2^7 is below 0.05 / 3
        rows = [
            row
            for n in range(prompts)
            for a, b, value in (("a", "b", 1.0), ("a", "c", 1.0), ("b", "c", float(n % 2)))
            for row in [judgment(n, a, value, second=b)]
        ]
        found = summarize(evidence(rows + shown_in_other_order(rows), ABC))
        assert sound(found)
        assert (found.ratings[0].model, found.ratings[0].ranks) == ("a", ranks)
        assert found.rating_model is not None
        assert found.rating_model.components == 2
        assert "with a ridge of 0.01: the win graph falls into 2 parts" in found.rating_model.method


def test_a_model_without_judgments_has_strength_0_and_any_rank() -> None:
    found = summarize(evidence(won(20, 4), ABC))
    assert sound(found)
    assert [one.model for one in found.ratings] == ["a", "c", "b"]
    assert found.ratings[1].ranks == (1, 3)
    assert found.ratings[1].strength.estimate == pytest.approx(0, abs=1e-9)


def test_one_prompt_gives_strengths_without_significance() -> None:
    found = summarize(evidence(circle(1, [1.0])[:2], ABC))
    assert sound(found)
    assert [one.ranks for one in found.ratings] == [(1, 3)] * 3
    assert found.rating_model is not None
    assert found.rating_model.method.endswith("; one unit: no interval")


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
    whole = summarize(evidence(rows + shown_in_other_order(rows), ABC))
    assert sound(whole)
    found = whole.ratings
    assert [one.model for one in found] == ["a", "b", "c"]
    assert found[0].strength.estimate == pytest.approx(found[1].strength.estimate)
    assert [one.group for one in found] == ["a", "a", "b"]


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
    found = summarize(evidence(rows, ABC))
    assert sound(found)
    for place, one in enumerate(found.ratings, start=1):
        assert one.ranks is not None
        assert 1 <= one.ranks[0] <= place <= one.ranks[1] <= 3
    below = [sum(not shares(one, other) for other in found.ratings) for one in found.ratings]
    widths = [3 - (high - low) - 1 for low, high in (one.ranks or (0, 0) for one in found.ratings)]
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
    standing = {one.model: one for one in theirs.ratings}
    assert ours.rating_model is not None
    assert theirs.rating_model is not None
    assert ours.rating_model.method == theirs.rating_model.method
    for one in ours.ratings:
        two = standing[called[one.model]]
        assert one.strength.estimate == pytest.approx(two.strength.estimate, abs=1e-5)
        assert one.ranks == two.ranks


@given(several)
def test_swapping_all_outcomes_mirrors_the_strengths(rows: list[Judgment]) -> None:
    other = [
        row.model_copy(
            update={"verdict": row.verdict.model_copy(update={"first": 1 - row.verdict.first})}
        )
        for row in rows
    ]
    ours, theirs = (summarize(evidence(these, ABC)) for these in (rows, other))
    negative = {one.model: -one.strength.estimate for one in theirs.ratings}
    for one in ours.ratings:
        assert one.strength.estimate == pytest.approx(negative[one.model], abs=1e-5)


@given(several, st.randoms(use_true_random=False))
def test_failures_and_the_order_of_rows_change_nothing(
    rows: list[Judgment], random: Random
) -> None:
    plain = summarize(evidence(rows, ABC))
    mixed = random.sample(rows, len(rows))
    lost = (failure("p3"), failure("p99"), failure("p1", first="c"))
    other = summarize(evidence(mixed, ABC, failures=lost))
    assert other.ratings == plain.ratings
    assert other.rating_model == plain.rating_model
