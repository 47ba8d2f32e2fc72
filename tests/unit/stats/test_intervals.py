import random

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit
from scipy.stats import binomtest, sem, t

from bakeoff.stats.intervals import (
    Values,
    bca,
    cluster_means,
    cluster_robust_mean,
    effective_wilson,
    proportion,
    t_interval,
    win_rate,
)
from tests.marks import examples
from tests.unit.stats.checks import (
    averages,
    close,
    mirrored,
    quarters,
    same,
    singles,
    sound,
    values_of_any_kind,
)

levels = st.sampled_from([0.5, 0.8, 0.95, 0.99, 0.999])


def table(wins: int, ties: int, losses: int) -> Values:
    return np.repeat([1.0, 0.5, 0.0], [wins, ties, losses])


def is_win_tie_loss(values: Values) -> bool:
    return bool(np.isin(values, (0, 0.5, 1)).all())


def mean_of(values: Values):
    """The mean as a statistic of weights, for the bootstrap."""
    return lambda weights: ((weights @ values) / weights.sum(-1))[..., None]


@st.composite
def values_in_clusters(draw: st.DrawFn) -> tuple[Values, np.ndarray]:
    values = draw(values_of_any_kind)
    n = len(values)
    clusters = draw(st.lists(st.integers(-3, draw(st.integers(-3, 60))), min_size=n, max_size=n))
    return values, np.array(clusters)


# Single verdicts: Wilson's interval with an effective n.


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.8, 0.95, 0.99]))
def test_without_ties_the_win_rate_has_wilsons_interval(
    wins: int, losses: int, level: float
) -> None:
    assume(wins + losses)
    ours = effective_wilson(table(wins, 0, losses), level)
    theirs = binomtest(wins, wins + losses).proportion_ci(level, method="wilson")
    assert close(ours, wins / (wins + losses), theirs.low, theirs.high)
    assert proportion(wins, wins + losses, level) == ours


def test_a_proportion_of_no_trials_is_none() -> None:
    assert proportion(0, 0) is None


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 20))
def test_ties_have_a_narrower_interval_than_half_wins_and_half_losses(
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


@given(singles)
def test_the_standard_error_of_single_verdicts_is_that_of_a_mean(values: Values) -> None:
    estimate = effective_wilson(values)
    if len(values) == 1:
        assert estimate.se is None
    else:
        assert estimate.se == pytest.approx(sem(values), abs=1e-12)


@given(st.integers(1, 1_000))
def test_all_wins_or_all_losses_have_wilsons_interval(n: int) -> None:
    wins, losses = win_rate(np.ones(n)), win_rate(np.zeros(n))
    theirs = binomtest(n, n).proportion_ci(method="wilson")
    assert close(wins, 1, theirs.low, 1)
    assert close(losses, 0, 0, 1 - theirs.low)
    assert (wins.estimate, wins.high, losses.low, losses.estimate) == (1, 1, 0, 0)


@pytest.mark.parametrize("n", [1, 2, 10, 100])
@pytest.mark.parametrize("value", [0.5, 0.25, 0.1, 0.3, 0.7])
def test_equal_values_have_an_interval_of_positive_width(n: int, value: float) -> None:
    estimate = win_rate(np.full(n, value))
    assert estimate.estimate == pytest.approx(value)
    assert estimate.low < value < estimate.high
    assert estimate.high - estimate.low > 1 / (2 * n)
    more = win_rate(np.full(4 * n, value))
    assert more.high - more.low < estimate.high - estimate.low


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 1.0])
def test_one_prompt_has_a_wide_interval(value: float) -> None:
    estimate = win_rate(np.array([value]))
    assert estimate.high - estimate.low > 0.5
    assert estimate.low <= 0.5 <= estimate.high or value in (0.0, 1.0)


# Any values.


