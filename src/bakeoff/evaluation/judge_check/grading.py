"""Grade a judge by its verdicts on labeled pairs.

The two completions are analyzed as models named `better` and `worse`, so that orders, repeats and
biases are handled as in a comparison.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np

from bakeoff.analysis.aggregate import WINNER_VALUES, preference_of, winner_of
from bakeoff.analysis.agreement import judge_agreements
from bakeoff.analysis.bias import order_bias
from bakeoff.analysis.pair import verdict_accounting
from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.evaluation.judge_check.labeled_pairs import BETTER, WORSE, LabeledPair
from bakeoff.evaluation.judge_check.outcomes import (
    Comparisons,
    grade,
    grades,
    grades_by_kind,
    labeled_outcomes,
    length_difference,
    misses_of,
)
from bakeoff.evaluation.judge_check.results import JudgeCheck
from bakeoff.records import Agreement, Failure, Judgment
from bakeoff.stats.agreement import cohen_kappa
from bakeoff.stats.bias import feature_bias
from bakeoff.stats.intervals import proportion
from bakeoff.stats.results import Estimate


def grade_judge(
    judge: str,
    pairs: Sequence[LabeledPair],
    judgments: Sequence[Judgment],
    failures: Sequence[Failure],
) -> JudgeCheck:
    """Return the grades, biases and misses of a judge from its own `judgments` and `failures`."""
    pair_data = _pair_data(judgments, failures)
    comparisons = {comparison.prompt_id: comparison for comparison in pair_data.comparisons}
    outcomes = labeled_outcomes(pairs, comparisons, judgments, failures)
    consistent = [c.consistent for c in comparisons.values() if c.consistent is not None]
    retries = Counter(j.verdict.retry_reason for j in judgments if j.verdict.retry_reason)
    return JudgeCheck(
        judge=judge,
        overall=grade(pairs, outcomes, comparisons),
        by_set=grades(pairs, outcomes, comparisons, lambda pair: pair.set),
        by_kind=grades_by_kind(pairs, outcomes, comparisons),
        accounting=verdict_accounting(pair_data),
        better_first=_accuracy_if_first(judgments, BETTER),
        better_second=_accuracy_if_first(judgments, WORSE),
        consistency=proportion(sum(consistent), len(consistent)),
        order=order_bias(pair_data.judgment_table),
        kappa=_kappa(judgments),
        longer_won=_longer_won(pairs, comparisons),
        retries=dict(sorted(retries.items())),
        contradictory=sum(j.verdict.contradicts_scores for j in judgments),
        misses=misses_of(pairs, outcomes, comparisons, judgments),
    )


def agreements(judgments: Sequence[Judgment]) -> tuple[Agreement, ...]:
    """Return the agreement of the judges, and of each judge with its own repeats."""
    return tuple(judge_agreements(_pair_data(judgments, ())))


def _pair_data(judgments: Sequence[Judgment], failures: Sequence[Failure]) -> PairData:
    return PairData(
        a=BETTER,
        b=WORSE,
        prompts={},
        completions={},
        judgments=judgments,
        failures=failures,
        origins={},
        config=AnalysisConfig(),
    )


def _accuracy_if_first(judgments: Iterable[Judgment], first: str) -> Estimate | None:
    """Return the share of pairs that the better completion wins if `first` is shown first."""
    preferences: dict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        if judgment.first == first and judgment.presented == "recorded":
            preferences[judgment.prompt_id].append(preference_of(BETTER, judgment))
    right = sum(winner_of(fmean(values)) == "a" for values in preferences.values())
    return proportion(right, len(preferences))


def _kappa(judgments: Sequence[Judgment]) -> Estimate | None:
    """Return Cohen's kappa of the better completion's position and the verdict's position.

    A pointwise verdict has no order and counts for both orders.
    """
    rows: list[tuple[str, float, float]] = []
    for judgment in judgments:
        label = float(judgment.first == BETTER)
        verdict = WINNER_VALUES[winner_of(judgment.verdict.first)]  # a and b are first and second
        rows.append((judgment.prompt_id, label, verdict))
        if judgment.presented == "pointwise":
            rows.append((judgment.prompt_id, 1 - label, 1 - verdict))
    if not rows:
        return None
    ids, labels, verdicts = zip(*rows, strict=True)
    return cohen_kappa(np.array([labels, verdicts]).T, np.unique(ids, return_inverse=True)[1])


def _longer_won(pairs: Iterable[LabeledPair], comparisons: Comparisons) -> Estimate | None:
    rows = [
        (comparisons[pair.id].preference, length_difference(pair))
        for pair in pairs
        if pair.id in comparisons
    ]
    if not rows:
        return None
    preferences, differences = np.array(rows, dtype=np.float64).T
    return feature_bias(np.round(preferences, 9), differences).more_wins
