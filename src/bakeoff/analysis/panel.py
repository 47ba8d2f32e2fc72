"""How far the judges of a pair agree, with each other and each with itself."""

from collections.abc import Mapping

import numpy as np

from bakeoff.analysis.aggregate import Folded, sides_of, stands_for
from bakeoff.analysis.columns import Codes, Values, dense, joint
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import Agreement
from bakeoff.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha
from bakeoff.stats.power import variance_split
from bakeoff.stats.results import VarianceSplit


def agreement_of(trial: Trial) -> list[Agreement]:
    """Between the judges by prompt, and between the repeats of one judge by single question."""
    found = []
    if len(trial.judges) > 1:
        found.append(between(trial, {judge: trial.alone_of(judge) for judge in trial.judges}))
    found += [repeats_of(trial, judge) for judge in trial.judges]
    return [agreement for agreement in found if agreement]


def repeats_of(trial: Trial, judge: str) -> Agreement | None:
    """How far one judge says the same when it is asked the same again; None where it was not."""
    rows = trial.columns.of(judge)
    repeats, repeat = np.unique(rows.repeat, return_inverse=True)
    if len(repeats) < 2:
        return None
    raters = tuple(f"{judge}, repeat {number + 1}" for number in repeats.tolist())
    # A question: a prompt, its completions, and their order.
    asked = joint(rows.prompt, dense(rows.sample), 1 - rows.a_first.astype(np.intp))
    questions, first, row = np.unique(asked, return_index=True, return_inverse=True)
    # A file may hold several verdicts on one question as the same repeat: they are one, their mean.
    size = len(questions) * len(repeats)
    cell = row * len(repeats) + repeat
    count = np.bincount(cell, minlength=size)
    total = np.bincount(cell, weights=rows.preference, minlength=size)
    ratings = np.full(size, np.nan)
    ratings[count > 0] = stands_for(sides_of(total[count > 0] / count[count > 0]))
    return _agreement(raters, ratings.reshape(len(questions), len(repeats)), rows.prompt[first])


def between(trial: Trial, raters: Mapping[str, Folded]) -> Agreement | None:
    """How far several raters name the same winner of a prompt; None where none of it was rated by
    two.
    """
    ratings = np.full((len(trial.ids), len(raters)), np.nan)
    for column, found in enumerate(raters.values()):
        ratings[found.prompt, column] = stands_for(found.side)
    rated = np.flatnonzero(~np.isnan(ratings).all(axis=1))
    return _agreement(tuple(raters), ratings[rated], trial.clusters_at(rated))


def variance_of(trial: Trial) -> VarianceSplit | None:
    """Where the variance of single verdicts comes from; judges count as repeats. None where the
    order of presentation is not known, or does not exist.
    """
    rows = trial.columns
    if len(trial.folded) < 2 or not rows.recorded.all():
        return None
    repeats = joint(rows.judge, dense(rows.repeat))
    return variance_split(
        rows.preference, rows.prompt, rows.sample, rows.a_first.astype(np.intp), repeats
    )


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
