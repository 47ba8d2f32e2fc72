"""What people say of a pair beside its judges, and the win rate that their labels correct."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.columns import Values
from bakeoff.analysis.pair_data import Trial
from bakeoff.analysis.panel import between
from bakeoff.records import HumanVotes
from bakeoff.stats.calibration import labels_needed, ppi_plus_plus
from bakeoff.stats.intervals import cluster_means, win_rate
from bakeoff.stats.results import Calibrated


def people_of(trial: Trial) -> HumanVotes | None:
    """Their labels alone, their agreement, and the judges' win rate corrected; None without any."""
    labelled = trial.voted
    if not len(labelled):
        return None
    both = _joined(trial)
    corrected = _corrected(both) if trial.drawn == "random" else None
    return HumanVotes(
        voters=tuple(trial.voters),
        prompts=len(labelled),
        win_rate=win_rate(labelled.preference, trial.clusters_at(labelled.prompt)),
        judge_agreement=between(trial, {"people": labelled, "the judges": trial.folded}),
        voter_agreement=between(trial, trial.voters) if len(trial.voters) > 1 else None,
        corrected=_with_ties(corrected, len(trial.same) / len(trial.folded)) if corrected else None,
        labels_needed=_more(both, corrected) if corrected else None,
    )


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


def _joined(trial: Trial) -> _Joined:
    """The units, without the prompts to which both models said the same: nobody votes on those."""
    asked = ~np.isin(trial.folded.prompt, trial.same)
    prompts, values = trial.folded.prompt[asked], trial.values[asked]
    labels = np.full(len(trial.ids), np.nan)
    labels[trial.voted.prompt] = trial.voted.preference
    unit, said = prompts if trial.clusters is None else trial.clusters[asked], labels[prompts]
    known = ~np.isnan(said)
    labelled = np.isin(unit, unit[known])
    return _Joined(
        labels=cluster_means(said[known], unit[known]),
        judged=cluster_means(values[known], unit[known]),
        rest=cluster_means(values[~labelled], unit[~labelled]),
    )


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
