"""Judgments as arrays, a column per field, so that a million of them are aggregated at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from operator import attrgetter
from typing import Any, Self

import numpy as np

from bakeoff.records import Judgment, Scores
from bakeoff.stats.arrays import Codes, Mask, Values

PRESENTED = ("recorded", "unknown", "pointwise")  # names of the codes in `JudgmentTable.presented`
RECORDED, UNKNOWN, POINTWISE = range(3)

_get_fields = attrgetter(
    *("prompt_id", "judge", "sample", "repeat", "presented", "first", "verdict.first"),
    *(
        "verdict.scores",
        "verdict.contradictory",
        "verdict.retry_reason",
        "verdict.shown_characters",
        "verdict.cost",
    ),
)
_BLOCK_SIZE = 1000  # judgments


@dataclass(frozen=True)
class JudgmentTable:
    """A row per judgment of models a and b, ordered by prompt, judge, sample and repeat."""

    judges: tuple[str, ...]
    """Names of the judges, sorted."""
    prompt: Codes
    """Index into the prompt ids that the table was built with."""
    judge: Codes
    """Index into `judges`."""
    sample: Codes
    repeat: Codes
    presented: Codes
    """Index into `PRESENTED`."""
    a_first: Mask
    preference: Values
    """Probability that a is better."""
    scores: Values
    """Scores of a and b, 0 to 10, of shape (n, 2); NaN where missing."""
    contradictory: Mask
    """`Verdict.contradicts_scores`."""
    retried: Mask
    """Whether the first reply could not be parsed."""
    shortened: Mask
    """Whether completions were shortened to fit the judge's context."""
    cost: Values
    """US dollars; NaN where unknown."""

    def __len__(self) -> int:
        return len(self.prompt)

    def take(self, rows: Codes | Mask) -> Self:
        """The table of these rows."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows  # once for all columns
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{k: v if k == "judges" else v[rows] for k, v in columns.items()})

    def with_ties(self, rows: Mask) -> Self:
        """The table with a tie in each of these rows."""
        return self.with_preferences(rows, 0.5)

    def with_preferences(self, rows: Mask, preference: float) -> Self:
        """The table with this preference for a in each of these rows."""
        return replace(self, preference=np.where(rows, preference, self.preference))

    def for_judge(self, judge: str) -> Self:
        """The rows of one judge."""
        return self.take(self.judge == self.judges.index(judge))

    def of_prompts(self, prompts: Codes) -> Self:
        """The rows of these prompts, sorted; prompts and judges are numbered from 0."""
        table = self.take(np.isin(self.prompt, prompts))
        judges, judge = np.unique(table.judge, return_inverse=True)
        return replace(
            table,
            judges=tuple(self.judges[code] for code in judges.tolist()),
            prompt=np.searchsorted(prompts, table.prompt),
            judge=judge,
        )

    @property
    def recorded(self) -> Mask:
        """Whether it is known which completion was shown first."""
        return np.equal(self.presented, RECORDED)

    @property
    def scored(self) -> Mask:
        """Whether the judge gave scores."""
        return ~np.isnan(self.scores[:, 0])


def judgment_table(
    a: str, judgments: Sequence[Judgment], prompt_ids: Sequence[str]
) -> JudgmentTable:
    """The table of judgments, which all compare model a with the same other model.

    Raises KeyError for a judgment of a prompt that is not in `prompt_ids`.
    """
    (
        prompt,
        judge,
        sample,
        repeat,
        presented,
        first,
        first_preference,
        score_pairs,
        contradictory,
        retry_reason,
        shown_characters,
        cost,
    ) = _columns(judgments)
    judges = tuple(sorted(set(judge)))
    a_first = np.array([name == a for name in first], dtype=np.bool_)
    preference = np.array(first_preference, dtype=np.float64)
    scores = _score_columns(score_pairs)
    table = JudgmentTable(
        judges=judges,
        prompt=_encode(prompt, prompt_ids),
        judge=_encode(judge, judges),
        sample=np.array(sample, dtype=np.intp),
        repeat=np.array(repeat, dtype=np.intp),
        presented=_encode(presented, PRESENTED),
        a_first=a_first,
        preference=np.where(a_first, preference, 1 - preference),
        scores=np.where(a_first[:, None], scores, scores[:, ::-1]),
        contradictory=np.array(contradictory, dtype=np.bool_)
        | _winner_has_lower_score(preference, scores),
        retried=np.array([reason == "unreadable" for reason in retry_reason], dtype=np.bool_),
        shortened=np.array([length is not None for length in shown_characters], dtype=np.bool_),
        cost=np.array(cost, dtype=np.float64),  # None becomes NaN
    )
    keys = joint_codes(
        table.prompt, table.judge, dense_codes(table.sample), dense_codes(table.repeat)
    )
    return table.take(np.argsort(keys, kind="stable"))


def _columns(judgments: Sequence[Judgment]) -> list[list[Any]]:
    """The fields of `_get_fields`, a list per field.

    Records are read in blocks, so that a block stays in the CPU cache.
    """
    columns: list[list[Any]] = [[] for _ in range(12)]
    for start in range(0, len(judgments), _BLOCK_SIZE):
        rows = map(_get_fields, judgments[start : start + _BLOCK_SIZE])
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    return columns


def dense_codes(codes: Codes) -> Codes:
    """The codes renumbered from 0 without gaps; their order stays the same."""
    return np.unique(codes, return_inverse=True)[1]


def joint_codes(*codes: Codes) -> Codes:
    """A code for each row's combination of codes, in lexicographic order; codes start at 0."""
    key = np.zeros_like(codes[0])
    for column in codes:
        key = key * (int(column.max(initial=0)) + 1) + column
    return key