@given(values_in_clusters(), st.booleans(), levels)
def test_an_interval_is_within_0_and_1_and_contains_the_mean(
    drawn: tuple[Values, np.ndarray], alone: bool, level: float
) -> None:
    values, clusters = drawn
    estimate = win_rate(values, None if alone else clusters, level)
    assert sound(estimate)
    assert 0 <= estimate.low <= estimate.high <= 1
    assert estimate.estimate == pytest.approx(values.mean(), abs=1e-9)
    assert sound(effective_wilson(values, level))


@given(values_in_clusters(), st.booleans())
def test_swapping_the_models_mirrors_the_interval(
    drawn: tuple[Values, np.ndarray], alone: bool
) -> None:
    values, clusters = drawn
    by = None if alone else clusters
    original, swapped = win_rate(values, by), win_rate(1 - values, by)
    assert mirrored(original, swapped, within=1e-7)
    assert (original.method, original.n) == (swapped.method, swapped.n)


@given(values_in_clusters(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_does_not_matter(
    drawn: tuple[Values, np.ndarray], alone: bool, rng: random.Random
) -> None:
    values, clusters = drawn
    places = list(range(len(values)))
    rng.shuffle(places)
    original = win_rate(values, None if alone else clusters)
    other = win_rate(values[places], None if alone else clusters[places])
    assert same(original, other)
    assert original.method == other.method


@given(values_in_clusters(), st.booleans())
def test_a_higher_level_is_a_wider_interval(drawn: tuple[Values, np.ndarray], alone: bool) -> None:
    values, clusters = drawn
    narrow, wide = (win_rate(values, None if alone else clusters, level) for level in (0.8, 0.99))
    assert wide.low <= narrow.low + 1e-12  # they differ by rounding next to 0 and 1
    assert narrow.high <= wide.high + 1e-12
    assert wide.high - wide.low > narrow.high - narrow.low


@given(singles, averages)
def test_the_method_is_chosen_by_the_values(single: Values, average: Values) -> None:
    assert win_rate(single) == effective_wilson(single)
    average = np.round(average, 9)  # smaller differences count as rounding
    assert is_win_tie_loss(average) or win_rate(average) == cluster_robust_mean(average, None)
    wilson = win_rate(average).method == "effective-n Wilson"
    assert wilson == (is_win_tie_loss(average) or np.ptp(average) <= 1e-9)


@given(st.integers(2, 90), st.floats(0.02, 0.98), st.integers(0, 2**32 - 1))
def test_few_averages_have_students_interval_on_the_logit_scale(
    n: int, centre: float, seed: int
) -> None:
    values = np.random.default_rng(seed).beta(4 * centre, 4 * (1 - centre), n).round(9)
    assume(np.ptp(values) > 1e-3 and not is_win_tie_loss(values))
    estimate, m = win_rate(values), values.mean()
    if n < 30 or n * min(m, 1 - m) < 15:
        low, high = t.interval(0.95, n - 1, loc=logit(m), scale=sem(values) / (m * (1 - m)))
        assert close(estimate, m, expit(low), expit(high), within=1e-7)
        assert estimate.method == "t on the logit scale"
    else:
        assert close(estimate, m, *t.interval(0.95, n - 1, loc=m, scale=sem(values)), within=1e-7)
        assert estimate.method == "t"


@pytest.mark.parametrize("estimator", [win_rate, effective_wilson, t_interval])
def test_no_values_raise(estimator) -> None:
    with pytest.raises(ValueError, match="no values"):
        estimator(np.array([]))


def test_no_values_in_no_clusters_raise() -> None:
    with pytest.raises(ValueError, match="no values"):
        cluster_robust_mean(np.array([]), np.array([], dtype=int))
    with pytest.raises(ValueError, match="zero-size"):
        bca(mean_of(np.array([])), 0)


# Clusters.


@given(values_of_any_kind)
def test_clusters_of_one_change_nothing(values: Values) -> None:
    alone = np.random.default_rng(3).permutation(len(values)) * 7
    assert same(cluster_robust_mean(values, alone), cluster_robust_mean(values, None))
    assert win_rate(values, alone) == win_rate(values)


@given(values_in_clusters(), st.integers(2, 4))
def test_repeating_each_value_in_its_cluster_changes_nothing(
    drawn: tuple[Values, np.ndarray], times: int
) -> None:
    values, clusters = drawn
    values = np.round(values, 6)  # differences of 1e-9 may count as rounding
    original = cluster_robust_mean(values, clusters)
    many = cluster_robust_mean(np.repeat(values, times), np.repeat(clusters, times))
    assert same(original, many)
    assert original.n == many.n == len(set(clusters.tolist()))
    if original.se is not None:
        assert many.se == pytest.approx(original.se, abs=1e-9)


@given(quarters, st.integers(2, 4))
def test_copies_of_a_prompt_count_as_one_prompt(values: Values, times: int) -> None:
    """Averaging the copies of each prompt first gives the same interval."""
    prompts = np.repeat(np.arange(len(values)), times)
    assert same(
        cluster_robust_mean(np.repeat(values, times), prompts), cluster_robust_mean(values, None)
    )


@given(values_in_clusters())
def test_renaming_the_clusters_changes_nothing(drawn: tuple[Values, np.ndarray]) -> None:
    values, clusters = drawn
    assert same(win_rate(values, clusters), win_rate(values, 1_000 - 3 * clusters))


@pytest.mark.parametrize("seed", range(5))
def test_the_clustered_standard_error_is_that_of_a_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 40, 150)
    values = np.clip(rng.random(40)[clusters] + rng.normal(0, 0.3, 150), 0, 1)
    fit = sm.OLS(values, np.ones(150)).fit()
    # statsmodels multiplies by (N - 1) / (N - k) too, which is 1 for a mean alone.
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_t=True)
    estimate = cluster_robust_mean(values, clusters)
    assert estimate.se == pytest.approx(robust.bse[0], rel=1e-9)
    assert close(estimate, values.mean(), *robust.conf_int()[0])
    assert estimate.n == len(np.unique(clusters))


