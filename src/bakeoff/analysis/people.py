"""Votes of people on a pair, and the judges' win rate corrected by them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.aggregate import rounded_preferences
from bakeoff.analysis.agreement import rater_agreement
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import HumanVotes
from bakeoff.stats.arrays import Values
from bakeoff.stats.calibration import corrected_rate, labels_decide, labels_needed
from bakeoff.stats.intervals import cluster_means, score_rate, score_test_p
from bakeoff.stats.results import CalibratedRate, Estimate, SignificanceResult
from bakeoff.stats.tests import tested_win_rate


def summarize_people(data: PairData) -> HumanVotes | None:
    """The win rate and agreement of people, and the corrected win rate; None without votes."""
    table = data.people_table
    if not len(table):
        return None
    units = _label_units(data)
    random = data.label_selection == "random"
    tested = _corrected_rate(units) if random else None
    corrected, test = tested or (None, None)
    by_person = data.table_by_person
    return HumanVotes(
        voters=tuple(by_person),
        prompts=len(table),
        win_rate=score_rate(rounded_preferences(table), data.clusters_of_indices(table.prompt)),
        judge_agreement=rater_agreement(data, {"people": table, "the judges": data.prompt_table}),
        voter_agreement=rater_agreement(data, by_person) if len(by_person) > 1 else None,
        corrected=_with_ties(corrected, data) if corrected else None,
        decides=corrected is not None and labels_decide(units.labels),
        test=test,
        labels_needed=_labels_missing(units, corrected) if corrected else None,
    )


def _with_ties(rate: CalibratedRate, data: PairData) -> CalibratedRate:
    """The rate over all prompts; `rate` is that without ties by identical completions."""
    share = len(data.identical_prompts) / len(data.prompt_table)
    return replace(
        rate,
        value=_toward_half(rate.value, share),
        published=rate.published and _toward_half(rate.published, share),
        labels_only=rate.labels_only and _toward_half(rate.labels_only, share),
    )


def _toward_half(value: Estimate, share: float) -> Estimate:
    """The estimate if this share of further prompts are ties."""
    rest = 1 - share
    return replace(
        value,
        estimate=share / 2 + rest * value.estimate,
        low=share / 2 + rest * value.low,
        high=share / 2 + rest * value.high,
        se=None if value.se is None else rest * value.se,
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


def _corrected_rate(units: _LabelUnits) -> tuple[CalibratedRate, SignificanceResult] | None:
    """The corrected rate and the test that belongs to its interval."""
    n = len(units.labels)
    if n < 2:
        return None
    if not len(units.unlabeled):  # labels of all prompts need no correction
        tested = tested_win_rate(units.labels)
        return CalibratedRate(tested.rate, n, 0, weight=0.0, labels_only=tested.rate), tested.test
    corrected = corrected_rate(units.labels, units.judged, units.unlabeled)
    value = corrected.value
    p = score_test_p(value.estimate, n * (value.se or 0.0) ** 2, n, n - 1)
    return corrected, SignificanceResult(p, "score test of the corrected win rate", n)


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
