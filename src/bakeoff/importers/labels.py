"""Parses field values: winners, numbers, scores, prompts, names and tags.

The result for a label that cannot be parsed is a `ParseFailure`; it is never counted as a tie.
"""

import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from bakeoff.errors import ConfigError
from bakeoff.importers.documents import json_type
from bakeoff.records import Message, Prompt, Scores, Verdict

_RAW_LENGTH = 200  # characters of a value that a ParseFailure keeps
_NON_FINITE = ("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")

_SEPARATORS = re.compile(r"[\s_()-]+")
_TIES = ("bothgood", "bothequal", "inconsistent")
_BOTH_BAD = ("bothbad", "botharebad", "bothpoor", "bothwrong", "bothfail", "bothfailed")
_LIST_TEXT = re.compile(r"""\s*[\[(]\s*(['"])(.+?)\1\s*[,\])]""")  # a list written as text

_value_repr = reprlib.Repr()  # bounded for values of any depth
_value_repr.maxstring = _value_repr.maxother = _value_repr.maxlong = _RAW_LENGTH
_value_repr.maxlist = _value_repr.maxdict = 20

# Normalized label -> probability that the first of two is better; None if it is ambiguous.
LabelMeanings = Mapping[str, float | None]


class ParseFailure(NamedTuple):
    """The failure to parse a value; becomes a `Failure` of the judgment."""

    kind: str
    """`missing`, `boolean`, `not a number` or `unreadable`."""
    message: str
    """The problem, with the name of the column."""
    raw: str
    """The value as text, at most 200 characters."""


def parse_failure(column: str, value: JsonValue) -> ParseFailure:
    """Return the failure to parse a value of the column."""
    raw = _value_repr.repr(value)[:_RAW_LENGTH]
    folded = value.strip().casefold() if isinstance(value, str) else None
    if value is None or folded == "":
        return ParseFailure("missing", f"{column!r} is missing", raw)
    if isinstance(value, bool) or folded in ("true", "false"):
        return ParseFailure("boolean", f"{column!r} is a boolean", raw)
    if folded in _NON_FINITE or (isinstance(value, float) and not math.isfinite(value)):
        return ParseFailure("not a number", f"{column!r} is not a number", raw)
    return ParseFailure("unreadable", f"{column!r} says nothing that can be read: {raw}", raw)


def parse_number(
    column: str, value: JsonValue, low: float = -math.inf, high: float = math.inf
) -> float | ParseFailure:
    """Return a number, or a text with a number, as a finite float in [low, high]."""
    # float() also accepts underscores and non-ASCII digits, which no tool writes.
    if isinstance(value, str) and value.isascii() and "_" not in value:
        text: str | float = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = value
    else:
        return parse_failure(column, value)
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return parse_failure(column, value)
    in_range = low <= number <= high and math.isfinite(number)
    return number if in_range else parse_failure(column, value)


def label_meanings(
    first: Iterable[str], second: Iterable[str], ties: Iterable[str] = ()
) -> LabelMeanings:
    """Return the preference of each label, normalized; None for a label in more than one group."""
    meanings: dict[str, float | None] = {}
    for labels, preference in ((first, 1.0), (second, 0.0), (ties, 0.5)):
        for label in {label.strip().casefold() for label in labels}:
            meanings[label] = preference if label not in meanings else None
    return meanings


def is_both_bad(value: JsonValue) -> bool:
    """Return whether a label says that both of two are bad, such as `tie (bothbad)`."""
    return isinstance(value, str) and _squeezed(value) in _BOTH_BAD


def _squeezed(label: str) -> str:
    """Return a label without what separates its words, and without `tie` before other words."""
    text = _SEPARATORS.sub("", label.casefold())
    return text.removeprefix("tie") or text