def test_all_in_one_cluster_is_one_unit() -> None:
    estimate = win_rate(table(30, 0, 20), np.zeros(50, dtype=int))
    assert estimate.n == 1
    assert estimate.high - estimate.low > 0.7


def test_one_huge_cluster_has_an_interval_within_0_and_1() -> None:
    values = np.repeat([1.0, 0.0], 29)
    estimate = cluster_robust_mean(
        values, np.concatenate((np.zeros(29, dtype=int), np.arange(1, 30)))
    )
    assert (estimate.low, estimate.high) == (0, 1)


# Unbounded values, and the bootstrap.


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50).map(np.array), levels)
def test_score_differences_have_students_interval(values: Values, level: float) -> None:
    assume(np.ptp(values) > 1e-3)
    low, high = t.interval(level, len(values) - 1, loc=values.mean(), scale=sem(values))
    estimate = t_interval(values, level)
    assert close(estimate, values.mean(), low, high, within=1e-4)
    assert sound(estimate)


@given(st.floats(-5, 5), st.integers(1, 5))
def test_equal_score_differences_have_an_interval_of_width_0(value: float, n: int) -> None:
    estimate = t_interval(np.full(n, value))
    assert sound(estimate)
    assert estimate.high - estimate.low <= 1e-9
    assert (estimate.method == "one value: no interval") == (n == 1)


def test_the_means_of_clusters_are_in_the_order_of_their_codes() -> None:
    means = cluster_means(np.array([1.0, 0.0, 0.5, 0.25]), np.array([7, 3, 7, 5]))
    assert means.tolist() == [0.0, 0.25, 0.75]


