import dataclasses
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from bakeoff.stats.pair_selection import select_pairs
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry

FIELDS = ("left", "right", "values", "prompts")
seeds = st.integers(0, 10**6)


def random_outcomes(
    seed: int, items: int = 5, prompts: int = 30, ties: float = 0.2
) -> PairwiseOutcomes:
    """All pairs on all prompts."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(0, 1, items)
    i, j = np.array(list(combinations(range(items), 2))).T
    left, right = np.tile(i, prompts), np.tile(j, prompts)
    won = rng.random(len(left)) < expit(strengths[left] - strengths[right])
    values = np.where(rng.random(len(left)) < ties, 0.5, won)
    return PairwiseOutcomes(left, right, values, np.repeat(np.arange(prompts), len(i)))


def random_selection_input(outcomes: PairwiseOutcomes, seed: int, share: float) -> PairwiseOutcomes:
    kept = np.random.default_rng(seed).random(len(outcomes.values)) < share
    parts = (outcomes.left, outcomes.right, outcomes.values, outcomes.prompts)
    return PairwiseOutcomes(*(part[kept] for part in parts))


def neighbours_variance(information: np.ndarray, ranked: list[int]) -> float:
    covariance = np.linalg.inv(information)
    total = 0.0
    for left, right in pairwise(ranked):
        across = np.zeros(len(ranked))
        across[left], across[right] = 1, -1
        total += across @ covariance @ across
    return total


@given(seeds, st.integers(3, 6), st.floats(5, 60), st.sampled_from([0.0, 0.2]))
def test_each_pair_lowers_the_neighbor_variances_most(
    seed: int, items: int, prompts: float, ties: float
) -> None:
    outcomes = random_outcomes(seed, items, ties=ties)
    chosen = select_pairs(outcomes, items, 4, prompts=prompts)
    fitted = bradley_terry(outcomes, items, ties=bool(ties), resamples=0)
    theta = np.array([rating.estimate for rating in fitted.strengths])
    information = 1e-2 * np.eye(items)
    added = {}
    for i, j in combinations(range(items), 2):
        won, lost = np.exp((theta[i] - theta[j]) / 2), np.exp((theta[j] - theta[i]) / 2)
        chances = np.array([won, fitted.tie_parameter or 0, lost]) / (
            won + lost + (fitted.tie_parameter or 0)
        )
        worth = chances @ np.array([0.25, 0, 0.25]) - (chances @ np.array([0.5, 0, -0.5])) ** 2
        across = np.zeros(items)
        across[i], across[j] = 1, -1
        added[i, j] = worth * np.outer(across, across)
        information = information + 30 * added[i, j]
    ranked = np.argsort(-np.round(theta, 9), kind="stable").tolist()
    for pair in chosen:
        left = {
            other: neighbours_variance(information + prompts * more, ranked)
            for other, more in added.items()
        }
        assert left[pair] == pytest.approx(min(left.values()), rel=1e-6)
        information = information + prompts * added.pop(pair)


@given(seeds, st.integers(1, 6), st.integers(0, 20), st.floats(0, 1))
def test_pairs_are_distinct_and_unmet_pairs_come_first(
    seed: int, items: int, count: int, share: float
) -> None:
    outcomes = (
        random_selection_input(random_outcomes(seed, items, 3), seed, share)
        if items > 1
        else none()
    )
    chosen = select_pairs(outcomes, items, count)
    every = list(combinations(range(items), 2))
    assert len(chosen) == min(count, len(every))
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(every)
    met = {(int(i), int(j)) for i, j in zip(outcomes.left, outcomes.right, strict=True)}
    new = [pair not in met for pair in chosen]
    assert new == sorted(new, reverse=True)
    assert sum(new) == min(count, len(set(every) - met))
    assert chosen == select_pairs(outcomes, items, count)


@given(seeds)
def test_renaming_the_items_renames_the_pairs(seed: int) -> None:
    outcomes = random_outcomes(seed)
    names = np.random.default_rng(seed).permutation(5)
    other = dataclasses.replace(outcomes, left=names[outcomes.left], right=names[outcomes.right])
    renamed = [tuple(sorted((names[i], names[j]))) for i, j in select_pairs(outcomes, 5, 6)]
    assert set(renamed[:1]) == set(select_pairs(other, 5, 1)) or tied(outcomes)


def tied(outcomes: PairwiseOutcomes) -> bool:
    """Whether two pairs are equally informative, or two items equally strong."""
    strengths = [s.estimate for s in bradley_terry(outcomes, 5, ties=True, resamples=0).strengths]
    return len(set(np.round(strengths, 6))) < 5


@given(seeds)
def test_selection_depends_on_outcomes_through_strengths_only(seed: int) -> None:
    outcomes = random_outcomes(seed)
    swapped = PairwiseOutcomes(outcomes.right, outcomes.left, 1 - outcomes.values, outcomes.prompts)
    mirror = dataclasses.replace(outcomes, values=1 - outcomes.values)
    twice = dataclasses.replace(outcomes, weights=np.full(len(outcomes.values), 2.0))
    double = PairwiseOutcomes(
        *(np.repeat(getattr(outcomes, n), 2) for n in ("left", "right", "values", "prompts"))
    )
    selected = select_pairs(outcomes, 5, 5)
    assert select_pairs(swapped, 5, 5) == selected
    assert tied(outcomes) or set(select_pairs(mirror, 5, 1)) == set(selected[:1])
    assert select_pairs(twice, 5, 5) == select_pairs(double, 5, 5)


def test_neighbors_are_selected_for_models_far_apart() -> None:
    rng = np.random.default_rng(3)
    strengths = np.array([3.0, 1.0, -1.0, -3.0])
    outcomes_ = random_outcomes(0, 4, 200)
    won = rng.random(len(outcomes_.values)) < expit(
        strengths[outcomes_.left] - strengths[outcomes_.right]
    )
    outcomes = dataclasses.replace(outcomes_, values=won.astype(float))
    assert set(select_pairs(outcomes, 4, 3)) == {(0, 1), (1, 2), (2, 3)}


def test_an_unmet_pair_is_selected_first_even_if_uninformative() -> None:
    outcomes_ = random_outcomes(0, 4, 200)
    strengths = np.array([4.0, 1.0, -1.0, -4.0])
    won = np.random.default_rng(0).random(len(outcomes_.values)) < expit(
        strengths[outcomes_.left] - strengths[outcomes_.right]
    )
    kept = (outcomes_.left > 0) | (outcomes_.right < 3)
    outcomes = PairwiseOutcomes(
        outcomes_.left[kept],
        outcomes_.right[kept],
        won[kept].astype(float),
        outcomes_.prompts[kept],
    )
    assert select_pairs(outcomes, 4, 2)[0] == (0, 3)
    assert (0, 3) not in select_pairs(
        dataclasses.replace(outcomes_, values=won.astype(float)), 4, 3
    )


def test_the_most_uncertain_neighbors_come_first() -> None:
    outcomes = random_outcomes(1, 4, 40)
    few = ((outcomes.left == 2) | (outcomes.right == 3)) & (outcomes.prompts > 3)
    seldom = PairwiseOutcomes(*(getattr(outcomes, n)[~few] for n in FIELDS))
    strengths = [s.estimate for s in bradley_terry(seldom, 4, ties=True, resamples=0).strengths]
    i, j = select_pairs(seldom, 4, 1)[0]
    assert 3 in (i, j)
    assert abs(strengths[i] - strengths[j]) < 3


def none() -> PairwiseOutcomes:
    no_items = np.array([], dtype=int)
    return PairwiseOutcomes(no_items, no_items, np.array([]), no_items)


def test_without_outcomes_every_pair_is_unmet() -> None:
    assert set(select_pairs(none(), 4, 99)) == set(combinations(range(4), 2))


def test_a_model_that_always_wins_and_ties_alone_are_handled() -> None:
    outcomes_ = random_outcomes(2, 4, 20, ties=0)
    always = dataclasses.replace(
        outcomes_, values=np.where(outcomes_.left == 0, 1.0, outcomes_.values)
    )
    ties = dataclasses.replace(outcomes_, values=np.full(len(outcomes_.values), 0.5))
    for outcomes in (always, ties):
        assert len(select_pairs(outcomes, 4, 6)) == 6
