"""A judge that compared a model with itself: what it names then is no quality."""

import math

import numpy as np

from bakeoff.analysis.aggregate import YES
from bakeoff.analysis.bias import order_of
from bakeoff.analysis.columns import Codes
from bakeoff.analysis.pair_data import Terms, Trial, rounded, trials
from bakeoff.records import Evidence, NullCheck
from bakeoff.stats.intervals import win_rate

_SURE = 1.96  # standard errors to each side hold 95 of 100


def null_checks(evidence: Evidence | None, terms: Terms) -> tuple[list[NullCheck], list[str]]:
    """A check per judge, and notes on what could not be checked.

    Prompts where both draws said the same are left out: there is nothing to choose.
    """
    checks: list[NullCheck] = []
    notes: list[str] = []
    for trial in trials(evidence, terms) if evidence else ():
        same = trial.same
        if len(same) == len(trial.folded):
            notes.append(
                f"Null check: {trial.a} said the same twice to all {len(same)} prompts, so there "
                "was nothing to choose; it needs a temperature above 0"
            )
            continue
        for judge in trial.judges:
            checks += _check(trial, judge, same)
    return checks, notes


def _check(trial: Trial, judge: str, same: Codes) -> list[NullCheck]:
    alone = trial.alone_of(judge)
    alike = np.isin(alone.prompt, same)
    kept = alone.taken(~alike)
    if not len(kept):
        return []
    values = rounded(kept)
    # Under no preference each prompt's deviation from a half has either sign alike.
    half = _SURE * math.sqrt(float(((values - 0.5) ** 2).sum())) / len(values)
    decided = (kept.consistent == YES) & (kept.side != 0)
    return [
        NullCheck(
            judge=judge,
            model=trial.a,
            prompts=len(kept),
            identical=len(same),
            win_rate=win_rate(values, trial.clusters_at(kept.prompt)),
            band=(max(0.0, 0.5 - half), min(1.0, 0.5 + half)),
            first_wins=order_of(trial.columns.of(judge)).pick_first,
            decided=int(decided.sum()) / len(kept.told) if len(kept.told) else None,
        )
    ]
