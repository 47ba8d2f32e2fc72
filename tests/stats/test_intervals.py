import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest, sem, t

from bakeoff.stats.intervals import Estimate, Values, effective_wilson, logit_t, win_rate

singles = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60).map(np.array)
averages = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)
quarters = st.lists(st.integers(0, 4).map(lambda n: n / 4), min_size=1, max_size=60).map(np.array)
values_of_any_kind = singles | quarters | averages


def table(wins: int, ties: int, losses: int) -> Values:
    return np.repeat([1.0, 0.5, 0.0], [wins, ties, losses])


def whole(values: Values) -> bool:
    return bool(np.isin(values, (0, 0.5, 1)).all())


def close(one: Estimate, mean: float, low: float, high: float, within: float = 1e-9) -> bool:
    return np.allclose([one.mean, one.low, one.high], [mean, low, high], rtol=0, atol=within)


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.8, 0.95, 0.99]))
def test_without_ties_it_is_wilson_s_interval(wins: int, losses: int, level: float) -> None:
    if not wins + losses:
        losses = 1
    ours = effective_wilson(table(wins, 0, losses), level)
    theirs = binomtest(wins, wins + losses).proportion_ci(level, method="wilson")
    assert close(ours, wins / (wins + losses), theirs.low, theirs.high)


def test_55_of_100() -> None:
    estimate = win_rate(table(55, 0, 45))
    assert close(estimate, 0.55, 0.4524, 0.6439, within=5e-5)
    assert estimate.method == "effective-n Wilson"


@given(values_of_any_kind)
def test_swapping_the_models_mirrors_the_interval(values: Values) -> None:
    one, other = win_rate(values), win_rate(1 - values)
    assert close(other, 1 - one.mean, 1 - one.high, 1 - one.low, within=1e-7)
    assert one.method == other.method


@given(values_of_any_kind, st.sampled_from([0.5, 0.95, 0.999]))
def test_an_interval_is_in_0_to_1_holds_its_mean(values: Values, level: float) -> None:
    for estimate in (win_rate(values, level), effective_wilson(values, level)):
        assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1
        assert estimate.mean == pytest.approx(values.mean(), abs=1e-9)


@given(values_of_any_kind, st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_does_not_matter(values: Values, rng: random.Random) -> None:
    shuffled = list(values)
    rng.shuffle(shuffled)
    one, other = win_rate(values), win_rate(np.array(shuffled))
    assert close(one, other.mean, other.low, other.high)


@given(values_of_any_kind)
def test_a_higher_level_is_a_wider_interval(values: Values) -> None:
    narrow, wide = win_rate(values, 0.8), win_rate(values, 0.99)
    assert wide.low <= narrow.low <= narrow.high <= wide.high
    assert wide.high - wide.low > narrow.high - narrow.low


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 20))
def test_ties_make_it_narrower_than_half_wins_and_half_losses_would(
    wins: int, losses: int, pairs_of_ties: int
) -> None:
    n = wins + losses + 2 * pairs_of_ties
    assume(n)
    ours = effective_wilson(table(wins, 2 * pairs_of_ties, losses))
    theirs = binomtest(wins + pairs_of_ties, n).proportion_ci(method="wilson")
    if pairs_of_ties:
        assert theirs.low < ours.low <= ours.high < theirs.high
    else:
        assert close(ours, wins / n, theirs.low, theirs.high)


@given(singles, averages)
def test_the_method_is_chosen_by_the_values(single: Values, average: Values) -> None:
    assert win_rate(single) == effective_wilson(single)
    average = np.round(average, 9)  # what differs by less is taken for rounding
    method = win_rate(average).method
    assert (method == "t on the logit scale") == (np.ptp(average) > 1e-9 and not whole(average))
    assert whole(average) or win_rate(average) == logit_t(average)


