"""The mean of values in [0, 1] as they come in: an interval that holds at every look at once.

Knows values, and when enough of them were seen; not what they are of.

Somebody bets against each mean m that it may be (Waudby-Smith and Ramdas 2024, arXiv 2010.09686).
Who believes the mean to be p makes y p/m + (1-y)(1-p)/(1-m) out of 1 by a value y, which is fair
where it is m: then what was staked reaches 1/alpha with probability alpha at most, whenever one
stops (Ville 1939). The stake is spread over beliefs p as Beta(a, a) is. Where values are wins, ties
and losses and m is a half, that is the sign test's e-process of `sequential.py`, with its power.

A value that is no hundredth counts as the two beside it, in part each: what a bet makes is concave
in the value, so it wins no more by that. Then there are 101 values, however many prompts.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from bakeoff.stats.results import Estimate, Tested
from bakeoff.stats.sequential import CONCENTRATION

Values = NDArray[np.float64]
Finding = Literal["different", "equivalent"]

_BELIEFS = np.arange(1, 200) / 200
_STAKES = stats.beta.logpdf(_BELIEFS, CONCENTRATION, CONCENTRATION)
_STAKES -= logsumexp(_STAKES)
_PARTS = 100
_SEEN = np.arange(_PARTS + 1) / _PARTS
_HALVINGS = 40  # of what is left to look for an edge in
_NEAREST = 1e-9  # to 0 and to 1 of a mean that is bet against


def mean_sequence(values: Values, alpha: float = 0.05) -> Estimate:
    """The mean of n >= 1 values with its confidence sequence at this look: the means that no bet
    has made 1/alpha against. It holds at this and every other look with probability 1 - alpha.

    All values have to have one expectation, whatever came before them. n counts the values.
    """
    mean = math.fsum(values) / len(values)
    low, high = looked_at(values, [len(values)], alpha)
    # Next to 0 and 1 rounding may put a bound on the wrong side of the mean.
    edges = min(mean, float(low[0])), max(mean, float(high[0]))
    return Estimate(mean, *edges, "confidence sequence by betting", len(values))


def looked_at(values: Values, looks: Sequence[int], alpha: float = 0.05) -> tuple[Values, Values]:
    """The lower and the upper end of the confidence sequence after so many values each; looks >= 1.

    At the mean no bet has won anything, and what a bet makes is log-convex in what it is against:
    so what is ruled out begins once on each side, and is found by bisection.
    """
    times = [_times(values[:look]) for look in looks]
    lows, highs = ([_edge(t, end, alpha) for t in times] for end in (0.0, 1.0))
    return np.array(lows), np.array(highs)


def anytime_test(values: Values) -> Tested:
    """The p-value of the mean a half, valid however often one looks: 1 over what a bet made."""
    made = _made(_times(values), 0.5) if len(values) else 0.0
    return Tested(math.exp(-max(0.0, made)), "anytime test by betting", len(values))


class Looks:
    """Looks at a mean after each value, until its confidence sequence says enough.

    `margin` is a share, around a half, within which the mean is as good as a half.
    """

    def __init__(self, margin: float, alpha: float = 0.05) -> None:
        self._means = np.array([0.5, 0.5 - margin, 0.5 + margin])
        self._no_means = (self._means <= 0) | (self._means >= 1)  # nothing is out there
        self._enough = -math.log(alpha)
        self._logs = np.tile(_STAKES, (3, 1))
        self._known: dict[int, Values] = {}

    def add(self, value: float) -> None:
        """One value more."""
        at = min(int(value * _PARTS), _PARTS - 1)
        part = value * _PARTS - at
        self._logs += (1 - part) * self._gain(at) + part * self._gain(at + 1)

    def _gain(self, at: int) -> Values:
        if at not in self._known:
            seen = _SEEN[at : at + 1]
            self._known[at] = np.concatenate([_gains(seen, m) for m in self._means])
        return self._known[at]

    @property
    def finding(self) -> Finding | None:
        """What the sequence says at this look: a half is ruled out, or all that is not within the
        margin; None where it is neither.
        """
        half, low, high = (_log_sum(self._logs) >= self._enough) | self._no_means
        if half:
            return "different"
        return "equivalent" if low and high else None


def _times(values: Values) -> Values:
    """How often each hundredth was seen."""
    at = np.minimum((values * _PARTS).astype(np.intp), _PARTS - 1)
    part = values * _PARTS - at
    low = np.bincount(at, 1 - part, _PARTS + 1)
    return np.asarray(low + np.bincount(at + 1, part, _PARTS + 1))


def _edge(times: Values, end: float, alpha: float) -> float:
    """Where what is ruled out begins, from the mean towards this end; the end where nothing is."""
    enough, outer = -math.log(alpha), abs(end - _NEAREST)
    if _made(times, outer) <= enough:
        return end
    inner = float(times @ _SEEN) / float(times.sum())
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        if _made(times, middle) > enough:
            outer = middle
        else:
            inner = middle
    return outer


def _made(times: Values, m: float) -> float:
    """The logarithm of what all beliefs together made of 1 against m."""
    there = np.flatnonzero(times)
    return float(_log_sum(_STAKES + times[there] @ _gains(_SEEN[there], m)))


def _log_sum(logs: Values) -> Values:
    """The logarithm of the sum of exponentials along the last axis; scipy's takes ten times as long
    for so few.
    """
    top = logs.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=-1)) + top[..., 0])


def _gains(values: Values, m: float) -> Values:
    """The logarithm of what each belief makes of 1 by each value, of shape (values, beliefs)."""
    m = min(max(m, _NEAREST), 1 - _NEAREST)
    y = values[:, None]
    return np.asarray(np.log(y * (_BELIEFS / m) + (1 - y) * ((1 - _BELIEFS) / (1 - m))))
