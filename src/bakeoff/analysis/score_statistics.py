"""Statistics of the scores that the judges of a pair gave to each completion."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import ScoreDifference, ScoreStats
from bakeoff.stats.arrays import Values
from bakeoff.stats.intervals import cluster_means, t_interval
from bakeoff.stats.sequential import anytime_test, mean_confidence_sequence
from bakeoff.stats.tests import sign_flip_test


class ScoreStatistics(NamedTuple):
    """Statistics of scores, divided by 10, over the prompts with scores; counts are of prompts."""

    a: ScoreStats | None = None
    b: ScoreStats | None = None
    difference: ScoreDifference | None = None
    better: int = 0
    worse: int = 0
    equal: int = 0


def score_statistics(data: PairData) -> ScoreStatistics:
    """The statistics of the prompts with scores."""
    scored = data.prompt_table.take(data.prompt_table.scored)
    if not len(scored):
        return ScoreStatistics()
    scores_a, scores_b = (scored.scores / 10).T
    differences = np.round(scores_a - scores_b, 12)
    clusters = data.clusters_of_indices(scored.prompt)
    units = differences if clusters is None else cluster_means(differences, clusters)
    return ScoreStatistics(
        a=_score_stats(scores_a.tolist()),
        b=_score_stats(scores_b.tolist()),
        difference=_score_difference(data, units, _score_stats(differences.tolist()).sd),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        equal=int((differences == 0).sum()),
    )


def _score_difference(data: PairData, units: Values, sd: float) -> ScoreDifference:
    if not data.config.design.sequential:
        value = t_interval(units, 1 - data.config.alpha)
        return ScoreDifference(value=value, sd=sd, test=sign_flip_test(units))
    rescaled = (units + 1) / 2  # differences are in [-1, 1]
    sequence = mean_confidence_sequence(rescaled, data.config.alpha)
    value = replace(
        sequence,
        estimate=2 * sequence.estimate - 1,
        low=2 * sequence.low - 1,
        high=2 * sequence.high - 1,
    )
    return ScoreDifference(value=value, sd=sd, test=anytime_test(rescaled))


def _score_stats(values: Sequence[float]) -> ScoreStats:
    return ScoreStats(mean=fmean(values), sd=stdev(values) if len(values) > 1 else 0.0)
