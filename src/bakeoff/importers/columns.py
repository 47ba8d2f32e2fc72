"""The standard columns of a table, their other names, and a user's mapping. Reads no value."""

from collections.abc import Mapping

from bakeoff.errors import ConfigError
from bakeoff.importers.documents import Document, listed
from bakeoff.prompts.rows import Row

# What we call a column -> what it is called elsewhere, the likeliest first. Not `id`: it often
# numbers the rows, and would make other prompts of one prompt's rows.
STANDARD: dict[str, tuple[str, ...]] = {
    "prompt": ("instruction", "question", "prompt_text", "input"),
    "prompt_id": ("question_id",),
    "cluster": ("cluster_id",),
    "tags": ("tag", "category", "dataset"),
    "model_a": ("model_1", "model1", "model1_path", "left"),
    "model_b": ("model_2", "model2", "model2_path", "right"),
    "completion_a": (
        "completion_1",
        "model1_completion",
        "response_a",
        "response1",
        "response_1",
        "output_a",
        "output_1",
    ),
    "completion_b": (
        "completion_2",
        "model2_completion",
        "response_b",
        "response2",
        "response_2",
        "output_b",
        "output_2",
    ),
    "winner": (),
    "preference": (),
    "score_a": ("score_1", "score1", "model1_score"),
    "score_b": ("score_2", "score2", "model2_score"),
    "judge": ("judge_model", "annotator", "rater"),
    "explanation": ("reason", "rationale"),
    "first": ("shown_first",),
    "model": (),
    "score": (),
    "completion": ("response", "output"),
}


def mapped(document: Document, columns: Mapping[str, str]) -> Document:
    """The document with the columns that a user named under their standard names.

    Such a column has no other meaning then. ConfigError where a name is not a standard one, or no
    row has the column.
    """
    there = document.columns()
    for standard, column in columns.items():
        if standard not in STANDARD:
            raise ConfigError(f"no column {standard!r} to map to; there are: {', '.join(STANDARD)}")
        if column not in there:
            raise ConfigError(
                f"{document.where()}: no row has the column {column!r}; there are: {listed(there)}"
            )
    rows = []
    for place, values in document.rows:
        kept = {k: v for k, v in values.items() if k not in columns.values() and k not in columns}
        named = {std: values[column] for std, column in columns.items() if column in values}
        rows.append(Row(place, {**kept, **named}))
    return document._replace(rows=tuple(rows))


def recognised(document: Document) -> tuple[Row, ...]:
    """The rows with their standard columns only, under the standard names."""
    plain = {_plain(column): column for column in reversed(document.columns())}
    source = {}
    for standard, aliases in STANDARD.items():
        name = next((n for n in (standard, *aliases) if n in plain), None)
        if name is not None:
            source[standard] = plain[name]
    return tuple(
        Row(place, {std: values[column] for std, column in source.items() if column in values})
        for place, values in document.rows
    )


def _plain(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")
