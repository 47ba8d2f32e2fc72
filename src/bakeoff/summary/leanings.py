"""What a judge leans towards that is not quality: a place, length, markdown, leaked thinking."""

import re
from collections.abc import Callable
from statistics import fmean

import numpy as np

from bakeoff.records import Completion
from bakeoff.stats.bias import exposure, length_effect, order_effect, tilt
from bakeoff.stats.results import Exposure, LengthEffect, OrderEffect, Tilt
from bakeoff.summary.folding import preference_of
from bakeoff.summary.trial import Codes, Trial, Values

THINKING = re.compile(r"</?(?:think|thinking|reasoning)>", re.IGNORECASE)

_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_MARKDOWN = re.compile(r"^#{1,6} |^ *(?:[-*+]|\d+\.) |\*\*[^*\n]+\*\*|__[^_\n]+__", re.MULTILINE)


def order_of(trial: Trial) -> OrderEffect:
    """What the place of a completion did, as far as the design lets one see it."""
    recorded = [j for j in trial.judgments if j.presented == "recorded"]
    if 2 * len(recorded) < len(trial.judgments) or not recorded:
        apart = bool(trial.judgments) and all(j.presented == "apart" for j in trial.judgments)
        return OrderEffect("order-free" if apart else "not recorded")
    recorded.sort(key=lambda j: (j.prompt_id, j.judge, j.sample, j.repeat))
    return order_effect(
        np.round([preference_of(trial.a, j) for j in recorded], 9),
        np.unique([j.prompt_id for j in recorded], return_inverse=True)[1],
        np.array([j.first == trial.a for j in recorded]),
    )


def length_of(trial: Trial) -> LengthEffect | None:
    """What length did, in characters; None where the texts are not there."""
    indices, differences = _differences(trial, lambda completion: len(completion.text))
    if not len(indices):
        return None
    clusters = trial.clusters
    if clusters is not None:
        clusters = clusters[indices]
    return length_effect(trial.values[indices], differences, clusters)


def longer_of(trial: Trial) -> Tilt | None:
    """How often the longer one wins, and no more; None where the texts are not there."""
    indices, differences = _differences(trial, lambda completion: len(completion.text))
    return tilt(trial.values[indices], differences) if len(indices) else None


def markdown_of(trial: Trial) -> Tilt | None:
    """What headings, lists and bold text did; None where the texts are not there, or have none."""
    indices, differences = _differences(trial, lambda completion: _markdown(completion.text))
    if not differences.any():
        return None
    return tilt(trial.values[indices], differences)


def thinking_of(trial: Trial) -> Exposure | None:
    """What thinking tags that the judge saw did; None where it saw none."""
    rows = [
        (index, *(any(THINKING.search(c.text) for c in side) for side in (ours, theirs)))
        for index, ours, theirs in trial.both_texts()
    ]
    if not any(a or b for _, a, b in rows):
        return None
    indices, a_leaks, b_leaks = (np.array(column) for column in zip(*rows, strict=True))
    return exposure(trial.values[indices], a_leaks, b_leaks)


def _differences(trial: Trial, measure: Callable[[Completion], float]) -> tuple[Codes, Values]:
    """a minus b of a measure, averaged over the completions of a prompt, and which comparison."""
    rows = [
        (index, fmean(map(measure, ours)) - fmean(map(measure, theirs)))
        for index, ours, theirs in trial.both_texts()
    ]
    return (
        np.array([index for index, _ in rows], dtype=np.intp),
        np.array([difference for _, difference in rows], dtype=np.float64),
    )


def _markdown(text: str) -> float:
    return len(_MARKDOWN.findall(_CODE.sub("", text)))
