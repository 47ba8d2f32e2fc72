"""Biases of judges in one pair of models: order, length, markdown and leaked thinking."""

import math
import re
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from bakeoff.analysis.aggregate import PromptTable, rounded_preferences
from bakeoff.analysis.judgment_table import POINTWISE, JudgmentTable
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Completion
from bakeoff.stats.arrays import Mask, Values
from bakeoff.stats.bias import feature_bias, leak_effect, length_effect, order_effect
from bakeoff.stats.results import FeatureBias, LeakEffect, LengthEffect, OrderEffect

THINKING = re.compile(r"</?(?:think|thinking|reasoning)>", re.IGNORECASE)

_CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADING_OR_LIST = re.compile(r"#{1,6} | *(?:[-*+]|\d+\.) ")
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")


def order_bias(table: JudgmentTable) -> OrderEffect:
    """The effect of the order of presentation, where the design identifies it."""
    recorded = table.recorded
    if 2 * recorded.sum() < len(table) or not recorded.any():
        pointwise = len(table) > 0 and bool((table.presented == POINTWISE).all())
        return OrderEffect("order-free" if pointwise else "not recorded")
    if not recorded.all():
        table = table.take(recorded)
    return order_effect(np.round(table.preference, 9), table.prompt, table.a_first)


def length_bias(data: PairData, lengths: Values) -> LengthEffect | None:
    """The effect of length in characters; None without completions.

    `lengths` are the result of `length_differences`.
    """
    differences, known = _known_differences(data.prompt_table, lengths)
    if not known.any():
        return None
    clusters = data.clusters[known] if data.clusters is not None else None
    return length_effect(data.preferences[known], differences, clusters)


def longer_wins(table: PromptTable, lengths: Values) -> FeatureBias | None:
    """The share of prompts that the longer completion wins; None without completions.

    `lengths` are the result of `length_differences`. No length-controlled win rate is fitted.
    """
    differences, known = _known_differences(table, lengths)
    return feature_bias(rounded_preferences(table)[known], differences) if known.any() else None


def length_differences(data: PairData) -> Values:
    """Length of a minus that of b in characters, by index into `prompt_ids`.

    NaN for prompts without completions of both.
    """
    return _differences(data, lambda completion: len(completion.text))


def markdown_bias(data: PairData) -> FeatureBias | None:
    """Association of a win with more headings, list items and bold spans outside code blocks.

    The three are counted together. None if the counts never differ, or without completions.
    """
    counts = _differences(data, lambda completion: _markdown_count(completion.text))
    differences, known = _known_differences(data.prompt_table, counts)
    return feature_bias(data.preferences[known], differences) if differences.any() else None


def thinking_leaks(data: PairData) -> LeakEffect | None:
    """The effect of thinking tags in the completions that judges see; None without such tags."""
    rows = [(row, _leaks(a), _leaks(b)) for row, a, b in data.paired_completions()]
    if not any(a or b for _, a, b in rows):
        return None
    indices, a_leaks, b_leaks = (np.array(column) for column in zip(*rows, strict=True))
    return leak_effect(data.preferences[indices], a_leaks, b_leaks)


def _leaks(completions: Sequence[Completion]) -> bool:
    return any("<" in c.text and THINKING.search(c.text) for c in completions)


def _differences(data: PairData, measure: Callable[[Completion], float]) -> Values:
    """The mean measure of a minus that of b, by index into `prompt_ids`; NaN if one is missing."""
    differences = [math.nan] * len(data.prompt_ids)
    prompts = data.prompt_table.prompt.tolist()
    for row, a, b in data.paired_completions():
        differences[prompts[row]] = _mean(measure, a) - _mean(measure, b)
    return np.array(differences, dtype=np.float64)


def _mean(measure: Callable[[Completion], float], completions: Sequence[Completion]) -> float:
    return measure(completions[0]) if len(completions) == 1 else fmean(map(measure, completions))


def _known_differences(table: PromptTable, differences: Values) -> tuple[Values, Mask]:
    """The differences of the rows that have one, and the mask of these rows."""
    row_differences = differences[table.prompt]
    known = ~np.isnan(row_differences)
    return row_differences[known], known


def _markdown_count(text: str) -> float:
    if "```" in text:
        text = _CODE_BLOCK.sub("", text)
    bold = len(_BOLD.findall(text)) if "**" in text or "__" in text else 0
    return bold + sum(map(bool, map(_HEADING_OR_LIST.match, text.split("\n"))))
