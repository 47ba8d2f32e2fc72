"""95 % intervals. Knows numbers between 0 and 1, one per prompt, and clusters of prompts.

Every interval is over independent units: prompts, or clusters of prompts where `clusters` says
which prompts belong together.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit

from bakeoff.stats.results import Estimate

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Statistic = Callable[[Values], Values]

RESAMPLES = 2000
SEED = 20240
BLOCK = 2_000_000  # numbers that are held at once, of all resamples
_SMALL = 30  # below this many units, and
_RARE = 15  # below this many expected wins or losses, t is taken on the logit scale
LARGE = 1000  # units: above this BCa's n jackknife fits buy nothing over percentiles


def win_rate(values: Values, clusters: Codes | None = None, level: float = 0.95) -> Estimate:
    """The mean of per-prompt preferences in [0, 1] (n >= 1) and its interval.

    Effective-n Wilson where every value is a win, tie or loss (1, 0.5, 0), which holds its coverage
    at small n and near 0 and 1; Student's t where values are averages, on the logit scale where
    there are few units or the mean is near 0 or 1. Clusters decide the standard error where given.
    """
    # 1e-90 and 1 - 1e-90, which is 1, are the two sides of one swap: both have to count as certain.
    values = np.round(values, 9)
    if clusters is not None and len(np.unique(clusters)) < len(values):
        return clustered(values, clusters, level)
    single = bool(np.isin(values, (0.0, 0.5, 1.0)).all())
    return effective_wilson(values, level) if single else clustered(values, None, level)


def effective_wilson(values: Values, level: float = 0.95) -> Estimate:
    """Wilson's score interval with n_e = n max(1, m(1-m)/v), m and v mean and variance (ddof 0).

    Without ties v = m(1-m), and this is the interval of Wilson (1927). All ties have no variance:
    then the variance is that of one more win and one more loss, so the interval keeps a width.
    """
    n, mean, variance = len(values), _mean(values), _variance(values)
    se = math.sqrt(variance / (n - 1)) if n > 1 else None
    if variance == 0 and 0 < mean < 1:
        variance = float(np.append(values, (0.0, 1.0)).var())
    effective = n * max(1.0, mean * (1 - mean) / variance) if variance else float(n)
    z = float(stats.norm.ppf((1 + level) / 2))
    shrink = 1 + z**2 / effective
    centre = (mean + z**2 / (2 * effective)) / shrink
    half = z * math.sqrt(mean * (1 - mean) / effective + z**2 / (4 * effective**2)) / shrink
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Next to 0 and 1 rounding may put a bound on the wrong side of the mean.
    return Estimate(mean, min(mean, low), max(mean, high), "effective-n Wilson", n, se)


def proportion(hits: int, of: int, level: float = 0.95) -> Estimate | None:
    """A share of `of` independent units with Wilson's interval; None where there are none."""
    return effective_wilson(np.repeat((1.0, 0.0), (hits, of - hits)), level) if of else None


def clustered(values: Values, clusters: Codes | None, level: float = 0.95) -> Estimate:
    """The mean of values in [0, 1] with Student's t over C clusters (None: each value is its own).

    SE = sqrt(C/(C-1) sum_c S_c^2) / N, S_c the sum of a cluster's residuals, t with C-1 degrees of
    freedom (Miller 2024, arXiv 2411.00640, appendix A, with the factor for few clusters). With
    fewer than 30 clusters, or fewer than 15 of the wins or losses that the mean stands for, on the
    logit scale by the delta method; the interval of a mean of 0 or 1 is Wilson's over C.
    """
    mean, sums = _mean(values), _residual_sums(values, clusters)
    count = len(sums)
    if count < 2 or not 0 < mean < 1 or not np.abs(sums).max() > 1e-9:
        units = values if clusters is None else np.full(count, mean)
        return effective_wilson(units, level)
    se = math.sqrt(count / (count - 1) * float(sums @ sums)) / len(values)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * se
    over = f" over {count} clusters" if count < len(values) else ""
    if count >= _SMALL and count * min(mean, 1 - mean) >= _RARE:
        # Where one cluster holds most of the values the bounds may leave 0 to 1.
        low, high = max(0.0, mean - half), min(1.0, mean + half)
        return Estimate(mean, low, high, f"t{over}", count, se)
    half /= mean * (1 - mean)
    low, high = (float(expit(logit(mean) + side)) for side in (-half, half))
    bounds = min(mean, low), max(mean, high)
    return Estimate(mean, *bounds, f"t on the logit scale{over}", count, se)


