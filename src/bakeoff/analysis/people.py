"""Votes of people on a pair, and the judges' win rate corrected by them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.agreement import rater_agreement
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import HumanVotes
from bakeoff.stats.arrays import Values
from bakeoff.stats.calibration import labels_needed, ppi_plus_plus
from bakeoff.stats.intervals import cluster_means, win_rate
from bakeoff.stats.results import CalibratedRate


def summarize_people(data: PairData) -> HumanVotes | None:
    """The win rate and agreement of people, and the corrected win rate; None without votes."""
    table = data.people_table
    if not len(table):
        return None
    units = _label_units(data)
    corrected = _corrected_rate(units) if data.label_selection == "random" else None
    by_person = data.table_by_person
    return HumanVotes(
        voters=tuple(by_person),
        prompts=len(table),
        win_rate=win_rate(table.preference, data.clusters_of_indices(table.prompt)),
        judge_agreement=rater_agreement(data, {"people": table, "the judges": data.prompt_table}),
        voter_agreement=rater_agreement(data, by_person) if len(by_person) > 1 else None,
        corrected=_with_ties(corrected, data) if corrected else None,
        labels_needed=_labels_missing(units, corrected) if corrected else None,
    )


def _with_ties(rate: CalibratedRate, data: PairData) -> CalibratedRate:
    """The rate over all prompts; `rate` is that without ties by identical completions."""
    share = len(data.identical_prompts) / len(data.prompt_table)
    value, rest = rate.value, 1 - share
    return replace(
        rate,
        value=replace(
            value,
            estimate=share / 2 + rest * value.estimate,
            low=share / 2 + rest * value.low,
            high=share / 2 + rest * value.high,
            se=None if value.se is None else rest * value.se,
        ),
    )


class _LabelUnits(NamedTuple):
    """Preferences for a, one per unit (prompt or cluster)."""

    labels: Values
    """By people, on the labeled units."""
    judged: Values
    """By judges, on the labeled units."""
    unlabeled: Values
    """By judges, on the other units."""


def _label_units(data: PairData) -> _LabelUnits:
    """The units, without prompts with identical completions: people do not vote on these."""
    different = ~np.isin(data.prompt_table.prompt, data.identical_prompts)
    prompts, values = data.prompt_table.prompt[different], data.preferences[different]
    all_labels = np.full(len(data.prompt_ids), np.nan)
    all_labels[data.people_table.prompt] = data.people_table.preference
    unit = prompts if data.clusters is None else data.clusters[different]
    labels = all_labels[prompts]
    known = ~np.isnan(labels)
    labeled = np.isin(unit, unit[known])
    return _LabelUnits(
        labels=cluster_means(labels[known], unit[known]),
        judged=cluster_means(values[known], unit[known]),
        unlabeled=cluster_means(values[~labeled], unit[~labeled]),
    )


def _corrected_rate(units: _LabelUnits) -> CalibratedRate | None:
    if len(units.labels) < 2 or not len(units.unlabeled):
        return None
    return ppi_plus_plus(units.labels, units.judged, units.unlabeled)


def _labels_missing(units: _LabelUnits, corrected: CalibratedRate) -> int | None:
    """The number of further labels until the interval excludes 0.5.

    0 if it does already, None if labels of all units would not suffice.
    """
    value = corrected.value
    if not value.low <= 0.5 <= value.high:
        return 0
    total = len(units.labels) + len(units.unlabeled)
    needed = labels_needed(units.labels, units.judged, total, abs(value.estimate - 0.5))
    return None if needed is None else max(1, needed - len(units.labels))
