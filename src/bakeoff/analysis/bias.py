"""What a judge leans towards that is not quality: a place, length, markdown, leaked thinking."""

import math
import re
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from bakeoff.analysis.aggregate import Folded
from bakeoff.analysis.columns import APART, Columns, Mask, Values
from bakeoff.analysis.pair_data import Trial, rounded
from bakeoff.records import Completion
from bakeoff.stats.bias import exposure, length_effect, order_effect, tilt
from bakeoff.stats.results import Exposure, LengthEffect, OrderEffect, Tilt

THINKING = re.compile(r"</?(?:think|thinking|reasoning)>", re.IGNORECASE)

_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINE = re.compile(r"#{1,6} | *(?:[-*+]|\d+\.) ")
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")


def order_of(columns: Columns) -> OrderEffect:
    """What the place of a completion did, as far as the design lets one see it."""
    recorded = columns.recorded
    if 2 * recorded.sum() < len(columns) or not recorded.any():
        apart = len(columns) > 0 and bool((columns.presented == APART).all())
        return OrderEffect("order-free" if apart else "not recorded")
    if not recorded.all():
        columns = columns.taken(recorded)
    return order_effect(np.round(columns.preference, 9), columns.prompt, columns.a_first)


def length_of(trial: Trial, lengths: Values) -> LengthEffect | None:
    """What length did, in characters; None where the texts are not there. `lengths` are those of
    `lengths_of`.
    """
    longer, there = _there(trial.folded, lengths)
    if not there.any():
        return None
    clusters = trial.clusters[there] if trial.clusters is not None else None
    return length_effect(trial.values[there], longer, clusters)


def longer_of(found: Folded, lengths: Values) -> Tilt | None:
    """How often the longer one wins, and no more; None where the texts are not there."""
    longer, there = _there(found, lengths)
    return tilt(rounded(found)[there], longer) if there.any() else None


def lengths_of(trial: Trial) -> Values:
    """How many characters a says more than b to each prompt, NaN where a text is not there."""
    return _differences(trial, lambda completion: len(completion.text))


def markdown_of(trial: Trial) -> Tilt | None:
    """What headings, lists and bold text did; None where the texts are not there, or have none."""
    more, there = _there(trial.folded, _differences(trial, lambda c: _markdown(c.text)))
    return tilt(trial.values[there], more) if more.any() else None


def thinking_of(trial: Trial) -> Exposure | None:
    """What thinking tags that the judge saw did; None where it saw none."""
    rows = [(index, _leaks(ours), _leaks(theirs)) for index, ours, theirs in trial.both_texts()]
    if not any(a or b for _, a, b in rows):
        return None
    indices, a_leaks, b_leaks = (np.array(column) for column in zip(*rows, strict=True))
    return exposure(trial.values[indices], a_leaks, b_leaks)


def _leaks(said: Sequence[Completion]) -> bool:
    return any("<" in c.text and THINKING.search(c.text) for c in said)


def _differences(trial: Trial, measure: Callable[[Completion], float]) -> Values:
    """a minus b of a measure, averaged over the completions of a prompt; NaN where there are none.

    One for each of the trial's ids.
    """
    found = [math.nan] * len(trial.ids)
    prompts = trial.folded.prompt.tolist()
    for index, ours, theirs in trial.both_texts():
        found[prompts[index]] = _mean(measure, ours) - _mean(measure, theirs)
    return np.array(found, dtype=np.float64)


def _mean(measure: Callable[[Completion], float], said: Sequence[Completion]) -> float:
    return measure(said[0]) if len(said) == 1 else fmean(map(measure, said))


def _there(found: Folded, differences: Values) -> tuple[Values, Mask]:
    """The differences of these rows, of those where there is one; and which they are."""
    all_ = differences[found.prompt]
    there = ~np.isnan(all_)
    return all_[there], there


def _markdown(text: str) -> float:
    if "```" in text:
        text = _CODE.sub("", text)
    bold = len(_BOLD.findall(text)) if "**" in text or "__" in text else 0
    return bold + sum(map(bool, map(_LINE.match, text.split("\n"))))
