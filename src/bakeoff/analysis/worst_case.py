"""The interval of the win rate with all verdicts, whatever the failed ones would have been."""

from scipy.stats import norm

from bakeoff.records import PairSummary
from bakeoff.stats.partial_identification import bounded_interval


def worst_case_interval(pair: PairSummary) -> tuple[float, float] | None:
    """The 95 % interval of a's win rate with all requested verdicts, from 0 to 1.

    The failed verdicts bound the win rate by `Accounting.worst_case`; the distances of `win_rate`
    from the bounds of its interval are the standard errors of these two numbers. None without
    failures or without a win rate.
    """
    rate, bounds = pair.win_rate, pair.accounting.worst_case
    if rate is None or bounds is None or bounds[1] - bounds[0] < 1e-9:
        return None
    z = float(norm.ppf(0.975))
    errors = (rate.estimate - rate.low) / z, (rate.high - rate.estimate) / z
    low, high = bounded_interval(*bounds, *errors)
    return max(0.0, low), min(1.0, high)
