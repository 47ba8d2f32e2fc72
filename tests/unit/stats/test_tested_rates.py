"""The interval and the test of a win rate, which are one procedure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bakeoff.stats import tests as significance
from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.intervals import score_rate, win_rate
from bakeoff.stats.results import NO_INTERVAL, Estimate, SignificanceResult, TestedRate
from tests.unit.stats.checks import mirrored, sound, values_of_any_kind

near_zero = st.lists(st.floats(1e-12, 1e-2) | st.just(1.0), min_size=1, max_size=60).map(np.array)
few_decisive = st.lists(st.sampled_from([0.5] * 8 + [0.0, 1.0]), min_size=15, max_size=120).map(
    np.array
)
levels = st.sampled_from([0.8, 0.95, 0.99])


@st.composite
def samples(draw: st.DrawFn) -> tuple[Values, Codes | None]:
    values = draw(values_of_any_kind | near_zero | few_decisive)
    if draw(st.booleans()):
        return values, None
    n, most = len(values), draw(st.integers(0, 60))
    return values, np.array(draw(st.lists(st.integers(0, most), min_size=n, max_size=n)))


@given(samples(), levels)
def test_p_is_significant_if_and_only_if_the_interval_excludes_one_half(
    sample: tuple[Values, Codes | None], level: float
) -> None:
    values, clusters = sample
    tested = significance.tested_win_rate(values, clusters, level)
    assert sound(tested)
    assert (tested.test.p < 1 - level) == (not tested.rate.low <= 0.5 <= tested.rate.high)
    assert tested.test.n == tested.rate.n


@given(samples(), levels)
def test_swapping_the_models_changes_no_p_and_mirrors_the_interval(
    sample: tuple[Values, Codes | None], level: float
) -> None:
    values, clusters = sample
    original = significance.tested_win_rate(values, clusters, level)
    swapped = significance.tested_win_rate(1 - values, clusters, level)
    assert original.test == swapped.test
    assert mirrored(original.rate, swapped.rate, within=1e-12)


@given(samples(), levels)
def test_the_interval_is_only_ever_widened_to_contain_one_half(
    sample: tuple[Values, Codes | None], level: float
) -> None:
    values, clusters = sample
    rate = significance.tested_win_rate(values, clusters, level).rate
    plain = win_rate(values, clusters, level)
    assert rate.low in (plain.low, 0.5)
    assert rate.high in (plain.high, 0.5)
    assert rate.low <= plain.low <= plain.high <= rate.high
    assert (rate.estimate, rate.se, rate.method) == (plain.estimate, plain.se, plain.method)


def test_wins_of_32_of_50_are_no_difference_in_both() -> None:
    """Wilson's interval excludes 50 %, and the exact sign test does not."""
    tested = significance.tested_win_rate(np.repeat([1.0, 0.0], [32, 18]))
    assert win_rate(np.repeat([1.0, 0.0], [33, 17])).low > 0.5
    assert tested.test.p == pytest.approx(stats.binomtest(32, 50).pvalue)
    assert tested.test.method == "exact sign test"
    assert tested.rate.low <= 0.5
    assert significance.tested_win_rate(np.repeat([1.0, 0.0], [33, 17])).rate.low > 0.5


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 120))
def test_wins_ties_and_losses_have_at_least_the_p_of_the_sign_test(
    wins: int, losses: int, ties: int
) -> None:
    values = np.repeat([1.0, 0.0, 0.5], [wins, losses, ties])
    if len(values) < 15:
        return
    tested = significance.tested_win_rate(values)
    assert tested.test.p >= significance.sign_test(wins, losses).p
    assert tested.test.method in ("exact sign test", "score test")


@given(samples())
def test_other_values_have_at_least_the_p_of_the_sign_flips_of_clusters(
    sample: tuple[Values, Codes | None],
) -> None:
    values, clusters = sample
    tested = significance.tested_win_rate(values, clusters)
    if tested.rate.method == NO_INTERVAL or tested.test.method == "exact sign test":
        return
    sums = values - 0.5
    if clusters is not None:
        sums = np.array([sums[clusters == code].sum() for code in np.unique(clusters)])
    flips = significance.sign_flip_test(np.round(sums, 9)).p
    assert tested.test.p >= flips - 1e-6 or tested.test.method == "score test"


@pytest.mark.parametrize("values", [np.ones(14), np.tile([1.0, 0.9], 7)])
def test_too_few_prompts_have_p_1(values: Values) -> None:
    tested = significance.tested_win_rate(values)
    assert (tested.test.p, tested.test.method) == (1, NO_INTERVAL)
    assert (tested.rate.low, tested.rate.high) == (0, 1)


