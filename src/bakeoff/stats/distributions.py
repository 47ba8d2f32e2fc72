"""Quantiles, p-values and ranks, by `scipy.special`.

`scipy.stats` takes 0.4 s of CPU to import, more than most summaries; only `intervals.bootstrap`
needs it.
"""

import math

import numpy as np
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from bakeoff.stats.arrays import Values


def two_sided_quantile(level: float = 0.95, degrees: float = math.inf) -> float:
    """The q with P(-q < T < q) = `level`, for a T with Student's t distribution.

    Infinite degrees of freedom are the normal distribution: 1.96 for 95 %.
    """
    tail = (1 + level) / 2
    return float(stdtrit(degrees, tail) if math.isfinite(degrees) else ndtri(tail))


def t_test_p(t: float, degrees: float) -> float:
    """The two-sided p-value of a statistic with Student's t distribution."""
    return min(1.0, 2 * float(stdtr(degrees, -abs(t))))


def welch_degrees(variances: tuple[float, float], sizes: tuple[int, int]) -> float:
    """Welch's degrees of freedom (1947) of two independent means, at least one with a variance.

    `variances` are those of the means, `sizes` the numbers of values, at least 2.
    """
    a, b = (variance**2 / (n - 1) for variance, n in zip(variances, sizes, strict=True))
    return sum(variances) ** 2 / (a + b)


def binomial_p(wins: int, n: int) -> float:
    """The two-sided p-value of the exact test that wins among n are as frequent as losses."""
    return min(1.0, 2 * float(bdtr(min(wins, n - wins), n, 0.5)))


def average_ranks(values: Values) -> Values:
    """The rank of each value, from 1; equal values have the mean of their ranks."""
    _, code, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[code])
