"""Strengths of many items from pairwise outcomes: Bradley-Terry, with ties and order.

Knows items by number, and outcomes of the left one against the right one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from bakeoff.stats.intervals import resampled
from bakeoff.stats.ranks import surely_better
from bakeoff.stats.results import Estimate, Ratings

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

RIDGE = 1e-2  # only where no maximum exists without it, and in resamples
_SLIGHT = 1e-6  # where one exists
_STEPS = 100
_FAR = 2.0  # of theta in one step
_STILL = 1e-9  # what varies less does not vary, but for rounding
_RUNAWAY = 10.0  # log-odds that no data support


@dataclass(frozen=True)
class Outcomes:
    """Single outcomes: 1 where the left item won, 0 where the right one did, 0.5 for a tie.

    `prompts` says which outcomes are of one prompt; they are drawn together by the bootstrap.
    `weights` is how often each counts (None: once), so that what is judged twice need not count
    twice; `placed` says of which it is known that the left one was shown first (None: of all).
    """

    left: Codes
    right: Codes
    values: Values
    prompts: Codes
    weights: Values | None = None
    placed: Mask | None = None

    @property
    def counts(self) -> Values:
        """How often each counts."""
        return np.ones(len(self.values)) if self.weights is None else self.weights


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
    first, and `first` is fitted (Davidson and Beaver 1977); outcomes that are not placed have none.
    Without resamples the intervals are points, and nothing is surely better.
    """
    if not len(outcomes.values):
        raise ValueError("no outcomes")
    groups = _groups(outcomes, items)
    ridge = RIDGE if len(groups) > 1 else _SLIGHT
    likelihood, held = _prepared(outcomes, items, ties=ties, order=order)
    n = held.shape[0]
    start = likelihood.fit(np.ones((1, n)) @ held, np.zeros(items + 2), ridge)[0]
    if ridge < RIDGE and np.abs(np.delete(start, -2)).max() > _RUNAWAY:  # the order decides all
        ridge = RIDGE
        start = likelihood.fit(np.ones((1, n)) @ held, np.zeros(items + 2), ridge)[0]

    def statistic(weights: Values) -> Values:
        # A resample may lose the connection that the data have, and would run away without one.
        held_by = ridge if weights.ndim == 1 else max(ridge, RIDGE)
        fits = likelihood.fit(weights.reshape(-1, n) @ held, start, held_by)
        return fits.reshape(*weights.shape[:-1], items + 2)

    better: tuple[tuple[int, int], ...] = ()
    if resamples:
        found, drawn = resampled(statistic, n, resamples=resamples)
        found = [_interval(one) for one in found]
        sure = surely_better(start[:-2], drawn[:, :-2], groups, direct_wins(outcomes, items), n)
        better = tuple((int(i), int(j)) for i, j in np.argwhere(sure))
    else:
        found = [Estimate(float(v), float(v), float(v), "no interval", n) for v in start]
    return Ratings(
        strengths=tuple(found[:items]),
        tie=float(np.exp(start[-2])) if ties else None,
        first=float(start[-1]) if order else None,
        groups=groups,
        method=_method(outcomes, ties=ties) + _held(groups, ridge),
        better=better,
    )


def direct_wins(outcomes: Outcomes, items: int) -> Codes:
    """On how many prompts each item (rows) won more than it lost against each other (columns)."""
    ahead = np.minimum(outcomes.left, outcomes.right) * items + np.maximum(
        outcomes.left, outcomes.right
    )
    turned = np.where(outcomes.left < outcomes.right, 1.0, -1.0)
    prompts = np.unique(outcomes.prompts, return_inverse=True)[1]
    shape = (int(prompts.max()) + 1, items * items)
    signed = turned * (outcomes.values - 0.5) * outcomes.counts
    net = coo_array((signed, (prompts, ahead)), shape=shape).tocsr()
    net.data = np.sign(np.round(net.data, 9))  # what was won in one order and lost in the other
    won = np.bincount(net.indices[net.data > 0], minlength=items * items).reshape(items, items)
    lost = np.bincount(net.indices[net.data < 0], minlength=items * items).reshape(items, items)
    both: Codes = won + lost.T
    return both


def _interval(one: Estimate) -> Estimate:
    """No interval where no resample changes the strength: that is certain of nothing."""
    if one.se is None or one.se > _STILL:
        return one
    value = one.estimate
    return Estimate(value, value, value, "nothing varies: no interval", one.n)


def _method(outcomes: Outcomes, *, ties: bool) -> str:
    plain = "Bradley-Terry" + ", ties half" * bool((outcomes.values % 1).any())
    return "Davidson" if ties else plain


