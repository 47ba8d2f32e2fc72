"""Tests of no difference, and what many of them at once need. Knows counts and differences."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bakeoff.stats.intervals import SEED
from bakeoff.stats.results import Tested

Values = NDArray[np.float64]

_EXACT = 100_000  # sign flips are all tried where there are no more than this
_DRAWN = 9_999


def sign_test(wins: int, losses: int) -> Tested:
    """The exact two-sided binomial test of wins against losses; ties take no part."""
    n = wins + losses
    p = float(stats.binomtest(wins, n).pvalue) if n else 1.0
    return Tested(p, "exact sign test", n)


def mcnemar(only_first: int, only_second: int) -> Tested:
    """McNemar's test of the two kinds of discordant pairs: exact below 25 of them, else the
    chi-squared statistic with continuity correction, (|b-c|-1)^2 / (b+c).
    """
    n = only_first + only_second
    if n < 25:
        return Tested(sign_test(only_first, only_second).p, "McNemar, exact", n)
    statistic = max(0, abs(only_first - only_second) - 1) ** 2 / n
    return Tested(float(stats.chi2.sf(statistic, 1)), "McNemar, continuity corrected", n)


def sign_flip(differences: Values) -> Tested:
    """The two-sided permutation test of mean 0 that flips the sign of each difference.

    Exact where 2^n <= 100,000, else 9,999 seeded flips and p = (1 + #) / (1 + B).
    """
    n = len(differences)
    if n < 2 or not np.any(differences):  # one flip of one value is as far from 0
        return Tested(1.0, "sign-flip permutation", n)
    exact = 2**n <= _EXACT
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",  # of one sample: the signs
        n_resamples=_EXACT if exact else _DRAWN,
        batch=max(1, 2_000_000 // n),
        rng=np.random.default_rng(SEED),
    )
    how = "exact" if exact else f"{_DRAWN} flips"
    return Tested(float(found.pvalue), f"sign-flip permutation, {how}", n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values: valid however the tests depend on each other."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    adjusted, running = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def romano_wolf(differences: Values) -> list[float]:
    """Step-down max-T adjusted p-values (Romano and Wolf 2005) of m means of 0.

    `differences` has shape (n prompts, m comparisons), NaN where a prompt takes no part in one.
    The flips are shared over the comparisons of a prompt, so their dependence buys power.
    """
    n, m = differences.shape
    taking = ~np.isnan(differences)
    filled = np.where(taking, differences, 0.0)
    scale = np.sqrt((filled**2).sum(axis=0))
    scale[scale == 0] = 1.0
    observed = np.abs(filled.sum(axis=0)) / scale
    exact = 2**n <= _EXACT
    drawn = np.abs(_flips(n, exact=exact) @ filled) / scale
    order = np.argsort(-observed, kind="stable")
    adjusted, running = [1.0] * m, 0.0
    for rank, i in enumerate(order):
        largest = drawn[:, order[rank:]].max(axis=1)
        extreme = int((largest >= observed[i] * (1 - 1e-12)).sum())
        p = extreme / len(drawn) if exact else (1 + extreme) / (1 + len(drawn))
        running = max(running, p)
        adjusted[i] = running
    return adjusted


def _flips(n: int, *, exact: bool) -> NDArray[np.int8]:
    """Rows of n signs: all 2^n of them, or as many as are drawn."""
    if exact:
        bits = np.arange(2**n)[:, None] >> np.arange(n)
        return (1 - 2 * (bits & 1)).astype(np.int8)
    return np.random.default_rng(SEED).choice(np.array([-1, 1], dtype=np.int8), (_DRAWN, n))
