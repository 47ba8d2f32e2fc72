"""Strengths of many items from pairwise outcomes: Bradley-Terry, with ties and order.

Knows items by number, and outcomes of the left one against the right one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, eye_array, kron, vstack
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax

from bakeoff.stats.intervals import bca
from bakeoff.stats.results import Estimate, Ratings

Values = NDArray[np.float64]
Codes = NDArray[np.intp]

RIDGE = 1e-2  # only where no maximum exists without it
_STEPS = 100
_FAR = 2.0  # of theta in one step


@dataclass(frozen=True)
class Outcomes:
    """Single outcomes: 1 where the left item won, 0 where the right one did, 0.5 for a tie.

    `prompts` says which outcomes are of one prompt; they are drawn together by the bootstrap.
    """

    left: Codes
    right: Codes
    values: Values
    prompts: Codes


def bradley_terry(
    outcomes: Outcomes,
    items: int,
    *,
    ties: bool = False,
    order: bool = False,
    resamples: int = 500,
) -> Ratings:
    """Maximum likelihood log-strengths (mean 0) with BCa intervals over prompts.

    P(left wins) = sigmoid(s_left - s_right + first) (Bradley and Terry 1952); a tie is half a win
    and half a loss, or, with `ties`, an outcome of its own: P(tie) is proportional to
    nu sqrt(strength of left times right) (Davidson 1970). With `order` the left item was shown
    first, and `first` is fitted. Without resamples the intervals are points.
    """
    if not len(outcomes.values):
        raise ValueError("no outcomes")
    groups = _groups(outcomes, items)
    # A resample may lose the connection that the data have; so little moves nothing else.
    ridge = RIDGE if len(groups) > 1 else 1e-6
    likelihood, held = _prepared(outcomes, items, ties=ties, order=order)
    n = held.shape[0]
    start = likelihood.fit(np.ones((1, n)) @ held, np.zeros(items + 2), ridge)[0]

    def statistic(weights: Values) -> Values:
        fits = likelihood.fit(weights.reshape(-1, n) @ held, start, ridge)
        return fits.reshape(*weights.shape[:-1], items + 2)

    method = "Davidson" if ties else "Bradley-Terry, ties half"
    if resamples:
        found = bca(statistic, n, resamples=resamples)
    else:
        found = [Estimate(float(v), float(v), float(v), "no interval", n) for v in start]
    return Ratings(
        strengths=tuple(found[:items]),
        tie=float(np.exp(start[-2])) if ties else None,
        first=float(start[-1]) if order else None,
        groups=groups,
        method=method
        if len(groups) == 1
        else f"{method}, with a ridge of {RIDGE}: {_apart(groups)}",
    )


def _apart(groups: tuple[tuple[int, ...], ...]) -> str:
    return f"the win graph falls into {len(groups)} parts"


def _groups(outcomes: Outcomes, items: int) -> tuple[tuple[int, ...], ...]:
    """The strongly connected parts of the graph "has not always lost to", largest first."""
    wins, losses = outcomes.values > 0, outcomes.values < 1
    rows = np.concatenate((outcomes.left[wins], outcomes.right[losses]))
    columns = np.concatenate((outcomes.right[wins], outcomes.left[losses]))
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(items, items))
    count, labels = connected_components(graph, connection="strong")
    parts = [tuple(np.flatnonzero(labels == part).tolist()) for part in range(count)]
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))


def _prepared(
    outcomes: Outcomes, items: int, *, ties: bool, order: bool
) -> tuple["_Likelihood", csr_array]:
    """The likelihood, and what each prompt (rows) adds to its sums: wins, ties and losses of each
    two items. A bootstrap of thousands of prompts then costs little more than one of a few.
    """
    pairs, pair = np.unique(outcomes.left * items + outcomes.right, return_inverse=True)
    prompts = np.unique(outcomes.prompts, return_inverse=True)[1]
    y = outcomes.values
    parts = (y > 0.5, y == 0.5, y < 0.5) if ties else (y, 1 - y)
    columns = [pair + part * len(pairs) for part in range(len(parts))]
    held = csr_array(
        (
            np.concatenate(parts).astype(np.float64),
            (np.tile(prompts, len(parts)), np.concatenate(columns)),
        )
    )
    rows = np.arange(len(pairs))
    gap = np.zeros((len(pairs), items + 2))
    gap[rows, pairs // items], gap[rows, pairs % items], gap[:, -1] = 1, -1, float(order)
    nu = np.zeros_like(gap)
    nu[:, -2] = 1
    terms = (gap / 2, nu, -gap / 2) if ties else (gap / 2, -gap / 2)
    return _Likelihood(tuple(csr_array(term) for term in terms)), held


@dataclass(frozen=True)
class _Likelihood:
    """A concave problem in theta = (strengths, log nu, first); what is not fitted stays 0.

    The log-odds of a win, a tie and a loss of each of P pairs are `terms` times theta, up to a
    constant; each has shape (P, items + 2).
    """

    terms: tuple[csr_array, ...]

    def fit(self, sums: Values, start: Values, ridge: float) -> Values:
        """The maxima, of shape (B, items + 2), for B times the sums of wins, ties and losses, by
        Newton's method.
        """
        design, squares = vstack(self.terms), self._squares
        theta = np.tile(start, (len(sums), 1))
        counts = sums.reshape(len(sums), len(self.terms), -1)
        met = counts.sum(axis=1, keepdims=True)
        penalty = 2 * ridge * np.eye(theta.shape[1])
        for _ in range(_STEPS):
            p = softmax((theta @ design.T).reshape(counts.shape), axis=1)
            slope = (counts - met * p).reshape(sums.shape) @ design - theta @ penalty
            spread = p[:, :, None] * (np.eye(len(self.terms))[..., None] - p[:, None])
            bend = (met[:, None] * spread).reshape(len(sums), -1) @ squares
            step = np.linalg.solve(bend.reshape(-1, *penalty.shape) + penalty, slope[..., None])
            # Far from the maximum a full step may overshoot; a bounded one still gets there.
            theta += (step / np.maximum(1, np.abs(step).max(axis=1, keepdims=True) / _FAR))[..., 0]
            if np.abs(slope).max() < 1e-9 * max(1.0, float(met.sum(axis=-1).max())):
                break
        strengths = theta[:, :-2]
        strengths -= strengths.mean(axis=1, keepdims=True)
        return theta

    @cached_property
    def _squares(self) -> csr_array:
        """The products of every two columns, for every two terms: (terms^2 P, (items + 2)^2)."""
        d = self.terms[0].shape[1]
        each, once = np.ones((1, d)), eye_array(d)
        products = [
            (one @ kron(once, each)).multiply(other @ kron(each, once))
            for one in self.terms
            for other in self.terms
        ]
        return csr_array(vstack(products))