def normalize_label(value: JsonValue) -> str | None:
    """Return a string or number as a case-folded label (1.0 as "1"); None for other types."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value).strip().casefold()
        return text[:-2] if text in ("0.0", "1.0", "2.0") else text
    return None


def parse_winner(column: str, value: JsonValue, meanings: LabelMeanings) -> float | ParseFailure:
    """Return the preference for the first of two that a winner's label means: 1, 0 or 0.5.

    If `tie` is among the labels, so are its variants, such as `tie (bothbad)` or `both good`.
    """
    label = normalize_label(value)
    preference = None if label is None else meanings.get(label)
    if label is not None and label not in meanings and meanings.get("tie") == 0.5:
        preference = 0.5 if _squeezed(label) in _TIES or is_both_bad(label) else None
    return parse_failure(column, value) if preference is None else preference


def parse_scores(
    columns: tuple[str, str], values: tuple[JsonValue, JsonValue], high: float = 10
) -> Scores | ParseFailure | None:
    """Return two scores from 0 to `high`; None if one is missing."""
    parsed = [parse_number(c, value, 0, high) for c, value in zip(columns, values, strict=True)]
    failures = [score for score in parsed if isinstance(score, ParseFailure)]
    for failure in failures:
        if failure.kind != "missing":
            return failure
    return None if failures else Scores(*(score for score in parsed if isinstance(score, float)))


def make_verdict(
    preference: float | ParseFailure,
    scores: Scores | ParseFailure | None = None,
    reason: JsonValue = None,
    *,
    both_bad: bool = False,
) -> Verdict | ParseFailure:
    """Return the verdict on a pair in column order, or the failure of one of its parts."""
    if isinstance(preference, ParseFailure):
        return preference
    if isinstance(scores, ParseFailure):
        return scores
    return Verdict(
        first=preference,
        scores=scores,
        reason=reason if isinstance(reason, str) else "",
        both_bad=both_bad,
    )


def preference_from_scores(scores: Scores) -> float:
    """Return 1 if the first score is higher, 0 if the second is, 0.5 if they are equal."""
    return 0.5 if scores.first == scores.second else float(scores.first > scores.second)


def parse_prompt(
    value: JsonValue, *, default: str, prompt_id: str = "", tags: tuple[str, ...] = ()
) -> Prompt:
    """Return the prompt in a value, which is a text or a list of messages.

    For an empty value, the text is `question ID` (see `is_placeholder`), or `default` without an
    id, which then is the id too. A value of another type is used as JSON.
    """
    if isinstance(value, list):
        try:
            return Prompt.model_validate({"id": prompt_id, "messages": value, "tags": tags})
        except ValidationError:
            value = json.dumps(value, ensure_ascii=False)
    if is_blank(value):
        value = f"question {prompt_id}" if prompt_id else default
        prompt_id = prompt_id or default
    content = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Prompt(id=prompt_id, messages=(Message(role="user", content=content),), tags=tags)


def is_blank(value: JsonValue) -> bool:
    """Return whether a value is missing, or a text without characters other than spaces."""
    return value is None or (isinstance(value, str) and not value.strip())


def is_placeholder(prompt: Prompt) -> bool:
    """Return whether the text of the prompt is made of its id, since the file does not hold it."""
    return prompt.messages[0].content == f"question {prompt.id}"


def label_text(value: JsonValue) -> str:
    """Return a string or number as stripped text (1.0 as "1"); empty for other types."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value).strip()
    return ""


def parse_model_name(value: JsonValue, column: str, location: str) -> str:
    """Return the name of a model. Raises ConfigError if it is blank, or no text or number."""
    if name := label_text(value):
        return name
    problem = "blank" if isinstance(value, str) else json_type(value)
    raise ConfigError(f"{location}: {column!r} has to be the name of a model, and is {problem}")


def parse_judge(value: JsonValue, default: str) -> str:
    """Return the name of a judge; `default` if the value has none.

    Of a list, such as FastChat's `["gpt-4", "pair-v2"]` (also as text), it is the first element; of
    an object, its `name` or `model`.
    """
    if isinstance(value, str) and (written := _LIST_TEXT.match(value)):
        value = written[2]
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("name", value.get("model"))
    return label_text(value) or default


def parse_tags(value: JsonValue) -> tuple[str, ...]:
    """Return the distinct tags of a list, or of a text with commas between tags."""
    parts = value if isinstance(value, list) else label_text(value).split(",")
    return tuple(dict.fromkeys(tag for part in parts if (tag := label_text(part))))