def _held(groups: tuple[tuple[int, ...], ...], ridge: float) -> str:
    """What the method says of a ridge that moves the strengths."""
    if ridge < RIDGE:
        return ""
    parts = f"the win graph falls into {len(groups)} parts"
    return f", with a ridge of {RIDGE}: {parts if len(groups) > 1 else 'no maximum exists'}"


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
    """The likelihood, and what each prompt (rows) adds to its sums: half of what the left one won
    more than it lost, the ties, and all there is, of each two items. A bootstrap of thousands of
    prompts then costs little more than one of a few.
    """
    count, placed = outcomes.counts, np.ones(len(outcomes.values), dtype=np.bool_)
    if outcomes.placed is not None:
        placed = outcomes.placed
    keys = (outcomes.left * items + outcomes.right) * 2 + placed
    pairs, pair = np.unique(keys, return_inverse=True)
    prompts = np.unique(outcomes.prompts, return_inverse=True)[1]
    parts = (count * (outcomes.values - 0.5), count * (outcomes.values == 0.5), count)
    columns = [pair + part * len(pairs) for part in range(3)]
    held = csr_array(
        (np.concatenate(parts), (np.tile(prompts, 3), np.concatenate(columns))),
        shape=(int(prompts.max()) + 1, 3 * len(pairs)),
    )
    held.eliminate_zeros()
    rows, two = np.arange(len(pairs)), pairs // 2
    gap = np.zeros((len(pairs), items + 2))
    gap[rows, two // items], gap[rows, two % items] = 1, -1
    gap[:, -1] = order * (pairs % 2)
    return _Likelihood(gap, ties=ties), held


@dataclass(frozen=True)
class _Likelihood:
    """A concave problem in theta = (strengths, log nu, first); what is not fitted stays 0.

    The log-odds of the left one against the right one of each of P pairs, where it is no tie, are
    `gap` times theta, of shape (P, items + 2); a win, a tie and a loss are exp(log-odds / 2), nu
    and exp(-log-odds / 2) to one, and without ties nu is 0.
    """

    gap: Values
    ties: bool

    def fit(self, sums: Values, start: Values, ridge: float) -> Values:
        """The maxima, of shape (B, items + 2), for B times the sums that `_prepared` makes, by
        Newton's method.
        """
        theta = np.tile(start, (len(sums), 1))
        led, tied, met = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
        penalty = 2 * ridge * np.eye(theta.shape[1])
        for _ in range(_STEPS):
            lead, tie = self._expected(theta)
            slope = (led - met * lead) @ self.gap - theta @ penalty
            bend = ((met * ((1 - tie) / 4 - lead**2)) @ self._squares).reshape(-1, *penalty.shape)
            if self.ties:
                slope[:, -2] += (tied - met * tie).sum(axis=1)
                cross = -(met * lead * tie) @ self.gap
                bend[:, -2] += cross
                bend[:, :, -2] += cross
                bend[:, -2, -2] += (met * tie * (1 - tie)).sum(axis=1)
            step = np.linalg.solve(bend + penalty, slope[..., None])
            # Far from the maximum a full step may overshoot; a bounded one still gets there.
            theta += (step / np.maximum(1, np.abs(step).max(axis=1, keepdims=True) / _FAR))[..., 0]
            if np.abs(slope).max() < 1e-9 * max(1.0, float(met.sum(axis=1).max())):
                break
        strengths = theta[:, :-2]
        strengths -= strengths.mean(axis=1, keepdims=True)
        return theta

    def _expected(self, theta: Values) -> tuple[Values, Values]:
        """Half of the probability of a win less that of a loss, and that of a tie."""
        half = theta @ self.gap.T / 2
        nu = theta[:, -2:-1] if self.ties else np.full((len(theta), 1), -np.inf)
        most = np.maximum(np.abs(half), nu)
        won, lost, tied = np.exp(half - most), np.exp(-half - most), np.exp(nu - most)
        total = won + lost + tied
        return (won - lost) / total / 2, tied / total

    @cached_property
    def _squares(self) -> csr_array:
        """The products of every two columns of `gap`: (P, (items + 2)^2)."""
        pairs, d = self.gap.shape
        strengths, rows = self.gap[:, :-2], np.arange(pairs)[:, None]
        last = np.full(pairs, d - 1)
        held = np.stack((strengths.argmax(axis=1), strengths.argmin(axis=1), last), axis=1)
        values = self.gap[rows, held]
        products = (values[:, :, None] * values[:, None]).ravel()
        columns = (held[:, :, None] * d + held[:, None]).ravel()
        return csr_array((products, (np.repeat(rows, 9), columns)), shape=(pairs, d * d))
