"""The outcome of a judge on each labeled pair, and grades over all pairs and over groups."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np

from bakeoff.evaluation.judge_check.labeled_pairs import LabeledPair
from bakeoff.evaluation.judge_check.results import Grade, LabeledOutcome, LengthBaseline, Miss
from bakeoff.records import Comparison, Failure, Judgment
from bakeoff.stats.intervals import proportion, win_rate

Outcomes = Mapping[str, LabeledOutcome]  # by pair id
Comparisons = Mapping[str, Comparison]  # by pair id

_BY_WINNER: dict[str, LabeledOutcome] = {"a": "right", "b": "wrong", "tie": "tie"}
_NOT_RIGHT: tuple[LabeledOutcome, ...] = ("wrong", "split", "tie")


def labeled_outcomes(
    pairs: Iterable[LabeledPair],
    comparisons: Comparisons,
    judgments: Iterable[Judgment],
    failures: Iterable[Failure],
) -> dict[str, LabeledOutcome]:
    """Return the outcome of each pair by its id.

    A pair fails if one of its orders has no verdict: from the other order alone, a judge that
    always names the first completion could be right.
    """
    judged = {(judgment.prompt_id, judgment.first) for judgment in judgments}
    failed = {f.prompt_id for f in failures if (f.prompt_id, f.first) not in judged}
    outcomes: dict[str, LabeledOutcome] = {}
    for pair in pairs:
        comparison = comparisons.get(pair.id)
        if comparison is None or pair.id in failed:
            outcomes[pair.id] = "failed"
        else:
            outcomes[pair.id] = "split" if comparison.flipped else _BY_WINNER[comparison.winner]
    return outcomes


def grade(pairs: Sequence[LabeledPair], outcomes: Outcomes, comparisons: Comparisons) -> Grade:
    """Return the counts and rates over the given pairs (at least one)."""
    counts = Counter(outcomes[pair.id] for pair in pairs)
    right, failed, total = counts["right"], counts["failed"], len(pairs)
    preferences = [
        comparisons[pair.id].preference for pair in pairs if outcomes[pair.id] != "failed"
    ]
    return Grade(
        pairs=total,
        right=right,
        wrong=counts["wrong"],
        split=counts["split"],
        tie=counts["tie"],
        failed=failed,
        accuracy=proportion(right, total - failed),
        worst_case=(right / total, (right + failed) / total),
        preference=win_rate(np.array(preferences)) if preferences else None,
        length_baseline=length_baseline(pairs),
    )


def grades(
    pairs: Iterable[LabeledPair],
    outcomes: Outcomes,
    comparisons: Comparisons,
    group_of: Callable[[LabeledPair], str],
) -> dict[str, Grade]:
    """Return a grade per group, in the order of the pairs, without the group named ""."""
    groups: dict[str, list[LabeledPair]] = defaultdict(list)
    for pair in pairs:
        groups[group_of(pair)].append(pair)
    return {name: grade(group, outcomes, comparisons) for name, group in groups.items() if name}


def grades_by_kind(
    pairs: Sequence[LabeledPair], outcomes: Outcomes, comparisons: Comparisons
) -> dict[str, Grade]:
    """Return a grade per kind, for the sets with several kinds."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        kinds[pair.set].add(pair.kind)
    in_mixed_sets = [pair for pair in pairs if len(kinds[pair.set]) > 1]
    return grades(in_mixed_sets, outcomes, comparisons, _kind)


def _kind(pair: LabeledPair) -> str:
    return f"{pair.set}: {pair.kind}" if pair.set and pair.kind else pair.kind


def length_baseline(pairs: Sequence[LabeledPair]) -> LengthBaseline:
    """Return the accuracy of always choosing the longer completion of the pairs (at least one)."""
    right = sum(length_difference(pair) > 0 for pair in pairs)
    wrong = sum(length_difference(pair) < 0 for pair in pairs)
    return LengthBaseline(
        right=right, wrong=wrong, equal=len(pairs) - right - wrong, accuracy=right / len(pairs)
    )


def length_difference(pair: LabeledPair) -> int:
    """Return the characters of the better completion minus those of the worse one."""
    return len(pair.better) - len(pair.worse)


def misses_of(
    pairs: Iterable[LabeledPair],
    outcomes: Outcomes,
    comparisons: Comparisons,
    judgments: Iterable[Judgment],
) -> tuple[Miss, ...]:
    """Return the pairs that are wrong, split or tied, in this order, the most certain first."""
    certainties: dict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        certainties[judgment.prompt_id].append(abs(2 * judgment.verdict.first - 1))
    misses = [
        Miss(
            id=pair.id,
            set=pair.set,
            kind=pair.kind,
            outcome=outcomes[pair.id],
            preference=comparisons[pair.id].preference,
            certainty=fmean(certainties[pair.id]),
            scores=comparisons[pair.id].scores,
        )
        for pair in pairs
        if outcomes[pair.id] in _NOT_RIGHT
    ]
    return tuple(sorted(misses, key=_severity))


def _severity(miss: Miss) -> tuple[int, float, float]:
    lead = miss.scores.first - miss.scores.second if miss.scores else 0.0
    return _NOT_RIGHT.index(miss.outcome), -miss.certainty, lead
