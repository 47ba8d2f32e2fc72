"""The win rates that a planned comparison can tell from 50 %.

Imports no `scipy.stats`, which takes longer to import than a run takes to send its first request.
"""

import math
from bisect import bisect_left

from scipy.special import bdtrc, betaincinv


def detectable_rates(
    n: int, ties: float = 0.0, *, level: float = 0.95, power: float = 0.8, factor: float = 1.0
) -> tuple[float, float] | None:
    """The win rates below and above 0.5 from which on n prompts show a difference.

    With this power, before any verdict is known: the power is that of the exact sign test of the
    n (1 - ties) prompts that are expected to be no tie. `factor` is `sequential_factor` for a
    confidence sequence. 50 prompts without ties tell about 0.3 and 0.7 from 0.5. None where not
    even a win rate of (1 - ties) decisive wins without a loss is significant.
    """
    decisive = round(n * (1 - ties) / factor)
    wins = _least_significant(decisive, (1 - level) / 2)
    if decisive < 1 or wins > decisive:
        return None
    share = float(betaincinv(wins, decisive - wins + 1, power))  # P(X >= wins) = power
    distance = (1 - ties) * (share - 0.5)
    return 0.5 - distance, 0.5 + distance


def sequential_factor(alpha: float) -> float:
    """The sample size of a confidence sequence relative to a fixed one, at equal (80 %) power.

    Fitted to simulations for alphas from 0.05 to 0.001 (`benchmarks/stopping.py`).
    """
    return 0.65 + 0.36 * math.log(1 / alpha)


def _least_significant(n: int, level: float) -> int:
    """The fewest wins of n whose one-sided binomial p value at 1/2 is at most `level`."""
    return 1 + bisect_left(range(n), True, key=lambda wins: bool(bdtrc(wins, n, 0.5) <= level))
