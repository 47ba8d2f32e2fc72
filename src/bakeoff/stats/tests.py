"""Significance tests of no difference, and adjustments for multiple tests."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.intervals import BATCH_NUMBERS, MAX_BCA_UNITS, SEED
from bakeoff.stats.results import SignificanceResult

_MAX_EXACT = 100_000  # sign patterns: up to this many, all of them are enumerated
_FLIPS = 9_999  # random sign patterns otherwise
_MAX_SIZE_SHARE = 0.01  # distinct sizes per difference: above this, single flips are as fast


def sign_test(wins: int, losses: int) -> SignificanceResult:
    """The exact two-sided binomial test of wins against losses; p is 1 without either."""
    n = wins + losses
    p = float(stats.binomtest(wins, n).pvalue) if n else 1.0
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
    p = float(stats.chi2.sf(statistic, 1))
    return SignificanceResult(p, "McNemar, continuity corrected", n)


def sign_flip_test(differences: Values) -> SignificanceResult:
    """The two-sided permutation test of mean 0 that flips the sign of each of n differences.

    Exact where 2^n <= 100,000, else 9,999 seeded flips; p is twice the smaller of the two shares
    (1 + #) / (1 + B) of flips whose sum is at most, and at least, the observed sum. p is 1 for
    fewer than two differences, and where all are 0.
    """
    n = len(differences)
    if n < 2 or not np.any(differences):  # a single value, flipped, is as far from 0
        return SignificanceResult(1.0, "sign-flip permutation", n)
    exact = 2**n <= _MAX_EXACT
    observed, slack = float(differences.sum()), 1e-12 * float(np.abs(differences).sum())  # rounding
    low = high = total = 0 if exact else 1
    for sums in _flipped_sums(differences, exact=exact):
        low += int((sums <= observed + slack).sum())
        high += int((sums >= observed - slack).sum())
        total += len(sums)
    kind = "exact" if exact else f"{_FLIPS} flips"
    p = min(1.0, 2 * min(low, high) / total)
    return SignificanceResult(p, f"sign-flip permutation, {kind}", n)


def _flipped_sums(differences: Values, *, exact: bool) -> Iterator[Values]:
    """Sums of the differences under sign flips, in batches."""
    n, rng = len(differences), np.random.default_rng(SEED)
    if exact:
        yield from (signs @ differences for signs in _sign_rows(n, exact=True))
    elif n <= MAX_BCA_UNITS:
        for rows in _batch_sizes(n):
            # The draws of scipy.stats.permutation_test, which makes them one by one.
            signs = rng.permuted(np.tile((1.0, -1.0), (rows, n, 1)), axis=-1)[..., 0]
            yield signs @ differences
    else:
        # Differences of one size are flipped together: the number of positive ones is binomial.
        # The sign of the sum is factored out, so that negated differences have the same p-value.
        sizes, counts = np.unique(np.abs(differences), return_counts=True)
        if len(sizes) > _MAX_SIZE_SHARE * n:
            sizes, counts = np.abs(differences), np.ones(n, dtype=np.intp)
        total, side = sizes @ counts, np.sign(differences.sum())
        for rows in _batch_sizes(len(sizes)):
            yield side * (2 * (_positive_counts(rng, counts, rows) @ sizes) - total)


def _positive_counts(rng: np.random.Generator, counts: Codes, rows: int) -> Values:
    """The number of positive differences of each size after a flip; of shape (rows, sizes)."""
    if counts.max() > 1:
        return rng.binomial(counts, 0.5, (rows, len(counts))).astype(np.float64)
    # A size that occurs once needs a single random bit.
    needed = rows * len(counts)
    bits = np.frombuffer(rng.bytes(needed // 8 + 1), dtype=np.uint8)
    return np.unpackbits(bits, count=needed).reshape(rows, -1).astype(np.float64)


def _batch_sizes(n: int) -> Iterator[int]:
    """The sizes of the batches in which `_FLIPS` flips of n signs are drawn."""
    step = max(1, BATCH_NUMBERS // max(1, n))
    for start in range(0, _FLIPS, step):
        yield min(step, _FLIPS - start)


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
    exact = 2**n <= _MAX_EXACT
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
    rng = np.random.default_rng(SEED)
    for rows in _batch_sizes(n):
        yield rng.choice((-1.0, 1.0), (rows, n))
