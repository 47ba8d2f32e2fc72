"""Importer of AlpacaEval annotations."""

import math
from collections.abc import Mapping

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, ShownFirst
from bakeoff.importers.documents import Document, has_columns
from bakeoff.importers.labels import ParseFailure
from bakeoff.importers.number_columns import VerdictColumn, column_values

_TOLERANCE = 1e-3  # files round the preference
_ROUNDING = 1e-9  # of 1 - p


def recognizes(document: Document) -> bool:
    """Return whether the rows have the columns `generator_1` and `generator_2`."""
    return has_columns(document.rows, "generator_1", "generator_2")


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add each row as a judgment of generator_2 (model under test) and generator_1 (baseline).

    Raises ConfigError if a row does not name both.
    """
    recorded = [has_columns(document.rows, column) for column in ("output_2", "output_1")]
    _check_preferences(document)
    for placed in document.rows:
        row, location = placed.values, document.location(placed.place)
        model, baseline = (
            labels.parse_model_name(row.get(column), column, location)
            for column in ("generator_2", "generator_1")
        )
        tags = labels.parse_tags(row.get("dataset"))
        pair = builder.add_pair(
            builder.add_row_prompt(placed, row.get("instruction"), tags=tags),
            ModelOutput(model, recorded[0], row.get("output_2")),
            ModelOutput(baseline, recorded[1], row.get("output_1")),
        )
        preference = _preference(row.get("preference"))
        judge = labels.label_text(row.get("annotator")) or "judge"
        builder.add_judgment(
            pair, judge, labels.make_verdict(preference), _shown_first(preference, row)
        )


def _check_preferences(document: Document) -> None:
    """Raise ConfigError if preferences do not exceed 1, as an index from 0 or a probability."""
    values = column_values(row.values.get("preference") for row in document.rows)
    numbers = {number for number in values.numbers if 0 <= number <= 2}
    if 0 not in numbers or max(numbers) > 1:
        return
    if numbers == {0.0} and all(_compares_a_model_with_itself(row) for _, row in document.rows):
        return
    column = VerdictColumn(document.location(), "preference", values)
    raise ConfigError(
        f"{column.ambiguous()}, with model_a=generator_1,model_b=generator_2,completion_a=output_1,"
        "completion_b=output_2 (AlpacaEval's preferences are from 1 to 2)"
    )


def _compares_a_model_with_itself(row: dict[str, JsonValue]) -> bool:
    return row.get("generator_1") == row.get("generator_2")


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
    `M` if second; if both are near, the nearer one counts. The order is unknown if both are equally
    near (a tie), or if neither is.
    """
    probabilities = _first_token_probabilities(row)
    m, capital = probabilities.get("m", 0.0), probabilities.get("M", 0.0)
    if isinstance(preference, ParseFailure) or m + capital == 0:
        return "unknown"
    p = m / (m + capital)
    first, second = abs(preference - p), abs(preference - (1 - p))
    if min(first, second) > _TOLERANCE or abs(first - second) <= _ROUNDING:
        return "unknown"
    return "a" if first < second else "b"


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
