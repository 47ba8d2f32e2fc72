"""Confidence intervals for a number that the data bound, but do not identify."""

from scipy.optimize import brentq
from scipy.special import ndtr

_SEARCH = (0.0, 40.0)  # standard errors


def bounded_interval(
    low: float, high: float, low_se: float, high_se: float, level: float = 0.95
) -> tuple[float, float]:
    """The interval of Imbens and Manski (2004) for a number between two estimated bounds.

    It covers the number, not the whole range between the bounds, with probability `level`:
    [low - c low_se, high + c high_se], where c solves
    Phi(c + (high - low) / max(low_se, high_se)) - Phi(-c) = level. Where the bounds agree, c is the
    two-sided quantile (1.96); where they are far apart, the one-sided one (1.645).

    Raises ValueError if `low` is above `high`.
    """
    if low > high:
        raise ValueError(f"the lower bound {low} is above the upper bound {high}")
    largest = max(low_se, high_se)
    if largest <= 0:
        return low, high
    width = (high - low) / largest
    c = float(brentq(lambda c: ndtr(c + width) - ndtr(-c) - level, *_SEARCH))
    return low - c * low_se, high + c * high_se