def test_the_bootstrap_of_a_mean_equals_scipys() -> None:
    values = np.random.default_rng(5).exponential(size=40)
    ours = bca(mean_of(values), 40)[0]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9_999, rng=np.random.default_rng(1))
    low, high = theirs.confidence_interval
    assert close(ours, values.mean(), low, high, within=0.1 * (high - low))
    assert ours.se == pytest.approx(theirs.standard_error, rel=0.1)
    assert ours.method == "BCa bootstrap"


def test_above_1000_units_percentiles_are_used() -> None:
    values = np.random.default_rng(6).random(1_200)
    ours = bca(mean_of(values), 1_200, resamples=1_000)[0]
    low, high = t.interval(0.95, 1_199, loc=values.mean(), scale=sem(values))
    assert ours.method == "percentile bootstrap"
    assert close(ours, values.mean(), low, high, within=0.15 * (high - low))


DEGENERATE = {
    "one": [0.3],
    "two": [0.0, 1.0],
    "two alike": [0.5, 0.5],
    "constant": [0.7] * 30,
    "all but one": [0.0] * 20 + [1.0],
    "a hundred to one": [0.0] * 100 + [1.0],
}


@pytest.mark.parametrize("values", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("statistic", ["mean", "largest", "share of the first"])
def test_the_bootstrap_survives_degenerate_data(values: list[float], statistic: str) -> None:
    data = np.array(values)
    n = len(data)

    def statistics(weights: Values) -> Values:
        results = {
            "mean": (weights @ data) / weights.sum(-1),
            "largest": np.where(weights > 0, data, -np.inf).max(-1),
            "share of the first": weights[..., 0] / weights.sum(-1),
        }
        return np.stack((results[statistic], results["mean"]), axis=-1)

    both = bca(statistics, n, resamples=300)
    assert len(both) == 2
    assert sound(both)
    assert both[0].estimate == pytest.approx(statistics(np.ones(n))[0])
    if np.ptp(data) == 0 and statistic != "share of the first":
        assert both[0].high - both[0].low < 1e-9


@examples(20)
@given(averages)
def test_the_bootstrap_is_seeded(values: Values) -> None:
    first, second = (bca(mean_of(values), len(values), resamples=200) for _ in range(2))
    assert first == second
    assert sound(first)


def test_the_bootstrap_draws_whole_clusters() -> None:
    """Copies within a cluster change nothing; drawn separately they would narrow the interval."""
    values = np.random.default_rng(8).random(30)
    once = bca(mean_of(values), 30)[0]
    copies = np.repeat(values, 4)
    together = bca(mean_of(copies), 120, np.repeat(np.arange(30) * 5, 4))[0]
    alone = bca(mean_of(copies), 120)[0]
    assert same(once, together)
    assert together.n == 30
    assert alone.high - alone.low < 0.6 * (together.high - together.low)


# Coverage: how often the interval holds the true value.

TABLE = [  # n, and the probabilities of a win, a tie and a loss
    (10, (0.9, 0.05, 0.05)),
    (10, (0.5, 0.0, 0.5)),
    (20, (0.95, 0.04, 0.01)),
    (30, (0.25, 0.7, 0.05)),
    (50, (0.7, 0.1, 0.2)),
    (100, (0.95, 0.04, 0.01)),
    (200, (0.3, 0.4, 0.3)),
]


def intervals(samples: np.ndarray, scale: float) -> tuple[Values, Values]:
    """The bounds for each row of whole numbers from 0 to `scale`, which stand for 0 to 1.

    The order of prompts does not matter (a test of its own), so a histogram is looked up once.
    """
    counts = np.stack([(samples == k).sum(axis=1) for k in range(int(scale) + 1)], axis=1)
    unique, back = np.unique(counts, axis=0, return_inverse=True)
    results = [win_rate(np.repeat(np.arange(scale + 1) / scale, row)) for row in unique]
    bounds = np.array([(result.low, result.high) for result in results])[back.reshape(-1)]
    return bounds[:, 0], bounds[:, 1]


def verdicts(rng: np.random.Generator, theta: float, ties: float, size: tuple[int, int]) -> Values:
    """2 for a win, 1 for a tie, 0 for a loss; `ties` is a share of its maximum at theta."""
    tie = ties * 2 * min(theta, 1 - theta)
    return rng.choice([2, 1, 0], p=[theta - tie / 2, tie, 1 - theta - tie / 2], size=size)


@pytest.mark.slow
@pytest.mark.parametrize("ties", [0.0, 0.4])
@pytest.mark.parametrize("theta", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("n", [10, 30, 50, 200])
def test_95_percent_intervals_of_two_orders_cover(n: int, theta: float, ties: float) -> None:
    """The second order repeats the first verdict with probability 0.6, else it is independent."""
    runs = 8_000
    rng = np.random.default_rng(20240)
    first = verdicts(rng, theta, ties, (runs, n))
    again = rng.random((runs, n)) < 0.6
    samples = first + np.where(again, first, verdicts(rng, theta, ties, (runs, n)))
    low, high = intervals(samples, 4)
    covered = np.mean((low <= theta) & (theta <= high))
    plain = 2 * t.ppf(0.975, n - 1) * sem(samples / 4, axis=1)
    print(f"n={n} theta={theta} ties={ties}: {covered:.4f}, {(high - low).mean():.3f} wide")
    assert covered >= 0.92
    assert n < 50 or (high - low).mean() <= 1.35 * plain.mean()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "shares"), TABLE)
