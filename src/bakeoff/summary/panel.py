"""How far the judges of a pair agree, with each other and each with itself."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from bakeoff.records import Agreement, Comparison, Judgment
from bakeoff.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha
from bakeoff.stats.planning import variance_split
from bakeoff.stats.results import VarianceSplit
from bakeoff.summary.folding import STANDS_FOR, preference_of, winner_of
from bakeoff.summary.trial import Codes, Trial, Values


def agreement_of(trial: Trial) -> list[Agreement]:
    """Between the judges by prompt, and between the repeats of one judge by single question."""
    found = [between(trial, trial.alone)] if len(trial.judges) > 1 else []
    found += [repeats_of(trial, judge) for judge in sorted(trial.judges)]
    return [agreement for agreement in found if agreement]


def repeats_of(trial: Trial, judge: str) -> Agreement | None:
    """How far one judge says the same when it is asked the same again; None where it was not."""
    judgments = trial.judges[judge]
    repeats = sorted({judgment.repeat for judgment in judgments})
    if len(repeats) < 2:
        return None
    raters = tuple(f"{judge}, repeat {repeat + 1}" for repeat in repeats)
    return _agreement(raters, *_by_repeat(trial, judgments, repeats))


def between(trial: Trial, raters: Mapping[str, Sequence[Comparison]]) -> Agreement | None:
    """How far several raters name the same winner of a prompt; None where none of it was rated by
    two.
    """
    ids = sorted({c.prompt_id for comparisons in raters.values() for c in comparisons})
    row = {prompt_id: index for index, prompt_id in enumerate(ids)}
    ratings = np.full((len(row), len(raters)), np.nan)
    for column, comparisons in enumerate(raters.values()):
        for comparison in comparisons:
            ratings[row[comparison.prompt_id], column] = STANDS_FOR[comparison.winner]
    return _agreement(tuple(raters), ratings, trial.clusters_of(ids))


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


def _by_repeat(
    trial: Trial, judgments: Sequence[Judgment], repeats: Sequence[int]
) -> tuple[Values, Codes | None]:
    """The winner by question (rows: prompt, completions and order) and repeat (columns)."""
    asked: dict[tuple[str, int, str], dict[int, float]] = defaultdict(dict)
    for j in judgments:
        key = (j.prompt_id, j.sample, j.first)
        asked[key][j.repeat] = STANDS_FOR[winner_of(preference_of(trial.a, j))]
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