def group_means(keys: Codes, values: Values) -> tuple[Codes, Values]:
    """The distinct keys, sorted, and the mean of the values of each."""
    if (np.diff(keys) < 0).any():
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(starts, append=len(keys))
    return keys[starts], _run_sums(values, starts, counts) / counts


def _run_sums(values: Values, starts: Codes, counts: Codes) -> Values:
    """Sums of runs of values with compensated summation (Knuth's two-sum).

    The rounding error of each addition is added at the end, so that a mean does not depend on the
    order of judgments.
    """
    sums, errors = values[starts], np.zeros(len(starts))
    runs = np.arange(len(starts))
    for offset in range(1, int(counts.max(initial=0))):
        runs = runs[counts[runs] > offset]
        addend, before = values[starts[runs] + offset], sums[runs]
        after = before + addend
        virtual = after - before
        errors[runs] += (before - (after - virtual)) + (addend - virtual)
        sums[runs] = after
    total: Values = sums + errors
    return total


def _encode(names: Sequence[str], categories: Sequence[str]) -> Codes:
    index = {name: code for code, name in enumerate(categories)}
    return np.fromiter(map(index.__getitem__, names), dtype=np.intp, count=len(names))


def _score_columns(pairs: Sequence[Scores | None]) -> Values:
    """The scores of first and second, of shape (n, 2), NaN where missing."""
    columns = np.full((len(pairs), 2), np.nan)
    present = np.array([scores is not None for scores in pairs], dtype=np.bool_)
    flat = chain.from_iterable(scores for scores in pairs if scores is not None)
    columns[present] = np.fromiter(flat, dtype=np.float64).reshape(-1, 2)
    return columns


def _winner_has_lower_score(first: Values, scores: Values) -> Mask:
    """`Verdict.winner_has_lower_score` for arrays; comparisons with NaN are False."""
    more, less = scores[:, 0] > scores[:, 1], scores[:, 0] < scores[:, 1]
    lower: Mask = (more | less) & ((first == 0.5) | ((first > 0.5) != more))
    return lower
