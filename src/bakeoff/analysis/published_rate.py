"""The win rate of a pair as leaderboards publish it."""

from typing import NamedTuple

import numpy as np

from bakeoff.analysis.aggregate import aggregate_by_judge, aggregate_by_prompt, rounded_preferences
from bakeoff.analysis.pair_data import PairData, is_cluster_tag
from bakeoff.stats.arrays import Codes
from bakeoff.stats.intervals import cluster_t_interval
from bakeoff.stats.order_strata import BOTH
from bakeoff.stats.results import Estimate, SignificanceResult
from bakeoff.stats.tests import sign_test


class PublishedRate(NamedTuple):
    """The fields of `PairSummary` about the published win rate."""

    published: Estimate
    published_test: SignificanceResult
    published_differs: str


def published_rate(data: PairData) -> PublishedRate:
    """The mean preference of the judgments as they are; needs a judgment."""
    prompts = data.prompt_table
    if data.table_as_judged is not data.judgment_table:
        prompts = aggregate_by_prompt(
            aggregate_by_judge(data.table_as_judged).rows, data.config.panel
        )
    clusters = _tag_clusters(data, prompts.prompt)
    published = cluster_t_interval(rounded_preferences(prompts), clusters)
    wins, losses = int((prompts.side == 1).sum()), int((prompts.side == -1).sum())
    design, deciding = data.order_design, data.deciding
    left_out = len(prompts) - deciding.prompts
    reasons = {
        "identical completions are ties": bool(len(data.identical_prompts)),
        "both orders of presentation have equal weights": design.identified
        and bool((design.order[design.deciding()] != BOTH).any()),
        "a verdict without a recorded order does not count": 0 < design.unknown_share < 1,
        f"{left_out} prompts do not decide": left_out > 0,
    }
    why = " and ".join(reason for reason, applies in reasons.items() if applies)
    differs = abs(published.estimate - deciding.rate.estimate) >= 1e-9
    return PublishedRate(
        published,
        sign_test(wins, losses),
        f"in the win rate that decides, {why}" if differs else "",
    )


def _tag_clusters(data: PairData, prompts: Codes) -> Codes | None:
    """The cluster codes of these indices into `prompt_ids`, from cluster tags alone."""
    ids = [data.prompt_ids[prompt] for prompt in prompts.tolist()]
    names = [next(filter(is_cluster_tag, data.tags(i)), i) for i in ids]
    return None if names == ids else np.unique(names, return_inverse=True)[1]