def test_ten_clusters_of_unanimous_prompts_are_a_difference() -> None:
    clusters = np.repeat(np.arange(10), 3)
    tested = significance.tested_win_rate(np.ones(30), clusters)
    assert tested.test.method == "score test"
    assert 2 / 2**10 < tested.test.p < 0.01
    assert tested.rate.low > 0.5


@pytest.mark.parametrize(
    ("low", "high", "p", "expected"),
    [
        (0.51, 0.7, 0.04, (0.51, 0.7, 0.04)),
        (0.51, 0.7, 0.06, (0.5, 0.7, 0.06)),
        (0.3, 0.49, 0.06, (0.3, 0.5, 0.06)),
        (0.49, 0.7, 0.04, (0.49, 0.7, 1 - 0.95)),
        (0.49, 0.7, 0.5, (0.49, 0.7, 0.5)),
    ],
)
def test_a_difference_needs_both_the_interval_and_the_test(
    low: float, high: float, p: float, expected: tuple[float, float, float]
) -> None:
    rate, test = Estimate((low + high) / 2, low, high, "m", 30), SignificanceResult(p, "t", 30)
    agreed = significance.agreeing(rate, test)
    assert (agreed.rate.low, agreed.rate.high, agreed.test.p) == expected


# Error rates, enumerated.


def share_of_winners(n: int, ties: float) -> float:
    """The probability of a winner between equal models, over all wins, ties and losses."""
    total = 0.0
    for decisive in range(n + 1):
        probability = stats.binom.pmf(decisive, n, 1 - ties)
        if probability < 1e-7:
            continue
        for wins in range(decisive // 2 + 1):
            values = np.repeat([1.0, 0.0, 0.5], [wins, decisive - wins, n - decisive])
            if significance.tested_win_rate(values).test.p >= 0.05:
                break
            total += 2 * probability * stats.binom.pmf(wins, decisive, 0.5)
    return total


@pytest.mark.parametrize("ties", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("n", [15, 21, 30, 50, 77])
def test_equal_models_have_a_winner_in_at_most_5_percent(n: int, ties: float) -> None:
    share = share_of_winners(n, ties)
    assert share <= 0.05
    assert share > 0.005 or n * (1 - ties) < 10


@pytest.mark.parametrize("ties", [0.0, 0.5, 0.86, 0.9])
@pytest.mark.parametrize("n", [20, 30, 50, 100])
def test_a_win_rate_at_the_margin_is_equivalent_in_at_most_5_percent(n: int, ties: float) -> None:
    win, loss = 0.55 - ties / 2, max(0.0, 0.45 - ties / 2)
    total = 0.0
    for wins in range(n + 1):
        for losses in range(n - wins + 1):
            probability = stats.multinomial.pmf(
                [wins, losses, n - wins - losses], n, [win, loss, ties]
            )
            if abs(wins - losses) > 0.1 * n or probability < 1e-7:
                continue  # the mean is outside of the margin
            rate = win_rate(np.repeat([1.0, 0.0, 0.5], [wins, losses, n - wins - losses]))
            total += probability * (rate.low >= 0.45 and rate.high <= 0.55)
    assert total <= 0.05


# Two models over a common baseline.


@given(st.integers(0, 10**6), st.integers(15, 80))
def test_the_difference_of_two_models_is_that_of_their_win_rates(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random(n), rng.choice([0.0, 0.5, 1.0], n)
    result = significance.paired_difference(first, second)
    value = result.difference
    assert sound(result)
    assert value.estimate == pytest.approx(first.mean() - second.mean(), abs=1e-8)
    assert value.se == pytest.approx(stats.sem(first - second), abs=1e-7)
    assert -1 <= value.low <= value.high <= 1
    assert (result.test.p < 0.05) == (not value.low <= 0 <= value.high)
    swapped = significance.paired_difference(second, first)
    assert swapped.test == result.test
    assert swapped.difference.low == pytest.approx(-value.high, abs=1e-12)


def test_a_paired_difference_has_nearly_students_interval() -> None:
    rng = np.random.default_rng(3)
    common = rng.random(400)
    first, second = np.clip(common + 0.1, 0, 1), np.clip(common + rng.normal(0, 0.2, 400), 0, 1)
    value = significance.paired_difference(first, second).difference
    low, high = stats.t.interval(
        0.95, 399, loc=(first - second).mean(), scale=stats.sem(first - second)
    )
    assert (value.low, value.high) == pytest.approx((low, high), abs=0.01)
    alone = score_rate(first).high - score_rate(first).low
    assert value.high - value.low < alone  # prompts that are easy for both cancel


def test_too_few_shared_prompts_have_no_interval() -> None:
    value = significance.paired_difference(np.ones(5), np.zeros(5)).difference
    assert (value.low, value.high, value.method) == (-1, 1, NO_INTERVAL)


def test_results_are_no_test_cases() -> None:
    assert not TestedRate.__test__
