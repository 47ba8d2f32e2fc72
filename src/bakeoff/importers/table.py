"""Importer of tables with named columns: a row is a judgment, or a completion with a score."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, PointwiseScore, ShownFirst
from bakeoff.importers.documents import Document, quote_names
from bakeoff.importers.labels import ParseFailure
from bakeoff.prompts.rows import Row
from bakeoff.records import CLUSTER_TAG, Verdict

# Standard column -> its aliases, the likeliest first. `id` is no alias of `prompt_id`: it often
# numbers the rows, which would make rows of one prompt different prompts.
STANDARD_COLUMNS: dict[str, tuple[str, ...]] = {
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

RowValues = dict[str, JsonValue]

_REQUIRED = "winner, preference, score_a and score_b, or model and score"
_TIES = ("tie", "draw", "equal", "both")


class _Table(NamedTuple):
    """Properties of a table that depend on all of its rows."""

    columns: frozenset[str]
    """Standard columns that any row has."""
    winner_numbers: tuple[str, ...]
    """Numbers among 0, 1 and 2 that are unambiguous labels in the column `winner`."""
    first_numbers: tuple[str, ...]
    """Numbers that are unambiguous labels in the column `first`."""

    @property
    def has_pairs(self) -> bool:
        has_label = bool({"winner", "preference"} & self.columns)
        return has_label or {"score_a", "score_b"} <= self.columns

    @property
    def has_single_scores(self) -> bool:
        return {"model", "score"} <= self.columns


def rename_columns(document: Document, columns: Mapping[str, str]) -> Document:
    """Return the document with columns renamed; `columns` maps standard names to those in the file.

    A column under its old name, or with a standard name that is given to another one, is dropped.
    Raises ConfigError if a name is not a standard one, or no row has the column.
    """
    present = document.columns()
    for standard, column in columns.items():
        if standard not in STANDARD_COLUMNS:
            raise ConfigError(
                f"no column {standard!r} to map to; there are: {', '.join(STANDARD_COLUMNS)}"
            )
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
    return document._replace(rows=tuple(rows))


def standard_rows(document: Document) -> tuple[Row, ...]:
    """Return the rows with only the standard columns, under their standard names."""
    by_plain_name = {_plain_name(column): column for column in reversed(document.columns())}
    sources = {}
    for standard, aliases in STANDARD_COLUMNS.items():
        name = next((n for n in (standard, *aliases) if n in by_plain_name), None)
        if name is not None:
            sources[standard] = by_plain_name[name]
    return tuple(
        Row(place, {std: values[column] for std, column in sources.items() if column in values})
        for place, values in document.rows
    )


def _plain_name(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def recognizes(document: Document) -> bool:
    """Return whether the table has columns of verdicts or scores."""
    table = _table(standard_rows(document))
    return table.has_pairs or table.has_single_scores


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add each row as a judgment, or as the score of one completion.

    Raises ConfigError if columns for both are missing, or if scores have no prompt.
    """
    rows = standard_rows(document)
    table = _table(rows)
    if not (table.has_pairs or table.has_single_scores):
        raise ConfigError(
            f"{document.location()}: a table needs {_REQUIRED}; there are: "
            f"{quote_names(document.columns())}: name them with --columns winner=COLUMN"
        )
    if not table.has_pairs and not {"prompt", "prompt_id"} & table.columns:
        raise ConfigError(
            f"{document.location()}: scores of single completions need a column that says of which "
            "prompt: name it with --columns prompt_id=COLUMN"
        )
    add_row = _add_pair if table.has_pairs else _add_score
    for number, (place, values) in enumerate(rows, 1):
        tags = labels.parse_tags(values.get("tags"))
        if cluster := labels.label_text(values.get("cluster")):
            tags = (*tags, f"{CLUSTER_TAG}{cluster}")
        name = labels.label_text(values.get("prompt_id"))
        prompt_id = builder.add_row_prompt(number, values.get("prompt"), prompt_id=name, tags=tags)
        add_row(values, table, document.location(place), prompt_id, builder)


