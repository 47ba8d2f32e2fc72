import dataclasses

import evalica
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit

from bakeoff.stats.intervals import bca
from bakeoff.stats.ratings import RIDGE, PairwiseOutcomes, bradley_terry, direct_wins
from bakeoff.stats.results import BradleyTerryFit
from tests.marks import examples
from tests.unit.stats.checks import same, sound

few = examples(25)
seeds = st.integers(0, 10**6)
FIELDS = ("left", "right", "values", "prompts")


def random_outcomes(seed: int, items: int = 4, n: int = 80, ties: float = 0.2, first: float = 0.0):
    rng = np.random.default_rng(seed)
    strengths = rng.normal(0, 0.8, items)
    left = rng.integers(0, items, n)
    right = (left + rng.integers(1, items, n)) % items
    won = rng.random(n) < expit(strengths[left] - strengths[right] + first)
    values = np.where(rng.random(n) < ties, 0.5, won)
    return PairwiseOutcomes(left, right, values, np.arange(n) // 2)


def fit(outcomes: PairwiseOutcomes, items: int = 4, **options: bool) -> BradleyTerryFit:
    return bradley_terry(outcomes, items, resamples=0, **options)


def log_strengths(ratings: BradleyTerryFit) -> list[float]:
    return [rating.estimate for rating in ratings.strengths]


def evalica_fit(algorithm, outcomes: PairwiseOutcomes, items: int = 4):
    """evalica's fit: (log-strengths with mean 0, its result)."""
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    result = algorithm(
        outcomes.left.tolist(),
        outcomes.right.tolist(),
        [winners[value] for value in outcomes.values.tolist()],
        tolerance=1e-13,
        limit=100_000,
    )
    logs = np.log(result.scores.loc[list(range(items))].to_numpy())
    return logs - logs.mean(), result


# Oracles.


@few
@given(seeds)
def test_strengths_equal_those_of_evalica(seed: int) -> None:
    outcomes = random_outcomes(seed)
    ratings = fit(outcomes)
    assume(len(ratings.components) == 1)
    theirs, _ = evalica_fit(evalica.bradley_terry, outcomes)
    assert log_strengths(ratings) == pytest.approx(theirs.tolist(), abs=1e-3)
    assert ratings.method == "Bradley-Terry, ties half"


@few
@given(seeds, st.integers(2, 6), st.integers(1, 40), st.floats(0, 8))
def test_at_the_maximum_the_gradient_equals_that_of_the_ridge(
    seed: int, items: int, n: int, apart: float
) -> None:
    """Also if an item won or lost every comparison."""
    drawn = random_outcomes(seed, items, n)
    lead = apart * (drawn.left < drawn.right)
    outcomes = PairwiseOutcomes(
        drawn.left, drawn.right, np.minimum(1, drawn.values + lead), drawn.prompts
    )
    ratings = fit(outcomes, items)
    theta = np.array(log_strengths(ratings))
    pull = outcomes.values - expit(theta[outcomes.left] - theta[outcomes.right])
    slope = np.bincount(outcomes.left, pull, items) - np.bincount(outcomes.right, pull, items)
    ridge = RIDGE if "with a ridge" in ratings.method else 1e-6
    assert slope - 2 * ridge * theta == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_resamples_fitted_together_equal_those_fitted_one_by_one(
    ties: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.stats.ratings._MIN_RIDGE", RIDGE)  # the ridge of the resamples
    outcomes = random_outcomes(3, items=3, n=120)
    fitted = bradley_terry(outcomes, 3, ties=ties, order=True, resamples=150)

    def single(weights: np.ndarray) -> np.ndarray:
        times = weights.astype(int)[..., outcomes.prompts].reshape(-1, 120)
        fits = [refitted(np.repeat(np.arange(120), row)) for row in times]
        return np.array(fits).reshape(*weights.shape[:-1], 3)

    def refitted(rows_: np.ndarray) -> list[float]:
        drawn = PairwiseOutcomes(*(getattr(outcomes, name)[rows_] for name in FIELDS))
        return log_strengths(bradley_terry(drawn, 3, ties=ties, order=True, resamples=0))

    alone = bca(single, 60, resamples=150)
    assert all(
        same(rating, reference, 1e-6)
        for rating, reference in zip(fitted.strengths, alone, strict=True)
    )


def test_a_fit_without_progress_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = random_outcomes(1)
    converged = log_strengths(fit(outcomes))
    monkeypatch.setattr("bakeoff.stats.ratings._MAX_STEPS", 1)
    stopped = fit(outcomes)
    assert sound(stopped)
    assert log_strengths(stopped) == pytest.approx(converged, abs=0.5)
    assert log_strengths(stopped) != pytest.approx(converged, abs=1e-6)


@few
@given(seeds)
def test_newtons_method_needs_few_steps(seed: int) -> None:
    """Gradient descent would reach the same maximum in more steps."""
    outcomes = random_outcomes(seed, n=400, first=1.0)
    converged = fit(outcomes, ties=True, order=True)
    assume(len(converged.components) == 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.stats.ratings._MAX_STEPS", 6)
        quick = fit(outcomes, ties=True, order=True)
    assert log_strengths(quick) == pytest.approx(log_strengths(converged), abs=1e-9)
    assert (quick.tie_parameter, quick.first_advantage) == pytest.approx(
        (converged.tie_parameter, converged.first_advantage), abs=1e-9
    )


@few
@given(seeds)
def test_davidsons_tie_parameter_equals_newmans_of_evalica(seed: int) -> None:
    outcomes = random_outcomes(seed, n=120)
    ratings = fit(outcomes, ties=True)
    assume(len(ratings.components) == 1)
    theirs, result = evalica_fit(evalica.newman, outcomes)
    assert log_strengths(ratings) == pytest.approx(theirs.tolist(), abs=1e-3)
    assert ratings.tie_parameter == pytest.approx(2 * result.v, abs=1e-3)
    assert ratings.method == "Davidson"


@few
@given(seeds)
def test_the_fit_with_an_order_effect_equals_a_logistic_regression(seed: int) -> None:
    outcomes = random_outcomes(seed, n=200, first=0.7)
    ratings = fit(outcomes, order=True)
    assume(len(ratings.components) == 1)
    design = np.zeros((200, 4))
    design[np.arange(200), outcomes.left] += 1
    design[np.arange(200), outcomes.right] -= 1
    design[:, 0] = 1  # item 0 is the reference, its column the constant
    theirs = sm.GLM(outcomes.values, design, family=sm.families.Binomial()).fit().params
    ours = np.array(log_strengths(ratings))
    assert ratings.first_advantage == pytest.approx(theirs[0], abs=1e-3)
    assert ours[1:] - ours[0] == pytest.approx(theirs[1:], abs=1e-3)


def statsmodels_fit(outcomes: PairwiseOutcomes, items: int) -> np.ndarray:
    """Davidson's model with an order as a Poisson regression (Fienberg and Larntz 1976): the gaps
    to item 0, log nu and what the place adds.
    """
    cells = {}
    counts, order_known = outcomes.counts, outcomes.order_known
    for row in range(len(counts)):
        key = (outcomes.left[row], outcomes.right[row], bool(order_known[row]))
        cell = cells.setdefault(key, {1.0: 0.0, 0.5: 0.0, 0.0: 0.0})
        cell[outcomes.values[row]] += counts[row]
    design, totals = [], []
    for at, ((left, right, first), cell) in enumerate(cells.items()):
        for value, count in cell.items():
            row = np.zeros(items + 2 + len(cells))
            row[left] += value - 0.5
            row[right] -= value - 0.5
            row[items], row[items + 1] = value == 0.5, first * (value - 0.5)
            row[items + 2 + at] = 1
            design.append(row[1:])
            totals.append(count)
    model = sm.GLM(np.array(totals), np.array(design), family=sm.families.Poisson())
    return model.fit(tol=1e-12).params[: items + 1]


@few
@given(seeds)
def test_the_fit_with_ties_order_and_weights_equals_a_poisson_regression(seed: int) -> None:
    drawn = random_outcomes(seed, n=400, first=0.6)
    rng = np.random.default_rng(seed + 1)
    outcomes = dataclasses.replace(
        drawn, weights=rng.choice([0.5, 1.0, 3.0], 400), order_known=rng.random(400) < 0.8
    )
    ratings = fit(outcomes, ties=True, order=True)
    assume(len(ratings.components) == 1)
    theirs = statsmodels_fit(outcomes, 4)
    ours = np.array(log_strengths(ratings))
    assert ours[1:] - ours[0] == pytest.approx(theirs[:3], abs=2e-3)
    assert np.log(ratings.tie_parameter) == pytest.approx(theirs[3], abs=2e-3)
    assert ratings.first_advantage == pytest.approx(theirs[4], abs=2e-3)


# Properties.


@few
@given(seeds, st.booleans(), st.booleans())
def test_weight_2_equals_two_copies(seed: int, ties: bool, order: bool) -> None:
    outcomes = random_outcomes(seed)
    twice = PairwiseOutcomes(*(np.repeat(getattr(outcomes, name), 2) for name in FIELDS))
    heavy = dataclasses.replace(
        outcomes, weights=np.full(80, 2.0), order_known=np.ones(80, dtype=bool)
    )
    ours, theirs = (
        bradley_terry(games, 4, ties=ties, order=order, resamples=30) for games in (heavy, twice)
    )
    for two, other in zip(ours.strengths, theirs.strengths, strict=True):
        assert same(two, other, 1e-6)
    assert ours.better == theirs.better


@few
@given(seeds)
def test_with_unknown_order_left_and_right_are_exchangeable(seed: int) -> None:
    outcomes = random_outcomes(seed, first=1.0)
    rng = np.random.default_rng(seed)
    turn, order_known = rng.random(80) < 0.5, rng.random(80) < 0.5
    turn &= ~order_known
    other = PairwiseOutcomes(
        np.where(turn, outcomes.right, outcomes.left),
        np.where(turn, outcomes.left, outcomes.right),
        np.where(turn, 1 - outcomes.values, outcomes.values),
        outcomes.prompts,
        order_known=order_known,
    )
    ours = fit(dataclasses.replace(outcomes, order_known=order_known), order=True)
    theirs = fit(other, order=True)
    assert log_strengths(ours) == pytest.approx(log_strengths(theirs), abs=1e-6)
    assert ours.first_advantage == pytest.approx(theirs.first_advantage, abs=1e-6)


@few
@given(seeds)
def test_renaming_the_items_renames_significant_differences(seed: int) -> None:
    outcomes = random_outcomes(seed, n=240, ties=0.1)
    names = np.random.default_rng(seed).permutation(4)
    other = PairwiseOutcomes(
        names[outcomes.left], names[outcomes.right], outcomes.values, outcomes.prompts
    )
    mirror = dataclasses.replace(outcomes, values=1 - outcomes.values)
    ours, theirs, turned = (
        bradley_terry(games, 4, ties=True) for games in (outcomes, other, mirror)
    )
    assert {(names[i], names[j]) for i, j in ours.better} == set(theirs.better)
    assert {(j, i) for i, j in ours.better} == set(turned.better)


def test_direct_wins_count_prompts_with_more_wins_than_losses() -> None:
    left, right = np.array([0, 1, 0, 2, 1, 2]), np.array([1, 0, 1, 0, 2, 1])
    values, prompts = np.array([1.0, 1.0, 1.0, 0.0, 0.5, 1.0]), np.array([7, 7, 8, 8, 9, 9])
    outcomes = PairwiseOutcomes(left, right, values, prompts, np.array([1, 1, 2, 1, 1, 1.0]))
    assert direct_wins(outcomes, 3).tolist() == [[0, 1, 1], [0, 0, 0], [0, 1, 0]]


@few
@given(seeds, st.booleans(), st.booleans())
def test_swapping_the_sides_keeps_strengths_and_negates_the_order(
    seed: int, ties: bool, order: bool
) -> None:
    outcomes = random_outcomes(seed, first=0.4)
    other = PairwiseOutcomes(outcomes.right, outcomes.left, 1 - outcomes.values, outcomes.prompts)
    ours, theirs = (fit(games, ties=ties, order=order) for games in (outcomes, other))
    assert sound(ours)
    assert sum(log_strengths(ours)) == pytest.approx(0, abs=1e-9)
    assert log_strengths(ours) == pytest.approx(log_strengths(theirs), abs=1e-4)
    assert ours.components == theirs.components
    assert (ours.tie_parameter is None, ours.first_advantage is None) == (not ties, not order)
    assert ours.tie_parameter is None or ours.tie_parameter == pytest.approx(
        theirs.tie_parameter, abs=1e-4
    )
    assert ours.first_advantage is None or ours.first_advantage == pytest.approx(
        -theirs.first_advantage, abs=1e-4
    )


@few
@given(seeds, st.booleans())
def test_reversing_every_outcome_reverses_the_ranking(seed: int, ties: bool) -> None:
    outcomes = random_outcomes(seed)
    other = PairwiseOutcomes(outcomes.left, outcomes.right, 1 - outcomes.values, outcomes.prompts)
    ours, theirs = (fit(games, ties=ties) for games in (outcomes, other))
    negative = [-strength for strength in log_strengths(theirs)]
    assert log_strengths(ours) == pytest.approx(negative, abs=1e-4)


@few
@given(seeds)
def test_renaming_the_items_renames_their_strengths(seed: int) -> None:
    outcomes = random_outcomes(seed)
    names = np.random.default_rng(seed).permutation(4)
    other = PairwiseOutcomes(
        names[outcomes.left], names[outcomes.right], outcomes.values, outcomes.prompts
    )
    ours, theirs = log_strengths(fit(outcomes)), log_strengths(fit(other))
    assert ours == pytest.approx([theirs[name] for name in names], abs=1e-4)


@few
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40))
def test_strengths_of_two_items_give_their_win_rate(wins: int, losses: int, ties: int) -> None:
    values = np.repeat([1.0, 0.0, 0.5], (wins, losses, ties))
    n = len(values)
    outcomes = PairwiseOutcomes(np.zeros(n, dtype=int), np.ones(n, dtype=int), values, np.arange(n))
    first, second = log_strengths(fit(outcomes, 2))
    assert first - second == pytest.approx(logit(values.mean()), abs=1e-3)
    davidson = fit(outcomes, 2, ties=True)
    first, second = log_strengths(davidson)
    weights = np.array(
        [np.exp((first - second) / 2), np.exp((second - first) / 2), davidson.tie_parameter]
    )
    assert weights / weights.sum() == pytest.approx(np.array([wins, losses, ties]) / n, abs=1e-3)


def test_intervals_contain_the_strengths_and_are_seeded() -> None:
    outcomes = random_outcomes(3)
    ratings = bradley_terry(outcomes, 4, ties=True, order=True, resamples=60)
    assert sound(ratings)
    assert ratings == bradley_terry(outcomes, 4, ties=True, order=True, resamples=60)
    assert all(rating.n == 40 and rating.low < rating.high for rating in ratings.strengths)
    point = fit(outcomes, ties=True, order=True)
    assert log_strengths(point) == pytest.approx(log_strengths(ratings))
    assert all(rating.low == rating.high for rating in point.strengths)
    assert {rating.method for rating in point.strengths} == {"no interval"}


def test_the_bootstrap_draws_prompts_not_outcomes() -> None:
    outcomes = random_outcomes(5)
    four = PairwiseOutcomes(*(np.repeat(getattr(outcomes, name), 4) for name in FIELDS))
    alone = PairwiseOutcomes(four.left, four.right, four.values, np.arange(len(four.values)))
    once, copies, naive = (
        bradley_terry(games, 4, resamples=150) for games in (outcomes, four, alone)
    )
    for ours, theirs, narrow in zip(once.strengths, copies.strengths, naive.strengths, strict=True):
        assert same(ours, theirs, within=0.03)  # the ridge of resamples weighs less
        assert narrow.high - narrow.low < 0.7 * (theirs.high - theirs.low)


@pytest.mark.slow
def test_intervals_of_a_gap_in_strength_cover() -> None:
    hits = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        left = np.tile([0, 1, 2], 30)
        right = (left + 1) % 3
        strengths = np.array([0.5, 0.0, -0.5])
        values = (rng.random(90) < expit(strengths[left] - strengths[right])).astype(float)
        ratings = bradley_terry(
            PairwiseOutcomes(left, right, values, np.arange(90)), 3, resamples=150
        )
        pairs = zip(ratings.strengths, strengths, strict=True)
        hits += [gap.low <= truth <= gap.high for gap, truth in pairs]
    assert np.mean(hits) >= 0.9


# Where no maximum exists.


def test_an_item_that_won_every_comparison_is_a_component() -> None:
    left, right = np.array([0, 1, 0, 2, 2]), np.array([1, 0, 1, 0, 1])
    values = np.array([1.0, 1.0, 0.5, 1.0, 1.0])
    ratings = bradley_terry(PairwiseOutcomes(left, right, values, np.arange(5)), 3, resamples=20)
    assert ratings.components == ((0, 1), (2,))
    assert "ridge of 0.01: the win graph falls into 2 parts" in ratings.method
    assert sound(ratings)
    assert log_strengths(ratings)[2] == max(log_strengths(ratings))


def test_items_without_common_comparisons_are_separate_components() -> None:
    left, right = np.array([0, 1, 2, 3, 2]), np.array([1, 0, 3, 2, 3])
    outcomes = PairwiseOutcomes(left, right, np.array([1.0, 1.0, 1.0, 1.0, 1.0]), np.arange(5))
    ratings = fit(outcomes, 5)
    assert ratings.components == ((0, 1), (2, 3), (4,))
    assert "3 parts" in ratings.method
    assert log_strengths(ratings)[4] == pytest.approx(0, abs=1e-6)


def test_a_single_outcome_has_finite_strengths() -> None:
    index = np.array([0])
    ratings = bradley_terry(PairwiseOutcomes(index, index + 1, np.array([1.0]), index), 2)
    assert sound(ratings)
    assert 0 < log_strengths(ratings)[0] < 5


@pytest.mark.parametrize("ties", [False, True])
def test_ties_alone_give_equal_strengths(ties: bool) -> None:
    left = np.array([0, 1, 2] * 4)
    outcomes = PairwiseOutcomes(left, (left + 1) % 3, np.full(12, 0.5), np.arange(12))
    ratings = bradley_terry(outcomes, 3, ties=ties, resamples=20)
    assert sound(ratings)
    assert log_strengths(ratings) == pytest.approx([0, 0, 0], abs=1e-6)
    assert ratings.components == ((0, 1, 2),)
    assert not ties or ratings.tie_parameter > 100


def test_without_ties_davidsons_model_equals_bradley_terry() -> None:
    outcomes = random_outcomes(11, ties=0.0)
    davidson, plain = fit(outcomes, ties=True), fit(outcomes)
    assert len(plain.components) == 1
    assert davidson.tie_parameter < 1e-3
    assert log_strengths(davidson) == pytest.approx(log_strengths(plain), abs=1e-2)


def test_an_order_that_decides_every_outcome_has_a_finite_effect() -> None:
    left = np.array([0, 1, 2] * 4)
    outcomes = PairwiseOutcomes(left, (left + 1) % 3, np.ones(12), np.arange(12))
    ratings = fit(outcomes, 3, order=True)
    assert sound(ratings)
    assert ratings.first_advantage > 3
    assert ratings.method.endswith(", with a ridge of 0.01: no maximum exists")
    assert log_strengths(ratings) == pytest.approx([0, 0, 0], abs=1e-3)


def test_no_outcomes_have_no_strengths() -> None:
    none = np.array([], dtype=int)
    with pytest.raises(ValueError, match="no outcomes"):
        bradley_terry(PairwiseOutcomes(none, none, np.array([]), none), 3)


@few
@given(seeds, st.integers(1, 40))
def test_an_item_that_always_wins_is_better_by_the_sign_test(seed: int, prompts: int) -> None:
    """A bootstrap of identical prompts has no variation."""
    drawn = random_outcomes(seed, items=3, n=prompts, ties=0.3)
    left = np.concatenate((drawn.left, np.full(prompts, 3)))
    right = np.concatenate((drawn.right, drawn.left))
    values, units = np.concatenate((drawn.values, np.ones(prompts))), np.arange(prompts)
    outcomes = PairwiseOutcomes(left, right, values, np.tile(units, 2))
    ratings = bradley_terry(outcomes, 4, ties=True, resamples=30)
    assert sound(ratings)
    for item in range(3):
        met = int((drawn.left == item).sum())
        assert ((3, item) in ratings.better) == (2 * 0.5**met <= 0.05 / 6)


def test_one_prompt_gives_no_significance() -> None:
    outcomes = PairwiseOutcomes(
        np.array([0, 1, 0]), np.array([1, 2, 2]), np.array([1.0, 1.0, 0.5]), np.zeros(3, dtype=int)
    )
    ratings = bradley_terry(outcomes, 3, ties=True, order=True)
    assert sound(ratings)
    assert ratings.better == ()
    assert {rating.method for rating in ratings.strengths} == {"one unit: no interval"}


def test_identical_items_do_not_differ_significantly() -> None:
    drawn = random_outcomes(2, items=3, n=120)
    at = np.flatnonzero((drawn.left == 2) | (drawn.right == 2))
    two = [np.where(side[at] == 2, 3, side[at]) for side in (drawn.left, drawn.right)]
    duel = np.arange(60)
    outcomes = PairwiseOutcomes(
        np.concatenate((drawn.left, two[0], np.full(60, 2))),
        np.concatenate((drawn.right, two[1], np.full(60, 3))),
        np.concatenate((drawn.values, drawn.values[at], np.full(60, 0.5))),
        np.concatenate((drawn.prompts, drawn.prompts[at], duel)),
    )
    ratings = bradley_terry(outcomes, 4, ties=True, resamples=60)
    assert log_strengths(ratings)[2] == pytest.approx(log_strengths(ratings)[3], abs=1e-9)
    assert not {(2, 3), (3, 2)} & set(ratings.better)


# Numbers known from elsewhere.


def test_the_wikipedia_example_is_reproduced() -> None:
    wins = {"AB": 2, "AD": 1, "BA": 3, "BC": 5, "CB": 3, "CD": 1, "DA": 4, "DC": 3}
    games = [pair for pair, times in wins.items() for _ in range(times)]
    left, right = (np.array(["ABCD".index(game[side]) for game in games]) for side in (0, 1))
    ratings = fit(PairwiseOutcomes(left, right, np.ones(len(games)), np.arange(len(games))))
    known = [0.640, 1.043, 0.660, 2.270]  # the article "Bradley-Terry model"
    assert np.exp(log_strengths(ratings)) == pytest.approx(known, abs=1e-3)
