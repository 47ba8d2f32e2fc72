import random

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest, sem, t

from bakeoff.stats.intervals import (
    Values,
    bca,
    cluster_means,
    cluster_moments,
    cluster_sums,
    effective_units,
    proportion,
    score_interval,
    score_rate,
    score_test_p,
    smoothed_variance,
    t_interval,
    win_rate,
)
from bakeoff.stats.results import NO_INTERVAL
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


def mean_of(values: Values):
    """The mean as a statistic of weights, for the bootstrap."""
    return lambda weights: ((weights @ values) / weights.sum(-1))[..., None]


@st.composite
def values_in_clusters(draw: st.DrawFn) -> tuple[Values, np.ndarray]:
    values = draw(values_of_any_kind)
    n = len(values)
    clusters = draw(st.lists(st.integers(-3, draw(st.integers(-3, 60))), min_size=n, max_size=n))
    return values, np.array(clusters)


def repeated(values: Values, times: int) -> tuple[Values, np.ndarray]:
    return np.repeat(values, times), np.repeat(np.arange(len(values)), times)


# Shares of verdicts: Wilson's interval.


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_proportion_has_wilsons_interval(wins: int, losses: int, level: float) -> None:
    assume(wins + losses)
    ours = proportion(wins, wins + losses, level)
    theirs = binomtest(wins, wins + losses).proportion_ci(level, method="wilson")
    assert ours is not None
    assert close(ours, wins / (wins + losses), theirs.low, theirs.high)
    assert sound(ours)


def test_a_proportion_of_no_trials_is_none() -> None:
    assert proportion(0, 0) is None


# The score interval.


@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 5_000), st.integers(1, 5_000), levels)
def test_the_score_interval_inverts_the_score_test(
    mean: float, share: float, units: int, degrees: int, level: float
) -> None:
    arguments = mean, share * mean * (1 - mean), units, degrees
    low, high = score_interval(*arguments, level)
    assert 0 <= low <= mean <= high <= 1
    for null in (0.02, 0.3, 0.5, 0.77, low - 1e-4, low + 1e-4, high - 1e-4, high + 1e-4):
        if 0 < null < 1 and min(abs(null - low), abs(null - high)) > 1e-9:
            p = score_test_p(*arguments, null)
            assert (p < 1 - level) == (not low <= null <= high)


@given(singles | quarters | averages)
def test_the_smoothed_variance_is_that_of_one_more_win_and_one_more_loss(values: Values) -> None:
    n, mean = len(values), values.mean()
    smoothed = smoothed_variance(mean, float(values.var()), n)
    assert smoothed == pytest.approx(np.append(values, (0, 1)).var())
    m = (n * mean + 1) / (n + 2)
    effective = effective_units(mean, float(values.var()), n)
    assert effective == pytest.approx(max(1, (n + 2) * m * (1 - m) / smoothed - 2))


@given(st.integers(1, 300), st.integers(1, 300))
def test_without_ties_the_effective_n_is_the_number_of_prompts(wins: int, losses: int) -> None:
    n, mean = wins + losses, wins / (wins + losses)
    assert effective_units(mean, mean * (1 - mean), n) == pytest.approx(n)
    low, high = score_interval(mean, mean * (1 - mean), n, np.inf)
    theirs = binomtest(wins, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20))
def test_ties_have_a_narrower_interval_than_half_wins_and_half_losses(
    wins: int, losses: int, pairs_of_ties: int
) -> None:
    n = wins + losses + 2 * pairs_of_ties
    ours = score_rate(table(wins, 2 * pairs_of_ties, losses))
    without = score_rate(table(wins + pairs_of_ties, 0, losses + pairs_of_ties))
    assert without.low < ours.low <= ours.high < without.high
    assert ours.n == n


@given(values_of_any_kind)
def test_the_interval_is_that_of_the_moments_for_every_kind_of_value(values: Values) -> None:
    """One formula, without and with clusters of equal size."""
    n, mean = len(values), values.mean()
    variance = sem(values) ** 2 * n if n > 1 else 0.0
    low, high = score_interval(mean, variance, n, 2 * n)
    ours = score_rate(values)
    assert close(ours, mean, low, high, within=1e-7)
    assert ours.method == "effective-n Wilson"
    assert ours.se is None if n == 1 else ours.se == pytest.approx(sem(values), abs=1e-8)
    assert same(ours, score_rate(*repeated(values, 3)), within=1e-7)


