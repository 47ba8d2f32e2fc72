"""Reads what a label says: a winner, a number, two scores. Knows no file and no format.

What says nothing that can be read is `Unread`, with its kind: a failure, and never a tie.
"""

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.records import Scores, Verdict

_RAW = 200  # characters of a value that a failure keeps
_NO_NUMBER = ("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")

_shown = reprlib.Repr()  # for values of any depth
_shown.maxstring = _shown.maxother = _shown.maxlong = _RAW
_shown.maxlist = _shown.maxdict = 20


class Unread(NamedTuple):
    """A label that says nothing: what kind of failure it is, in words, and the value."""

    kind: str
    message: str
    raw: str


def unread(what: str, value: JsonValue) -> Unread:
    """Why the value of the column `what` is no label."""
    raw = _shown.repr(value)[:_RAW]
    folded = value.strip().casefold() if isinstance(value, str) else None
    if value is None or folded == "":
        return Unread("missing", f"{what!r} is missing", raw)
    if isinstance(value, bool) or folded in ("true", "false"):
        return Unread("boolean", f"{what!r} is a boolean", raw)
    if folded in _NO_NUMBER or (isinstance(value, float) and not math.isfinite(value)):
        return Unread("not a number", f"{what!r} is not a number", raw)
    return Unread("unreadable", f"{what!r} says nothing that can be read: {raw}", raw)


def number_of(
    what: str, value: JsonValue, low: float = -math.inf, high: float = math.inf
) -> float | Unread:
    """The number from low to high that a value is, or that a text writes out."""
    # Python also reads 1_0 and the digits of other scripts; no tool writes those.
    if isinstance(value, str) and value.isascii() and "_" not in value:
        text: str | float = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = value
    else:
        return unread(what, value)
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return unread(what, value)
    return number if low <= number <= high and math.isfinite(number) else unread(what, value)


# What a folded text means: the probability that the first of two is better; None: it could be both.
Marks = Mapping[str, float | None]


def marks(first: Iterable[str], second: Iterable[str], ties: Iterable[str] = ()) -> Marks:
    """What texts mean the first, the second, a tie; a text that would mean two of them is neither.

    Upper and lower case are the same.
    """
    known: dict[str, float | None] = {}
    for texts, preference in ((first, 1.0), (second, 0.0), (ties, 0.5)):
        for folded in {text.strip().casefold() for text in texts}:
            known[folded] = preference if folded not in known else None
    return known


def text_of(value: JsonValue) -> str | None:
    """A label as marks know it: folded, a whole number without its point; None where it is none."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value).strip().casefold()
        return text[:-2] if text in ("0.0", "1.0", "2.0") else text
    return None


def winner_of(what: str, value: JsonValue, known: Marks) -> float | Unread:
    """The preference that a winner's name or mark stands for."""
    text = text_of(value)
    preference = None if text is None else known.get(text)
    return unread(what, value) if preference is None else preference


def scores_of(
    columns: tuple[str, str], values: tuple[JsonValue, JsonValue]
) -> Scores | Unread | None:
    """Two scores from 0 to 10; None where one of them is missing: they come on top of a label."""
    read = [number_of(column, value, 0, 10) for column, value in zip(columns, values, strict=True)]
    wrong = [one for one in read if isinstance(one, Unread)]
    for one in wrong:
        if one.kind != "missing":
            return one
    return None if wrong else Scores(*(one for one in read if isinstance(one, float)))


def verdict_of(
    preference: float | Unread, scores: Scores | Unread | None = None, reason: JsonValue = None
) -> Verdict | Unread:
    """The verdict on a pair in the order of its columns; Unread where any part of it is."""
    for part in (preference, scores):
        if isinstance(part, Unread):
            return part
    return Verdict.model_validate(
        {
            "first": preference,
            "scores": scores,
            "reason": reason if isinstance(reason, str) else "",
        }
    )


def higher(scores: Scores) -> float:
    """The preference that two scores stand for: 1, 0.5 or 0."""
    return 0.5 if scores.first == scores.second else float(scores.first > scores.second)
