"""The judges of a pair one by one, how far they agree, and how far each agrees with itself."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from bakeoff.records import Agreement, JudgeSummary, Judgment
from bakeoff.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.planning import variance_split
from bakeoff.stats.results import VarianceSplit
from bakeoff.summary.folding import preference_of, winner_of
from bakeoff.summary.trial import Codes, Trial, Values

_NUMBER = {"a": 1.0, "tie": 0.5, "b": 0.0}


def judges_of(trial: Trial) -> list[JudgeSummary]:
    """What each judge alone says."""
    found = []
    for judge, comparisons in trial.alone.items():
        values = np.array([comparison.preference for comparison in comparisons])
        told = [c.consistent for c in comparisons if c.consistent is not None]
        found.append(
            JudgeSummary(
                judge=judge,
                win_rate=win_rate(values, trial.clusters_of([c.prompt_id for c in comparisons])),
                consistency=fmean(told) if told else None,
            )
        )
    return found


def agreement_of(trial: Trial) -> list[Agreement]:
    """Between the judges by prompt, and between the repeats of one judge by single question."""
    found = []
    if len(trial.judges) > 1:
        found.append(_agreement(tuple(sorted(trial.judges)), *_by_judge(trial)))
    for judge, judgments in sorted(trial.judges.items()):
        repeats = sorted({judgment.repeat for judgment in judgments})
        if len(repeats) > 1:
            raters = tuple(f"{judge}, repeat {repeat + 1}" for repeat in repeats)
            found.append(_agreement(raters, *_by_repeat(trial, judgments, repeats)))
    return [agreement for agreement in found if agreement]


def variance_of(trial: Trial) -> VarianceSplit | None:
    """Where the variance of single verdicts comes from; judges count as repeats. None where the
    order of presentation is not known, or does not exist.
    """
    judgments = trial.judgments
    if len(trial.comparisons) < 2 or any(j.presented != "recorded" for j in judgments):
        return None
    repeats = [(j.judge, j.repeat) for j in judgments]
    number = {key: code for code, key in enumerate(sorted(set(repeats)))}
    return variance_split(
        np.array([preference_of(trial.a, j) for j in judgments]),
        np.unique([j.prompt_id for j in judgments], return_inverse=True)[1],
        np.array([j.sample for j in judgments]),
        np.array([j.first == trial.a for j in judgments], dtype=np.intp),
        np.array([number[key] for key in repeats]),
    )


def _by_judge(trial: Trial) -> tuple[Values, Codes | None]:
    """The winner by prompt (rows) and judge (columns)."""
    row = {comparison.prompt_id: i for i, comparison in enumerate(trial.comparisons)}
    ratings = np.full((len(row), len(trial.judges)), np.nan)
    for column, comparisons in enumerate(trial.alone.values()):
        for comparison in comparisons:
            ratings[row[comparison.prompt_id], column] = _NUMBER[comparison.winner]
    return ratings, trial.clusters


def _by_repeat(
    trial: Trial, judgments: Sequence[Judgment], repeats: Sequence[int]
) -> tuple[Values, Codes | None]:
    """The winner by question (rows: prompt, completions and order) and repeat (columns)."""
    asked: dict[tuple[str, int, str], dict[int, float]] = defaultdict(dict)
    for j in judgments:
        key = (j.prompt_id, j.sample, j.first)
        asked[key][j.repeat] = _NUMBER[winner_of(preference_of(trial.a, j))]
    keys = sorted(asked)
    ratings = [[asked[key].get(repeat, np.nan) for repeat in repeats] for key in keys]
    return np.array(ratings), np.unique([key[0] for key in keys], return_inverse=True)[1]


def _agreement(
    raters: tuple[str, ...], ratings: Values, clusters: Codes | None
) -> Agreement | None:
    shared = (~np.isnan(ratings)).sum(axis=1) > 1
    if not shared.any():
        return None
    rows = ratings[shared]
    spread = np.nanmax(rows, axis=1) - np.nanmin(rows, axis=1)
    whole = not np.isnan(ratings).any(axis=1).all()
    two = len(raters) == 2
    return Agreement(
        raters=raters,
        share=float((spread == 0).mean()),
        cohen=cohen_kappa(ratings, clusters) if whole and two else None,
        fleiss=fleiss_kappa(ratings, clusters) if whole and not two else None,
        ac1=gwet_ac1(ratings, clusters) if whole else None,
        alpha=krippendorff_alpha(ratings, clusters=clusters),
    )
