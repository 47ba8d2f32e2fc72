"""What people say of a pair beside its judges, and the win rate that their labels correct."""

from collections import defaultdict
from collections.abc import Set
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bakeoff.records import Comparison, Judgment, People
from bakeoff.stats.calibration import labels_needed, ppi_plus_plus
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.results import Calibrated
from bakeoff.summary.folding import compare
from bakeoff.summary.panel import between
from bakeoff.summary.trial import Trial, Values


def people_of(trial: Trial) -> People | None:
    """Their labels alone, their agreement, and the judges' win rate corrected; None without any."""
    labelled = trial.labelled
    if not labelled:
        return None
    by_voter: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in trial.labels:
        by_voter[judgment.judge].append(judgment)
    among: dict[str, list[Comparison]] = {
        voter: compare(trial.a, trial.b, by_voter[voter]) for voter in sorted(by_voter)
    }
    values = np.array([comparison.preference for comparison in labelled])
    same = _same(trial)
    both = _joined(trial, same)
    corrected = _corrected(both) if trial.drawn == "random" else None
    return People(
        voters=tuple(among),
        prompts=len(labelled),
        win_rate=win_rate(values, trial.clusters_of([c.prompt_id for c in labelled])),
        judges=between(trial, {"people": labelled, "the judges": trial.comparisons}),
        among=between(trial, among) if len(among) > 1 else None,
        corrected=_with_ties(corrected, len(same) / len(trial.comparisons)) if corrected else None,
        more=_more(both, corrected) if corrected else None,
    )


def _same(trial: Trial) -> Set[str]:
    """The prompts to which both models said the same: nobody has to vote on those."""
    return {
        trial.comparisons[index].prompt_id
        for index, ours, theirs in trial.both_texts()
        if [c.text for c in ours] == [c.text for c in theirs]
    }


def _with_ties(corrected: Calibrated, share: float) -> Calibrated:
    """The rate over all prompts, of which a share are ties for certain."""
    value = corrected.value
    moved = {
        field: share / 2 + (1 - share) * getattr(value, field)
        for field in ("estimate", "low", "high")
    }
    se = None if value.se is None else (1 - share) * value.se
    return replace(corrected, value=replace(value, **moved, se=se))


class _Joined(NamedTuple):
    """Per unit (prompt or cluster): labels, the judges on the same prompts, and elsewhere."""

    labels: Values
    judged: Values
    rest: Values


def _joined(trial: Trial, same: Set[str]) -> _Joined:
    label = {c.prompt_id: c.preference for c in trial.labelled}
    units: dict[int, list[tuple[float, float | None]]] = defaultdict(list)
    codes = trial.clusters if trial.clusters is not None else range(len(trial.comparisons))
    for code, comparison, value in zip(codes, trial.comparisons, trial.values, strict=True):
        if comparison.prompt_id not in same:
            units[int(code)].append((float(value), label.get(comparison.prompt_id)))
    labels, judged, rest = [], [], []
    for rows in units.values():
        known = [(value, said) for value, said in rows if said is not None]
        if known:
            judged.append(np.mean([value for value, _ in known]))
            labels.append(np.mean([said for _, said in known]))
        else:
            rest.append(np.mean([value for value, _ in rows]))
    return _Joined(np.array(labels), np.array(judged), np.array(rest))


def _corrected(both: _Joined) -> Calibrated | None:
    if len(both.labels) < 2 or not len(both.rest):
        return None
    return ppi_plus_plus(both.labels, both.judged, both.rest)


def _more(both: _Joined, corrected: Calibrated) -> int | None:
    value = corrected.value
    if not value.low <= 0.5 <= value.high:
        return 0
    total = len(both.labels) + len(both.rest)
    needed = labels_needed(both.labels, both.judged, total, abs(value.estimate - 0.5))
    return None if needed is None else max(1, needed - len(both.labels))
