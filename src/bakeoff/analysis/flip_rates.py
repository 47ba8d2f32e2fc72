"""How often swapping the order names the opposite winner, by the margin of the scores."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bakeoff.analysis.aggregate import sides_of
from bakeoff.analysis.judgment_table import group_means
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import FlipRate
from bakeoff.stats.intervals import proportion

_BOUNDS = (0.0, 1.0, 3.0, 10.1)  # of the mean difference of the scores, 0 to 10


def flip_rates(data: PairData) -> Iterator[FlipRate]:
    """Yield the share of flipped verdicts for each range of margins that occurs.

    A unit is a judge and a prompt with scores in both orders. The margin is the absolute difference
    of the two scores, averaged over the orders: pairs that a judge scores alike flip most.
    """
    table = data.judgment_table
    table = table.take(table.recorded & table.scored)
    if not len(table):
        return
    cell = (table.prompt * len(table.judges) + table.judge) * 2 + table.a_first
    orders, preference = group_means(cell, table.preference)
    difference = group_means(cell, table.scores[:, 0] - table.scores[:, 1])[1]
    second = np.flatnonzero(np.diff(orders // 2) == 0)  # rows followed by the other order
    sides = sides_of(preference)
    flipped = sides[second] * sides[second + 1] < 0
    margin = (np.abs(difference[second]) + np.abs(difference[second + 1])) / 2
    for low, high in pairwise(_BOUNDS):
        within = (margin >= low) & (margin < high)
        share = proportion(int(flipped[within].sum()), int(within.sum()))
        if share:
            yield FlipRate(low=low, high=min(high, 10.0), flipped=share)
