"""Inference that is valid at every look: e-processes, confidence sequences, a sequential test.

Each candidate mean m is tested by a betting martingale (Waudby-Smith and Ramdas 2024, arXiv
2010.09686): with belief p, an observation y multiplies the wealth by y p/m + (1-y)(1-p)/(1-m). If m
is the mean, the wealth ever reaches 1/alpha with probability alpha at most (Ville 1939). Beliefs
are mixed with Beta(a, a) weights. For wins, ties and losses and m = 0.5, the wealth is the
e-process of the sign test.

Values are rounded to hundredths by splitting each between its two neighbors: the wealth is concave
in y, so this only lowers it, and 101 distinct values remain however many prompts there are.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaln, logsumexp

from bakeoff.stats.arrays import Values
from bakeoff.stats.results import EProcess, Estimate, SignificanceResult

Decision = Literal["different", "equivalent"]

CONCENTRATION = 5.0  # a of the Beta(a, a) mixture: sharpest for decisive shares of about 60-80 %

_BELIEFS = np.arange(1, 200) / 200
_LOG_WEIGHTS = (CONCENTRATION - 1) * np.log(_BELIEFS * (1 - _BELIEFS))
_LOG_WEIGHTS -= logsumexp(_LOG_WEIGHTS)
_STEPS = 100
_GRID = np.arange(_STEPS + 1) / _STEPS
_XTOL = 1e-12  # of a bound
_MIN_DISTANCE = 1e-9  # of a candidate mean from 0 and from 1


def sign_e_process(values: Values, alpha: float = 0.05) -> EProcess:
    """The beta-mixture e-process of the sign test, after each per-prompt preference in turn.

    A value above 0.5 is a win, below it a loss; ties change nothing. e = B(a+w, a+l) / B(a, a)
    * 2^(w+l) is a martingale while wins and losses are equally likely (Robbins 1970), so it
    reaches 1/alpha with probability alpha at most, at any stopping time (Ville 1939). The prompts
    have to come in random order. p = min(1, 1/max e). Without values e is 1.
    """
    wins = np.cumsum(values > 0.5 + 1e-9, dtype=np.int64)
    losses = np.cumsum(values < 0.5 - 1e-9, dtype=np.int64)
    log_e = log_e_value(wins, losses)
    reached = np.flatnonzero(log_e >= -math.log(alpha))
    w, n = (int(wins[-1]), int(wins[-1] + losses[-1])) if len(values) else (0, 0)
    low, high = sign_confidence_sequence(w, n - w, alpha)
    return EProcess(
        log_e=tuple(log_e.tolist()),
        stopped=int(reached[0]) + 1 if len(reached) else None,
        p=float(np.exp(-max(0.0, log_e.max(initial=0.0)))),
        low=low,
        high=high,
        method=f"beta-mixture sign e-process, a = {CONCENTRATION:g}",
    )


def log_e_value(wins: NDArray[np.int64], losses: NDArray[np.int64]) -> Values:
    """The natural logarithm of the sign test's e-value for these counts, elementwise."""
    a = CONCENTRATION
    mixture = betaln(a + wins, a + losses) - betaln(a, a) + (wins + losses) * math.log(2)
    return np.asarray(mixture, dtype=np.float64)


def sign_confidence_sequence(wins: int, losses: int, alpha: float = 0.05) -> tuple[float, float]:
    """The confidence sequence at this look for the share of decisive prompts won.

    {p: B(a+w, a+l) / B(a, a) / (p^w (1-p)^l) < 1/alpha}; (0, 1) before the first decisive prompt.
    """
    n, a = wins + losses, CONCENTRATION
    if n == 0:
        return 0.0, 1.0
    mixture = float(betaln(a + wins, a + losses) - betaln(a, a)) + math.log(alpha)

    def log_ratio(p: float) -> float:
        return mixture - wins * _log(p) - losses * _log(1 - p)

    peak = wins / n
    return _sign_bound(log_ratio, 0.0, peak), _sign_bound(log_ratio, 1.0, peak)


def _sign_bound(log_ratio: Callable[[float], float], end: float, peak: float) -> float:
    outer = abs(end - 1e-12)
    if peak == end or log_ratio(outer) < 0:
        return end
    return float(brentq(log_ratio, outer, peak))


def _log(p: float) -> float:
    return math.log(max(p, 1e-300))


