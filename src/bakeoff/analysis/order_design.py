"""Which verdicts decide: the orders of presentation in which each judge saw each prompt."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import NamedTuple, Self

import numpy as np
from scipy.special import ndtr

from bakeoff.analysis.aggregate import (
    JudgeTable,
    Panel,
    aggregate_by_judge,
    aggregate_by_prompt,
)
from bakeoff.analysis.judgment_table import POINTWISE, UNKNOWN, JudgmentTable, group_means
from bakeoff.records import CLUSTER_TAG, Completion, Prompt
from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.distributions import average_ranks, binomial_p
from bakeoff.stats.order_strata import (
    A_FIRST,
    B_FIRST,
    BOTH,
    order_predictability,
    sequence_deviation,
    welch_p,
)

_NUMBERS = re.compile(r"(\d+)")
_TEXT_START = 200  # characters

MIN_PER_ORDER = 15  # prompts of a judge in each single order, else these prompts do not decide
MIXED = 3  # code of the order of a row that no order describes
MAX_DEVIATION = 4.0  # of the order from a random one along the file, in standard deviations
MIN_P = 0.01  # of the test that nothing predicts the order of a judge's single-order prompts


@dataclass(frozen=True)
class PromptSequence:
    """What may predict the order of presentation of each prompt, by index into the prompt ids.

    It is computed on first access: few designs have enough prompts in a single order.
    """

    prompt_ids: Sequence[str]
    prompts: Mapping[str, Prompt]
    """Those of the file, by id."""
    completions: tuple[Mapping[str, Sequence[Completion]], Mapping[str, Sequence[Completion]]]
    """Of a and of b, by prompt id."""
    judged: Codes
    """The prompt of each judgment: only the lengths of their completions count."""

    @cached_property
    def place(self) -> Values:
        """Rank of the prompts in the file."""
        place = {prompt_id: position for position, prompt_id in enumerate(self.prompts)}
        return np.array([place.get(id_, len(place)) for id_ in self.prompt_ids], dtype=np.float64)

    @cached_property
    def positions(self) -> Values:
        """Ranks of shape (n, k): of the ids of the prompts, of their texts and, if the completions
        are known, of the difference of their lengths.

        Ids and texts are ordered by the numbers in them, so that `q2` is before `q10`: the lines of
        a file may have been shuffled.
        """
        texts = [prompt.messages[-1].content[:_TEXT_START] if prompt else "" for prompt in self]
        columns, lengths = [_ranks(self.prompt_ids), _ranks(texts)], self._lengths()
        if any(lengths):
            columns.append(average_ranks(np.array(lengths)))
        return np.column_stack(columns)

    @cached_property
    def tags(self) -> Mask:
        """Whether a prompt has a tag that another one has, too; of shape (n, tags)."""
        tags = [
            {tag for tag in prompt.tags if not tag.startswith(CLUSTER_TAG)} if prompt else set()
            for prompt in self
        ]
        counts = Counter(tag for of_prompt in tags for tag in of_prompt)
        common = sorted(tag for tag, count in counts.items() if count > 1)
        has_tag = [[tag in of_prompt for tag in common] for of_prompt in tags]
        return np.array(has_tag, dtype=np.bool_).reshape(len(tags), len(common))

    def __iter__(self) -> Iterator[Prompt | None]:
        return map(self.prompts.get, self.prompt_ids)

    def _lengths(self) -> list[float]:
        """The differences in length of the completions of a and b, 0 where unknown."""
        lengths = [0.0] * len(self.prompt_ids)
        for prompt in np.unique(self.judged).tolist():
            a, b = (of_model.get(self.prompt_ids[prompt]) for of_model in self.completions)
            if a and b:
                lengths[prompt] = fmean(len(c.text) for c in a) - fmean(len(c.text) for c in b)
        return lengths


def _ranks(names: Sequence[str]) -> Values:
    order = sorted(range(len(names)), key=lambda index: _natural_key(names[index]))
    ranks = np.empty(len(names))
    ranks[order] = np.arange(len(names))
    return ranks


def _natural_key(name: str) -> list[tuple[int, str]]:
    return [(len(part), part) if part.isdigit() else (0, part) for part in _NUMBERS.split(name)]


class SingleOrders(NamedTuple):
    """The prompts that a judge saw in one order only."""

    judge: str
    a_first: int
    b_first: int
    p: float
    """Of the test that nothing predicts the order; 1 if it was not needed."""


@dataclass(frozen=True)
class OrderDesign:
    """The orders in which each judge saw each prompt of a pair, and the rows that decide.

    Prompts that a judge saw in both orders, or that it scored without an order, decide. Prompts
    in a single order decide if the judge has enough of both orders and nothing predicts the order.
    Verdicts without a recorded order do not decide. If every verdict is a tie, the order has no
    effect and all rows decide.
    """

    table: JudgmentTable
    sequence: PromptSequence
    panel: Panel = "mean"
    sequential: bool = False
    """The order of each prompt was drawn at random during the run, as with early stopping."""
    assume_known: bool = False
    """Verdicts without a recorded order count as those in both orders."""

    def of_judges(self, judges: Codes) -> Self:
        """The design of the judgments of these judges alone."""
        design = replace(self, table=self.table.take(np.isin(self.table.judge, judges)))
        if self.known.all():  # so are those of each judge, whose rows are the same
            rows = self.by_judge
            vars(design)["by_judge"] = rows.take(np.isin(rows.judge, judges))
        return design

    @cached_property
    def all_ties(self) -> bool:
        """Whether every verdict is a tie."""
        return bool((self.table.preference == 0.5).all())

    @cached_property
    def known(self) -> Mask:
        """The judgments whose order is recorded, or that have none; all if no order is known."""
        known = np.asarray(self.table.presented != UNKNOWN)
        everything = self.all_ties or self.assume_known or not known.any()
        return np.ones_like(known) if everything else known

    @property
    def unknown_share(self) -> float:
        """Share of the judgments without a recorded order; 0 if every verdict is a tie."""
        unknown = np.asarray(self.table.presented == UNKNOWN)
        return float(unknown.mean()) if len(unknown) and not self.all_ties else 0.0

    @cached_property
    def _known_table(self) -> JudgmentTable:
        """The table of the `known` judgments."""
        return self.table if self.known.all() else self.table.take(self.known)

    @property
    def _majority(self) -> bool:
        return self.panel == "majority" and len(np.unique(self.table.judge)) > 1

    @cached_property
    def by_judge(self) -> JudgeTable:
        """A row per judge and prompt, from the judgments with a known order."""
        return aggregate_by_judge(self._known_table)

    @cached_property
    def rows(self) -> JudgeTable:
        """The rows that the win rate averages: `by_judge`, or a row per prompt for a majority."""
        if not self._majority:
            return self.by_judge
        prompts = aggregate_by_prompt(self.by_judge.rows, "majority")
        return JudgeTable(np.zeros(len(prompts), dtype=np.intp), prompts)

    @cached_property
    def order(self) -> Codes:
        """The order of each of `rows`: `BOTH`, `A_FIRST`, `B_FIRST`, `MIXED`.

        A row is `MIXED` if no order is recorded, or if the judges of a majority saw different ones.
        Scores that were given without an order count as both.
        """
        if not self._majority:
            return self._order_by_judge
        prompt = np.searchsorted(self.rows.rows.prompt, self.by_judge.rows.prompt)
        order = np.full(len(self.rows.judge), MIXED)
        judges = np.bincount(prompt)
        for code in (BOTH, A_FIRST, B_FIRST):
            order[
                np.bincount(prompt[self._order_by_judge == code], minlength=len(order)) == judges
            ] = code
        return order

    @cached_property
    def _order_by_judge(self) -> Codes:
        table = self._known_table
        row = self._row_of(table)
        free = (table.presented == POINTWISE) | self.all_ties
        if self.assume_known:
            free |= table.presented == UNKNOWN
        recorded = table.recorded & ~free
        seen = [
            np.bincount(row[mask], minlength=len(self.by_judge.judge)) > 0
            for mask in (free, recorded & table.a_first, recorded & ~table.a_first)
        ]
        both = seen[0] | (seen[1] & seen[2])
        return np.select((both, seen[1], seen[2]), (BOTH, A_FIRST, B_FIRST), MIXED)

    def _row_of(self, table: JudgmentTable) -> Codes:
        judges = max(1, len(self.table.judges))
        keys = self.by_judge.rows.prompt * judges + self.by_judge.judge
        return np.searchsorted(keys, table.prompt * judges + table.judge)

    @cached_property
    def single_orders(self) -> dict[int, SingleOrders]:
        """The single-order prompts by code of the judge; judges without any are missing."""
        names = ("the panel",) if self._majority else self.table.judges
        return {
            code: single
            for code, name in enumerate(names)
            if (single := self._single_orders(code, name)) is not None
        }

    @property
    def singles(self) -> list[SingleOrders]:
        """The single-order prompts that do not decide, of each judge that has any."""
        deciding = self.deciding()
        single = self.order != BOTH
        return [
            orders
            for code, orders in self.single_orders.items()
            if not (deciding & single & (self.rows.judge == code)).any()
        ]

    def _single_orders(self, code: int, name: str) -> SingleOrders | None:
        of_judge = self.rows.judge == code
        prompts_a, prompts_b = (
            self.rows.rows.prompt[of_judge & (self.order == order)] for order in (A_FIRST, B_FIRST)
        )
        if not len(prompts_a) + len(prompts_b):
            return None
        p = 1.0
        if min(len(prompts_a), len(prompts_b)) >= MIN_PER_ORDER:
            prompts = np.union1d(prompts_a, prompts_b)
            a_first, sequence = np.isin(prompts, prompts_a), self.sequence
            p = order_predictability(a_first, sequence.positions[prompts], sequence.tags[prompts])
            # The order of the lines of a file may be random, and tells only if it is evident.
            deviation = sequence_deviation(a_first, sequence.place[prompts])
            p = float(2 * ndtr(-deviation)) if deviation > MAX_DEVIATION else p
        return SingleOrders(name, len(prompts_a), len(prompts_b), p)

    @cached_property
    def unpredictable(self) -> Mask:
        """Whether nothing predicts the order of each of `rows`: always so in both orders."""
        predictable = [code for code, single in self.single_orders.items() if single.p <= MIN_P]
        single = np.isin(self.order, (A_FIRST, B_FIRST))
        unpredictable: Mask = single & ~np.isin(self.rows.judge, predictable)
        return np.asarray(unpredictable | (self.order == BOTH))

    def deciding(self, rows: Mask | None = None) -> Mask:
        """Which of `rows` decide, if only those in the mask are used; all are by default."""
        deciding = self.unpredictable & (rows if rows is not None else True)
        for code in self.single_orders:
            of_judge = deciding & (self.rows.judge == code)
            orders = [of_judge & (self.order == order) for order in (A_FIRST, B_FIRST)]
            if not self._are_enough(*(int(mask.sum()) for mask in orders)):
                deciding &= ~(orders[0] | orders[1])
        return np.asarray(deciding & ~np.isin(self.rows.judge, self.selected))

    def _are_enough(self, a_first: int, b_first: int) -> bool:
        """Whether these numbers of prompts in each single order decide.

        With early stopping the order was drawn at random for each prompt, so that few prompts are
        enough; numbers that a fair coin does not explain were not drawn so.
        """
        if self.sequential:
            return binomial_p(a_first, max(1, a_first + b_first)) > MIN_P
        return min(a_first, b_first) >= MIN_PER_ORDER

    @cached_property
    def selected(self) -> list[int]:
        """The judges whose prompts in both orders were selected by their verdicts.

        The preferences in one and the same order differ between the prompts judged in both orders
        and those in this order only: the second order was judged where the first had one outcome.
        """
        return [code for code in self.single_orders if self._selection_p(code) <= MIN_P]

    def _selection_p(self, code: int) -> float:
        """Twice the smaller p-value of Welch's test in either order; 1 with few prompts."""
        if self._majority:
            return 1.0
        table = self.table.take(self.known & (self.table.judge == code))
        of_judge = self.by_judge.judge == code
        both = self.by_judge.rows.prompt[of_judge & (self._order_by_judge == BOTH)]
        p_values = [1.0]
        for a_first in (True, False):
            shown = table.take(table.recorded & (table.a_first == a_first))
            prompts, values = group_means(shown.prompt, shown.preference)
            samples = [values[np.isin(prompts, both)], values[~np.isin(prompts, both)]]
            if min(map(len, samples)) >= MIN_PER_ORDER:
                p_values.append(welch_p(*samples))
        return min(1.0, 2 * min(p_values))

    @cached_property
    def identified(self) -> bool:
        """Whether any row decides."""
        return bool(self.deciding().any())

    @cached_property
    def deciding_judgments(self) -> JudgmentTable:
        """The judgments of the rows that decide; all judgments if none does."""
        if not self.identified:
            return self.table
        table, deciding = self._known_table, self.deciding()
        if self._majority:
            return table.take(np.isin(table.prompt, self.rows.rows.prompt[deciding]))
        return table.take(deciding[self._row_of(table)])
