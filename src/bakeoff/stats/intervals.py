"""95 % intervals of a win rate over prompts. Knows numbers between 0 and 1, one per prompt."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, its interval, and how the interval was obtained."""

    mean: float
    low: float
    high: float
    method: str


def win_rate(values: Values, level: float = 0.95) -> Estimate:
    """The mean of per-prompt preferences in [0, 1] (n >= 1) and its interval.

    Effective-n Wilson where every value is a win, tie or loss (1, 0.5, 0), which holds its
    coverage at small n and near 0 and 1; t on the logit scale where values are averages. Sources:
    Wilson 1927 with n scaled by the variance that ties take away; Miller 2024 (arXiv 2411.00640).
    """
    if not len(values):
        raise ValueError("no values")
    # 1e-90 and 1 - 1e-90, which is 1, are the two sides of one swap: both have to count as certain.
    values = np.round(values, 9)
    single = bool(np.isin(values, (0.0, 0.5, 1.0)).all())
    return effective_wilson(values, level) if single else logit_t(values, level)


def effective_wilson(values: Values, level: float = 0.95) -> Estimate:
    """Wilson's score interval with n_e = n max(1, m(1-m)/v), m and v mean and variance (ddof 0).

    Without ties v = m(1-m), and this is Wilson's interval. All ties have no variance: then the
    variance is that of one more win and one more loss, so the interval keeps a width.
    """
    n, mean, variance = len(values), float(values.mean()), _variance(values)
    if variance == 0 and 0 < mean < 1:
        variance = float(np.append(values, (0.0, 1.0)).var())
    effective = n * max(1.0, mean * (1 - mean) / variance) if variance else float(n)
    z = float(stats.norm.ppf((1 + level) / 2))
    shrink = 1 + z**2 / effective
    centre = (mean + z**2 / (2 * effective)) / shrink
    half = z * math.sqrt(mean * (1 - mean) / effective + z**2 / (4 * effective**2)) / shrink
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Next to 0 and 1 rounding may put a bound on the wrong side of the mean.
    return Estimate(mean, min(mean, low), max(mean, high), "effective-n Wilson")


def logit_t(values: Values, level: float = 0.95) -> Estimate:
    """Student's t with n-1 degrees of freedom on the logit of the mean, by the delta method."""
    n, mean, variance = len(values), float(values.mean()), _variance(values)
    if variance == 0 or not 0 < mean < 1:
        return effective_wilson(values, level)
    error = math.sqrt(variance / (n - 1))
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error / (mean * (1 - mean))
    low, high = (float(expit(logit(mean) + side)) for side in (-half, half))
    return Estimate(mean, min(mean, low), max(mean, high), "t on the logit scale")


def _variance(values: Values) -> float:
    """The variance (ddof 0); 0 where the values are all the same but for rounding."""
    return float(values.var()) if np.ptp(values) > 1e-9 else 0.0
