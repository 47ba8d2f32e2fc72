"""How far raters agree beyond chance: kappa, AC1 and alpha, with intervals over prompts.

Ratings are an array of shape (n prompts, m raters) of numbers that name categories or lie on a
scale; NaN where a rater did not rate.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.stats.grouped_bootstrap import bca_of_kinds
from bakeoff.stats.results import Estimate

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Level = Literal["nominal", "ordinal", "interval"]
Coefficient = Callable[[Values], Values]


def cohen_kappa(ratings: Values, clusters: Codes | None = None) -> Estimate | None:
    """Cohen's kappa (1960) of two raters, on the prompts that both rated.

    (po - pe) / (1 - pe) with pe = sum_k p1k p2k. None where both only ever said one and the same.
    """
    if ratings.shape[1] < 2:
        return None
    rated, kinds = _kinds(_complete(ratings))
    codes, k = _codes(rated)
    cells = np.zeros((len(rated), k, k))
    cells[np.arange(len(rated)), codes[:, 0], codes[:, 1]] = 1

    def kappa(sums: Values) -> Values:
        tables = sums / sums.sum((-2, -1), keepdims=True)
        observed = np.trace(tables, axis1=-2, axis2=-1)
        return _beyond(observed, (tables.sum(-1) * tables.sum(-2)).sum(-1))

    return _with_interval(cells, kinds, kappa, _kept(ratings, clusters))


def fleiss_kappa(ratings: Values, clusters: Codes | None = None) -> Estimate | None:
    """Fleiss' kappa (1971) of two or more raters, on the prompts that all rated."""
    return _from_counts(ratings, lambda p, _: (p**2).sum(-1), clusters)


def gwet_ac1(ratings: Values, clusters: Codes | None = None) -> Estimate | None:
    """Gwet's AC1 (2008) on the prompts that all rated: steady where one verdict dominates.

    pe = sum_k pi_k (1 - pi_k) / (q - 1) over the q categories that occur, pi_k their mean share.
    """
    return _from_counts(ratings, lambda p, q: (p * (1 - p)).sum(-1) / max(1, q - 1), clusters)


def krippendorff_alpha(
    ratings: Values, level: Level = "nominal", clusters: Codes | None = None
) -> Estimate | None:
    """Krippendorff's alpha, 1 - Do/De: any number of raters, ratings may be missing.

    Coincidences of a prompt with m ratings weigh 1/(m-1); the squared distance of two values is 1
    (nominal), their squared difference (interval), or that of their ranks (ordinal).
    """
    taking = (~np.isnan(ratings)).sum(axis=1) >= 2
    rated, kinds = _kinds(np.sort(ratings[taking], axis=1))  # who said it makes no difference
    values = np.unique(rated[~np.isnan(rated)])
    counts = (rated[:, :, None] == values).sum(axis=1).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    cells = pairs / np.maximum(1, counts.sum(axis=1) - 1)[:, None, None]

    def alpha(tables: Values) -> Values:
        n = tables.sum(-1)
        total = n.sum(-1)
        distance = _distance(values, n, level)
        observed = (tables * distance).sum((-2, -1))
        expected = (n[..., :, None] * n[..., None, :] * distance).sum((-2, -1)) / (total - 1)
        value: Values = 1 - observed / np.where(expected > 0, expected, np.nan)
        return value

    return _with_interval(cells, kinds, alpha, clusters[taking] if clusters is not None else None)


def _distance(values: Values, n: Values, level: Level) -> Values:
    """Squared distances of shape (..., k, k); ordinal ones depend on how often a value occurs."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        between: Values = (values[:, None] - values) ** 2
        return between
    ranks = np.cumsum(n, axis=-1) - n / 2
    squared: Values = (ranks[..., :, None] - ranks[..., None, :]) ** 2
    return squared


def _from_counts(
    ratings: Values, chance: Callable[[Values, int], Values], clusters: Codes | None
) -> Estimate | None:
    m = ratings.shape[1]
    if m < 2:
        return None
    rated, kinds = _kinds(np.sort(_complete(ratings), axis=1))
    codes, k = _codes(rated)
    counts = (codes[:, :, None] == np.arange(k)).sum(axis=1).astype(np.float64)
    agreeing = (counts * (counts - 1)).sum(axis=1, keepdims=True) / (m * (m - 1))
    cells = np.concatenate((agreeing, counts / m), axis=1)[:, None, :]

    def coefficient(sums: Values) -> Values:
        prompts = sums[..., 0, 1:].sum(-1)
        return _beyond(sums[..., 0, 0] / prompts, chance(sums[..., 0, 1:] / prompts[..., None], k))

    return _with_interval(cells, kinds, coefficient, _kept(ratings, clusters))


def _beyond(observed: Values, expected: Values) -> Values:
    kappa: Values = (observed - expected) / np.where(expected < 1 - 1e-12, 1 - expected, np.nan)
    return kappa


def _with_interval(
    cells: Values, kinds: Codes, coefficient: Coefficient, clusters: Codes | None
) -> Estimate | None:
    """The bootstrap of a coefficient of sums over prompts.

    `cells` has shape (K, j, k): what a prompt of each kind adds; `kinds` has the kind of each.
    """
    if not len(kinds):
        return None
    flat = cells.reshape(len(cells), -1)

    def statistic(counts: Values) -> Values:
        sums = (counts @ flat).reshape(*counts.shape[:-1], *cells.shape[1:])
        return coefficient(sums)[..., None]

    if np.isnan(statistic(np.bincount(kinds, minlength=len(cells)).astype(np.float64))).any():
        return None
    # A resample that lost all but one category has no coefficient: nothing disagreed in it.
    return bca_of_kinds(lambda counts: np.nan_to_num(statistic(counts), nan=1.0), kinds, clusters)[
        0
    ]


def _kinds(ratings: Values) -> tuple[Values, Codes]:
    """The rows that differ, and which of them each row is."""
    kinds = np.zeros(len(ratings), dtype=np.intp)
    for column in ratings.T:
        values, codes = np.unique(column, return_inverse=True)
        kinds = np.unique(kinds * len(values) + codes, return_inverse=True)[1]
    first = np.unique(kinds, return_index=True)[1]
    return ratings[first], kinds


def _complete(ratings: Values) -> Values:
    rated: Values = ratings[~np.isnan(ratings).any(axis=1)]
    return rated


def _kept(ratings: Values, clusters: Codes | None) -> Codes | None:
    return None if clusters is None else clusters[~np.isnan(ratings).any(axis=1)]


def _codes(rated: Values) -> tuple[Codes, int]:
    values, codes = np.unique(rated, return_inverse=True)
    return codes.reshape(rated.shape), max(1, len(values))
