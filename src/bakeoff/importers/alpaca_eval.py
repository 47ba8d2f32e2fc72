"""Importer of AlpacaEval annotations."""

import math
from collections.abc import Mapping

from pydantic import JsonValue

from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, ShownFirst
from bakeoff.importers.documents import Document, has_columns
from bakeoff.importers.labels import ParseFailure

_TOLERANCE = 1e-3  # files round the preference


def recognizes(document: Document) -> bool:
    """Return whether the rows have the columns `generator_1` and `generator_2`."""
    return has_columns(document.rows, "generator_1", "generator_2")


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add each row as a judgment of generator_2 (model under test) and generator_1 (baseline).

    Raises ConfigError if a row does not name both.
    """
    recorded = [has_columns(document.rows, column) for column in ("output_2", "output_1")]
    for number, (place, row) in enumerate(document.rows, 1):
        location = document.location(place)
        model, baseline = (
            labels.parse_model_name(row.get(column), column, location)
            for column in ("generator_2", "generator_1")
        )
        tags = labels.parse_tags(row.get("dataset"))
        pair = builder.add_pair(
            builder.add_row_prompt(number, row.get("instruction"), tags=tags),
            ModelOutput(model, recorded[0], row.get("output_2")),
            ModelOutput(baseline, recorded[1], row.get("output_1")),
        )
        preference = _preference(row.get("preference"))
        judge = labels.label_text(row.get("annotator")) or "judge"
        builder.add_judgment(
            pair, judge, labels.make_verdict(preference), _shown_first(preference, row)
        )


def _preference(value: JsonValue) -> float | ParseFailure:
    """Return the probability that output_2 is better; preferences of 0 and 1.5 are ties."""
    number = labels.parse_number("preference", value, 0, 2)
    if isinstance(number, ParseFailure):
        return number
    if number == 0:
        return 0.5
    return number - 1 if number >= 1 else labels.parse_failure("preference", value)


def _shown_first(preference: float | ParseFailure, row: dict[str, JsonValue]) -> ShownFirst:
    """Infer the order from the log-probabilities of the judge's first token, `m` or `M`.

    The preference for output_2 equals the probability of `m` if it was shown first, and that of
    `M` if second. The order is unknown if both fit (a tie), or neither.
    """
    probabilities = _first_token_probabilities(row)
    m, capital = probabilities.get("m", 0.0), probabilities.get("M", 0.0)
    if isinstance(preference, ParseFailure) or m + capital == 0:
        return "unknown"
    p = m / (m + capital)
    fits_first, fits_second = (abs(preference - x) <= _TOLERANCE for x in (p, 1 - p))
    if fits_first == fits_second:
        return "unknown"
    return "a" if fits_first else "b"


def _first_token_probabilities(row: dict[str, JsonValue]) -> Mapping[str, float]:
    """Return the probabilities by token, from `top_logprobs` or a raw OpenAI completion."""
    tops = row.get("top_logprobs")
    if tops is None:
        tops = _get_path(row, "raw_completion", "logprobs", "content", 0, "top_logprobs")
    if isinstance(tops, list):
        pairs = [(_get_path(top, "token"), _get_path(top, "logprob")) for top in tops]
    else:
        pairs = list(tops.items()) if isinstance(tops, dict) else []
    parsed = ((token, labels.parse_number("logprob", value, high=0.01)) for token, value in pairs)
    return {t: math.exp(v) for t, v in parsed if isinstance(t, str) and isinstance(v, float)}


def _get_path(value: JsonValue, *path: str | int) -> JsonValue:
    for step in path:
        if isinstance(step, int) and isinstance(value, list) and len(value) > step:
            value = value[step]
        elif isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value
