"""The variance between judges, and between slices of the prompts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.intervals import (
    MIN_INTERVAL_CLUSTERS,
    MIN_INTERVAL_PROMPTS,
    cluster_moments,
    cluster_sums,
    score_interval,
)
from bakeoff.stats.results import Estimate


class JudgeVariance(NamedTuple):
    """A win rate over judges that are a sample of all judges like them."""

    rate: Estimate
    between_judges: float
    """Standard deviation of the win rates of judges, without the sampling error of prompts."""


def between_judge_interval(
    preferences: Values, clusters: Codes | None = None, level: float = 0.95
) -> JudgeVariance | None:
    """The win rate with the variance between judges added to that between prompts.

    `preferences` has shape (n prompts, J judges), NaN where a judge has no verdict. The interval of
    `win_rate` is about these judges; this one is about other judges like them. Var = SE^2 +
    tau^2 / J, where SE is the standard error of the prompt means over judges, and tau^2 = max(0,
    s^2 - r) is the variance s^2 of the J judge means less the part r that the interaction of judge
    and prompt explains. The degrees of freedom are J-1: Satterthwaite's are near that number where
    judges differ, but with tau^2 estimated as 0 by chance, which is frequent with two or three
    judges, they would be those of the prompts (coverage of 84 % with two judges). Two judges hardly
    tell anything of others.

    Prompts without a verdict of each judge do not count. None for fewer than two judges, and for
    fewer than 15 prompts or 10 clusters.
    """
    complete = ~np.isnan(preferences).any(axis=1)
    rows = preferences[complete]
    n, judges = rows.shape
    if judges < 2 or n < MIN_INTERVAL_PROMPTS:
        return None
    codes = None if clusters is None else clusters[complete]
    moments = cluster_moments(rows.mean(axis=1), codes)
    if moments.clusters < MIN_INTERVAL_CLUSTERS or moments.se is None:
        return None
    judge_means = rows.mean(axis=0)
    interaction = rows - rows.mean(axis=1, keepdims=True) - judge_means + rows.mean()
    sums = np.stack([cluster_sums(column, codes) for column in interaction.T])
    noise = float((sums**2).sum()) / (judges - 1) / n**2
    noise *= moments.clusters / (moments.clusters - 1)
    spread = float(judge_means.var(ddof=1))
    between = max(0.0, spread - noise)
    variance = moments.se**2 + between / judges
    mean = 0.5 + moments.deviation
    # Judges that differ tell less than that many prompts.
    units = (
        min(moments.units, max(1.0, mean * (1 - mean) / variance)) if variance else moments.units
    )
    low, high = score_interval(mean, variance * units, units, judges - 1, level)
    method = f"effective-n Wilson, {judges} random judges"
    rate = Estimate(mean, low, high, method, moments.clusters, math.sqrt(variance))
    return JudgeVariance(rate, math.sqrt(between))


class ShrunkenRates(NamedTuple):
    """The win rates of slices, shrunk towards their common mean."""

    rates: tuple[float, ...]
    ses: tuple[float, ...]
    """Standard errors of `rates`."""
    overall: float
    """The common mean, with weights by precision."""
    between: float
    """Standard deviation between slices (tau); 0 where chance explains all differences."""


def shrunken_rates(estimates: Sequence[float], ses: Sequence[float]) -> ShrunkenRates:
    """Empirical Bayes estimates of slices: a slice with few prompts is moved to the common mean.

    rate_i = w_i x_i + (1 - w_i) mu, w_i = tau^2 / (tau^2 + se_i^2); tau^2 is the variance between
    slices by DerSimonian and Laird (1986), mu the mean with weights 1 / (tau^2 + se_i^2). The
    standard errors have to be positive: that of equal values is `ClusterMoments.smoothed_se`.

    Raises ValueError for no estimates, or a standard error that is not positive.
    """
    x, squares = np.asarray(estimates, dtype=np.float64), np.asarray(ses, dtype=np.float64) ** 2
    if not len(x) or not (squares > 0).all():
        raise ValueError("needs estimates with positive standard errors")
    between = _between_variance(x, squares)
    weights = 1 / (between + squares)
    overall = float(weights @ x / weights.sum())
    own = between / (between + squares)
    rates = own * x + (1 - own) * overall
    variances = own * squares + (1 - own) ** 2 / weights.sum()
    return ShrunkenRates(
        tuple(rates.tolist()), tuple(np.sqrt(variances).tolist()), overall, math.sqrt(between)
    )


def _between_variance(x: Values, squares: Values) -> float:
    """tau^2 = max(0, (Q - (k-1)) / (sum w - sum w^2 / sum w)), w = 1 / se^2."""
    weights = 1 / squares
    total = float(weights.sum())
    q = float(weights @ (x - weights @ x / total) ** 2)
    scale = total - float(weights @ weights) / total
    return max(0.0, (q - (len(x) - 1)) / scale) if len(x) > 1 and scale > 0 else 0.0
