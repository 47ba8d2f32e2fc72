"""95 % confidence intervals for means of values, most of them preferences in [0, 1].

Every interval is over independent units: prompts, or clusters of prompts where `clusters` holds a
code per prompt.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.sparse import csr_array, eye_array
from scipy.special import expit, logit, stdtrit

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.results import Estimate

Statistic = Callable[[Values], Values]

RESAMPLES = 2000
SEED = 20240
BATCH_NUMBERS = 2_000_000  # floats of all resamples in memory at a time
MAX_BCA_UNITS = 1000  # above this, BCa needs n more fits and is no better than percentiles
# Below either of these, Student's t is taken on the logit scale.
_MIN_UNITS = 30
_MIN_EXPECTED = 15  # wins or losses
_MAX_KINDS = 64  # with more kinds of prompts, equal clusters are rare
_MAX_GROUP_SHARE = 0.05  # groups per unit: above this, drawing single units is as fast


def win_rate(values: Values, clusters: Codes | None = None, level: float = 0.95) -> Estimate:
    """The mean of n >= 1 per-prompt preferences in [0, 1] with its confidence interval.

    Effective-n Wilson where every value is a win, tie or loss (1, 0.5, 0), which keeps its coverage
    at small n and near 0 and 1; otherwise Student's t, on the logit scale where there are few units
    or the mean is near 0 or 1. With `clusters`, the standard error is cluster-robust.

    Raises ValueError for no values.
    """
    # In the other order of the models 1e-90 becomes 1.0: round, so that 1e-90 counts as 0 too.
    values = np.round(values, 9)
    if clusters is not None and len(np.unique(clusters)) < len(values):
        return cluster_robust_mean(values, clusters, level)
    single = bool(np.isin(values, (0.0, 0.5, 1.0)).all())
    return effective_wilson(values, level) if single else cluster_robust_mean(values, None, level)


def effective_wilson(values: Values, level: float = 0.95) -> Estimate:
    """The mean of n >= 1 values in [0, 1] with Wilson's score interval for an effective n.

    n_e = n max(1, m(1-m)/v), m and v being mean and variance (ddof 0). Without ties v = m(1-m), and
    this is the interval of Wilson (1927). If all values are ties their variance is 0; that of the
    values with one more win and one more loss is used, so the interval keeps a width.

    Raises ValueError for no values.
    """
    n, mean, variance = len(values), _mean(values), _variance(values)
    se = math.sqrt(variance / (n - 1)) if n > 1 else None
    if variance == 0 and 0 < mean < 1:
        variance = float(np.append(values, (0.0, 1.0)).var())
    effective = n * max(1.0, mean * (1 - mean) / variance) if variance else float(n)
    z = float(stats.norm.ppf((1 + level) / 2))
    shrinkage = 1 + z**2 / effective
    centre = (mean + z**2 / (2 * effective)) / shrinkage
    half = z * math.sqrt(mean * (1 - mean) / effective + z**2 / (4 * effective**2)) / shrinkage
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Near 0 and 1, rounding may put a bound on the wrong side of the mean.
    return Estimate(mean, min(mean, low), max(mean, high), "effective-n Wilson", n, se)


def score_interval(
    mean: float, variance_per_unit: float, units: float, degrees: float, level: float = 0.95
) -> tuple[float, float]:
    """Wilson's score interval of a mean in [0, 1], with an effective number of units.

    n_e = C max(1, m(1-m)/v'), where C is the number of `units` (prompts, or clusters) and v' is the
    variance of one unit (C SE^2) with one more win and one more loss, which are always added: SS' =
    C v + m^2 + (1-m)^2 - (C+2) (m'-m)^2, m' = (C m + 1) / (C+2), v' = SS' / (C+2). The quantile is
    that of Student's t with these degrees of freedom. Returns the lower and the upper bound.
    """
    effective = effective_units(mean, variance_per_unit, units)
    quantile = float(stdtrit(degrees, (1 + level) / 2))
    shrinkage = 1 + quantile**2 / effective
    centre = (mean + quantile**2 / (2 * effective)) / shrinkage
    spread = math.sqrt(mean * (1 - mean) / effective + quantile**2 / (4 * effective**2))
    half = quantile * spread / shrinkage
    # Near 0 and 1, rounding may put a bound on the wrong side of the mean.
    return min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))


def effective_units(mean: float, variance_per_unit: float, units: float) -> float:
    """n_e of `score_interval`: the wins and losses without ties that tell as much as the units."""
    return units * max(1.0, mean * (1 - mean) / smoothed_variance(mean, variance_per_unit, units))


def smoothed_variance(mean: float, variance: float, units: float) -> float:
    """The variance of values with this mean and variance and one more win and one more loss."""
    smoothed_mean = (units * mean + 1) / (units + 2)
    squares = units * variance + mean**2 + (1 - mean) ** 2
    return squares / (units + 2) - (smoothed_mean - mean) ** 2


def proportion(successes: int, trials: int, level: float = 0.95) -> Estimate | None:
    """successes / trials with Wilson's interval; None for no trials."""
    if not trials:
        return None
    return effective_wilson(np.repeat((1.0, 0.0), (successes, trials - successes)), level)


def cluster_robust_mean(values: Values, clusters: Codes | None, level: float = 0.95) -> Estimate:
    """The mean of values in [0, 1] with Student's t interval over C clusters.

    Without `clusters`, each value is a cluster of its own.

    SE = sqrt(C/(C-1) sum_c S_c^2) / N, S_c being the sum of a cluster's residuals, with C-1 degrees
    of freedom (Miller 2024, arXiv 2411.00640, appendix A, with the factor for few clusters). With
    fewer than 30 clusters, or fewer than 15 expected wins or losses, on the logit scale by the
    delta method; the interval of a mean of 0 or 1 is Wilson's over C.

    Raises ValueError for no values.
    """
    mean, sums = _mean(values), _residual_sums(values, clusters)
    count = len(sums)
    if count < 2 or not 0 < mean < 1 or not np.abs(sums).max() > 1e-9:
        units = values if clusters is None else np.full(count, mean)
        return effective_wilson(units, level)
    se = math.sqrt(count / (count - 1) * float(sums @ sums)) / len(values)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * se
    over = f" over {count} clusters" if count < len(values) else ""
    if count >= _MIN_UNITS and count * min(mean, 1 - mean) >= _MIN_EXPECTED:
        # If one cluster holds most of the values, a bound may be below 0 or above 1.
        low, high = max(0.0, mean - half), min(1.0, mean + half)
        return Estimate(mean, low, high, f"t{over}", count, se)
    half /= mean * (1 - mean)
    low, high = (float(expit(logit(mean) + side)) for side in (-half, half))
    bounds = min(mean, low), max(mean, high)
    return Estimate(mean, *bounds, f"t on the logit scale{over}", count, se)


def t_interval(values: Values, level: float = 0.95) -> Estimate:
    """The mean of n >= 1 unbounded values, such as score differences, with Student's t interval.

    The interval of a single value is the value itself. Raises ValueError for no values.
    """
    mean, n = _mean(values), len(values)
    if n < 2:
        return Estimate(mean, mean, mean, "one value: no interval", n)
    se = float(values.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * se
    return Estimate(mean, mean - half, mean + half, "t", n, se)


def cluster_means(values: Values, clusters: Codes) -> Values:
    """The mean of each cluster, in the order of the cluster codes."""
    codes = np.unique(clusters, return_inverse=True)[1]
    means: Values = np.bincount(codes, weights=values) / np.bincount(codes)
    return means


def bca(
    statistic: Statistic, n: int, clusters: Codes | None = None, *, resamples: int = RESAMPLES
) -> list[Estimate]:
    """BCa bootstrap intervals (Efron 1987) over n prompts, or their clusters, with a fixed seed.

    `statistic` maps weights of shape (..., n), the number of times each prompt was drawn, to values
    of shape (..., k). Returns an Estimate for each of the k values; percentile intervals above
    1,000 units, and a point where a value does not vary.
    """
    return bootstrap(statistic, n, clusters, resamples=resamples)[0]


def bootstrap(
    statistic: Statistic, n: int, clusters: Codes | None = None, *, resamples: int = RESAMPLES
) -> tuple[list[Estimate], Values]:
    """The intervals of `bca`, and the bootstrap distribution, of shape (B, k); B is 0 for one unit.

    Parameters are those of `bca`.
    """
    codes = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = int(codes.max()) + 1

    def resampled(indices: Codes, axis: int) -> Values:  # noqa: ARG001 - scipy's interface
        rows = indices.reshape(-1, indices.shape[-1])
        flat = (rows + units * np.arange(len(rows))[:, None]).ravel()
        counts = np.bincount(flat, minlength=units * len(rows))
        counts = counts.reshape(*indices.shape[:-1], units)
        values = statistic(counts[..., codes].astype(np.float64))
        # BCa counts the resamples below the estimate: rounding must not add those that equal it.
        return np.moveaxis(np.round(values, 12), -1, 0)

    values = statistic(np.ones(n))
    if units < 2:
        points = [(float(value), "one unit: no interval") for value in values]
        return [Estimate(v, v, v, method, 1) for v, method in points], np.empty((0, len(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # without a spread, BCa's `a` is 0 / 0
        result = stats.bootstrap(
            (np.arange(units),),
            resampled,
            n_resamples=resamples,
            batch=max(1, BATCH_NUMBERS // n),
            vectorized=True,
            method="BCa" if units <= MAX_BCA_UNITS else "percentile",
            rng=np.random.default_rng(SEED),
        )
    lows = np.asarray(result.confidence_interval.low)
    highs = np.asarray(result.confidence_interval.high)
    distribution = np.asarray(result.bootstrap_distribution)
    estimates = [
        _bootstrap_estimate(float(value), float(lows[i]), float(highs[i]), distribution[i], units)
        for i, value in enumerate(values)
    ]
    return estimates, distribution.T


def grouped_bca(
    statistic: Statistic, kinds: Codes, clusters: Codes | None = None
) -> list[Estimate]:
    """BCa intervals of a statistic that depends only on how often each kind of prompt is drawn.

    `kinds` holds the kind (from 0) of each of n prompts; `statistic` maps counts of the K kinds, of
    shape (..., K), to values of shape (..., k). Returns an Estimate for each of the k values. Above
    1,000 units, intervals are percentiles, and the counts of identical units are drawn from a
    multinomial: the distribution is that of drawing units one by one, and the cost does not grow
    with n.
    """
    n = len(kinds)
    unit = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    kind_counts = csr_array((np.ones(n), (unit, kinds)))  # a row per unit
    units = kind_counts.shape[0]
    if units <= MAX_BCA_UNITS:
        return bca(lambda weights: statistic(np.asarray(weights @ kind_counts)), units)
    group_counts, group = _identical_units(kind_counts)
    sizes = np.bincount(group)
    draw = _draw_groups if len(sizes) <= _MAX_GROUP_SHARE * units else _draw_units
    rng, step = np.random.default_rng(SEED), max(1, BATCH_NUMBERS // len(sizes))
    resampled = [
        statistic(draw(rng, group, min(step, RESAMPLES - start)) @ group_counts)
        for start in range(0, RESAMPLES, step)
    ]
    distribution = np.round(np.concatenate(resampled), 12).T
    return [
        _bootstrap_estimate(float(value), math.nan, math.nan, row, units)
        for value, row in zip(statistic(sizes @ group_counts), distribution, strict=True)
    ]


def _identical_units(kind_counts: csr_array) -> tuple[csr_array, Codes]:
    """The distinct rows of `kind_counts`, and the index of the row of each unit.

    With more than `_MAX_KINDS` kinds, equal rows are not merged.
    """
    units, kinds = kind_counts.shape
    if kind_counts.nnz == units and (kind_counts.data == 1).all():
        return csr_array(eye_array(kinds)), kind_counts.indices.astype(np.intp)
    if kinds > _MAX_KINDS:
        return kind_counts, np.arange(units)
    rows, group = np.unique(kind_counts.toarray(), axis=0, return_inverse=True)
    return csr_array(rows), group


def _draw_groups(rng: np.random.Generator, group: Codes, resamples: int) -> Values:
    """How often each group is drawn, from a multinomial; of shape (resamples, groups)."""
    sizes = np.bincount(group)
    return rng.multinomial(len(group), sizes / len(group), size=resamples).astype(np.float64)


def _draw_units(rng: np.random.Generator, group: Codes, resamples: int) -> Values:
    """Like `_draw_groups`, unit by unit; resamples are drawn singly to stay in the CPU cache."""
    n, groups = len(group), int(group.max()) + 1
    rows = (group[rng.integers(0, n, n)] for _ in range(resamples))
    return np.stack([np.bincount(row, minlength=groups) for row in rows]).astype(np.float64)


def _bootstrap_estimate(
    value: float, low: float, high: float, distribution: Values, units: int
) -> Estimate:
    """An Estimate with these bounds, or percentiles of the distribution where they are NaN."""
    se = float(distribution.std(ddof=1))
    if math.isfinite(low) and math.isfinite(high):
        method = "BCa bootstrap" if units <= MAX_BCA_UNITS else "percentile bootstrap"
    else:
        method = "percentile bootstrap"
        low, high = (float(bound) for bound in np.quantile(distribution, (0.025, 0.975)))
    return Estimate(value, min(value, low), max(value, high), method, units, se)


def _mean(values: Values) -> float:
    if not len(values):
        raise ValueError("no values")
    return float(values.mean())


def _residual_sums(values: Values, clusters: Codes | None) -> Values:
    residuals: Values = values - values.mean()
    if clusters is None:
        return residuals
    codes = np.unique(clusters, return_inverse=True)[1]
    return np.bincount(codes, weights=residuals).astype(np.float64)


def _variance(values: Values) -> float:
    """The variance (ddof 0); exactly 0 where the values differ only by rounding."""
    return float(values.var()) if np.ptp(values) > 1e-9 else 0.0
