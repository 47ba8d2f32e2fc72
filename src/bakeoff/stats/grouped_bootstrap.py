"""A bootstrap of very many prompts by the kinds that there are; what a kind is, it knows not."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from bakeoff.stats.intervals import BLOCK, LARGE, RESAMPLES, SEED, Statistic, bca, percentiles
from bakeoff.stats.results import Estimate

Values = NDArray[np.float64]
Codes = NDArray[np.intp]

_TOLD = 64  # kinds: with more, hardly two clusters are alike
_FEW = 0.05  # of the units: with more kinds of them, to draw the units themselves is as quick


def bca_of_kinds(
    statistic: Statistic, kinds: Codes, clusters: Codes | None = None
) -> list[Estimate]:
    """`bca` of what depends on nothing but how often each kind of prompt is drawn.

    `kinds` has the kind of each of n prompts, from 0; `statistic` maps counts of the K kinds, of
    shape (..., K), to values of shape (..., k). Above 1,000 prompts or clusters, how often each
    kind of those comes is drawn at once: that is a multinomial, with the distribution that drawing
    them one by one has, at a cost that does not grow with their number.
    """
    n = len(kinds)
    unit = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    held = csr_array((np.ones(n), (unit, kinds)))
    units = held.shape[0]
    if units <= LARGE:
        return bca(lambda weights: statistic(np.asarray(weights @ held)), units)
    makeup, group = _alike(held)
    times = np.bincount(group)
    draw = _together if len(times) <= _FEW * units else _each
    rng, step = np.random.default_rng(SEED), max(1, BLOCK // len(times))
    drawn = [
        statistic(draw(rng, group, min(step, RESAMPLES - at)) @ makeup)
        for at in range(0, RESAMPLES, step)
    ]
    return percentiles(statistic(times @ makeup), np.concatenate(drawn), units)


def _together(rng: np.random.Generator, group: Codes, resamples: int) -> Values:
    """How often each group of units is drawn, all of them at once."""
    times = np.bincount(group)
    return rng.multinomial(len(group), times / len(group), size=resamples).astype(np.float64)


def _each(rng: np.random.Generator, group: Codes, resamples: int) -> Values:
    """The same, unit by unit; one resample at a time stays in the processor's cache."""
    n, groups = len(group), int(group.max()) + 1
    drawn = (group[rng.integers(0, n, n)] for _ in range(resamples))
    return np.stack([np.bincount(rows, minlength=groups) for rows in drawn]).astype(np.float64)


def _alike(held: csr_array) -> tuple[csr_array, Codes]:
    """What units hold, without repetition where that is easily told, and which each of them has."""
    units, kinds = held.shape
    if held.nnz == units and (held.data == 1).all():
        return csr_array(eye_array(kinds)), held.indices.astype(np.intp)
    if kinds > _TOLD:
        return held, np.arange(units)
    makeup, group = np.unique(held.toarray(), axis=0, return_inverse=True)
    return csr_array(makeup), group
