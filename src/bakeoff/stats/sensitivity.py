"""What would overturn a verdict: a bias of the judge, or some flipped prompts."""

from bisect import bisect_left

import numpy as np

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.intervals import cluster_moments
from bakeoff.stats.tests import tested_win_rate


def overturning_bias(low: float, high: float) -> float:
    """The bias of the judge towards the winner, a share, that brings 0.5 into this interval.

    It is the distance of the interval from 0.5, and 0 for an interval that contains 0.5.
    """
    return max(0.0, low - 0.5, 0.5 - high)


def overturning_flips(
    values: Values, clusters: Codes | None = None, level: float = 0.95
) -> int | None:
    """The smallest number of the winner's prompts that overturns the result if the loser gets them.

    A flipped preference y becomes 1 - y; the clearest are flipped first, so that no smaller number
    overturns it without clusters. None where there is no significant difference.

    Raises ValueError for no values.
    """
    alpha, sign = 1 - level, 1.0 if cluster_moments(values, clusters).deviation > 0 else -1.0
    order = np.argsort(-sign * values, kind="stable")

    def flipped(count: int) -> Values:
        changed = values.copy()
        changed[order[:count]] = 1 - changed[order[:count]]
        return changed

    def undecided(count: int) -> bool:
        return tested_win_rate(flipped(count), clusters, level).test.p >= alpha

    def undecided_by_score(count: int) -> bool:
        moments = cluster_moments(flipped(count), clusters)
        return sign * moments.deviation <= 0 or moments.test_p() >= alpha

    if undecided(0):
        return None
    # The score test is fast, and as a part of the deciding test it needs no fewer flips.
    count = bisect_left(range(len(values)), True, key=undecided_by_score)
    while count > 1 and undecided(count - 1):
        count -= 1
    return count
