"""Chance-corrected agreement of raters (kappa, AC1, alpha) with intervals over prompts.

`ratings` is an array of shape (n prompts, m raters) of category codes or numbers on a scale; NaN
where a rater did not rate. `clusters` holds a code per prompt. Every function returns None where
the coefficient is undefined: too few ratings, or a single category throughout.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.intervals import grouped_bca
from bakeoff.stats.results import Estimate

Level = Literal["nominal", "ordinal", "interval"]
Coefficient = Callable[[Values], Values]


def cohen_kappa(ratings: Values, clusters: Codes | None = None) -> Estimate | None:
    """Cohen's kappa (1960) of two raters, on the prompts that both rated.

    (po - pe) / (1 - pe) with pe = sum_k p1k p2k.
    """
    if ratings.shape[1] < 2:
        return None
    rows, kinds = _distinct_rows(_complete_rows(ratings))
    codes, k = _category_codes(rows)
    cells = np.zeros((len(rows), k, k))
    cells[np.arange(len(rows)), codes[:, 0], codes[:, 1]] = 1

    def kappa(sums: Values) -> Values:
        tables = sums / sums.sum((-2, -1), keepdims=True)
        observed = np.trace(tables, axis1=-2, axis2=-1)
        return _beyond_chance(observed, (tables.sum(-1) * tables.sum(-2)).sum(-1))

    return _with_interval(cells, kinds, kappa, _complete_clusters(ratings, clusters))


def fleiss_kappa(ratings: Values, clusters: Codes | None = None) -> Estimate | None:
    """Fleiss' kappa (1971) of two or more raters, on the prompts that all rated."""
    return _from_category_shares(ratings, lambda p, _: (p**2).sum(-1), clusters)


def gwet_ac1(ratings: Values, clusters: Codes | None = None) -> Estimate | None:
    """Gwet's AC1 (2008) on the prompts that all rated; stable where one category dominates.

    pe = sum_k pi_k (1 - pi_k) / (q - 1) over the q categories that occur, pi_k their mean share.
    """
    return _from_category_shares(
        ratings, lambda p, q: (p * (1 - p)).sum(-1) / max(1, q - 1), clusters
    )


def krippendorff_alpha(
    ratings: Values, level: Level = "nominal", clusters: Codes | None = None
) -> Estimate | None:
    """Krippendorff's alpha, 1 - Do/De, of any number of raters, with missing ratings.

    Coincidences of a prompt with m ratings are weighted 1/(m-1); the squared distance of two values
    is 1 (nominal), their squared difference (interval), or that of their ranks (ordinal)
    (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).
    """
    paired = (~np.isnan(ratings)).sum(axis=1) >= 2
    rows, kinds = _distinct_rows(np.sort(ratings[paired], axis=1))  # raters are exchangeable
    values = np.unique(rows[~np.isnan(rows)])
    counts = (rows[:, :, None] == values).sum(axis=1).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    cells = pairs / np.maximum(1, counts.sum(axis=1) - 1)[:, None, None]

    def alpha(tables: Values) -> Values:
        n = tables.sum(-1)
        total = n.sum(-1)
        distance = _squared_distances(values, n, level)
        observed = (tables * distance).sum((-2, -1))
        expected = (n[..., :, None] * n[..., None, :] * distance).sum((-2, -1)) / (total - 1)
        value: Values = 1 - observed / np.where(expected > 0, expected, np.nan)
        return value

    return _with_interval(cells, kinds, alpha, clusters[paired] if clusters is not None else None)


def _squared_distances(values: Values, n: Values, level: Level) -> Values:
    """Squared distances of shape (..., k, k); ordinal ones depend on the frequencies n."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        squared: Values = (values[:, None] - values) ** 2
        return squared
    ranks = np.cumsum(n, axis=-1) - n / 2
    squared_ranks: Values = (ranks[..., :, None] - ranks[..., None, :]) ** 2
    return squared_ranks


def _from_category_shares(
    ratings: Values, chance: Callable[[Values, int], Values], clusters: Codes | None
) -> Estimate | None:
    """A coefficient whose chance agreement is `chance(category shares, number of categories)`."""
    m = ratings.shape[1]
    if m < 2:
        return None
    rows, kinds = _distinct_rows(np.sort(_complete_rows(ratings), axis=1))
    codes, k = _category_codes(rows)
    counts = (codes[:, :, None] == np.arange(k)).sum(axis=1).astype(np.float64)
    agreement = (counts * (counts - 1)).sum(axis=1, keepdims=True) / (m * (m - 1))
    cells = np.concatenate((agreement, counts / m), axis=1)[:, None, :]

    def coefficient(sums: Values) -> Values:
        n = sums[..., 0, 1:].sum(-1)
        shares = sums[..., 0, 1:] / n[..., None]
        return _beyond_chance(sums[..., 0, 0] / n, chance(shares, k))

    return _with_interval(cells, kinds, coefficient, _complete_clusters(ratings, clusters))


def _beyond_chance(observed: Values, expected: Values) -> Values:
    kappa: Values = (observed - expected) / np.where(expected < 1 - 1e-12, 1 - expected, np.nan)
    return kappa


def _with_interval(
    cells: Values, kinds: Codes, coefficient: Coefficient, clusters: Codes | None
) -> Estimate | None:
    """A coefficient of sums over prompts with its bootstrap interval; None if it is undefined.

    `cells` has shape (K, j, k): what a prompt of each kind adds to the sums; `kinds` holds the kind
    of each prompt.
    """
    if not len(kinds):
        return None
    flat = cells.reshape(len(cells), -1)

    def statistic(counts: Values) -> Values:
        sums = (counts @ flat).reshape(*counts.shape[:-1], *cells.shape[1:])
        return coefficient(sums)[..., None]

    if np.isnan(statistic(np.bincount(kinds, minlength=len(cells)).astype(np.float64))).any():
        return None
    # In a resample with a single category the coefficient is undefined; all agree, so it is 1.
    return grouped_bca(lambda counts: np.nan_to_num(statistic(counts), nan=1.0), kinds, clusters)[0]


def _distinct_rows(ratings: Values) -> tuple[Values, Codes]:
    """The distinct rows, and for each row its index among them."""
    kinds = np.zeros(len(ratings), dtype=np.intp)
    for column in ratings.T:
        values, codes = np.unique(column, return_inverse=True)
        kinds = np.unique(kinds * len(values) + codes, return_inverse=True)[1]
    first = np.unique(kinds, return_index=True)[1]
    return ratings[first], kinds


def _complete_rows(ratings: Values) -> Values:
    rows: Values = ratings[~np.isnan(ratings).any(axis=1)]
    return rows


def _complete_clusters(ratings: Values, clusters: Codes | None) -> Codes | None:
    return None if clusters is None else clusters[~np.isnan(ratings).any(axis=1)]


def _category_codes(ratings: Values) -> tuple[Codes, int]:
    """The ratings as codes from 0, and the number of categories."""
    values, codes = np.unique(ratings, return_inverse=True)
    return codes.reshape(ratings.shape), max(1, len(values))
