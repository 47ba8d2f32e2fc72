"""Differences of two models that were compared with the same third one, and not directly."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.findings import interval_outcome
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import BaselineDifference, Outcome, PairSummary
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


def baseline_differences(
    models: Sequence[str], pairs: Sequence[tuple[PairSummary, PairData]]
) -> list[BaselineDifference]:
    """The paired difference of each two models over each baseline that both were compared with.

    Two models that were compared directly have none: their own verdict tells more. Prompts without
    a verdict on one of the two pairs do not count.
    """
    judged = [(pair, data) for pair, data in pairs if len(data.prompt_table)]
    direct = {frozenset((pair.a, pair.b)) for pair, _ in judged}
    rows: list[tuple[_Compared, _Compared, str, TestedDifference, int]] = []
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
                    tested = paired_difference(
                        np.array([ours[prompt] for prompt in shared]),
                        np.array([theirs[prompt] for prompt in shared]),
                        first.data.clusters_of_ids(shared),
                    )
                    rows.append((first, second, baseline, tested, len(shared)))
    adjusted = holm([tested.test.p for *_, tested, _ in rows])
    return [
        BaselineDifference(
            a=first.model,
            b=second.model,
            baseline=baseline,
            prompts=prompts,
            difference=tested.difference,
            test=tested.test,
            holm_p=holm_p,
            outcome=_outcome(first.pair, second.pair, tested.difference, holm_p),
        )
        for (first, second, baseline, tested, prompts), holm_p in zip(rows, adjusted, strict=True)
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
