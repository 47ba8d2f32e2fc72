"""The numbers of one pair of models, before any verdict."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np

from bakeoff.records import Difference, PairSummary, Spread
from bakeoff.stats.intervals import cluster_means, proportion, student, win_rate
from bakeoff.stats.planning import power_of
from bakeoff.stats.results import Tested
from bakeoff.stats.tests import sign_flip, sign_test
from bakeoff.summary.accounting import accounting
from bakeoff.summary.cards import cards_of
from bakeoff.summary.leanings import length_of, markdown_of, order_of, thinking_of
from bakeoff.summary.panel import agreement_of, variance_of
from bakeoff.summary.people import people_of
from bakeoff.summary.trial import Trial


def numbers(trial: Trial) -> PairSummary:
    """Everything about a pair that can be counted; its outcome is still open."""
    comparisons, values = trial.comparisons, trial.values
    counts = Counter(comparison.winner for comparison in comparisons)
    told = [c.consistent for c in comparisons if c.consistent is not None]
    found = PairSummary(
        a=trial.a,
        b=trial.b,
        prompts=len(comparisons),
        wins=counts["a"],
        losses=counts["b"],
        ties=counts["tie"],
        order=order_of(trial),
        accounting=accounting(trial),
        margin=trial.margin,
        outcome="not enough data",
        verdict="",
    )
    if not comparisons:
        return found
    units, rate = trial.per_unit(values), win_rate(values, trial.clusters)
    more = {
        "clusters": len(units) if trial.clusters is not None else None,
        "win_rate": rate,
        "decisive": proportion(counts["a"], counts["a"] + counts["b"]),
        "sign": _sign(trial),
        "consistency": fmean(told) if told else None,
        "flipped": fmean(c.flipped for c in comparisons) if told else None,
        "length": length_of(trial),
        "markdown": markdown_of(trial),
        "thinking": thinking_of(trial),
        "judges": tuple(cards_of(trial, rate)),
        "people": people_of(trial),
        "agreement": tuple(agreement_of(trial)),
        "power": power_of(units, trial.margin / 100) if len(units) > 1 else None,
        "variance": variance_of(trial),
    }
    return found.model_copy(update=more | _scored(trial))


def _sign(trial: Trial) -> Tested:
    """The sign test over the units: a cluster of prompts has one voice."""
    if trial.clusters is None:
        winners = Counter(comparison.winner for comparison in trial.comparisons)
        return sign_test(winners["a"], winners["b"])
    means = np.round(trial.per_unit(trial.values), 9)
    return sign_test(int((means > 0.5).sum()), int((means < 0.5).sum()))


def _scored(trial: Trial) -> dict[str, Spread | Difference | int]:
    """Scores on 0-1, over the prompts whose judge gave any."""
    scored = [(c.prompt_id, c.scores) for c in trial.comparisons if c.scores]
    if not scored:
        return {}
    ours, theirs = ([pair[side] / 10 for _, pair in scored] for side in (0, 1))
    differences = np.round(np.array(ours) - np.array(theirs), 12).astype(np.float64)
    clusters = trial.clusters_of([prompt_id for prompt_id, _ in scored])
    units = differences if clusters is None else cluster_means(differences, clusters)
    return {
        "scores_a": _spread(ours),
        "scores_b": _spread(theirs),
        "score_difference": Difference(
            value=student(units), sd=_spread(differences.tolist()).sd, test=sign_flip(units)
        ),
        "scored_better": int((differences > 0).sum()),
        "scored_worse": int((differences < 0).sum()),
        "scored_equal": int((differences == 0).sum()),
    }


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=fmean(values), sd=stdev(values) if len(values) > 1 else 0.0)