def test_95_percent_intervals_of_single_verdicts_cover(
    n: int, shares: tuple[float, float, float]
) -> None:
    samples = np.random.default_rng(7).choice([2, 1, 0], p=shares, size=(8_000, n))
    low, high = intervals(samples, 2)
    theta = shares[0] + shares[1] / 2
    assert np.mean((low <= theta) & (theta <= high)) >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize(("n", "a", "b"), [(20, 2.0, 2.0), (30, 4.0, 2.0), (100, 6.0, 1.0)])
def test_95_percent_intervals_of_soft_preferences_cover(n: int, a: float, b: float) -> None:
    samples = np.random.default_rng(13).beta(a, b, size=(3_000, n))
    results = [win_rate(values) for values in samples]
    theta = a / (a + b)
    assert np.mean([result.low <= theta <= result.high for result in results]) >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("theta", [0.5, 0.8])
@pytest.mark.parametrize("clusters", [10, 40])
def test_95_percent_intervals_over_clusters_cover_and_those_over_prompts_do_not(
    clusters: int, theta: float
) -> None:
    runs, size = 3_000, 3
    rng = np.random.default_rng(17)
    shares = rng.beta(theta, 1 - theta, size=(runs, clusters))  # a correlation of one half
    samples = (rng.random((runs, clusters, size)) < shares[..., None]).astype(float)
    samples = samples.reshape(runs, -1)
    codes = np.repeat(np.arange(clusters), size)

    def coverage(by: np.ndarray | None) -> float:
        results = [win_rate(values, by) for values in samples]
        return float(np.mean([result.low <= theta <= result.high for result in results]))

    assert coverage(codes) >= 0.92
    assert coverage(None) < 0.89


@pytest.mark.slow
def test_95_percent_bootstrap_intervals_cover() -> None:
    samples = np.random.default_rng(19).beta(2, 5, size=(500, 50))
    results = [bca(mean_of(values), 50, resamples=1_000)[0] for values in samples]
    assert np.mean([result.low <= 2 / 7 <= result.high for result in results]) >= 0.92


# Numbers known from elsewhere.


def test_wilson_of_55_of_100_and_0_of_10() -> None:
    assert close(win_rate(table(55, 0, 45)), 0.55, 0.4524, 0.6439, within=5e-5)
    assert close(win_rate(table(0, 0, 10)), 0, 0, 0.2775, within=5e-5)
