"""The mean of values that depend on the order of presentation, with both orders weighted equally.

A row is the preference of one judge on one prompt. Rows that were judged in both orders are one
stratum; the rows of a judge that were judged in one order form two more, one per order.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.intervals import (
    BATCH_NUMBERS,
    SEED,
    effective_units,
    score_interval,
    smoothed_variance,
)
from bakeoff.stats.results import Estimate, SignificanceResult, TestedRate

BOTH, A_FIRST, B_FIRST = range(3)  # codes of the order of a row

_PERMUTATIONS = 999
_FEW_PERMUTATIONS = 199  # for samples of more than `_MANY` rows
_MANY = 20_000


class OrderRows(NamedTuple):
    """Preferences for a, a row per judge and prompt; all arrays have the same length."""

    values: Values
    unit: Codes
    """Unit of inference (prompt or cluster)."""
    judge: Codes
    order: Codes
    """`BOTH`, `A_FIRST` or `B_FIRST`."""
    weights: Values
    """Weight before the orders are balanced; the scale does not matter."""


def balanced_weights(judge: Codes, order: Codes, weights: Values) -> Values:
    """Weights with sum 1 that give the two orders of each judge's single-order rows equal totals.

    Rows in both orders keep their share. Raises ValueError if a judge has
    single-order rows of one order only.
    """
    balanced = weights / weights.sum()
    single = order != BOTH
    for code in np.unique(judge[single]):
        of_judge = single & (judge == code)
        half = balanced[of_judge].sum() / 2
        for one_order in (A_FIRST, B_FIRST):
            rows = of_judge & (order == one_order)
            if not rows.any():
                raise ValueError("a judge has single-order rows of one order only")
            balanced[rows] *= half / balanced[rows].sum()
    return np.asarray(balanced)


def balanced_rate(rows: OrderRows, level: float = 0.95) -> TestedRate:
    """The order-balanced mean of at least one preference, with its interval and test.

    The estimate is sum_g W_g m_g over the strata g; the two orders of a judge have equal weights
    W_g. The variance is that of a stratified mean, with residuals summed within units first:
    sum_u (sum_{r in u} w_r (y_r - m_g) sqrt(n_g / (n_g - 1)))^2, n_g being the units of a stratum,
    and one more win and one more loss are added to each stratum. The degrees of freedom are
    Welch's (1947). The interval is the score interval, and the test is its inversion at 0.5.

    Raises ValueError if a judge has single-order rows of one order only.
    """
    weights = balanced_weights(rows.judge, rows.order, rows.weights)
    # Rows in both orders are one stratum for all judges.
    key = np.where(rows.order == BOTH, 0, 1 + 2 * rows.judge + (rows.order == B_FIRST))
    stratum = np.unique(key, return_inverse=True)[1]
    unit = np.unique(rows.unit, return_inverse=True)[1]
    units = int(unit.max()) + 1
    cells, cell = np.unique(stratum * units + unit, return_inverse=True)
    counts = np.bincount(cells // units)
    totals = np.bincount(stratum, weights)
    means = np.bincount(stratum, weights * rows.values) / totals
    residuals = weights * (rows.values - means[stratum])
    residuals *= np.sqrt(counts / np.maximum(1, counts - 1))[stratum]
    alone = np.bincount(cells // units, np.bincount(cell, residuals) ** 2)  # of each stratum
    smoothed = [
        total**2 / n * smoothed_variance(m, v * n / total**2, n)
        for m, v, n, total in zip(means, alone, counts, totals, strict=True)
    ]
    parts = np.maximum(alone, smoothed)
    variance = float((np.bincount(unit, residuals) ** 2).sum() + (parts - alone).sum())
    degrees = parts.sum() ** 2 / (parts**2 / np.maximum(1, counts - 1)).sum()
    return _score_rate(float(weights @ rows.values), variance, units, float(degrees), level)


def _score_rate(
    mean: float, variance: float, units: int, degrees: float, level: float
) -> TestedRate:
    # With unequal weights, the units tell less than as many units of a simple mean.
    as_many = min(float(units), mean * (1 - mean) / variance) if 0 < mean < 1 else float(units)
    low, high = score_interval(mean, variance * as_many, as_many, degrees, level)
    deviation = abs(mean - 0.5) * 2 * math.sqrt(effective_units(mean, variance * as_many, as_many))
    p = 2 * float(stdtr(degrees, -deviation))
    rate = Estimate(
        mean, low, high, "score interval, both orders weighted equally", units, variance**0.5
    )
    return TestedRate(
        rate, SignificanceResult(p, "score test, both orders weighted equally", units)
    )


def order_predictability(a_first: Mask, positions: Values, tags: Mask) -> float:
    """The p-value of a permutation test that nothing known beforehand predicts the order.

    `a_first` has a row per prompt judged in one order; `positions` has a column per sequence of
    the prompts (ranks), `tags` one per tag (whether a prompt has it). The statistic is the largest
    standardized deviation of: the correlation of the order with each column, and the number of
    changes of the order along each sequence (Wald and Wolfowitz 1940). p is 1 for a single order.
    """
    n = len(a_first)
    if n < 2 or a_first.all() or not a_first.any():
        return 1.0
    features = np.column_stack((positions, tags)).astype(np.float64)
    features -= features.mean(axis=0)
    scale = np.sqrt((features**2).sum(axis=0))
    features = features[:, scale > 0] / scale[scale > 0]
    sequences = np.argsort(positions, axis=0, kind="stable").T
    observed = _largest_deviation(a_first[None, :], features, sequences)[0]
    rng, wanted = np.random.default_rng(SEED), _PERMUTATIONS if n <= _MANY else _FEW_PERMUTATIONS
    step, extreme = max(1, BATCH_NUMBERS // n), 0
    for start in range(0, wanted, step):
        rows = rng.permuted(np.tile(a_first, (min(step, wanted - start), 1)), axis=1)
        extreme += int((_largest_deviation(rows, features, sequences) >= observed - 1e-9).sum())
    return (1 + extreme) / (1 + wanted)


def _largest_deviation(orders: Mask, features: Values, sequences: Codes) -> Values:
    """The largest standardized deviation of each row of `orders`, of shape (rows, n)."""
    n = orders.shape[1]
    share = float(orders[0].mean())
    deviations = [
        np.abs(((orders - share) @ features) / np.sqrt(share * (1 - share) * n / (n - 1)))
    ]
    expected = 2 * n * share * (1 - share)
    spread = np.sqrt(max(1e-12, expected * (expected - 1) / (n - 1)))
    for sequence in sequences:
        ordered = orders[:, sequence]
        changes = (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
        deviations.append(np.abs(changes - expected)[:, None] / spread)
    return np.asarray(np.concatenate(deviations, axis=1).max(axis=1))