@pytest.mark.parametrize("n", [1, 2, 10, 100])
@pytest.mark.parametrize("value", [0.0, 0.5, 0.25, 0.1, 0.3, 0.7, 1.0])
def test_equal_values_have_an_interval_of_positive_width(n: int, value: float) -> None:
    estimate = score_rate(np.full(n, value))
    assert estimate.estimate == pytest.approx(value)
    assert estimate.high - estimate.low > 1 / (2 * n)
    more = score_rate(np.full(4 * n, value))
    assert more.high - more.low < estimate.high - estimate.low


# Too few for an interval.


@pytest.mark.parametrize(
    ("prompts", "clusters", "enough"),
    [(14, None, False), (15, None, True), (60, 9, False), (60, 10, True), (14, 12, False)],
)
def test_few_prompts_or_clusters_have_no_interval(
    prompts: int, clusters: int | None, enough: bool
) -> None:
    values = np.tile([1.0, 0.5, 0.0, 1.0], prompts)[:prompts]
    codes = None if clusters is None else np.arange(prompts) % clusters
    estimate = win_rate(values, codes)
    units = clusters or prompts
    assert estimate.n == units
    if enough:
        assert estimate == score_rate(values, codes)
        assert 0 < estimate.low < estimate.high < 1
    else:
        ours = estimate.estimate, estimate.low, estimate.high, estimate.method
        assert ours == (pytest.approx(values.mean()), 0, 1, NO_INTERVAL)
        assert estimate.se == score_rate(values, codes).se


# Any values.


@given(values_in_clusters(), st.booleans(), levels)
def test_an_interval_is_within_0_and_1_and_contains_the_mean(
    drawn: tuple[Values, np.ndarray], alone: bool, level: float
) -> None:
    values, clusters = drawn
    for estimator in (win_rate, score_rate):
        estimate = estimator(values, None if alone else clusters, level)
        assert sound(estimate)
        assert 0 <= estimate.low <= estimate.high <= 1
        assert estimate.estimate == pytest.approx(values.mean(), abs=1e-9)


@given(values_in_clusters(), st.booleans())
def test_swapping_the_models_mirrors_the_interval(
    drawn: tuple[Values, np.ndarray], alone: bool
) -> None:
    values, clusters = drawn
    by = None if alone else clusters
    original, swapped = score_rate(values, by), score_rate(1 - values, by)
    assert mirrored(original, swapped, within=1e-12)
    assert (original.method, original.n, original.se) == (swapped.method, swapped.n, swapped.se)


