"""Biases of judges in one pair of models: order, length, markdown and leaked thinking."""

import re
from collections.abc import Sequence

import numpy as np

from bakeoff.analysis.aggregate import PromptTable, rounded_preferences
from bakeoff.analysis.judgment_table import POINTWISE, JudgmentTable
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Completion
from bakeoff.stats.arrays import Values
from bakeoff.stats.bias import feature_bias, leak_effect, order_effect
from bakeoff.stats.controls import controlled_rate
from bakeoff.stats.results import ControlledRate, FeatureBias, LeakEffect, OrderEffect

THINKING = re.compile(r"</?(?:think|thinking|reasoning)>", re.IGNORECASE)


def order_bias(table: JudgmentTable) -> OrderEffect:
    """The effect of the order of presentation, where the design identifies it."""
    recorded = table.recorded
    if 2 * recorded.sum() < len(table) or not recorded.any():
        pointwise = len(table) > 0 and bool((table.presented == POINTWISE).all())
        return OrderEffect("order-free" if pointwise else "not recorded")
    if not recorded.all():
        table = table.take(recorded)
    return order_effect(np.round(table.preference, 9), table.prompt, table.a_first)


def length_bias(data: PairData) -> FeatureBias | None:
    """The association of a win with the longer completion; None without completions."""
    texts = data.text_differences
    if not len(texts.rows):
        return None
    return feature_bias(data.preferences[texts.rows], texts.characters)


def longer_wins(table: PromptTable, differences: Values) -> FeatureBias | None:
    """`length_bias` for a table of the same prompts; None without completions.

    `differences` are those of the lengths, by index into the prompt ids; NaN where unknown.
    """
    row_differences = differences[table.prompt]
    known = ~np.isnan(row_differences)
    if not known.any():
        return None
    return feature_bias(rounded_preferences(table)[known], row_differences[known])


def markdown_bias(data: PairData) -> FeatureBias | None:
    """Association of a win with more headings, list items and bold spans outside code blocks.

    The three are counted together. None if the counts never differ, or without completions.
    """
    markdown = data.text_differences.markdown
    if not markdown.any():
        return None
    return feature_bias(data.preferences[data.text_differences.rows], markdown)


def length_and_style_controls(data: PairData) -> ControlledRate | None:
    """The win rate at equal length and style; None without completions."""
    texts = data.text_differences
    if not len(texts.rows):
        return None
    clusters = data.clusters[texts.rows] if data.clusters is not None else None
    return controlled_rate(data.preferences[texts.rows], texts.covariates, clusters)


def thinking_leaks(data: PairData) -> LeakEffect | None:
    """The effect of thinking tags in the completions that judges see; None without such tags."""
    rows = [(row, _leaks(a), _leaks(b)) for row, a, b in data.paired_completions()]
    if not any(a or b for _, a, b in rows):
        return None
    indices, a_leaks, b_leaks = (np.array(column) for column in zip(*rows, strict=True))
    return leak_effect(data.preferences[indices], a_leaks, b_leaks)


def _leaks(completions: Sequence[Completion]) -> bool:
    return any("<" in c.text and THINKING.search(c.text) for c in completions)