def student(values: Values, level: float = 0.95) -> Estimate:
    """The mean of unbounded values, such as score differences, with Student's t, n-1 degrees.

    One value has no spread: its interval is itself, and `method` says so.
    """
    mean, n = _mean(values), len(values)
    if n < 2:
        return Estimate(mean, mean, mean, "one value: no interval", n)
    se = float(values.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * se
    return Estimate(mean, mean - half, mean + half, "t", n, se)


def cluster_means(values: Values, clusters: Codes) -> Values:
    """The mean of each cluster, in the order of their codes."""
    codes = np.unique(clusters, return_inverse=True)[1]
    means: Values = np.bincount(codes, weights=values) / np.bincount(codes)
    return means


def bca(
    statistic: Statistic, n: int, clusters: Codes | None = None, *, resamples: int = RESAMPLES
) -> list[Estimate]:
    """BCa bootstrap intervals (Efron 1987) over prompts or clusters, with a fixed seed; percentile
    intervals above 1,000 of them.

    `statistic` maps weights of shape (..., n), how often each of n prompts was drawn, to values of
    shape (..., k); one Estimate for each of the k. Where it does not vary the interval is a point.
    """
    return resampled(statistic, n, clusters, resamples=resamples)[0]


def resampled(
    statistic: Statistic, n: int, clusters: Codes | None = None, *, resamples: int = RESAMPLES
) -> tuple[list[Estimate], Values]:
    """The intervals of `bca`, and the values of its resamples, (B, k); one unit has none."""
    codes = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = int(codes.max()) + 1

    def drawn(indices: NDArray[np.intp], axis: int) -> Values:  # noqa: ARG001 - scipy's interface
        rows = indices.reshape(-1, indices.shape[-1])
        flat = (rows + units * np.arange(len(rows))[:, None]).ravel()
        counts = np.bincount(flat, minlength=units * len(rows))
        counts = counts.reshape(*indices.shape[:-1], units)
        found = statistic(counts[..., codes].astype(np.float64))
        # BCa counts the resamples below the estimate: those that equal it must not be among them.
        return np.moveaxis(np.round(found, 12), -1, 0)

    values = statistic(np.ones(n))
    if units < 2:
        points = [(float(value), "one unit: no interval") for value in values]
        return [Estimate(v, v, v, how, 1) for v, how in points], np.empty((0, len(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # a jackknife without spread: a is 0/0
        found = stats.bootstrap(
            (np.arange(units),),
            drawn,
            n_resamples=resamples,
            batch=max(1, BLOCK // n),
            vectorized=True,
            method="BCa" if units <= LARGE else "percentile",
            rng=np.random.default_rng(SEED),
        )
    lows = np.asarray(found.confidence_interval.low)
    highs = np.asarray(found.confidence_interval.high)
    drawn_values = np.asarray(found.bootstrap_distribution)
    estimates = [
        _bootstrapped(float(value), float(lows[i]), float(highs[i]), drawn_values[i], units)
        for i, value in enumerate(values)
    ]
    return estimates, drawn_values.T


def percentiles(values: Values, drawn: Values, units: int) -> list[Estimate]:
    """Percentile intervals of k values from B resamples of them, an array of shape (B, k)."""
    drawn = np.round(drawn, 12).T
    return [
        _bootstrapped(float(value), math.nan, math.nan, resampled, units)
        for value, resampled in zip(values, drawn, strict=True)
    ]


def _bootstrapped(value: float, low: float, high: float, drawn: Values, units: int) -> Estimate:
    se = float(drawn.std(ddof=1))
    if math.isfinite(low) and math.isfinite(high):
        method = "BCa bootstrap" if units <= LARGE else "percentile bootstrap"
    else:
        method = "percentile bootstrap"
        low, high = (float(bound) for bound in np.quantile(drawn, (0.025, 0.975)))
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
    """The variance (ddof 0); 0 where the values are all the same but for rounding."""
    return float(values.var()) if np.ptp(values) > 1e-9 else 0.0
