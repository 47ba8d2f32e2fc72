"""Looking while the prompts come in, without paying for it: an e-process and its p-value."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaln

from bakeoff.stats.results import Sequence

Values = NDArray[np.float64]

CONCENTRATION = 5.0  # a of the Beta(a, a) mixture: sharpest for decisive shares of about 60-80 %


def sign_e_process(values: Values, alpha: float = 0.05) -> Sequence:
    """The beta-mixture e-process of the sign test, after each per-prompt preference in turn.

    A value above a half is a win, below it a loss; ties change nothing. e = B(a+w, a+l) / B(a, a)
    * 2^(w+l) is a martingale while wins and losses are equally likely (Robbins 1970), so it
    reaches 1/alpha with probability alpha at most, at whatever moment one stops (Ville 1939). The
    prompts have to come in random order. p = min(1, 1/max e). Without values e is 1.
    """
    wins = np.cumsum(values > 0.5 + 1e-9, dtype=np.int64)
    losses = np.cumsum(values < 0.5 - 1e-9, dtype=np.int64)
    log_e = log_e_value(wins, losses)
    reached = np.flatnonzero(log_e >= -math.log(alpha))
    w, n = (int(wins[-1]), int(wins[-1] + losses[-1])) if len(values) else (0, 0)
    low, high = confidence_sequence(w, n - w, alpha)
    return Sequence(
        log_e=tuple(log_e.tolist()),
        stopped=int(reached[0]) + 1 if len(reached) else None,
        p=float(np.exp(-max(0.0, log_e.max(initial=0.0)))),
        low=low,
        high=high,
        method=f"beta-mixture sign e-process, a = {CONCENTRATION:g}",
    )


def log_e_value(wins: NDArray[np.int64], losses: NDArray[np.int64]) -> Values:
    """The logarithm of the e-value of these counts; of any shape."""
    a = CONCENTRATION
    mixed = betaln(a + wins, a + losses) - betaln(a, a) + (wins + losses) * math.log(2)
    return np.asarray(mixed, dtype=np.float64)


def confidence_sequence(wins: int, losses: int, alpha: float = 0.05) -> tuple[float, float]:
    """The shares p of decisive prompts that these counts do not rule out, at this and every look.

    {p: B(a+w, a+l) / B(a, a) / (p^w (1-p)^l) < 1/alpha}; (0, 1) before the first decisive prompt.
    """
    n, a = wins + losses, CONCENTRATION
    if n == 0:
        return 0.0, 1.0
    mixed = float(betaln(a + wins, a + losses) - betaln(a, a)) + math.log(alpha)

    def against(p: float) -> float:
        return mixed - wins * _log(p) - losses * _log(1 - p)

    peak = wins / n
    return _edge(against, 0.0, peak), _edge(against, 1.0, peak)


def _edge(against: Callable[[float], float], end: float, peak: float) -> float:
    outer = abs(end - 1e-12)
    if peak == end or against(outer) < 0:
        return end
    return float(brentq(against, outer, peak))


def _log(p: float) -> float:
    return math.log(max(p, 1e-300))
