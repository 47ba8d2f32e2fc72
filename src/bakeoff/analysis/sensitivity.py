"""What would overturn a verdict: a bias of the judges, or prompts decided the other way."""

import math

import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Outcome, PairSummary, Sensitivity
from bakeoff.stats.order_strata import BOTH
from bakeoff.stats.sensitivity import overturning_bias, overturning_flips


def sensitivity(pair: PairSummary, data: PairData, outcome: Outcome) -> Sensitivity | None:
    """The bias and the number of prompts that would overturn the verdict; None without one.

    The number of prompts is exact for win rates that weight all prompts equally. Otherwise it is
    the number that moves the nearer bound of the interval, of constant width, to 50 % (or, if the
    models are equivalent, to the margin).
    """
    rate = pair.win_rate
    if rate is None or outcome not in ("better", "worse", "equivalent"):
        return None
    if outcome == "equivalent":
        margin = pair.margin / 100
        bias = max(0.0, min(rate.low - (0.5 - margin), 0.5 + margin - rate.high))
        return Sensitivity(bias=bias, prompts=math.floor(bias * pair.deciding_prompts) + 1)
    bias = overturning_bias(rate.low, rate.high)
    if pair.judges_win_rate:
        return Sensitivity(bias=bias)
    flips = math.floor(bias * pair.deciding_prompts) + 1
    design = data.order_design
    if not data.config.design.sequential and (design.order[design.deciding()] == BOTH).all():
        rows = data.deciding.rows
        clusters = data.inference.clusters[rows.prompt]
        repeated = len(np.unique(clusters)) < len(clusters)
        exact = overturning_flips(rows.preference, clusters if repeated else None)
        flips = exact or flips
    return Sensitivity(bias=bias, prompts=flips)
