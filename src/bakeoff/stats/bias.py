"""What moves a judge that should not: the place of a completion, its length, its markdown.

Knows preferences for a, and how the two sides differ; not what a completion is.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from bakeoff.stats.grouped_bootstrap import bca_of_kinds
from bakeoff.stats.intervals import clustered, proportion, student, win_rate
from bakeoff.stats.results import Estimate, Exposure, LengthEffect, OrderEffect, Tilt
from bakeoff.stats.tests import sign_test

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

_RIDGE = 1e-3  # keeps separated data finite, and moves nothing else
_STEPS = 30
_FEWEST = 20  # prompts, and
_RAREST = 5  # wins or losses, for two coefficients


def order_effect(values: Values, prompts: Codes, a_first: Mask) -> OrderEffect:
    """What the place does, from single verdicts: a's preference, its prompt, whether a came first.

    Prompts that were judged in both orders give a paired estimate; a random order per prompt gives
    the difference of two means, with Welch's standard error; one fixed order gives none.
    """
    if not len(values):
        return OrderEffect("not recorded")
    shown_first = float(a_first.mean())
    if not 0 < shown_first < 1:
        return OrderEffect("one order", shown_first)
    picked = _pick_first(np.where(a_first, values, 1 - values), prompts)
    asked, x = _means(values[a_first], prompts[a_first])
    swapped, y = _means(values[~a_first], prompts[~a_first])
    both, in_x, in_y = np.intersect1d(asked, swapped, assume_unique=True, return_indices=True)
    if 2 * len(both) < len(asked) + len(swapped) - len(both):
        effect, balanced = _welch(x, y)
        return OrderEffect("random order", shown_first, effect, picked, balanced)
    x, y = x[in_x], y[in_y]
    sides = np.sign(np.round(x - 0.5, 9)) - np.sign(np.round(y - 0.5, 9))
    first_twice, second_twice = int((sides == 2).sum()), int((sides == -2).sum())
    return OrderEffect(
        "both orders",
        shown_first,
        student(x - y),
        picked,
        win_rate((x + y) / 2),
        first_twice,
        second_twice,
        sign_test(first_twice, second_twice).p,
    )


def _pick_first(for_first: Values, prompts: Codes) -> Estimate | None:
    """The share of decisive verdicts for the first place, clustered by prompt."""
    decisive = np.abs(for_first - 0.5) > 1e-9
    if not decisive.any():
        return None
    return clustered((for_first[decisive] > 0.5).astype(np.float64), prompts[decisive])


def _welch(x: Values, y: Values) -> tuple[Estimate | None, Estimate | None]:
    """The difference and the average of two independent means, with Welch's degrees of freedom."""
    if min(len(x), len(y)) < 2:
        return None, None
    parts = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    se = math.sqrt(sum(parts))
    degrees = (
        sum(parts) ** 2 / (parts[0] ** 2 / (len(x) - 1) + parts[1] ** 2 / (len(y) - 1)) if se else 1
    )
    half = float(stats.t.ppf(0.975, degrees)) * se
    n, gap, middle = len(x) + len(y), float(x.mean() - y.mean()), float(x.mean() + y.mean()) / 2
    return (
        Estimate(gap, gap - half, gap + half, "Welch's t", n, se),
        Estimate(
            middle, max(0.0, middle - half / 2), min(1.0, middle + half / 2), "Welch's t", n, se / 2
        ),
    )


def _means(values: Values, codes: Codes) -> tuple[Codes, Values]:
    """The codes that occur, in their order, and the mean of each."""
    found, rows = np.unique(codes, return_inverse=True)
    return found, np.bincount(rows, weights=values) / np.bincount(rows)


def tilt(values: Values, differences: Values) -> Tilt:
    """Whether the side with more of something wins: a's preference against (a's minus b's)."""
    told = (np.abs(values - 0.5) > 1e-9) & (differences != 0)
    wins = int(((values > 0.5) == (differences > 0))[told].sum())
    spread = len(values) > 2 and np.ptp(values) > 1e-9 and np.ptp(differences) > 0
    return Tilt(
        n=len(values),
        more_wins=proportion(wins, int(told.sum())),
        spearman=float(stats.spearmanr(values, differences).statistic) if spread else None,
    )


def length_effect(
    values: Values, differences: Values, clusters: Codes | None = None
) -> LengthEffect:
    """The tilt towards length (in characters, a minus b) and the win rate at equal length.

    logit E[y] = alpha + beta tanh(d / sd d), the form of AlpacaEval's length term (Dubois et al.
    2024, arXiv 2404.04475) without its other inputs, so that its leaderboard does not compare:
    `controlled` is sigmoid(alpha). BCa over prompts, or clusters. With fewer than 20 prompts, or
    fewer than 5 wins or losses among them (ties half), or where all lengths or all preferences are
    the same, nothing can be fitted.
    """
    lean = tilt(values, differences)
    n, wins = len(values), float(values.sum())
    sd = float(differences.std(ddof=1)) if n >= _FEWEST else 0.0
    if sd == 0 or min(wins, n - wins) < _RAREST or np.ptp(values) <= 1e-9:
        return LengthEffect(lean)
    pairs, kinds = np.unique(differences + 1j * values, return_inverse=True)
    lengths, first = np.unique(pairs.real, return_index=True)
    z, y = np.tanh(lengths / sd), pairs.imag

    def fitted(counts: Values, start: Values) -> Values:
        # Prompts of one length are one term of the likelihood.
        total, won = (np.add.reduceat(w, first, axis=-1) for w in (counts, counts * y))
        return _fit(z, total, won, start)

    start = fitted(np.bincount(kinds).astype(np.float64), np.zeros(2))

    def statistic(counts: Values) -> Values:
        beta = fitted(counts, start)
        return np.stack((expit(beta[..., 0]), beta[..., 1]), axis=-1)

    return LengthEffect(lean, *bca_of_kinds(statistic, kinds, clusters))


def _fit(z: Values, weights: Values, won: Values, start: Values) -> Values:
    """(alpha, beta) by Newton's method, for weights of shape (..., n) at once; `won` is the part
    of each weight that was won.
    """
    beta = np.zeros((*weights.shape[:-1], 2)) + start
    total = weights.sum(axis=-1)
    for _ in range(_STEPS):
        p = expit(beta[..., :1] + beta[..., 1:] * z)
        residual, v = won - weights * p, weights * p * (1 - p)
        gradient = np.stack((residual.sum(-1), residual @ z), axis=-1) - _RIDGE * beta
        h00, h01, h11 = v.sum(-1) + _RIDGE, v @ z, v @ (z * z) + _RIDGE
        g0, g1 = gradient[..., 0], gradient[..., 1]
        det = h00 * h11 - h01 * h01
        step = np.stack(((h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det), axis=-1)
        # Far from the maximum a full step may overshoot; a bounded one still gets there.
        step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(-1, keepdims=True), 1e-300))
        beta = beta + step
        if np.abs(gradient).max() < 1e-9 * max(1.0, float(total.max())):
            break
    return beta


def exposure(values: Values, a_has: Mask, b_has: Mask) -> Exposure:
    """a's win rate where only a, and where only b, has a blemish that a judge may react to."""
    only_a, only_b = a_has & ~b_has, b_has & ~a_has
    return Exposure(
        only_a=int(only_a.sum()),
        only_b=int(only_b.sum()),
        both=int((a_has & b_has).sum()),
        rate_only_a=win_rate(values[only_a]) if only_a.any() else None,
        rate_only_b=win_rate(values[only_b]) if only_b.any() else None,
    )
