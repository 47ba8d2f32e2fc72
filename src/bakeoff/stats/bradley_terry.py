"""Strengths of many items from pairwise outcomes: Bradley-Terry, with ties and order.

Knows items by number, and outcomes of the left one against the right one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, logsumexp

from bakeoff.stats.intervals import bca
from bakeoff.stats.results import Estimate, Ratings

Values = NDArray[np.float64]
Codes = NDArray[np.intp]

RIDGE = 1e-2  # only where no maximum exists without it


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
    counts, kinds = _counted(outcomes)
    likelihood = _Likelihood(kinds, items, ties, order, ridge)
    start = likelihood.fit(np.ones(counts.shape[0]) @ counts, np.zeros(items + 2))

    def statistic(weights: Values) -> Values:
        flat = weights.reshape(-1, weights.shape[-1])
        fits = np.stack([likelihood.fit(row @ counts, start) for row in flat])
        return fits.reshape(*weights.shape[:-1], items + 2)

    n = counts.shape[0]
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


def _counted(outcomes: Outcomes) -> tuple[csr_array, Outcomes]:
    """How often each prompt has each kind of outcome (shape prompts x kinds), and the kinds.

    Outcomes of the same items with the same value are one term of the likelihood: a bootstrap of
    thousands of prompts then costs no more than one of a few.
    """
    rows: Values = np.stack((outcomes.left, outcomes.right, outcomes.values), axis=1)
    kinds, kind = np.unique(rows, axis=0, return_inverse=True)
    prompts = np.unique(outcomes.prompts, return_inverse=True)[1]
    counts = csr_array((np.ones(len(rows)), (prompts, kind.reshape(-1))))
    left, right = kinds[:, :2].T.astype(np.intp)
    return counts, Outcomes(left, right, kinds[:, 2], np.arange(len(kinds), dtype=np.intp))


@dataclass(frozen=True)
class _Likelihood:
    """A concave problem in theta = (strengths, log nu, first); what is not fitted stays 0."""

    outcomes: Outcomes
    items: int
    ties: bool
    order: bool
    ridge: float

    def fit(self, weights: Values, start: Values) -> Values:
        """The maximum for these weights of the outcomes, by L-BFGS."""
        free = np.concatenate((np.ones(self.items), (float(self.ties), float(self.order))))

        def loss(theta: Values) -> tuple[float, Values]:
            value, pull, along_nu = self._davidson(theta, weights)
            towards = np.bincount(self.outcomes.left, pull, self.items)
            towards = towards - np.bincount(self.outcomes.right, pull, self.items)
            gradient = np.concatenate((towards, (along_nu, float(pull.sum()))))
            gradient += 2 * self.ridge * theta
            return value + self.ridge * float(theta @ theta), gradient * free

        found = minimize(
            loss, start * free, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-8}
        )
        theta: Values = found.x * free
        theta[: self.items] -= theta[: self.items].mean()
        return theta

    def _davidson(self, theta: Values, weights: Values) -> tuple[float, Values, float]:
        """Minus the log-likelihood, its slope along each outcome's gap, and along log nu."""
        y = self.outcomes.values
        gap = theta[self.outcomes.left] - theta[self.outcomes.right] + theta[-1]
        if not self.ties:
            value = float(weights @ (np.logaddexp(0, gap) - y * gap))
            return value, weights * (expit(gap) - y), 0.0
        # The logarithms of win, tie and loss, up to a constant.
        logs = np.stack((gap / 2, np.full_like(gap, theta[-2]), -gap / 2))
        p = np.exp(logs - logsumexp(logs, axis=0))
        chosen = np.select((y > 0.5, y < 0.5), (0, 2), 1)
        value = -float(weights @ np.log(p[chosen, np.arange(len(y))]))
        slope = (p[0] - p[2] - np.sign(y - 0.5)) / 2
        return value, weights * slope, float(weights @ (p[1] - (chosen == 1)))
