"""Importer of LLM Comparator files."""

from collections.abc import Iterator

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, ShownFirst
from bakeoff.importers.documents import Document, has_columns, sorted_by_content
from bakeoff.importers.labels import ParseFailure
from bakeoff.records import Verdict

DEFAULT_JUDGE = "raters"  # name of the judge if the file names no raters
_TIE_THRESHOLD = 0.25  # of the LLM Comparator: up to this absolute score, a rating is a tie
_OUTPUTS = ("output_text_a", "output_text_b")


def recognizes(document: Document) -> bool:
    """Return whether the document is an object with `models` and `examples`."""
    return "models" in document.top and "examples" in document.top


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add the scores of the raters of each example as judgments, else the score of the example.

    Raises ConfigError if the file does not name two models.
    """
    models = document.rows_at("models")
    if len(models) != 2:
        raise ConfigError(
            f"{document.location()}: 'models' has to name two, and names {len(models)}"
        )
    names = [
        labels.parse_model_name(row.get("name"), "name", document.location(f"models, {place}"))
        for place, row in models
    ]
    rows = sorted_by_content(document.rows_at("examples"))
    recorded = [has_columns(rows, column) for column in _OUTPUTS]
    for placed in rows:
        row = placed.values
        tags = labels.parse_tags(row.get("tags"))
        prompt_id = builder.add_row_prompt(placed, row.get("input_text"), tags=tags)
        a, b = map(ModelOutput, names, recorded, map(row.get, _OUTPUTS))
        pair = builder.add_pair(prompt_id, a, b)
        for judge, verdict, shown_first in _ratings(row):
            builder.add_judgment(pair, judge, verdict, shown_first)


def _ratings(
    row: dict[str, JsonValue],
) -> Iterator[tuple[str, Verdict | ParseFailure, ShownFirst]]:
    raters = row.get("individual_rater_scores")
    if not isinstance(raters, list) or not raters:
        yield DEFAULT_JUDGE, labels.make_verdict(_preference(row.get("score"))), "unknown"
        return
    for rater in raters:
        if not isinstance(rater, dict):
            yield DEFAULT_JUDGE, labels.parse_failure("individual_rater_scores", rater), "unknown"
            continue
        judge = (
            labels.label_text(rater.get("rater_id"))
            or labels.label_text(rater.get("name"))
            or DEFAULT_JUDGE
        )
        verdict = labels.make_verdict(
            _preference(rater.get("score")), reason=rater.get("rationale")
        )
        is_flipped = rater.get("is_flipped")
        shown_first: ShownFirst = "unknown"
        if isinstance(is_flipped, bool):
            shown_first = "b" if is_flipped else "a"
        yield judge, verdict, shown_first


def _preference(value: JsonValue) -> float | ParseFailure:
    score = labels.parse_number("score", value)
    if isinstance(score, ParseFailure):
        return score
    return 0.5 if abs(score) <= _TIE_THRESHOLD else float(score > 0)
