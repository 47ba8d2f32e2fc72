"""The null check: judges compare two completions by the same model."""

import math

import numpy as np

from bakeoff.analysis.aggregate import YES, rounded_preferences
from bakeoff.analysis.bias import order_bias
from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.records import Evidence, NullCheck
from bakeoff.stats.arrays import Codes
from bakeoff.stats.intervals import win_rate

_Z = 1.96  # of a two-sided 95 % interval


def null_checks(
    evidence: Evidence | None, config: AnalysisConfig
) -> tuple[list[NullCheck], list[str]]:
    """A check per judge, and notes on models that could not be checked.

    Prompts with identical completions are left out. Both lists are empty without evidence.
    """
    checks: list[NullCheck] = []
    notes: list[str] = []
    for data in build_pair_data(evidence, config) if evidence else ():
        identical = data.identical_prompts
        if len(identical) == len(data.prompt_table):
            notes.append(
                f"Null check: {data.a} said the same twice to all {len(identical)} prompts, so "
                "there was nothing to choose; it needs a temperature above 0"
            )
            continue
        for judge in data.judges:
            checks += _check(data, judge, identical)
    return checks, notes


def _check(data: PairData, judge: str, identical: Codes) -> list[NullCheck]:
    table = data.table_of(judge)
    table = table.take(~np.isin(table.prompt, identical))
    if not len(table):
        return []
    values = rounded_preferences(table)
    # Without a preference, each prompt's deviation from 0.5 has either sign with probability 0.5.
    half_width = _Z * math.sqrt(float(((values - 0.5) ** 2).sum())) / len(values)
    decided = (table.consistent == YES) & (table.side != 0)
    judged_twice = len(table.known_consistency)
    return [
        NullCheck(
            judge=judge,
            model=data.a,
            prompts=len(table),
            identical=len(identical),
            win_rate=win_rate(values, data.clusters_of_indices(table.prompt)),
            band=(max(0.0, 0.5 - half_width), min(1.0, 0.5 + half_width)),
            first_wins=order_bias(data.judgment_table.for_judge(judge)).pick_first,
            decided=int(decided.sum()) / judged_twice if judged_twice else None,
        )
    ]
