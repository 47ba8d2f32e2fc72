"""Verdicts on pairs whose better one is known, counted. Asks nobody; knows no model by name.

The two of a pair go through the summary as models called `better` and `worse`, so that orders and
repeats are folded and a judge's leaning is measured just as in a comparison.
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
from bakeoff.evaluation.judge_check.labeled_pairs import BETTER, WORSE, Labelled
from bakeoff.evaluation.judge_check.outcomes import (
    Found,
    by_kind,
    grade,
    grades,
    marks_of,
    misses_of,
    surplus,
)
from bakeoff.evaluation.judge_check.results import JudgeCheck
from bakeoff.records import Agreement, Failure, Judgment
from bakeoff.stats.agreement import cohen_kappa
from bakeoff.stats.bias import feature_bias
from bakeoff.stats.intervals import proportion
from bakeoff.stats.results import Estimate


def checked(
    judge: str,
    pairs: Sequence[Labelled],
    judgments: Sequence[Judgment],
    failures: Sequence[Failure],
) -> JudgeCheck:
    """What one judge's verdicts on the pairs say; `judgments` and `failures` are its own."""
    pair_data = _pair_data(judgments, failures)
    found = {comparison.prompt_id: comparison for comparison in pair_data.comparisons}
    marks = marks_of(pairs, found, judgments, failures)
    told = [c.consistent for c in found.values() if c.consistent is not None]
    mended = Counter(j.verdict.retry_reason for j in judgments if j.verdict.retry_reason)
    return JudgeCheck(
        judge=judge,
        overall=grade(pairs, marks, found),
        by_set=grades(pairs, marks, found, lambda pair: pair.set),
        by_kind=by_kind(pairs, marks, found),
        accounting=verdict_accounting(pair_data),
        better_first=_named(judgments, BETTER),
        better_second=_named(judgments, WORSE),
        consistency=proportion(sum(told), len(told)),
        order=order_bias(pair_data.judgment_table),
        kappa=_kappa(judgments),
        longer_won=_longer_won(pairs, found),
        mended=dict(sorted(mended.items())),
        contradicting=sum(j.verdict.contradicts_scores for j in judgments),
        misses=misses_of(pairs, marks, found, judgments),
    )


def agreements(judgments: Sequence[Judgment]) -> tuple[Agreement, ...]:
    """How far the judges agree by pair, and each with its own repeats."""
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


def _named(judgments: Iterable[Judgment], first: str) -> Estimate | None:
    """How often the better one is named where `first` is shown first; repeats are averaged."""
    given: dict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        if judgment.first == first and judgment.presented == "recorded":
            given[judgment.prompt_id].append(preference_of(BETTER, judgment))
    right = sum(winner_of(fmean(values)) == "a" for values in given.values())
    return proportion(right, len(given))


def _kappa(judgments: Sequence[Judgment]) -> Estimate | None:
    """Cohen's kappa of which place is the better one's and which place the verdict names.

    A judge that saw no order would have said the same in both: it counts in both.
    """
    rows: list[tuple[str, float, float]] = []
    for judgment in judgments:
        label = float(judgment.first == BETTER)
        said = WINNER_VALUES[winner_of(judgment.verdict.first)]  # of a and b as first and second
        rows.append((judgment.prompt_id, label, said))
        if judgment.presented == "apart":
            rows.append((judgment.prompt_id, 1 - label, 1 - said))
    if not rows:
        return None
    ids, labels, verdicts = zip(*rows, strict=True)
    return cohen_kappa(np.array([labels, verdicts]).T, np.unique(ids, return_inverse=True)[1])


def _longer_won(pairs: Iterable[Labelled], found: Found) -> Estimate | None:
    both = [(found[p.id].preference, surplus(p)) for p in pairs if p.id in found]
    if not both:
        return None
    values, differences = np.array(both, dtype=np.float64).T
    return feature_bias(np.round(values, 9), differences).more_wins
