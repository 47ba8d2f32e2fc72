"""Significance tests of no difference, and adjustments for multiple tests."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.distributions import binomial_p
from bakeoff.stats.intervals import (
    BATCH_NUMBERS,
    SEED,
    cluster_moments,
    cluster_sums,
    win_rate,
)
from bakeoff.stats.results import (
    NO_INTERVAL,
    Estimate,
    SignificanceResult,
    TestedDifference,
    TestedRate,
)

FLIP_METHOD = "sign-flip permutation"
SCORE_TEST_METHOD = "score test"
_MAX_ENUMERATED = 16  # differences: up to this many, all sign patterns are enumerated
_MIN_P = 1e-15  # the rounding error of the Fourier transform
_FLIPS = 9_999  # random sign patterns of `romano_wolf`, above `_MAX_ENUMERATED` prompts


def sign_test(wins: int, losses: int) -> SignificanceResult:
    """The exact two-sided binomial test of wins against losses; p is 1 without either."""
    n = wins + losses
    p = binomial_p(wins, n) if n else 1.0
    return SignificanceResult(p, "exact sign test", n)


def mcnemar(only_first: int, only_second: int) -> SignificanceResult:
    """McNemar's test of the two counts of discordant pairs, two-sided.

    Exact below 25 pairs, else the chi-squared statistic with continuity correction,
    (|b-c|-1)^2 / (b+c).
    """
    n = only_first + only_second
    if n < 25:
        return SignificanceResult(sign_test(only_first, only_second).p, "McNemar, exact", n)
    statistic = max(0, abs(only_first - only_second) - 1) ** 2 / n
    p = float(chdtrc(1, statistic))
    return SignificanceResult(p, "McNemar, continuity corrected", n)


def sign_flip_test(differences: Values) -> SignificanceResult:
    """The two-sided permutation test of mean 0 that flips the sign of each of n differences.

    p is the share of all 2^n flips whose sum is at least as far from 0 as the observed sum. Above
    16 differences their sizes are rounded to a fine grid, or to one that they lie on, and the
    distribution of the sum is the Fourier transform of its characteristic function, the product of
    cos(t size): exact for the rounded sizes. p is 1 for fewer than two differences, and where all
    are 0; the smallest p is 1e-15.
    """
    n = len(differences)
    if n < 2 or not np.any(differences):  # a single value, flipped, is as far from 0
        return SignificanceResult(1.0, FLIP_METHOD, n)
    if n <= _MAX_ENUMERATED:
        observed = abs(float(differences.sum()))
        slack = n * 1e-9  # values are rounded to 9 digits
        rows = _sign_rows(n, exact=True)
        shares = [np.abs(signs @ differences) >= observed - slack for signs in rows]
        return SignificanceResult(float(np.concatenate(shares).mean()), FLIP_METHOD, n)
    sizes = np.abs(differences)
    levels = np.rint(sizes / _grid_step(sizes)).astype(np.int64)
    observed_level = abs(int(np.where(differences < 0, -levels, levels).sum()))
    return SignificanceResult(_flip_tail(levels, observed_level), FLIP_METHOD, n)


def _grid_step(sizes: Values) -> float:
    """The coarsest unit fraction of which all sizes are multiples; else 1/48 of their rms."""
    fine = math.sqrt(float(sizes @ sizes) / len(sizes)) / 48
    distinct = np.unique(np.round(sizes, 9))
    for parts in range(1, int(1 / fine) + 1):
        levels = distinct * parts
        if np.abs(levels - np.rint(levels)).max() < 1e-6:
            return 1 / parts
    return fine


def _flip_tail(levels: NDArray[np.int64], observed: int) -> float:
    """The probability that the sum of `levels` with random signs is at least as far from 0.

    The distribution is computed modulo M. What is farther than M/2 from 0 has a probability of
    2 exp(-9^2 / 2) at most (Hoeffding 1963).
    """
    if observed == 0:
        return 1.0
    distinct, counts = np.unique(levels[levels > 0], return_counts=True)
    spread = math.sqrt(float((distinct.astype(np.float64) ** 2) @ counts))
    total = int(distinct @ counts)
    quarter = math.ceil((min(9 * spread, total) + 1) / 2)
    half = 2 * quarter
    if observed > half:
        return _MIN_P
    angles = np.arange(quarter + 1) * (math.pi / half)
    characteristic = np.ones(quarter + 1)
    for level, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        cosines = np.cos(level * angles)
        characteristic *= cosines if count == 1 else cosines**count
    # All sums are even, or all are odd: the other half is the same, mirrored.
    sign = -1.0 if total % 2 else 1.0
    characteristic = np.concatenate((characteristic, sign * characteristic[-2::-1]))
    masses = np.fft.irfft(characteristic, 2 * half)
    return float(min(1.0, max(_MIN_P, 2 * masses[observed : half + 1].sum())))


def tested_win_rate(
    values: Values,
    clusters: Codes | None = None,  # noqa: PT028 - no test case of pytest
    level: float = 0.95,  # noqa: PT028
) -> TestedRate:
    """Return the win rate of n >= 1 preferences in [0, 1] and the test of 0.5 that agrees with it.

    The test is the exact sign test for wins, ties and losses (1, 0.5, 0) without clusters, and
    otherwise the sign-flip test of the deviations from 0.5, summed per cluster. p is the larger
    one of its p and of that of the interval's own score test, and the interval of `win_rate` is
    widened to contain 0.5 where p is not below 1 - level. With too few units for an interval, p is
    1. Swapping the models (1 - values) changes no p.

    Raises ValueError for no values.
    """
    rate = win_rate(values, clusters, level)
    if rate.method == NO_INTERVAL:
        return TestedRate(rate, SignificanceResult(1.0, NO_INTERVAL, rate.n))
    deviations = np.round(np.asarray(values, dtype=np.float64) - 0.5, 9)
    if rate.n == len(values) and np.isin(deviations, (-0.5, 0.0, 0.5)).all():
        test = sign_test(int((deviations > 0).sum()), int((deviations < 0).sum()))
    else:
        test = sign_flip_test(cluster_sums(deviations, clusters))
    score_p = cluster_moments(values, clusters).test_p()
    if score_p > test.p:
        test = SignificanceResult(score_p, SCORE_TEST_METHOD, rate.n)
    return agreeing(rate, replace(test, n=rate.n), level)


def paired_difference(
    first: Values, second: Values, clusters: Codes | None = None, level: float = 0.95
) -> TestedDifference:
    """Return the difference of two models' win rates over a common baseline on the same prompts.

    `first` and `second` are the preferences for either model over the baseline, a row per prompt
    that both share. The interval and the test are those of `tested_win_rate` for (1 + first -
    second) / 2, scaled to [-1, 1].

    Raises ValueError for no values.
    """
    tested = tested_win_rate((1 + first - second) / 2, clusters, level)
    rate = tested.rate
    estimate, low, high = (2 * x - 1 for x in (rate.estimate, rate.low, rate.high))
    se = None if rate.se is None else 2 * rate.se
    return TestedDifference(Estimate(estimate, low, high, rate.method, rate.n, se), tested.test)


def agreeing(rate: Estimate, test: SignificanceResult, level: float = 0.95) -> TestedRate:
    """Return the interval and the test where both exclude 0.5, else both without a difference.

    Where only the test excludes 0.5, p is 1 - level; where only the interval does, its bound next
    to 0.5 is moved to 0.5.
    """
    alpha = 1 - level
    outside = not rate.low <= 0.5 <= rate.high
    if outside and test.p >= alpha:
        rate = replace(rate, low=min(rate.low, 0.5), high=max(rate.high, 0.5))
    elif not outside and test.p < alpha:
        test = replace(test, p=alpha)
    return TestedRate(rate, test)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values; valid under any dependence of the tests."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    adjusted, running = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def romano_wolf(differences: Values) -> list[float]:
    """Step-down max-T adjusted p-values (Romano and Wolf 2005) for m hypotheses of mean 0.

    `differences` has shape (n prompts, m comparisons), NaN where a comparison lacks a prompt. All
    comparisons share the flips of a prompt, which makes use of their dependence.
    """
    n, m = differences.shape
    present = ~np.isnan(differences)
    filled = np.where(present, differences, 0.0)
    scale = np.sqrt((filled**2).sum(axis=0))
    scale[scale == 0] = 1.0
    observed = np.abs(filled.sum(axis=0)) / scale
    exact = n <= _MAX_ENUMERATED
    flipped = np.concatenate([np.abs(s @ filled) for s in _sign_rows(n, exact=exact)]) / scale
    order = np.argsort(-observed, kind="stable")
    adjusted, running = [1.0] * m, 0.0
    for rank, i in enumerate(order):
        largest = flipped[:, order[rank:]].max(axis=1)
        extreme = int((largest >= observed[i] * (1 - 1e-12)).sum())
        p = extreme / len(flipped) if exact else (1 + extreme) / (1 + len(flipped))
        running = max(running, p)
        adjusted[i] = running
    return adjusted


def _sign_rows(n: int, *, exact: bool) -> Iterator[Values]:
    """Rows of n signs, in batches: all 2^n of them, or `_FLIPS` random ones."""
    if exact:
        yield (1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)).astype(np.float64)
        return
    rng, step = np.random.default_rng(SEED), max(1, BATCH_NUMBERS // max(1, n))
    for start in range(0, _FLIPS, step):
        yield rng.choice((-1.0, 1.0), (min(step, _FLIPS - start), n))
