"""A judge that compared a model with itself: what it names then is no quality."""

import math

import numpy as np

from bakeoff.records import Evidence, NullCheck
from bakeoff.stats.intervals import win_rate
from bakeoff.summary.leanings import order_of
from bakeoff.summary.trial import Terms, Trial, trials

_SURE = 1.96  # standard errors to each side hold 95 of 100


def null_checks(evidence: Evidence | None, terms: Terms) -> tuple[list[NullCheck], list[str]]:
    """A check per judge, and notes on what could not be checked.

    Prompts where both draws said the same are left out: there is nothing to choose.
    """
    checks: list[NullCheck] = []
    notes: list[str] = []
    for trial in trials(evidence, terms) if evidence else ():
        same = {
            trial.comparisons[index].prompt_id
            for index, ours, theirs in trial.both_texts()
            if [c.text for c in ours] == [c.text for c in theirs]
        }
        if len(same) == len(trial.comparisons):
            notes.append(
                f"Null check: {trial.a} said the same twice to all {len(same)} prompts, so there "
                "was nothing to choose; it needs a temperature above 0"
            )
            continue
        for judge in sorted(trial.judges):
            checks += _check(trial.of_judges([judge]), judge, same)
    return checks, notes


def _check(trial: Trial, judge: str, same: set[str]) -> list[NullCheck]:
    kept = [c for c in trial.comparisons if c.prompt_id not in same]
    if not kept:
        return []
    values = np.round([comparison.preference for comparison in kept], 9)
    # Under no preference each prompt's deviation from a half has either sign alike.
    half = _SURE * math.sqrt(float(((values - 0.5) ** 2).sum())) / len(values)
    told = [c for c in kept if c.consistent is not None]
    decided = sum(bool(c.consistent) and c.winner != "tie" for c in told)
    return [
        NullCheck(
            judge=judge,
            model=trial.a,
            prompts=len(kept),
            identical=len(same),
            win_rate=win_rate(values, trial.clusters_of([c.prompt_id for c in kept])),
            band=(max(0.0, 0.5 - half), min(1.0, 0.5 + half)),
            first_wins=order_of(trial).pick_first,
            decided=decided / len(told) if told else None,
        )
    ]