@given(st.integers(1, 1_000))
def test_all_wins_and_all_losses(n: int) -> None:
    wins, losses = win_rate(np.ones(n)), win_rate(np.zeros(n))
    theirs = binomtest(n, n).proportion_ci(method="wilson")
    assert close(wins, 1, theirs.low, 1)
    assert close(losses, 0, 0, 1 - theirs.low)
    assert (wins.mean, wins.high, losses.low, losses.mean) == (1, 1, 0, 0)


@given(st.lists(st.floats(0.05, 0.95), min_size=2, max_size=40).map(np.array))
def test_averages_have_student_s_interval_on_the_logit_scale(values: Values) -> None:
    assume(np.ptp(values) > 1e-3)
    estimate = logit_t(values)
    m = values.mean()
    low, high = t.interval(0.95, len(values) - 1, loc=logit(m), scale=sem(values) / (m * (1 - m)))
    assert close(estimate, m, expit(low), expit(high))


@pytest.mark.parametrize("n", [1, 2, 10, 100])
@pytest.mark.parametrize("value", [0.5, 0.25, 0.1, 0.3, 0.7])
def test_all_the_same_is_not_certainty(n: int, value: float) -> None:
    estimate = win_rate(np.full(n, value))
    assert estimate.mean == pytest.approx(value)
    assert estimate.low < value < estimate.high
    assert estimate.high - estimate.low > 1 / (2 * n)
    more = win_rate(np.full(4 * n, value))
    assert more.high - more.low < estimate.high - estimate.low


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 1.0])
def test_one_prompt_says_next_to_nothing(value: float) -> None:
    estimate = win_rate(np.array([value]))
    assert estimate.high - estimate.low > 0.5
    assert estimate.low <= 0.5 <= estimate.high or value in (0.0, 1.0)


def test_no_values_are_no_estimate() -> None:
    with pytest.raises(ValueError, match="no values"):
        win_rate(np.array([]))


# Coverage: how often the interval holds the true value (stats.md 1.2, column "Wilson n_e").

CELLS = [
    (10, (0.9, 0.05, 0.05)),
    (10, (0.5, 0.0, 0.5)),
    (20, (0.95, 0.04, 0.01)),
    (30, (0.25, 0.7, 0.05)),
    (50, (0.7, 0.1, 0.2)),
    (100, (0.95, 0.04, 0.01)),
    (200, (0.3, 0.4, 0.3)),
]
RUNS = 4_000


def coverage(samples: Values, truth: float) -> float:
    estimates = [win_rate(values) for values in samples]
    return float(np.mean([one.low <= truth <= one.high for one in estimates]))


@pytest.mark.parametrize(("n", "shares"), CELLS)
def test_coverage_of_one_verdict_per_prompt(n: int, shares: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(7)
    samples = rng.choice([1.0, 0.5, 0.0], p=shares, size=(RUNS, n))
    assert coverage(samples, shares[0] + shares[1] / 2) >= 0.92


@pytest.mark.parametrize(("n", "p", "slip"), [(20, 0.5, 0.2), (30, 0.7, 0.3), (100, 0.9, 0.1)])
def test_coverage_where_two_orders_are_averaged(n: int, p: float, slip: float) -> None:
    """Each prompt has a better model; each order is judged with an error of its own."""
    rng = np.random.default_rng(11)
    better = rng.random((RUNS, n)) < p
    slips = rng.random((2, RUNS, n)) < slip
    samples = np.where(slips, ~better, better).mean(axis=0)
    assert set(np.unique(samples)) == {0.0, 0.5, 1.0}
    assert coverage(samples, p * (1 - slip) + (1 - p) * slip) >= 0.92


@pytest.mark.parametrize(("n", "a", "b"), [(20, 2.0, 2.0), (30, 4.0, 2.0), (100, 6.0, 1.0)])
def test_coverage_of_preferences_between_0_and_1(n: int, a: float, b: float) -> None:
    samples = np.random.default_rng(13).beta(a, b, size=(RUNS, n))
    assert coverage(samples, a / (a + b)) >= 0.92
