"""Tests of no difference, and what many of them at once need. Knows counts and differences."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bakeoff.stats.intervals import BLOCK, LARGE, SEED
from bakeoff.stats.results import Tested

Values = NDArray[np.float64]
Codes = NDArray[np.intp]

_EXACT = 100_000  # sign flips are all tried where there are no more than this
_DRAWN = 9_999
_FEW = 0.01  # of the differences: with more sizes, to flip one by one is as quick


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

    Exact where 2^n <= 100,000, else 9,999 seeded flips; p is twice the smaller of the two shares
    (1 + #) / (1 + B) of flips that are as low, and as high, as what was seen.
    """
    n = len(differences)
    if n < 2 or not np.any(differences):  # one flip of one value is as far from 0
        return Tested(1.0, "sign-flip permutation", n)
    exact = 2**n <= _EXACT
    seen, slack = float(differences.sum()), 1e-12 * float(np.abs(differences).sum())  # rounding
    low = high = drawn = 0 if exact else 1
    for sums in _sums(differences, exact=exact):
        low += int((sums <= seen + slack).sum())
        high += int((sums >= seen - slack).sum())
        drawn += len(sums)
    how = "exact" if exact else f"{_DRAWN} flips"
    return Tested(min(1.0, 2 * min(low, high) / drawn), f"sign-flip permutation, {how}", n)


def _sums(differences: Values, *, exact: bool) -> Iterator[Values]:
    """What the differences add up to with other signs, in blocks."""
    n, rng = len(differences), np.random.default_rng(SEED)
    if exact:
        yield from (signs @ differences for signs in _flips(n, exact=True))
    elif n <= LARGE:
        for rows in _blocks(n):
            # The draws of scipy.stats.permutation_test, which makes them one by one.
            signs = rng.permuted(np.tile((1.0, -1.0), (rows, n, 1)), axis=-1)[..., 0]
            yield signs @ differences
    else:
        # Those of one size flip together: how many of them are then above 0 is binomial. Turned
        # as the sum is, so that the p-value of minus the differences is the same.
        sizes, times = np.unique(np.abs(differences), return_counts=True)
        if len(sizes) > _FEW * n:
            sizes, times = np.abs(differences), np.ones(n, dtype=np.intp)
        total, side = sizes @ times, np.sign(differences.sum())
        for rows in _blocks(len(sizes)):
            yield side * (2 * (_above(rng, times, rows) @ sizes) - total)


def _above(rng: np.random.Generator, times: Codes, rows: int) -> Values:
    """How many of each size a flip puts above 0; where there is only one of each it takes a bit."""
    if times.max() > 1:
        return rng.binomial(times, 0.5, (rows, len(times))).astype(np.float64)
    drawn = rows * len(times)
    bits = np.frombuffer(rng.bytes(drawn // 8 + 1), dtype=np.uint8)
    return np.unpackbits(bits, count=drawn).reshape(rows, -1).astype(np.float64)


def _blocks(n: int) -> Iterator[int]:
    """How many flips of n signs are drawn at once, until all are."""
    step = max(1, BLOCK // max(1, n))
    for at in range(0, _DRAWN, step):
        yield min(step, _DRAWN - at)


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
    drawn = np.concatenate([np.abs(s @ filled) for s in _flips(n, exact=exact)]) / scale
    order = np.argsort(-observed, kind="stable")
    adjusted, running = [1.0] * m, 0.0
    for rank, i in enumerate(order):
        largest = drawn[:, order[rank:]].max(axis=1)
        extreme = int((largest >= observed[i] * (1 - 1e-12)).sum())
        p = extreme / len(drawn) if exact else (1 + extreme) / (1 + len(drawn))
        running = max(running, p)
        adjusted[i] = running
    return adjusted


def _flips(n: int, *, exact: bool) -> Iterator[Values]:
    """Rows of n signs, in blocks: all 2^n of them, or as many as are drawn."""
    if exact:
        yield (1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)).astype(np.float64)
        return
    rng = np.random.default_rng(SEED)
    for rows in _blocks(n):
        yield rng.choice((-1.0, 1.0), (rows, n))
