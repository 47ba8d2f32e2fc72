"""The numbers of one pair of models, before any verdict."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np

from bakeoff.analysis.accounting import accounting
from bakeoff.analysis.bias import length_of, lengths_of, markdown_of, order_of, thinking_of
from bakeoff.analysis.columns import Values
from bakeoff.analysis.judge_card import cards_of
from bakeoff.analysis.pair_data import Trial
from bakeoff.analysis.panel import agreement_of, variance_of
from bakeoff.analysis.people import people_of
from bakeoff.records import PairSummary, ScoreDifference, ScoreStats
from bakeoff.stats.confidence_sequences import anytime_test, mean_sequence
from bakeoff.stats.intervals import cluster_means, proportion, student
from bakeoff.stats.power import power_of
from bakeoff.stats.results import Estimate, Power, Tested
from bakeoff.stats.sequential import confidence_sequence
from bakeoff.stats.tests import sign_flip, sign_test


def numbers(trial: Trial) -> PairSummary:
    """Everything about a pair that can be counted; its outcome is still open."""
    folded, values = trial.folded, trial.values
    wins, losses = trial.wins
    found = PairSummary(
        a=trial.a,
        b=trial.b,
        prompts=len(folded),
        wins=wins,
        losses=losses,
        ties=len(folded) - wins - losses,
        order=order_of(trial.columns),
        accounting=accounting(trial),
        margin=trial.margin,
        outcome="not enough data",
        verdict="",
    )
    if not len(folded):
        return found
    units, rate = trial.per_unit(values), trial.rate(trial.folded)
    lengths = lengths_of(trial)
    more = {
        "clusters": len(units) if trial.clusters is not None else None,
        "win_rate": rate,
        "decisive_win_rate": _decisive(trial),
        "sign_test": _sign(trial, units),
        "consistency": float(folded.told.mean()) if len(folded.told) else None,
        "flipped": float(folded.flipped.sum() / len(folded.told)) if len(folded.told) else None,
        "length": length_of(trial, lengths),
        "markdown": markdown_of(trial),
        "thinking": thinking_of(trial),
        "judges": tuple(cards_of(trial, rate, lengths)),
        "people": people_of(trial),
        "agreement": tuple(agreement_of(trial)),
        "power": _power(trial, units) if len(units) > 1 else None,
        "variance": variance_of(trial),
    }
    return found.model_copy(update=more | _scored(trial))


def _power(trial: Trial, units: Values) -> Power:
    anytime = trial.terms.alpha if trial.terms.design.sequential else None
    return power_of(units, trial.margin / 100, anytime=anytime)


def _decisive(trial: Trial) -> Estimate | None:
    """The share of a of the prompts that are no tie."""
    wins, losses = trial.wins
    if not (trial.terms.design.sequential and wins + losses):
        return proportion(wins, wins + losses, 1 - trial.terms.alpha)
    low, high = confidence_sequence(wins, losses, trial.terms.alpha)
    n = wins + losses
    return Estimate(wins / n, low, high, "confidence sequence, beta mixture", n)


def _sign(trial: Trial, units: Values) -> Tested:
    """The sign test over the units: a cluster of prompts has one voice. Where the number of units
    depended on what came of them it would find what is not there.
    """
    if trial.terms.design.sequential:
        return anytime_test(units)
    if trial.clusters is None:
        return sign_test(*trial.wins)
    means = np.round(units, 9)
    return sign_test(int((means > 0.5).sum()), int((means < 0.5).sum()))


def _scored(trial: Trial) -> dict[str, ScoreStats | ScoreDifference | int]:
    """Scores on 0-1, over the prompts whose judge gave any."""
    scored = trial.folded.taken(trial.folded.scored)
    if not len(scored):
        return {}
    ours, theirs = (scored.scores / 10).T
    differences = np.round(ours - theirs, 12)
    clusters = trial.clusters_at(scored.prompt)
    units = differences if clusters is None else cluster_means(differences, clusters)
    return {
        "scores_a": _spread(ours.tolist()),
        "scores_b": _spread(theirs.tolist()),
        "score_difference": _difference(trial, units, _spread(differences.tolist()).sd),
        "scored_better": int((differences > 0).sum()),
        "scored_worse": int((differences < 0).sum()),
        "scored_equal": int((differences == 0).sum()),
    }


def _difference(trial: Trial, units: Values, sd: float) -> ScoreDifference:
    if not trial.terms.design.sequential:
        value = student(units, 1 - trial.terms.alpha)
        return ScoreDifference(value=value, sd=sd, test=sign_flip(units))
    halved = (units + 1) / 2  # differences lie in [-1, 1]
    seen = mean_sequence(halved, trial.terms.alpha)
    moved = {name: 2 * getattr(seen, name) - 1 for name in ("estimate", "low", "high")}
    return ScoreDifference(value=replace(seen, **moved), sd=sd, test=anytime_test(halved))


def _spread(values: Sequence[float]) -> ScoreStats:
    return ScoreStats(mean=fmean(values), sd=stdev(values) if len(values) > 1 else 0.0)