@given(values_in_clusters(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_does_not_matter(
    drawn: tuple[Values, np.ndarray], alone: bool, rng: random.Random
) -> None:
    values, clusters = drawn
    places = list(range(len(values)))
    rng.shuffle(places)
    original = score_rate(values, None if alone else clusters)
    other = score_rate(values[places], None if alone else clusters[places])
    assert same(original, other)
    assert original.method == other.method


@given(values_in_clusters(), st.booleans())
def test_a_higher_level_is_a_wider_interval(drawn: tuple[Values, np.ndarray], alone: bool) -> None:
    values, clusters = drawn
    narrow, wide = (score_rate(values, None if alone else clusters, level) for level in (0.8, 0.99))
    assert wide.low <= narrow.low + 1e-12  # they differ by rounding next to 0 and 1
    assert narrow.high <= wide.high + 1e-12
    assert wide.high - wide.low > narrow.high - narrow.low


@pytest.mark.parametrize("estimator", [win_rate, score_rate, t_interval])
def test_no_values_raise(estimator) -> None:
    with pytest.raises(ValueError, match="no values"):
        estimator(np.array([]))


def test_no_values_in_no_clusters_raise() -> None:
    with pytest.raises(ValueError, match="no values"):
        score_rate(np.array([]), np.array([], dtype=int))
    with pytest.raises(ValueError, match="zero-size"):
        bca(mean_of(np.array([])), 0)


# Clusters.


@given(values_of_any_kind)
def test_clusters_of_one_change_nothing(values: Values) -> None:
    alone = np.random.default_rng(3).permutation(len(values)) * 7
    assert same(score_rate(values, alone), score_rate(values))
    assert score_rate(values, alone).method == score_rate(values).method


@given(values_in_clusters(), st.integers(2, 4))
def test_repeating_each_value_in_its_cluster_changes_nothing(
    drawn: tuple[Values, np.ndarray], times: int
) -> None:
    values, clusters = drawn
    original = score_rate(values, clusters)
    many = score_rate(np.repeat(values, times), np.repeat(clusters, times))
    assert same(original, many, within=1e-7)
    assert original.n == many.n == len(set(clusters.tolist()))
    if original.se is not None:
        assert many.se == pytest.approx(original.se, abs=1e-9)


@given(quarters, st.integers(2, 4))
def test_copies_of_a_prompt_count_as_one_prompt(values: Values, times: int) -> None:
    """Averaging the copies of each prompt first gives the same interval."""
    assert same(score_rate(*repeated(values, times)), score_rate(values))


@given(values_in_clusters())
def test_renaming_the_clusters_changes_nothing(drawn: tuple[Values, np.ndarray]) -> None:
    values, clusters = drawn
    assert same(score_rate(values, clusters), score_rate(values, 1_000 - 3 * clusters))


@pytest.mark.parametrize("seed", range(5))
def test_the_clustered_standard_error_is_that_of_a_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 40, 150)
    values = np.clip(rng.random(40)[clusters] + rng.normal(0, 0.3, 150), 0, 1)
    fit = sm.OLS(values, np.ones(150)).fit()
    # statsmodels multiplies by (N - 1) / (N - k) too, which is 1 for a mean alone.
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_t=True)
    estimate = score_rate(values, clusters)
    assert estimate.se == pytest.approx(robust.bse[0], rel=1e-7)
    assert estimate.n == len(np.unique(clusters))
    # Away from 0 and 1, one more win and one more loss make the interval a bit wider.
    low, high = robust.conf_int()[0]
    assert high - low <= 1.02 * (estimate.high - estimate.low) <= 1.3 * (high - low)


@given(values_in_clusters())
def test_clusters_of_unequal_size_count_as_fewer(drawn: tuple[Values, np.ndarray]) -> None:
    values, clusters = drawn
    sizes = np.unique(clusters, return_counts=True)[1]
    moments = cluster_moments(values, clusters)
    assert moments.clusters == len(sizes)
    assert moments.units == pytest.approx(sizes.sum() ** 2 / (sizes**2).sum())
    assert 1 <= moments.units <= len(sizes) + 1e-9
    assert moments.smoothed_se > 0
    assert cluster_sums(np.ones(len(values)), clusters).tolist() == sizes.tolist()


def test_all_in_one_cluster_is_one_unit() -> None:
    values, one = table(30, 0, 20), np.zeros(50, dtype=int)
    assert (win_rate(values, one).low, win_rate(values, one).n) == (0, 1)
    estimate = score_rate(values, one)
    assert (estimate.n, estimate.se) == (1, None)
    assert estimate.high - estimate.low > 0.7


def test_one_huge_cluster_leaves_little_information() -> None:
    values = np.repeat([1.0, 0.0], 29)
    clusters = np.concatenate((np.zeros(29, dtype=int), np.arange(1, 30)))
    estimate = score_rate(values, clusters)
    assert 0 <= estimate.low < 0.15
    assert 0.85 < estimate.high <= 1


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


# Coverage: how often the interval holds the true value; see benchmarks/interval_coverage.py.


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
    assert close(proportion(55, 100), 0.55, 0.4524, 0.6439, within=5e-5)
    assert close(proportion(0, 10), 0, 0, 0.2775, within=5e-5)
    assert close(score_rate(table(55, 0, 45)), 0.55, 0.4524, 0.6439, within=2e-3)


@pytest.mark.parametrize("ties", [86, 90, 100])
def test_a_few_prompts_that_are_nearly_all_ties_do_not_show_equivalence(ties: int) -> None:
    """With 20 prompts, an interval within 5 points would be a false "equivalent"."""
    wins = round(20 * (100 - ties) / 100)
    estimate = score_rate(table(wins, 20 - wins, 0))
    assert estimate.low < 0.45 or estimate.high > 0.55
    large = score_rate(table(0, 200, 0))
    assert 0.45 < large.low < large.high < 0.55