def mean_confidence_sequence(values: Values, alpha: float = 0.05) -> Estimate:
    """Return the mean of at least one value in [0, 1] with an interval valid at every look.

    A look is an interim analysis of the values so far. The intervals of all looks together contain
    the expectation with probability 1 - alpha, if each value has the same expectation given the
    earlier ones. `n` of the estimate is the number of values.
    """
    mean = math.fsum(values) / len(values)
    low, high = confidence_sequence_at(values, [len(values)], alpha)
    # Near 0 and 1, rounding may put a bound on the wrong side of the mean.
    bounds = min(mean, float(low[0])), max(mean, float(high[0]))
    return Estimate(mean, *bounds, "confidence sequence by betting", len(values))


def confidence_sequence_at(
    values: Values, looks: Sequence[int], alpha: float = 0.05
) -> tuple[Values, Values]:
    """The lower and the upper bounds of the confidence sequence after each number of values.

    `looks` are numbers of values, at least 1. At the sample mean no bet gains, and the wealth is
    log-convex in the candidate mean, so each bound is unique; Brent's method (1973) finds it.
    """
    counts = [_grid_counts(values[:look]) for look in looks]
    lows, highs = ([_bound(c, end, alpha) for c in counts] for end in (0.0, 1.0))
    return np.array(lows), np.array(highs)


def anytime_test(values: Values) -> SignificanceResult:
    """The test that the mean of values in [0, 1] is 0.5, valid at every look.

    p is 1 / wealth, at most 1; it is 1 without values.
    """
    log_wealth = _log_wealth(_grid_counts(values), 0.5) if len(values) else 0.0
    p = math.exp(-max(0.0, log_wealth))
    return SignificanceResult(p, "anytime test by betting", len(values))


class SequentialTest:
    """A test of a mean after each value: different from 0.5, or equivalent to it.

    `margin` is the half-width of the equivalence region around 0.5, a share.
    """

    def __init__(self, margin: float, alpha: float = 0.05) -> None:
        self._means = np.array([0.5, 0.5 - margin, 0.5 + margin])
        self._outside = (self._means <= 0) | (self._means >= 1)  # excluded from the start
        self._threshold = -math.log(alpha)
        self._log_wealth = np.tile(_LOG_WEIGHTS, (3, 1))
        self._gain_cache: dict[int, Values] = {}

    def add(self, value: float) -> None:
        """Update the test with one more value in [0, 1]."""
        index = min(int(value * _STEPS), _STEPS - 1)
        share = value * _STEPS - index
        self._log_wealth += (1 - share) * self._gain(index) + share * self._gain(index + 1)

    def _gain(self, index: int) -> Values:
        if index not in self._gain_cache:
            value = _GRID[index : index + 1]
            gains = np.concatenate([_log_gains(value, m) for m in self._means])
            self._gain_cache[index] = gains
        return self._gain_cache[index]

    @property
    def decision(self) -> Decision | None:
        """The decision so far, or None.

        `different` if the confidence sequence excludes 0.5; `equivalent` if it excludes all means
        outside the margin.
        """
        half, low, high = (_log_sum(self._log_wealth) >= self._threshold) | self._outside
        if half:
            return "different"
        return "equivalent" if low and high else None


def _grid_counts(values: Values) -> Values:
    """How often each hundredth occurs; a value between two hundredths is split between them."""
    index = np.minimum((values * _STEPS).astype(np.intp), _STEPS - 1)
    share = values * _STEPS - index
    low = np.bincount(index, 1 - share, _STEPS + 1)
    return np.asarray(low + np.bincount(index + 1, share, _STEPS + 1))


def _bound(counts: Values, end: float, alpha: float) -> float:
    """The bound of the confidence sequence on the side of `end`: 0 or 1 if there is none."""
    threshold, outer = -math.log(alpha), abs(end - _MIN_DISTANCE)
    if _log_wealth(counts, outer) <= threshold:
        return end
    inner = float(counts @ _GRID) / float(counts.sum())
    return float(brentq(lambda m: _log_wealth(counts, m) - threshold, inner, outer, xtol=_XTOL))


def _log_wealth(counts: Values, m: float) -> float:
    """The logarithm of the mixture's wealth against the mean m, which starts at 1."""
    present = np.flatnonzero(counts)
    return float(_log_sum(_LOG_WEIGHTS + counts[present] @ _log_gains(_GRID[present], m)))


def _log_sum(logs: Values) -> Values:
    """The logarithm of the sum of exponentials along the last axis.

    scipy's logsumexp takes ten times as long for arrays of this size.
    """
    top = logs.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=-1)) + top[..., 0])


def _log_gains(values: Values, m: float) -> Values:
    """The logarithm of each belief's gain by each value against m; (values, beliefs)."""
    m = min(max(m, _MIN_DISTANCE), 1 - _MIN_DISTANCE)
    y = values[:, None]
    return np.asarray(np.log(y * (_BELIEFS / m) + (1 - y) * ((1 - _BELIEFS) / (1 - m))))
