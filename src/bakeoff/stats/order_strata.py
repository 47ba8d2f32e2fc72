"""The mean of values that depend on the order of presentation, with both orders weighted equally.

A row is the preference of one judge on one prompt. Rows that were judged in both orders are one
stratum; the rows of a judge that were judged in one order form two more, one per order.
"""

import math
from typing import NamedTuple

import numpy as np

from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.distributions import t_test_p, welch_degrees
from bakeoff.stats.intervals import (
    BATCH_NUMBERS,
    MIN_INTERVAL_CLUSTERS,
    SCORE_METHOD,
    SEED,
    score_interval,
    score_test_p,
    smoothed_variance,
)
from bakeoff.stats.results import NO_INTERVAL, Estimate, SignificanceResult, TestedRate
from bakeoff.stats.tests import SCORE_TEST_METHOD, agreeing

BOTH, A_FIRST, B_FIRST = range(3)  # codes of the order of a row

_BALANCED = "both orders weighted equally"
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
    if units < MIN_INTERVAL_CLUSTERS:
        rate = Estimate(mean, 0.0, 1.0, NO_INTERVAL, units)
        return TestedRate(rate, SignificanceResult(1.0, NO_INTERVAL, units))
    moments = (mean, variance * units, units, degrees)
    low, high = score_interval(*moments, level)
    method = f"{SCORE_METHOD}, {_BALANCED}"
    rate = Estimate(mean, low, high, method, units, math.sqrt(variance), level)
    test = SignificanceResult(score_test_p(*moments), f"{SCORE_TEST_METHOD}, {_BALANCED}", units)
    return agreeing(rate, test, level)


def order_predictability(a_first: Mask, positions: Values, tags: Mask) -> float:
    """The p-value of a permutation test that neither position nor tag predicts the order.

    `a_first` has a row per prompt judged in one order; `positions` has a column per sequence of
    the prompts (ranks), `tags` one per tag (whether a prompt has it). There are two statistics:
    the sum of the squared correlations of the order with the tags; and the largest standardized
    deviation of its correlation with a sequence and, below its expectation, of its number of
    changes along the sequence (Wald and Wolfowitz 1940), since blocks of one order have few
    changes. An alternating order is balanced at every position, and has many. p is twice the
    smaller of the two p-values; 1 for a single order.
    """
    n = len(a_first)
    if n < 2 or a_first.all() or not a_first.any():
        return 1.0
    ranks, has_tag = _standardized(positions), _standardized(tags)
    sequences = np.argsort(positions, axis=0, kind="stable").T

    def statistics(orders: Mask) -> Values:
        by_tag = (_correlations(orders, has_tag) ** 2).sum(axis=1)
        deviations = [np.abs(_correlations(orders, ranks)), _missing_changes(orders, sequences)]
        return np.stack((by_tag, np.concatenate(deviations, axis=1).max(axis=1, initial=0.0)))

    observed = statistics(a_first[None, :]) - 1e-9
    rng, wanted = np.random.default_rng(SEED), _PERMUTATIONS if n <= _MANY else _FEW_PERMUTATIONS
    step, extreme = max(1, BATCH_NUMBERS // n), np.zeros(2)
    for start in range(0, wanted, step):
        orders = rng.permuted(np.tile(a_first, (min(step, wanted - start), 1)), axis=1)
        extreme += (statistics(orders) >= observed).sum(axis=1)
    return min(1.0, 2 * float(1 + extreme.min()) / (1 + wanted))


def sequence_deviation(a_first: Mask, position: Values) -> float:
    """How far the order follows a sequence of the prompts, in standard deviations.

    The larger one of the deviations that `order_predictability` describes; 0 for a single order.
    """
    if len(a_first) < 2 or a_first.all() or not a_first.any():
        return 0.0
    orders, sequence = a_first[None, :], np.argsort(position, kind="stable")[None, :]
    trend = np.abs(_correlations(orders, _standardized(position[:, None]))).max(initial=0.0)
    return float(max(trend, _missing_changes(orders, sequence)[0, 0]))


def welch_p(first: Values, second: Values) -> float:
    """The two-sided p-value of Welch's test of equal means, of at least two values each.

    One more 0 and one more 1 in each sample keep a variance where all values are equal.
    """
    x, y = np.append(first, (0.0, 1.0)), np.append(second, (0.0, 1.0))
    variances = float(x.var(ddof=1) / len(x)), float(y.var(ddof=1) / len(y))
    t = float(x.mean() - y.mean()) / math.sqrt(sum(variances))
    return t_test_p(t, welch_degrees(variances, (len(x), len(y))))


def _standardized(features: Values | Mask) -> Values:
    """The columns that vary, with mean 0 and sum of squares 1."""
    centered = features - features.mean(axis=0)
    scale = np.sqrt((centered**2).sum(axis=0))
    return np.asarray(centered[:, scale > 0] / scale[scale > 0])


def _correlations(orders: Mask, features: Values) -> Values:
    """The correlation of each row of `orders`, (rows, n), with each feature, times sqrt(n - 1)."""
    n, share = orders.shape[1], float(orders[0].mean())
    scale = np.sqrt(share * (1 - share) * n / (n - 1))
    return np.asarray((orders - share) @ features / scale)


def _missing_changes(orders: Mask, sequences: Codes) -> Values:
    """The standardized number of changes of the order that are missing along each sequence."""
    n, share = orders.shape[1], float(orders[0].mean())
    expected = 2 * n * share * (1 - share)
    spread = np.sqrt(max(1e-12, expected * (expected - 1) / (n - 1)))
    changes = [
        (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
        for ordered in (orders[:, sequence] for sequence in sequences)
    ]
    return np.asarray((expected - np.stack(changes, axis=1)) / spread)
