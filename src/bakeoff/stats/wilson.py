"""Formulas of the score interval and test, in deviations from 0.5.

In deviations, swapping the models changes no number but the signs. `variance` is that of one unit.
"""

import math

from bakeoff.stats.distributions import t_test_p


def effective_n(deviation: float, variance: float, units: float) -> float:
    """The number of wins and losses without ties that tell as much as the units."""
    smoothed_mean = units * deviation / (units + 2)
    ratio = (0.25 - smoothed_mean**2) / smoothed(deviation, variance, units)
    return max(1.0, (units + 2) * ratio - 2)


def smoothed(deviation: float, variance: float, units: float) -> float:
    """The variance with one more win and one more loss."""
    squares = units * variance + 0.5 + 2 * deviation**2
    return squares / (units + 2) - (2 * deviation / (units + 2)) ** 2


def bounds(deviation: float, n: float, quantile: float) -> tuple[float, float]:
    """The bounds of Wilson's interval of the share 0.5 + deviation of n; it contains the share."""
    shrinkage = 1 + quantile**2 / n
    centre = deviation / shrinkage
    spread = math.sqrt(max(0.0, 0.25 - deviation**2) / n + quantile**2 / (4 * n**2))
    half = quantile * spread / shrinkage
    low, high = 0.5 + (centre - half), 0.5 + (centre + half)
    # Near 0 and 1, rounding may put a bound on the wrong side of the mean.
    return max(0.0, min(0.5 + deviation, low)), min(1.0, max(0.5 + deviation, high))


def test_p(deviation: float, null: float, n: float, degrees: float) -> float:
    """The two-sided p-value of the test that `bounds` inverts, of the mean 0.5 + null."""
    distance = abs(deviation - null) / math.sqrt((0.25 - null**2) / n)
    return t_test_p(distance, degrees)
