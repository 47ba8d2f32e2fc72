"""Which pairs a judge got right, in all and by group, and which it did not. Asks nobody."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np

from bakeoff.evaluation.judge_check.labeled_pairs import Labelled
from bakeoff.evaluation.judge_check.results import Grade, Longer, Mark, Miss
from bakeoff.records import Comparison, Failure, Judgment
from bakeoff.stats.intervals import proportion, win_rate

Marks = Mapping[str, Mark]
Found = Mapping[str, Comparison]

_MARKS: dict[str, Mark] = {"a": "right", "b": "wrong", "tie": "tie"}
_NOT_RIGHT: tuple[Mark, ...] = ("wrong", "split", "tie")


def marks_of(
    pairs: Iterable[Labelled],
    found: Found,
    judgments: Iterable[Judgment],
    failures: Iterable[Failure],
) -> dict[str, Mark]:
    """The mark of each pair, by its id.

    A pair fails where one order has no verdict: the other alone would let a judge be right that
    always names the first one.
    """
    there = {(judgment.prompt_id, judgment.first) for judgment in judgments}
    failed = {f.prompt_id for f in failures if (f.prompt_id, f.first) not in there}
    marks: dict[str, Mark] = {}
    for pair in pairs:
        comparison = found.get(pair.id)
        if comparison is None or pair.id in failed:
            marks[pair.id] = "failed"
        else:
            marks[pair.id] = "split" if comparison.flipped else _MARKS[comparison.winner]
    return marks


def grade(pairs: Sequence[Labelled], marks: Marks, found: Found) -> Grade:
    """The marks of these pairs (>= 1), counted."""
    counts = Counter(marks[pair.id] for pair in pairs)
    right, failed, every = counts["right"], counts["failed"], len(pairs)
    values = [found[pair.id].preference for pair in pairs if marks[pair.id] != "failed"]
    return Grade(
        pairs=every,
        right=right,
        wrong=counts["wrong"],
        split=counts["split"],
        tie=counts["tie"],
        failed=failed,
        share=proportion(right, every - failed),
        worst_case=(right / every, (right + failed) / every),
        preference=win_rate(np.array(values)) if values else None,
        longer=longer_of(pairs),
    )


def grades(
    pairs: Iterable[Labelled], marks: Marks, found: Found, name: Callable[[Labelled], str]
) -> dict[str, Grade]:
    """A grade for each group that `name` gives a name, in the order of the pairs."""
    groups: dict[str, list[Labelled]] = defaultdict(list)
    for pair in pairs:
        groups[name(pair)].append(pair)
    return {key: grade(group, marks, found) for key, group in groups.items() if key}


def by_kind(pairs: Sequence[Labelled], marks: Marks, found: Found) -> dict[str, Grade]:
    """A grade for each kind in the sets that have several: else it says no more than the set."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        kinds[pair.set].add(pair.kind)
    several = [pair for pair in pairs if len(kinds[pair.set]) > 1]
    return grades(several, marks, found, _kind)


def _kind(pair: Labelled) -> str:
    return f"{pair.set}: {pair.kind}" if pair.set and pair.kind else pair.kind


def longer_of(pairs: Sequence[Labelled]) -> Longer:
    """What the longer one of each of the pairs (>= 1) would have scored."""
    right = sum(surplus(pair) > 0 for pair in pairs)
    wrong = sum(surplus(pair) < 0 for pair in pairs)
    return Longer(
        right=right, wrong=wrong, equal=len(pairs) - right - wrong, share=right / len(pairs)
    )


def surplus(pair: Labelled) -> int:
    """By how many characters the better one is longer."""
    return len(pair.better) - len(pair.worse)


def misses_of(
    pairs: Iterable[Labelled], marks: Marks, found: Found, judgments: Iterable[Judgment]
) -> tuple[Miss, ...]:
    """The pairs that were judged but not rightly: wrong, split, tied; the most certain first."""
    certain: dict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        certain[judgment.prompt_id].append(abs(2 * judgment.verdict.first - 1))
    misses = [
        Miss(
            id=pair.id,
            set=pair.set,
            kind=pair.kind,
            mark=marks[pair.id],
            preference=found[pair.id].preference,
            certainty=fmean(certain[pair.id]),
            scores=found[pair.id].scores,
        )
        for pair in pairs
        if marks[pair.id] in _NOT_RIGHT
    ]
    return tuple(sorted(misses, key=_severity))


def _severity(miss: Miss) -> tuple[int, float, float]:
    lead = miss.scores.first - miss.scores.second if miss.scores else 0.0
    return _NOT_RIGHT.index(miss.mark), -miss.certainty, lead
