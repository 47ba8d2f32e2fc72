"""Importer of the JSON of two-model comparison scripts, such as that of the guide."""

from pydantic import JsonValue

from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, ShownFirst
from bakeoff.importers.documents import Document, has_columns, sorted_by_content
from bakeoff.importers.score_scales import FileScores

_SCORES = ("model1_score", "model2_score")
_COMPLETIONS = ("model1_completion", "model2_completion")


def recognizes(document: Document) -> bool:
    """Return whether the document is an object with results of two models."""
    results = document.top.get("results")
    rows = results if isinstance(results, list) else []
    return "results" in document.top and (
        any(key in document.top for key in ("model1_path", "model2_path", "judge_model"))
        or any(isinstance(row, dict) and _COMPLETIONS[0] in row for row in rows)
    )


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add each row of `results` as a judgment; the first model was shown first, as A.

    In a row with `swapped: true`, the second model was shown first, and A is the second model. The
    order is unknown if `swapped` is not a boolean. Raises ConfigError if `results` is not a list.
    """
    rows = sorted_by_content(document.rows_at("results"))
    names = [
        labels.label_text(document.top.get(f"{name}_path")) or name for name in ("model1", "model2")
    ]
    judge = labels.parse_judge(document.top.get("judge_model"), "judge")
    recorded = [has_columns(rows, column) for column in _COMPLETIONS]
    for placed in rows:
        row = placed.values
        prompt_id = builder.add_row_prompt(placed, row.get("prompt"))
        a, b = map(ModelOutput, names, recorded, map(row.get, _COMPLETIONS))
        shown_first = _shown_first(row)
        letters = ("b", "a") if shown_first == "b" else ("a", "b")
        meanings = labels.label_meanings(
            ("model1", letters[0], names[0]), ("model2", letters[1], names[1]), ("tie",)
        )
        verdict = labels.make_verdict(
            labels.parse_winner("winner", row.get("winner"), meanings),
            reason=row.get("explanation"),
            both_bad=labels.is_both_bad(row.get("winner")),
        )
        scores = FileScores(_SCORES, (row.get(_SCORES[0]), row.get(_SCORES[1])))
        pair = builder.add_pair(prompt_id, a, b)
        builder.add_judgment(pair, judge, verdict, shown_first, scores)


def _shown_first(row: dict[str, JsonValue]) -> ShownFirst:
    match row.get("swapped", False):
        case True:
            return "b"
        case False:
            return "a"
    return "unknown"