def _table(rows: Iterable[Row]) -> _Table:
    present: dict[str, set[str | None]] = {"winner": set(), "first": set()}
    columns: set[str] = set()
    for _, values in rows:
        columns.update(values)
        for column in present:
            present[column].add(labels.normalize_label(values.get(column)))
    return _Table(frozenset(columns), *(_number_labels(texts) for texts in present.values()))


def _number_labels(present: set[str | None]) -> tuple[str, ...]:
    """Return the unambiguous numeric labels, given all labels of a column.

    With 1 and 2, 0 is a tie. In a column of 0 and 1, either may mean the first of two; without 1,
    only the meaning of 0 is ambiguous.
    """
    if "0" in present and "1" not in present:
        return ("2",)
    if "0" in present and "2" not in present:
        return ()
    return ("0", "1", "2")


def _add_pair(
    values: RowValues, table: _Table, location: str, prompt_id: str, builder: EvidenceBuilder
) -> None:
    a, b = (_output(values, table, f"_{side}", location, default=side) for side in "ab")
    pair = builder.add_pair(prompt_id, a, b)
    names = (a.model, b.model)
    judge = labels.label_text(values.get("judge")) or "judge"
    verdict = _verdict(values, table, names)
    builder.add_judgment(pair, judge, verdict, _shown_first(values, table, names))


def _add_score(
    values: RowValues, table: _Table, location: str, prompt_id: str, builder: EvidenceBuilder
) -> None:
    output = _output(values, table, "", location)
    reason = values.get("explanation")
    builder.add_score(
        PointwiseScore(
            prompt_id,
            output,
            labels.label_text(values.get("judge")) or "score",
            labels.parse_number("score", values.get("score"), 0, 10),
            reason if isinstance(reason, str) else "",
        )
    )


def _output(
    values: RowValues, table: _Table, suffix: str, location: str, default: str = ""
) -> ModelOutput:
    """Return the output in the columns `model` and `completion` with this suffix."""
    column, completion = f"model{suffix}", f"completion{suffix}"
    name = default
    if column in table.columns:
        name = labels.parse_model_name(values.get(column), column, location)
    return ModelOutput(name, completion in table.columns, values.get(completion))


def _verdict(values: RowValues, table: _Table, names: tuple[str, str]) -> Verdict | ParseFailure:
    columns = ("score_a", "score_b")
    pair = (values.get("score_a"), values.get("score_b"))
    scores = labels.parse_scores(columns, pair)
    if "winner" in table.columns:
        meanings = _meanings(names, table.winner_numbers)
        preference = labels.parse_winner("winner", values.get("winner"), meanings)
    elif "preference" in table.columns:
        preference = labels.parse_number("preference", values.get("preference"), 0, 1)
    elif scores is None:
        first_missing = labels.normalize_label(pair[0]) in (None, "")
        preference = labels.parse_failure("score_a" if first_missing else "score_b", None)
    elif isinstance(scores, ParseFailure):
        preference = scores
    else:
        preference = labels.preference_from_scores(scores)
    return labels.make_verdict(preference, scores, values.get("explanation"))


def _shown_first(values: RowValues, table: _Table, names: tuple[str, str]) -> ShownFirst:
    meanings = _meanings(names, tuple(n for n in table.first_numbers if n != "0"))
    match labels.parse_winner("first", values.get("first"), meanings):
        case 1.0:
            return "a"
        case 0.0:
            return "b"
    return "unknown"


@lru_cache(maxsize=256)
def _meanings(names: tuple[str, str], numbers: tuple[str, ...]) -> labels.LabelMeanings:
    a, b = names
    return labels.label_meanings(
        ("a", "model_a", "model1", "model_1", "left", *({"1"} & set(numbers)), a),
        ("b", "model_b", "model2", "model_2", "right", *({"2"} & set(numbers)), b),
        (*_TIES, *({"0"} & set(numbers))),
    )
