"""Strengths of many items from pairwise outcomes: Bradley-Terry, with ties and order effects.

Items are numbered from 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.intervals import bootstrap
from bakeoff.stats.ranks import significantly_stronger
from bakeoff.stats.results import BradleyTerryFit, Estimate

RIDGE = 1e-2  # penalty in resamples, and where no maximum exists without it
_MIN_RIDGE = 1e-6  # penalty where a maximum exists
_MAX_STEPS = 100
_MAX_STEP = 2.0  # change of any parameter per step
_NO_VARIATION = 1e-9  # a standard error below this is rounding
_MAX_LOG_ODDS = 10.0  # more is not supported by any data


@dataclass(frozen=True)
class PairwiseOutcomes:
    """Single outcomes: 1 where the left item won, 0 where the right one did, 0.5 for a tie.

    All arrays have one entry per outcome.
    """

    left: Codes
    right: Codes
    values: Values
    prompts: Codes
    """Code of the prompt (or cluster), the unit that the bootstrap draws."""
    weights: Values | None = None
    """Weight; None: 1 each."""
    order_known: Mask | None = None
    """Whether the left item is known to have been shown first; None: for all outcomes."""

    @property
    def counts(self) -> Values:
        """The weight of each outcome, 1 by default."""
        return np.ones(len(self.values)) if self.weights is None else self.weights


def bradley_terry(
    outcomes: PairwiseOutcomes,
    items: int,
    *,
    ties: bool = False,
    order: bool = False,
    resamples: int = 500,
) -> BradleyTerryFit:
    """Maximum likelihood log-strengths (mean 0) with BCa intervals over prompts.

    P(left wins) = sigmoid(s_left - s_right + first) (Bradley and Terry 1952); a tie is half a win
    and half a loss or, with `ties`, a third outcome: P(tie) is proportional to
    nu sqrt(strength of left times right) (Davidson 1970). With `order`, the advantage `first` of
    the left item, which was shown first, is fitted from the outcomes of known order (Davidson and
    Beaver 1977). With `resamples` of 0, intervals are points, and `better` is empty.

    Raises ValueError for no outcomes.
    """
    if not len(outcomes.values):
        raise ValueError("no outcomes")
    components = _components(outcomes, items)
    ridge = RIDGE if len(components) > 1 else _MIN_RIDGE
    likelihood, prompt_sums = _likelihood(outcomes, items, ties=ties, order=order)
    n = prompt_sums.shape[0]
    totals = np.ones((1, n)) @ prompt_sums
    estimate = likelihood.fit(totals, np.zeros(items + 2), ridge)[0]
    # If the order decides every outcome, the strengths diverge without a ridge.
    if ridge < RIDGE and np.abs(np.delete(estimate, -2)).max() > _MAX_LOG_ODDS:
        ridge = RIDGE
        estimate = likelihood.fit(totals, np.zeros(items + 2), ridge)[0]

    def statistic(weights: Values) -> Values:
        # A resample may disconnect items that the data connect: it would diverge without a ridge.
        resample_ridge = ridge if weights.ndim == 1 else max(ridge, RIDGE)
        fits = likelihood.fit(weights.reshape(-1, n) @ prompt_sums, estimate, resample_ridge)
        return fits.reshape(*weights.shape[:-1], items + 2)

    better: tuple[tuple[int, int], ...] = ()
    if resamples:
        estimates, distribution = bootstrap(statistic, n, resamples=resamples)
        estimates = [_without_empty_interval(strength) for strength in estimates]
        wins = direct_wins(outcomes, items)
        stronger = significantly_stronger(estimate[:-2], distribution[:, :-2], components, wins, n)
        better = tuple((int(i), int(j)) for i, j in np.argwhere(stronger))
    else:
        estimates = [Estimate(float(v), float(v), float(v), "no interval", n) for v in estimate]
    return BradleyTerryFit(
        strengths=tuple(estimates[:items]),
        tie_parameter=float(np.exp(estimate[-2])) if ties else None,
        first_advantage=float(estimate[-1]) if order else None,
        components=components,
        method=_model_name(outcomes, ties=ties) + _ridge_note(components, ridge),
        better=better,
    )


def direct_wins(outcomes: PairwiseOutcomes, items: int) -> Codes:
    """The number of prompts that each item (rows) won, on balance, against each other (columns)."""
    low = np.minimum(outcomes.left, outcomes.right)
    pair = low * items + np.maximum(outcomes.left, outcomes.right)
    sign = np.where(outcomes.left < outcomes.right, 1.0, -1.0)
    prompts = np.unique(outcomes.prompts, return_inverse=True)[1]
    shape = (int(prompts.max()) + 1, items * items)
    signed = sign * (outcomes.values - 0.5) * outcomes.counts
    net = coo_array((signed, (prompts, pair)), shape=shape).tocsr()
    net.data = np.sign(np.round(net.data, 9))  # a win in one order and a loss in the other cancel
    won = np.bincount(net.indices[net.data > 0], minlength=items * items).reshape(items, items)
    lost = np.bincount(net.indices[net.data < 0], minlength=items * items).reshape(items, items)
    wins: Codes = won + lost.T
    return wins


def _without_empty_interval(strength: Estimate) -> Estimate:
    """The estimate without its interval if no resample changes it: the certainty is spurious."""
    if strength.se is None or strength.se > _NO_VARIATION:
        return strength
    value = strength.estimate
    return Estimate(value, value, value, "nothing varies: no interval", strength.n)


def _model_name(outcomes: PairwiseOutcomes, *, ties: bool) -> str:
    plain = "Bradley-Terry" + ", ties half" * bool((outcomes.values % 1).any())
    return "Davidson" if ties else plain


def _ridge_note(components: tuple[tuple[int, ...], ...], ridge: float) -> str:
    """The part of the method that names the ridge; "" if it is negligible."""
    if ridge < RIDGE:
        return ""
    parts = f"the win graph falls into {len(components)} parts"
    return f", with a ridge of {RIDGE}: {parts if len(components) > 1 else 'no maximum exists'}"


def _components(outcomes: PairwiseOutcomes, items: int) -> tuple[tuple[int, ...], ...]:
    """Strongly connected components of the graph of wins and ties, largest first."""
    wins, losses = outcomes.values > 0, outcomes.values < 1
    rows = np.concatenate((outcomes.left[wins], outcomes.right[losses]))
    columns = np.concatenate((outcomes.right[wins], outcomes.left[losses]))
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(items, items))
    count, labels = connected_components(graph, connection="strong")
    components = [tuple(np.flatnonzero(labels == label).tolist()) for label in range(count)]
    return tuple(sorted(components, key=lambda component: (-len(component), component)))


def _likelihood(
    outcomes: PairwiseOutcomes, items: int, *, ties: bool, order: bool
) -> tuple["_Likelihood", csr_array]:
    """The likelihood, and the sufficient statistics of each prompt (rows).

    The statistics of each two items are half of wins minus losses of the left one, ties, and the
    number of outcomes. With them a bootstrap of thousands of prompts costs little more than one of
    a few.
    """
    count, order_known = outcomes.counts, np.ones(len(outcomes.values), dtype=np.bool_)
    if outcomes.order_known is not None:
        order_known = outcomes.order_known
    keys = (outcomes.left * items + outcomes.right) * 2 + order_known
    pairs, pair = np.unique(keys, return_inverse=True)
    prompts = np.unique(outcomes.prompts, return_inverse=True)[1]
    parts = (count * (outcomes.values - 0.5), count * (outcomes.values == 0.5), count)
    columns = [pair + part * len(pairs) for part in range(3)]
    prompt_sums = csr_array(
        (np.concatenate(parts), (np.tile(prompts, 3), np.concatenate(columns))),
        shape=(int(prompts.max()) + 1, 3 * len(pairs)),
    )
    prompt_sums.eliminate_zeros()
    rows, left_right = np.arange(len(pairs)), pairs // 2
    design = np.zeros((len(pairs), items + 2))
    design[rows, left_right // items], design[rows, left_right % items] = 1, -1
    design[:, -1] = order * (pairs % 2)
    return _Likelihood(design, ties=ties), prompt_sums


@dataclass(frozen=True)
class _Likelihood:
    """The log-likelihood of theta = (strengths, log nu, first); unfitted parameters stay 0.

    It is concave. The log-odds of left against right for each of P pairs, given no tie, are
    `design` times theta; `design` has shape (P, items + 2). The probabilities of a win, tie and
    loss are proportional to exp(log-odds / 2), nu and exp(-log-odds / 2); without ties nu is 0.
    """

    design: Values
    ties: bool

    def fit(self, sums: Values, start: Values, ridge: float) -> Values:
        """The maxima by Newton's method, of shape (B, items + 2), for B rows of `sums`.

        A row of `sums` is a weighted sum of the rows that `_likelihood` returns.
        """
        theta = np.tile(start, (len(sums), 1))
        lead_sum, tie_sum, count = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
        penalty = 2 * ridge * np.eye(theta.shape[1])
        for _ in range(_MAX_STEPS):
            lead, tie = self._expected(theta)
            gradient = (lead_sum - count * lead) @ self.design - theta @ penalty
            curvature = (count * ((1 - tie) / 4 - lead**2)) @ self._products
            hessian = curvature.reshape(-1, *penalty.shape)
            if self.ties:
                gradient[:, -2] += (tie_sum - count * tie).sum(axis=1)
                cross = -(count * lead * tie) @ self.design
                hessian[:, -2] += cross
                hessian[:, :, -2] += cross
                hessian[:, -2, -2] += (count * tie * (1 - tie)).sum(axis=1)
            step = np.linalg.solve(hessian + penalty, gradient[..., None])
            # Far from the maximum a full step may overshoot; a bounded one still converges.
            bounded = step / np.maximum(1, np.abs(step).max(axis=1, keepdims=True) / _MAX_STEP)
            theta += bounded[..., 0]
            if np.abs(gradient).max() < 1e-9 * max(1.0, float(count.sum(axis=1).max())):
                break
        strengths = theta[:, :-2]
        strengths -= strengths.mean(axis=1, keepdims=True)
        return theta

    def _expected(self, theta: Values) -> tuple[Values, Values]:
        """Half of P(win) - P(loss), and P(tie), of shape (B, P)."""
        half = theta @ self.design.T / 2
        nu = theta[:, -2:-1] if self.ties else np.full((len(theta), 1), -np.inf)
        most = np.maximum(np.abs(half), nu)
        won, lost, tied = np.exp(half - most), np.exp(-half - most), np.exp(nu - most)
        total = won + lost + tied
        return (won - lost) / total / 2, tied / total

    @cached_property
    def _products(self) -> csr_array:
        """The products of every two columns of `design`, of shape (P, (items + 2)^2)."""
        pairs, d = self.design.shape
        strengths, rows = self.design[:, :-2], np.arange(pairs)[:, None]
        last = np.full(pairs, d - 1)
        nonzero = np.stack((strengths.argmax(axis=1), strengths.argmin(axis=1), last), axis=1)
        values = self.design[rows, nonzero]
        products = (values[:, :, None] * values[:, None]).ravel()
        columns = (nonzero[:, :, None] * d + nonzero[:, None]).ravel()
        return csr_array((products, (np.repeat(rows, 9), columns)), shape=(pairs, d * d))
