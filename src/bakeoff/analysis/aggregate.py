"""Everything that was said of one prompt, folded into one comparison of two models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.columns import Codes, Columns, Mask, Values, columns_of, dense, means_by
from bakeoff.records import Comparison, Judgment, Scores, Winner

Sides = NDArray[np.int_]  # who wins: 1 is a, 0 a tie, -1 is b
Answers = NDArray[np.int_]  # 1 is yes, 0 no, -1 cannot be told
Panel = Literal["mean", "majority"]

STANDS_FOR: dict[Winner, float] = {"a": 1.0, "tie": 0.5, "b": 0.0}
WINNERS: dict[int, Winner] = {1: "a", 0: "tie", -1: "b"}

YES, _NO, _UNTOLD = 1, 0, -1
_EVEN = 1e-9  # a mean of p and 1 - p need not be 0.5 to the last bit


@dataclass(frozen=True)
class Folded:
    """What is thought of prompts, a row each: the fields of a `Comparison`.

    `prompt` is an index into the ids of the prompts; `scores` has shape (n, 2), of a and b, NaN
    where there are none.
    """

    prompt: Codes
    preference: Values
    side: Sides
    flipped: Mask
    consistent: Answers
    scores: Values

    def __len__(self) -> int:
        return len(self.prompt)

    def taken(self, rows: Codes | Mask) -> "Folded":
        """These rows only."""
        return Folded(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def scored(self) -> Mask:
        """Whether there are scores."""
        return ~np.isnan(self.scores[:, 0])

    @property
    def told(self) -> Answers:
        """`consistent` where it can be told."""
        told: Answers = self.consistent[self.consistent != _UNTOLD]
        return told

    def comparisons(self, a: str, b: str, ids: Sequence[str]) -> list[Comparison]:
        """The rows as records, with the ids of the prompts."""
        answers = {YES: True, _NO: False, _UNTOLD: None}
        return [
            Comparison(
                prompt_id=ids[prompt],
                a=a,
                b=b,
                preference=preference,
                winner=WINNERS[side],
                flipped=flipped,
                consistent=answers[consistent],
                scores=Scores(*pair) if there else None,
            )
            for prompt, preference, side, flipped, consistent, pair, there in zip(
                self.prompt.tolist(),
                self.preference.tolist(),
                self.side.tolist(),
                self.flipped.tolist(),
                self.consistent.tolist(),
                self.scores.tolist(),
                self.scored.tolist(),
                strict=True,
            )
        ]


@dataclass(frozen=True)
class Opinions:
    """What each judge thinks of each prompt: the code of the judge of each row."""

    judge: Codes
    each: Folded

    def of(self, judge: int) -> Folded:
        """What one judge thinks, a row per prompt."""
        return self.each.taken(self.judge == judge)

    def without(self, judge: int) -> Folded:
        """What all the others think, a row for each of them."""
        return self.each.taken(self.judge != judge)


def compare(
    a: str, b: str, judgments: Iterable[Judgment], panel: Panel = "mean"
) -> list[Comparison]:
    """One comparison per prompt that was judged, as a against b, in the order of the judgments.

    Of several judges the preference is the mean, or that of the winner that most of them name.
    """
    ours = [judgment for judgment in judgments if {judgment.first, judgment.second} == {a, b}]
    ids = list(dict.fromkeys(judgment.prompt_id for judgment in ours))
    return folded(opinions(columns_of(a, ours, ids)).each, panel).comparisons(a, b, ids)


def winner_of(preference: float) -> Winner:
    """Who is preferred."""
    if abs(preference - 0.5) < _EVEN:
        return "tie"
    return "a" if preference > 0.5 else "b"


def sides_of(preferences: Values) -> Sides:
    """`winner_of` of each."""
    decided = np.abs(preferences - 0.5) >= _EVEN
    return np.where(decided, np.where(preferences > 0.5, 1, -1), 0)


def stands_for(sides: Sides) -> Values:
    """`STANDS_FOR` of each."""
    return (sides + 1) / 2


def preference_of(a: str, judgment: Judgment) -> float:
    """The probability that a is better, by this judgment."""
    first = judgment.verdict.first
    return first if judgment.first == a else 1 - first


def opinions(columns: Columns) -> Opinions:
    """What each judge thinks of each prompt.

    The repeats of each order of each two completions are averaged, then the orders, then the
    completions. A winner needs orders that do not contradict it.
    """
    sample = dense(columns.sample)
    samples, judges = int(sample.max(initial=0)) + 1, max(1, len(columns.judges))
    # Where no order is known, there is one: that of averaging.
    order = np.where(columns.recorded, columns.a_first, 2)
    voice = columns.prompt * judges + columns.judge
    cells, means = means_by((voice * samples + sample) * 3 + order, columns.preference)
    halves, of_samples = means_by(cells // 3, means)
    voices, preference = means_by(halves // samples, of_samples)
    orders, of_orders = means_by(cells // (3 * samples) * 3 + cells % 3, means)
    row = np.searchsorted(voices, orders // 3)
    for_a, tied, for_b = _counted(row, sides_of(of_orders), len(voices))
    flipped = (for_a > 0) & (for_b > 0)
    alike = (for_a > 0).astype(np.int8) + (for_b > 0) + (tied > 0) == 1
    each = Folded(
        prompt=voices // judges,
        preference=preference,
        side=np.where(flipped, 0, sides_of(preference)),
        flipped=flipped,
        consistent=np.where(for_a + tied + for_b > 1, alike, _UNTOLD),
        scores=_mean_scores(voices, voice, columns.scores),
    )
    return Opinions(voices % judges, each)


def folded(given: Folded, panel: Panel) -> Folded:
    """One row per prompt, of the opinions of several judges; each of them has one voice."""
    prompts, preference = means_by(given.prompt, given.preference)
    row, count = np.searchsorted(prompts, given.prompt), len(prompts)
    for_a, tied, for_b = _counted(row, given.side, count)
    voices = for_a + tied + for_b
    # What most of them say; without a majority a tie if they contradict each other.
    side = np.select(
        (2 * for_a > voices, 2 * for_b > voices, (2 * tied > voices) | (for_a > 0) & (for_b > 0)),
        (1, -1, 0),
        sides_of(preference),
    )
    if panel == "majority":
        preference = np.where(voices > 1, stands_for(side), preference)
    yes, no = (np.bincount(row[given.consistent == one], minlength=count) for one in (YES, _NO))
    return Folded(
        prompt=prompts,
        preference=preference,
        side=side,
        flipped=2 * np.bincount(row[given.flipped], minlength=count) > voices,
        consistent=np.where(yes + no > 0, yes > no, _UNTOLD),
        scores=_mean_scores(prompts, given.prompt, given.scores),
    )


def _counted(row: Codes, sides: Sides, count: int) -> list[Codes]:
    """How often each row has a, a tie and b as its winner."""
    return [np.bincount(row[sides == side], minlength=count) for side in (1, 0, -1)]


def _mean_scores(keys: Codes, of_rows: Codes, scores: Values) -> Values:
    """The mean scores of each key; NaN where none of its rows has any."""
    found, there = np.full((len(keys), 2), np.nan), ~np.isnan(scores[:, 0])
    for side in (0, 1):
        held, means = means_by(of_rows[there], scores[there, side])
        found[np.searchsorted(keys, held), side] = means
    return found
