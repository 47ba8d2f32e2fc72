"""Whether a pair of models has to be judged in both orders to reach the same verdict."""

from dataclasses import replace

import numpy as np

from bakeoff.analysis.aggregate import aggregate_by_judge, aggregate_by_prompt
from bakeoff.analysis.pair_data import PairData
from bakeoff.analysis.sample_checks import MIN_PROMPTS
from bakeoff.stats import power
from bakeoff.stats.detectable_rates import sequential_factor
from bakeoff.stats.distributions import two_sided_quantile


def second_order_may_matter(data: PairData, total: int) -> bool:
    """Whether judging the remaining prompts in both orders may change the verdict on `total`.

    The benefit of the second order is estimated from the prompts that were judged in both orders.
    Returns True for fewer than 20 of them, and if the order of a judgment is not recorded.
    """
    table = data.judgment_table
    if not table.recorded.all():
        return True
    # Each order of a prompt is aggregated as a prompt of its own.
    split = replace(table, prompt=2 * table.prompt + table.a_first)
    by_order = aggregate_by_prompt(aggregate_by_judge(split).rows, data.config.panel)
    orders = np.bincount(by_order.prompt // 2)
    both = data.preferences[orders[data.prompt_table.prompt] == 2]
    if len(both) < MIN_PROMPTS:
        return True
    single = by_order.preference[orders[by_order.prompt // 2] == 2]
    alpha = 0.05 / data.config.pairs  # as in anytime intervals and in Holm's adjustment
    z = two_sided_quantile(1 - alpha)
    if data.config.design.sequential:
        z = two_sided_quantile() * sequential_factor(alpha) ** 0.5
    variances = power.OrderVariances(float(single.var(ddof=1)), float(both.var(ddof=1)))
    return power.second_order_may_matter(data.preferences, variances, total, data.margin / 100, z)
