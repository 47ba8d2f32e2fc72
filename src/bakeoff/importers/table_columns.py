"""The columns of tables: standard names, their aliases, and names given with `--columns`."""

from collections.abc import Mapping

from bakeoff.errors import ConfigError
from bakeoff.importers.documents import Document, quote_names
from bakeoff.importers.number_columns import MEANINGS
from bakeoff.prompts.rows import Row

# Standard column -> its aliases, the likeliest first. `id` is no alias of `prompt_id`: it often
# numbers the rows, which would make rows of one prompt different prompts.
STANDARD_COLUMNS: dict[str, tuple[str, ...]] = {
    "prompt": ("instruction", "question", "prompt_text", "input"),
    "prompt_id": ("question_id",),
    "turn": ("turn_id", "turn_index", "turn_number"),
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
    "judge": (
        "judge_model",
        "judge_name",
        "judge_id",
        "judge_hash",
        "annotator",
        "annotator_id",
        "rater",
        "rater_id",
        "voter",
        "voter_id",
        "worker_id",
        "user_id",
        "user",
    ),
    "explanation": ("reason", "rationale"),
    "first": ("shown_first",),
    "model": (),
    "score": (),
    "completion": ("response", "output"),
    "time": (
        "tstamp",
        "timestamp",
        "created_at",
        "created",
        "judged_at",
        "scored_at",
        "datetime",
        "date",
    ),
}

# The winners of FastChat's two games, in the second of which model_2 was shown first.
GAMES = (("g1_winner", "g1_judgment", "a"), ("g2_winner", "g2_judgment", "b"))


def rename_columns(document: Document, columns: Mapping[str, str]) -> Document:
    """Return the document with columns renamed; `columns` maps standard names to those in the file.

    Standard names include those that say what numbers mean (`number_columns.MEANINGS`). A column
    under its old name, or with a standard name that is given to another one, is dropped. Raises
    ConfigError if a name is not a standard one, or no row has the column.
    """
    present = document.columns()
    for standard, column in columns.items():
        if standard not in STANDARD_COLUMNS and standard not in MEANINGS:
            names = ", ".join((*STANDARD_COLUMNS, *MEANINGS))
            raise ConfigError(f"no column {standard!r} to map to; there are: {names}")
        if column not in present:
            raise ConfigError(
                f"{document.location()}: no row has the column {column!r}; there are: "
                f"{quote_names(present)}"
            )
    replaced = {*columns, *columns.values()}
    rows = []
    for place, values in document.rows:
        others = {name: value for name, value in values.items() if name not in replaced}
        renamed = {std: values[column] for std, column in columns.items() if column in values}
        rows.append(Row(place, {**others, **renamed}))
    return document._replace(rows=tuple(rows), renamed=columns)


def standard_rows(document: Document) -> tuple[Row, ...]:
    """Return the rows with only the standard columns, under their standard names."""
    sources = column_sources(document)
    return tuple(
        Row(place, {std: values[column] for std, column in sources.items() if column in values})
        for place, values in document.rows
    )


def column_sources(document: Document) -> dict[str, str]:
    """Return the column of the document for each standard column that it has."""
    byplain_name = {plain_name(column): column for column in reversed(document.columns())}
    sources = {}
    for standard, aliases in STANDARD_COLUMNS.items():
        name = next((n for n in (standard, *aliases) if n in byplain_name), None)
        if name is not None:
            sources[standard] = byplain_name[name]
    games = {name for game in GAMES for name in game[:2] if name in byplain_name}
    meanings = {name for name in MEANINGS if name in document.renamed}
    return sources | {name: byplain_name[name] for name in sorted(games | meanings)}


def plain_name(column: str) -> str:
    """Return a column name in lower case, with underscores for spaces and hyphens."""
    return column.strip().lower().replace(" ", "_").replace("-", "_")
