"""Whether a pair has to be judged in both orders to say what it will say."""

from dataclasses import replace

import numpy as np
from scipy import stats

from bakeoff.analysis.aggregate import folded, opinions
from bakeoff.analysis.pair_data import Trial
from bakeoff.stats.power import Spread, sequence_factor
from bakeoff.stats.power import second_order_may_matter as may_matter

FEWEST = 20  # prompts, before anything is foreseen


def second_order_may_matter(trial: Trial, total: int) -> bool:
    """Whether the verdict on so many prompts can still depend on whether the next ones are judged
    in both orders. What a second order brings is told by the prompts that have it.
    """
    columns = trial.columns
    if not columns.recorded.all():
        return True
    # Each order of a prompt is folded as if it were a prompt of its own.
    apart = replace(columns, prompt=2 * columns.prompt + columns.a_first)
    each = folded(opinions(apart).each, trial.terms.panel)
    orders = np.bincount(each.prompt // 2)
    both = trial.values[orders[trial.folded.prompt] == 2]
    if len(both) < FEWEST:
        return True
    one = each.preference[orders[each.prompt // 2] == 2]
    alpha = 0.05 / trial.terms.pairs  # as an anytime interval, or Holm's p-value, has it
    z = float(stats.norm.ppf(1 - alpha / 2))
    if trial.terms.design.sequential:
        z = float(stats.norm.ppf(0.975)) * sequence_factor(alpha) ** 0.5
    spread = Spread(float(one.var(ddof=1)), float(both.var(ddof=1)))
    return may_matter(trial.values, spread, total, trial.margin / 100, z)
