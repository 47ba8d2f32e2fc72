"""The win rate that decides a verdict: of a pair, of a slice or of some of its judges."""

from typing import NamedTuple

import numpy as np

from bakeoff.analysis.aggregate import (
    Panel,
    PromptTable,
    Sides,
    aggregate_by_judge,
    aggregate_by_prompt,
    rounded_preferences,
    side_values,
)
from bakeoff.analysis.order_design import OrderDesign
from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.intervals import cluster_means
from bakeoff.stats.order_strata import (
    BOTH,
    OrderRows,
    balanced_rate,
    balanced_weights,
)
from bakeoff.stats.results import Estimate, SignificanceResult, TestedRate
from bakeoff.stats.sequential import anytime_test, mean_confidence_sequence
from bakeoff.stats.tests import tested_win_rate


class InferenceSettings(NamedTuple):
    """How rows are averaged and tested."""

    clusters: Codes
    """Code of the cluster of each prompt, by index into the prompt ids."""
    panel: Panel
    alpha: float
    sequential: bool


class WeightedRows(NamedTuple):
    """The preferences for a that a win rate averages, a row per prompt, or per judge and prompt."""

    prompt: Codes
    preference: Values
    side: Sides
    weight: Values
    """Weights with sum 1."""

    @property
    def winner_share(self) -> float:
        """The weighted mean of the winners, 1 for a, 0 for b and 0.5 for a tie."""
        return float(self.weight @ side_values(self.side))


class DecidingRate(NamedTuple):
    """A win rate with its test, over the rows that decide."""

    rate: Estimate
    test: SignificanceResult
    rows: WeightedRows
    identified: bool
    """Whether the order of presentation allows a conclusion; otherwise all rows are averaged."""

    @property
    def prompts(self) -> int:
        """The number of prompts that decide."""
        return len(np.unique(self.rows.prompt))


def deciding_rate(
    design: OrderDesign, settings: InferenceSettings, prompts: Codes | None = None
) -> DecidingRate:
    """The win rate over these prompts, indices into the prompt ids; over all by default.

    Without early stopping, the prompts of a judge in a single order are balanced. If no row
    decides, all judgments are averaged. Raises ValueError without a judgment.
    """
    rows = design.rows
    deciding = design.deciding(None if prompts is None else np.isin(rows.rows.prompt, prompts))
    if not deciding.any():
        table = design.table
        if prompts is not None:
            table = table.take(np.isin(table.prompt, prompts))
        everything = aggregate_by_prompt(aggregate_by_judge(table).rows, settings.panel)
        return _of_prompts(everything, settings, identified=False)
    if (design.order[deciding] != BOTH).any() and not settings.sequential:
        return _balanced(design, settings, deciding)
    decided = aggregate_by_prompt(rows.rows.take(deciding), settings.panel)
    return _of_prompts(decided, settings, identified=True)


def _of_prompts(
    table: PromptTable, settings: InferenceSettings, *, identified: bool
) -> DecidingRate:
    """The rate of prompts with equal weights."""
    values = rounded_preferences(table)
    clusters = settings.clusters[table.prompt]
    repeated = len(np.unique(clusters)) < len(clusters)
    if settings.sequential:
        units = cluster_means(values, clusters) if repeated else values
        tested = TestedRate(mean_confidence_sequence(units, settings.alpha), anytime_test(units))
    else:
        tested = tested_win_rate(values, clusters if repeated else None, 1 - settings.alpha)
    weights = np.full(len(table), 1 / len(table))
    rows = WeightedRows(table.prompt, values, table.side, weights)
    return DecidingRate(tested.rate, tested.test, rows, identified)


def _balanced(design: OrderDesign, settings: InferenceSettings, deciding: Mask) -> DecidingRate:
    table, judge = design.rows.rows.take(deciding), design.rows.judge[deciding]
    order = design.order[deciding]
    row = np.unique(table.prompt, return_inverse=True)[1]
    weights, values = 1 / np.bincount(row)[row], rounded_preferences(table)
    tested = balanced_rate(
        OrderRows(values, settings.clusters[table.prompt], judge, order, weights),
        1 - settings.alpha,
    )
    weights = balanced_weights(judge, order, weights)
    rows = WeightedRows(table.prompt, values, table.side, weights)
    return DecidingRate(tested.rate, tested.test, rows, identified=True)
