"""Aggregation of judgments by judge and prompt, and over judges to one comparison per prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.judgment_table import JudgmentTable, dense_codes, group_means, judgment_table
from bakeoff.records import Comparison, Judgment, Scores, Winner, intern_fields_set
from bakeoff.stats.arrays import Codes, Mask, Values

Sides = NDArray[np.int_]  # winners: 1 is a, 0 a tie, -1 is b
Answers = NDArray[np.int_]  # 1 is yes, 0 no, -1 unknown
Panel = Literal["mean", "majority"]

WINNER_VALUES: dict[Winner, float] = {"a": 1.0, "tie": 0.5, "b": 0.0}
WINNERS: dict[int, Winner] = {1: "a", 0: "tie", -1: "b"}

YES, _NO, _UNKNOWN = 1, 0, -1
_TIE_TOLERANCE = 1e-9  # the mean of p and 1 - p may differ from 0.5 in the last bit


@dataclass(frozen=True)
class PromptTable:
    """A row per prompt, or per judge and prompt, with the fields of a `Comparison`."""

    prompt: Codes
    """Index into the prompt ids."""
    preference: Values
    """Probability that a is better."""
    side: Sides
    """Winner."""
    flipped: Mask
    """Whether the orders name opposite winners."""
    consistent: Answers
    """Whether all orders name the same winner."""
    scores: Values
    """Scores of a and b, 0 to 10, of shape (n, 2); NaN where missing."""

    def __len__(self) -> int:
        return len(self.prompt)

    def take(self, rows: Codes | Mask) -> "PromptTable":
        """The table of these rows."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows  # once for all columns
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return PromptTable(**columns)

    @property
    def scored(self) -> Mask:
        """Whether each row has scores."""
        return ~np.isnan(self.scores[:, 0])

    @property
    def known_consistency(self) -> Answers:
        """`consistent` of the rows that were judged in both orders."""
        known: Answers = self.consistent[self.consistent != _UNKNOWN]
        return known

    def comparisons(self, a: str, b: str, prompt_ids: Sequence[str]) -> list[Comparison]:
        """The rows as records."""
        answers = {YES: True, _NO: False, _UNKNOWN: None}
        return [
            intern_fields_set(
                Comparison(
                    prompt_id=prompt_ids[prompt],
                    a=a,
                    b=b,
                    preference=preference,
                    winner=WINNERS[side],
                    flipped=flipped,
                    consistent=answers[consistent],
                    scores=Scores(*scores) if scored else None,
                )
            )
            for prompt, preference, side, flipped, consistent, scores, scored in zip(
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
class JudgeTable:
    """A row per judge and prompt."""

    judge: Codes
    """Code of the judge of each row."""
    rows: PromptTable

    def take(self, rows: Codes | Mask) -> "JudgeTable":
        """The table of these rows."""
        return JudgeTable(self.judge[rows], self.rows.take(rows))

    def for_judge(self, judge: int) -> PromptTable:
        """The rows of one judge, one per prompt."""
        return self.rows.take(self.judge == judge)

    def without_judge(self, judge: int) -> PromptTable:
        """The rows of all other judges, one per judge and prompt."""
        return self.rows.take(self.judge != judge)


def compare(
    a: str, b: str, judgments: Iterable[Judgment], panel: Panel = "mean"
) -> list[Comparison]:
    """One comparison of a with b per judged prompt, in the order of the judgments.

    The preference of several judges is their mean or, with panel "majority", that of the winner
    that most of them name. Judgments of other pairs of models are ignored.
    """
    pair_judgments = [j for j in judgments if {j.first, j.second} == {a, b}]
    prompt_ids = list(dict.fromkeys(judgment.prompt_id for judgment in pair_judgments))
    by_judge = aggregate_by_judge(judgment_table(a, pair_judgments, prompt_ids))
    return aggregate_by_prompt(by_judge.rows, panel).comparisons(a, b, prompt_ids)


def winner_of(preference: float) -> Winner:
    """The winner at this preference for a: the more probable one, or a tie at 0.5."""
    if abs(preference - 0.5) < _TIE_TOLERANCE:
        return "tie"
    return "a" if preference > 0.5 else "b"


def sides_of(preferences: Values) -> Sides:
    """`winner_of` for arrays: 1 for a, 0 for a tie, -1 for b."""
    decisive = np.abs(preferences - 0.5) >= _TIE_TOLERANCE
    return np.where(decisive, np.where(preferences > 0.5, 1, -1), 0)


def side_values(sides: Sides) -> Values:
    """`WINNER_VALUES` for arrays of sides."""
    return (sides + 1) / 2


def rounded_preferences(table: PromptTable) -> Values:
    """The preferences for a, rounded to 9 digits.

    Without rounding, p and 1 - (1 - p) may differ in the last bit, so that equal ranks would not be
    tied.
    """
    return np.asarray(np.round(table.preference, 9))


def preference_of(a: str, judgment: Judgment) -> float:
    """The probability that a is better, by this judgment."""
    first = judgment.verdict.first
    return first if judgment.first == a else 1 - first


def aggregate_by_judge(table: JudgmentTable) -> JudgeTable:
    """A row per judge and prompt.

    Repeats of the same order and completions are averaged, then completions, then orders, so that
    both orders have equal weights. If the orders name opposite winners, `flipped` is set and the
    side is a tie.
    """
    sample = dense_codes(table.sample)
    samples, judges = int(sample.max(initial=0)) + 1, max(1, len(table.judges))
    # Judgments without a recorded order are averaged as if they were of one order.
    order = np.where(table.recorded, table.a_first, 2)
    group = table.prompt * judges + table.judge
    cells, means = group_means((group * samples + sample) * 3 + order, table.preference)
    orders, order_means = group_means(cells // (3 * samples) * 3 + cells % 3, means)
    groups, preference = group_means(orders // 3, order_means)
    row = np.searchsorted(groups, orders // 3)
    for_a, tied, for_b = _side_counts(row, sides_of(order_means), len(groups))
    flipped = (for_a > 0) & (for_b > 0)
    consistent = (for_a > 0).astype(np.int8) + (for_b > 0) + (tied > 0) == 1
    rows = PromptTable(
        prompt=groups // judges,
        preference=preference,
        side=np.where(flipped, 0, sides_of(preference)),
        flipped=flipped,
        consistent=np.where(for_a + tied + for_b > 1, consistent, _UNKNOWN),
        scores=_mean_scores(groups, group, table.scores),
    )
    return JudgeTable(groups % judges, rows)


def aggregate_by_prompt(rows: PromptTable, panel: Panel) -> PromptTable:
    """A row per prompt, from rows per judge and prompt; each judge has one vote.

    The side is that of the majority. Without a majority it is a tie if judges name opposite
    winners, else that of the mean preference.
    """
    prompts, preference = group_means(rows.prompt, rows.preference)
    row, count = np.searchsorted(prompts, rows.prompt), len(prompts)
    for_a, tied, for_b = _side_counts(row, rows.side, count)
    votes = for_a + tied + for_b
    side = np.select(
        (2 * for_a > votes, 2 * for_b > votes, (2 * tied > votes) | (for_a > 0) & (for_b > 0)),
        (1, -1, 0),
        sides_of(preference),
    )
    if panel == "majority":
        preference = np.where(votes > 1, side_values(side), preference)
    yes, no = (
        np.bincount(row[rows.consistent == answer], minlength=count) for answer in (YES, _NO)
    )
    return PromptTable(
        prompt=prompts,
        preference=preference,
        side=side,
        flipped=2 * np.bincount(row[rows.flipped], minlength=count) > votes,
        consistent=np.where(yes + no > 0, yes > no, _UNKNOWN),
        scores=_mean_scores(prompts, rows.prompt, rows.scores),
    )


def _side_counts(row: Codes, sides: Sides, count: int) -> list[Codes]:
    """The number of wins of a, of ties and of wins of b in each row."""
    return [np.bincount(row[sides == side], minlength=count) for side in (1, 0, -1)]


def _mean_scores(keys: Codes, row_keys: Codes, scores: Values) -> Values:
    """The mean scores of each key; NaN where none of its rows has scores."""
    means, scored = np.full((len(keys), 2), np.nan), ~np.isnan(scores[:, 0])
    for side in (0, 1):
        present, side_means = group_means(row_keys[scored], scores[scored, side])
        means[np.searchsorted(keys, present), side] = side_means
    return means
