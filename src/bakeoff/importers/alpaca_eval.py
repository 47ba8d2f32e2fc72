"""The annotations of AlpacaEval. Knows no other format."""

import math
from collections.abc import Mapping

from pydantic import JsonValue

from bakeoff.importers.asking import label_of, name_of, prompt_of, tags_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Shown, Side
from bakeoff.importers.documents import Document, holds
from bakeoff.importers.labels import Unread, number_of, unread, verdict_of

NAME = "alpaca_eval"
MARK = "rows with generator_1, generator_2 and preference"

_CLOSE = 1e-3  # files round the preference


def claims(document: Document) -> bool:
    """Whether its rows compare two generators."""
    return holds(document.rows, "generator_1", "generator_2")


def gather(document: Document, into: Gathering) -> None:
    """Each row is a judgment: generator_2 is the model under test, generator_1 its baseline."""
    held = [holds(document.rows, column) for column in ("output_2", "output_1")]
    for number, (place, row) in enumerate(document.rows, 1):
        where = document.where(place)
        tested, baseline = (name_of(row.get(g), g, where) for g in ("generator_2", "generator_1"))
        prompt = prompt_of(
            row.get("instruction"), otherwise=into.row(number), tags=tags_of(row.get("dataset"))
        )
        case = into.case(
            into.prompt(prompt),
            Side(tested, held[0], row.get("output_2")),
            Side(baseline, held[1], row.get("output_1")),
        )
        preference = _preference(row.get("preference"))
        judge = label_of(row.get("annotator")) or "judge"
        into.judged(case, judge, verdict_of(preference), _shown(preference, row))


def _preference(value: JsonValue) -> float | Unread:
    """The probability that output_2 is better; 0 is a draw too."""
    number = number_of("preference", value, 0, 2)
    if isinstance(number, Unread):
        return number
    if number == 0:
        return 0.5
    return number - 1 if number >= 1 else unread("preference", value)


def _shown(preference: float | Unread, row: dict[str, JsonValue]) -> Shown:
    """Who was shown first, as m, found from what the judge's first token says of m and M.

    Shown first, generator_2 is preferred with the probability of m; shown second, with that of M.
    A preference that fits both (a draw), or none, does not tell.
    """
    top = _top(row)
    m, capital = top.get("m", 0.0), top.get("M", 0.0)
    if isinstance(preference, Unread) or m + capital == 0:
        return "unknown"
    p = m / (m + capital)
    first, second = (abs(preference - chance) <= _CLOSE for chance in (p, 1 - p))
    if first == second:
        return "unknown"
    return "a" if first else "b"


def _top(row: dict[str, JsonValue]) -> Mapping[str, float]:
    """Token -> probability, from `top_logprobs` or from a raw completion of OpenAI's shape."""
    listed = row.get("top_logprobs")
    if listed is None:
        listed = _within(row, "raw_completion", "logprobs", "content", 0, "top_logprobs")
    if isinstance(listed, list):
        pairs = [(_within(one, "token"), _within(one, "logprob")) for one in listed]
    else:
        pairs = list(listed.items()) if isinstance(listed, dict) else []
    read = ((token, number_of("logprob", value, high=0.01)) for token, value in pairs)
    return {t: math.exp(v) for t, v in read if isinstance(t, str) and isinstance(v, float)}


def _within(value: JsonValue, *path: str | int) -> JsonValue:
    for step in path:
        if isinstance(step, int) and isinstance(value, list) and len(value) > step:
            value = value[step]
        elif isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value
