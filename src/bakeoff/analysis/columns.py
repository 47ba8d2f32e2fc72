"""Judgments as columns: an array per field, so that a million of them are counted at once.

Knows what a judgment holds, and averages by group; what a group means, its caller knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from operator import attrgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bakeoff.records import Judgment, Scores

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

PRESENTED = ("recorded", "unknown", "apart")  # what the codes of `presented` stand for
RECORDED, UNKNOWN, APART = range(3)

_READ = attrgetter(
    *("prompt_id", "judge", "sample", "repeat", "presented", "first", "verdict.first"),
    *(
        "verdict.scores",
        "verdict.contradictory",
        "verdict.retry_reason",
        "verdict.shown_characters",
        "verdict.cost",
    ),
)
_BLOCK = 1000  # judgments


@dataclass(frozen=True)
class Columns:
    """A row per judgment, in the order of prompts, judges, samples and repeats.

    `prompt` is an index into the ids that the columns were made with, `judge` one into `judges`.
    `preference` is for a; `scores` has shape (n, 2), of a and b, NaN where there are none. `odd`
    says that the winner is not who has more points; `cost` is in US dollars, NaN where not known.
    """

    judges: tuple[str, ...]
    prompt: Codes
    judge: Codes
    sample: Codes
    repeat: Codes
    presented: Codes
    a_first: Mask
    preference: Values
    scores: Values
    odd: Mask
    mended: Mask
    shortened: Mask
    cost: Values

    def __len__(self) -> int:
        return len(self.prompt)

    def taken(self, rows: Codes | Mask) -> Self:
        """These rows only."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{k: v if k == "judges" else v[rows] for k, v in kept.items()})

    def of(self, judge: str) -> Self:
        """The rows of one judge."""
        return self.taken(self.judge == self.judges.index(judge))

    @property
    def recorded(self) -> Mask:
        """Whether it is known which of the two was shown first."""
        return np.equal(self.presented, RECORDED)

    @property
    def scored(self) -> Mask:
        """Whether the judge gave scores."""
        return ~np.isnan(self.scores[:, 0])


def columns_of(a: str, judgments: Sequence[Judgment], ids: Sequence[str]) -> Columns:
    """The columns of judgments that all compare a with one other model, on prompts of these ids."""
    prompt, judge, sample, repeat, presented, shown, for_first, pairs, odd, mended, kept, cost = (
        _fields(judgments)
    )
    judges = tuple(sorted(set(judge)))
    a_first = np.array([name == a for name in shown], dtype=np.bool_)
    first, scores = np.array(for_first, dtype=np.float64), _scores(pairs)
    found = Columns(
        judges=judges,
        prompt=_coded(prompt, ids),
        judge=_coded(judge, judges),
        sample=np.array(sample, dtype=np.intp),
        repeat=np.array(repeat, dtype=np.intp),
        presented=_coded(presented, PRESENTED),
        a_first=a_first,
        preference=np.where(a_first, first, 1 - first),
        scores=np.where(a_first[:, None], scores, scores[:, ::-1]),
        odd=np.array(odd, dtype=np.bool_) | _at_odds(first, scores),
        mended=np.array([trouble == "unreadable" for trouble in mended], dtype=np.bool_),
        shortened=np.array([length is not None for length in kept], dtype=np.bool_),
        cost=np.array(cost, dtype=np.float64),  # None becomes NaN
    )
    keys = joint(found.prompt, found.judge, dense(found.sample), dense(found.repeat))
    return found.taken(np.argsort(keys, kind="stable"))


def _fields(judgments: Sequence[Judgment]) -> list[list[Any]]:
    """What `_READ` reads of each judgment, a list per field. Record by record and in blocks, so
    that each record comes from memory once, and no more of them than the cache holds.
    """
    found: list[list[Any]] = [[] for _ in range(12)]
    for at in range(0, len(judgments), _BLOCK):
        rows = map(_READ, judgments[at : at + _BLOCK])
        for field, held in zip(found, zip(*rows, strict=True), strict=True):
            field.extend(held)
    return found


def dense(codes: Codes) -> Codes:
    """The same groups numbered from 0, in the order of their codes."""
    return np.unique(codes, return_inverse=True)[1]


def joint(*codes: Codes) -> Codes:
    """One code for several, each from 0, in the order of the first, then the second, and so on."""
    key = np.zeros_like(codes[0])
    for column in codes:
        key = key * (int(column.max(initial=0)) + 1) + column
    return key


def means_by(keys: Codes, values: Values) -> tuple[Codes, Values]:
    """The keys that occur, in order, and the mean of the values of each."""
    if (np.diff(keys) < 0).any():
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(starts, append=len(keys))
    return keys[starts], _sums(values, starts, counts) / counts


def _sums(values: Values, starts: Codes, counts: Codes) -> Values:
    """Sums of runs of values. What each addition loses is added at the end (Knuth's two-sum), so
    that a mean does not depend on the order in which judgments came.
    """
    sums, lost = values[starts], np.zeros(len(starts))
    groups = np.arange(len(starts))
    for place in range(1, int(counts.max(initial=0))):
        groups = groups[counts[groups] > place]
        more, before = values[starts[groups] + place], sums[groups]
        after = before + more
        virtual = after - before
        lost[groups] += (before - (after - virtual)) + (more - virtual)
        sums[groups] = after
    total: Values = sums + lost
    return total


def _coded(names: Sequence[str], known: Sequence[str]) -> Codes:
    index = {name: code for code, name in enumerate(known)}
    return np.fromiter(map(index.__getitem__, names), dtype=np.intp, count=len(names))


def _scores(given: Sequence[Scores | None]) -> Values:
    """The scores of first and second, NaN where there are none."""
    found = np.full((len(given), 2), np.nan)
    there = np.array([scores is not None for scores in given], dtype=np.bool_)
    flat = chain.from_iterable(scores for scores in given if scores is not None)
    found[there] = np.fromiter(flat, dtype=np.float64).reshape(-1, 2)
    return found


def _at_odds(first: Values, scores: Values) -> Mask:
    """`Verdict.at_odds` of each; NaN is neither more nor less than anything."""
    more, less = scores[:, 0] > scores[:, 1], scores[:, 0] < scores[:, 1]
    odd: Mask = (more | less) & ((first == 0.5) | ((first > 0.5) != more))
    return odd
