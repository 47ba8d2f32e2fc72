"""Differences of two models that were compared with the same third one, and not directly."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.findings import interval_outcome
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import BaselineDifference, Outcome, PairSummary
from bakeoff.stats.intervals import t_interval
from bakeoff.stats.results import Estimate, TestedDifference
from bakeoff.stats.tests import holm, paired_difference


class _Compared(NamedTuple):
    """A model that was compared with a baseline."""

    model: str
    pair: PairSummary
    data: PairData

    def preferences(self) -> dict[str, float]:
        """The preference for the model on each prompt."""
        values = self.data.preferences if self.data.a == self.model else 1 - self.data.preferences
        ids = map(self.data.prompt_ids.__getitem__, self.data.prompt_table.prompt.tolist())
        return dict(zip(ids, values.tolist(), strict=True))


class _Difference(NamedTuple):
    first: _Compared
    second: _Compared
    baseline: str
    prompts: int
    tested: TestedDifference
    published: Estimate


def baseline_differences(
    models: Sequence[str], pairs: Sequence[tuple[PairSummary, PairData]]
) -> list[BaselineDifference]:
    """The paired difference of each two models over each baseline that both were compared with.

    Two models that were compared directly have none: their own verdict tells more. Prompts without
    a verdict on one of the two pairs do not count.
    """
    judged = [(pair, data) for pair, data in pairs if len(data.prompt_table)]
    direct = {frozenset((pair.a, pair.b)) for pair, _ in judged}
    rows: list[_Difference] = []
    for baseline in models:
        compared = [
            _Compared(model, pair, data)
            for model in models
            for pair, data in judged
            if model != baseline and {pair.a, pair.b} == {model, baseline}
        ]
        for first, second in combinations(compared, 2):
            if frozenset((first.model, second.model)) not in direct:
                ours, theirs = first.preferences(), second.preferences()
                shared = sorted(ours.keys() & theirs.keys())
                if shared:
                    x, y = (np.array([of[prompt] for prompt in shared]) for of in (ours, theirs))
                    tested = paired_difference(x, y, first.data.clusters_of_ids(shared))
                    published = t_interval(x - y)
                    rows.append(
                        _Difference(first, second, baseline, len(shared), tested, published)
                    )
    adjusted = holm([row.tested.test.p for row in rows])
    return [
        BaselineDifference(
            a=row.first.model,
            b=row.second.model,
            baseline=row.baseline,
            prompts=row.prompts,
            difference=row.tested.difference,
            test=row.tested.test,
            holm_p=holm_p,
            published=row.published,
            outcome=_outcome(row.first.pair, row.second.pair, row.tested.difference, holm_p),
        )
        for row, holm_p in zip(rows, adjusted, strict=True)
    ]


def _outcome(
    first: PairSummary, second: PairSummary, difference: Estimate, holm_p: float
) -> Outcome:
    if "withheld" in (first.outcome, second.outcome):
        return "withheld"
    mean, low, high = ((1 + x) / 2 for x in (difference.estimate, difference.low, difference.high))
    as_rate = Estimate(mean, low, high, difference.method, difference.n)
    outcome = interval_outcome(as_rate, first.margin / 200)
    return "not enough data" if outcome in ("better", "worse") and holm_p >= 0.05 else outcome
