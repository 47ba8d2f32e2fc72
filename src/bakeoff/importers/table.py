"""Importer of tables with named columns: a row is a judgment, or a completion with a score."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, PointwiseScore, ShownFirst
from bakeoff.importers.documents import Document, quote_names
from bakeoff.importers.labels import ParseFailure
from bakeoff.importers.number_columns import (
    MEANINGS,
    NumberMeaning,
    VerdictColumn,
    column_values,
    parse_meaning,
)
from bakeoff.importers.score_scales import FileScores
from bakeoff.importers.table_columns import GAMES, column_sources, plain_name, standard_rows
from bakeoff.prompts.rows import Row
from bakeoff.records import CLUSTER_TAG, Scores

RowValues = dict[str, JsonValue]

_REQUIRED = "winner, preference, score_a and score_b, or model and score"
_TIES = ("tie", "draw", "equal", "both")
_COUNT_WORDS = frozenset(("vote", "votes", "upvotes", "count", "counts", "n", "num", "number"))
_JUDGE_OF_FILE = re.compile(r"(.+)_(?:single|pair)")  # as FastChat names its files


class _Table(NamedTuple):
    """Properties of a table that depend on all of its rows."""

    columns: frozenset[str]
    """Standard columns that any row has."""
    label: str | None
    """The column of the winner or the preference."""
    meaning: NumberMeaning | None
    """What the numbers of the column `label` mean; None if it holds labels."""
    winner_numbers: tuple[str, ...]
    """Numbers among 0, 1 and 2 that are unambiguous labels in the column `label`."""
    first_numbers: tuple[str, ...]
    """Numbers that are unambiguous labels in the column `first`."""
    judge: str
    """The judge of rows that name none."""


def recognizes(document: Document) -> bool:
    """Return whether the table has columns of verdicts or scores."""
    columns = column_sources(document).keys()
    return _has_pairs(columns) or {"model", "score"} <= columns


def _has_pairs(columns: Collection[str]) -> bool:
    labels = {"winner", "preference", *MEANINGS, *(game[0] for game in GAMES)}
    return bool(labels & set(columns)) or {"score_a", "score_b"} <= set(columns)


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add each row as a judgment (of FastChat's games, two), or as the score of one completion.

    Raises ConfigError if columns for both are missing, if scores have no prompt or are counts of
    votes, or if numbers may name either winner.
    """
    sources, rows = column_sources(document), standard_rows(document)
    has_pairs = _has_pairs(sources)
    if not (has_pairs or {"model", "score"} <= sources.keys()):
        raise ConfigError(
            f"{document.location()}: a table needs {_REQUIRED}; there are: "
            f"{quote_names(document.columns())}: name them with --columns winner=COLUMN"
        )
    if not has_pairs and not {"prompt", "prompt_id"} & sources.keys():
        raise ConfigError(
            f"{document.location()}: scores of single completions need a column that says of which "
            "prompt: name it with --columns prompt_id=COLUMN"
        )
    for column in ("score", "score_a", "score_b"):
        _check_is_no_count(document, column, sources)
    table = _table(document, rows, sources, builder)
    for row in rows:
        values = row.values
        tags = labels.parse_tags(values.get("tags"))
        if cluster := labels.label_text(values.get("cluster")):
            tags = (*tags, f"{CLUSTER_TAG}{cluster}")
        name = labels.label_text(values.get("prompt_id"))
        prompt_id = builder.add_row_prompt(row, values.get("prompt"), prompt_id=name, tags=tags)
        for game in _games(values, table) if has_pairs else ():
            _add_pair(game, table, document.location(row.place), prompt_id, builder)
        if not has_pairs:
            _add_score(values, table, document.location(row.place), prompt_id, builder)


def _check_is_no_count(document: Document, column: str, sources: Mapping[str, str]) -> None:
    """Raise ConfigError if the name of a column of scores says that it counts votes."""
    name = document.renamed.get(column, sources.get(column, ""))
    if _COUNT_WORDS & set(plain_name(name).split("_")):
        raise ConfigError(
            f"{document.location()}: {name!r} counts votes, and counts are no scores: name the "
            "column of the winner with --columns winner=COLUMN"
        )


def _table(
    document: Document, rows: Sequence[Row], sources: Mapping[str, str], builder: EvidenceBuilder
) -> _Table:
    label = next((c for c in (*MEANINGS, "winner", "preference") if c in sources), None)
    from_1 = any(
        sources.get(f"{kind}_a", "").endswith("1") and sources.get(f"{kind}_b", "").endswith("2")
        for kind in ("model", "completion", "score")
    )
    meaning: NumberMeaning | None = None
    numbers: tuple[str, ...] = ("0", "1", "2")
    if label in MEANINGS:
        meaning = label
    elif label is not None:
        values = column_values(
            values.get(label) for _, values in rows if not _is_name(values.get(label), values)
        )
        name = document.renamed.get(label, sources[label])
        column = VerdictColumn(document.location(), name, values)
        if label == "winner" or (values.has_words and not values.numbers):
            numbers = column.winner_numbers(from_1)
        else:
            plain = set(map(plain_name, document.columns()))
            farm = {"instruction", "output_1", "output_2"} <= plain
            meaning = column.probability_or_index(farm)
            if meaning == "index_from_1":
                builder.add_note(
                    "'preference' is that of AlpacaFarm: 1 is output_1, 2 is output_2."
                )
    first = column_values(values.get("first") for _, values in rows).numbers
    first_numbers = ("1", "2") if first == {1, 2} or (from_1 and 0 not in first) else ()
    judge = _JUDGE_OF_FILE.fullmatch(document.path.name.partition(".json")[0].partition(".csv")[0])
    return _Table(
        frozenset(sources),
        label,
        meaning,
        numbers,
        first_numbers,
        judge[1] if judge else "",
    )


def _is_name(value: JsonValue, values: RowValues) -> bool:
    """Return whether a winner is the name of one of the models of its row."""
    label = labels.normalize_label(value)
    names = (labels.label_text(values.get(column)).casefold() for column in ("model_a", "model_b"))
    return label is not None and label in names


def _games(values: RowValues, table: _Table) -> Iterator[RowValues]:
    """Yield the row, or a row for each of the two games of FastChat."""
    if table.label is not None or not any(game[0] in table.columns for game in GAMES):
        yield values
        return
    for winner, reason, first in GAMES:
        if winner in table.columns:
            yield values | {
                "winner": values.get(winner),
                "explanation": values.get(reason),
                "first": first,
            }


def _add_pair(
    values: RowValues, table: _Table, location: str, prompt_id: str, builder: EvidenceBuilder
) -> None:
    a, b = (_output(values, table, f"_{side}", location, default=side) for side in "ab")
    pair = builder.add_pair(prompt_id, a, b)
    names = (a.model, b.model)
    judge = labels.parse_judge(values.get("judge"), table.judge or "judge")
    preference, both_bad = _preference(values, table, names)
    scores = None
    if {"score_a", "score_b"} <= table.columns:
        pair_of_scores = (values.get("score_a"), values.get("score_b"))
        scores = FileScores(("score_a", "score_b"), pair_of_scores, not _has_label(table))
    if preference is None:
        preference = _preference_of_scores(scores)
    verdict = labels.make_verdict(preference, None, values.get("explanation"), both_bad=both_bad)
    builder.add_judgment(pair, judge, verdict, _shown_first(values, table, names), scores)


def _add_score(
    values: RowValues, table: _Table, location: str, prompt_id: str, builder: EvidenceBuilder
) -> None:
    output = _output(values, table, "", location)
    reason = values.get("explanation")
    builder.add_score(
        PointwiseScore(
            prompt_id,
            output,
            labels.parse_judge(values.get("judge"), table.judge or "score"),
            values.get("score"),
            reason if isinstance(reason, str) else "",
            time=_time(values.get("time")),
        )
    )


def _time(value: JsonValue) -> float | None:
    """Return a number, such as seconds since 1970, or an ISO 8601 text in seconds since 1970.

    None for any other value. Only the order and the distances of times matter.
    """
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).timestamp()
        except ValueError:
            return _number(value)
    return _number(value)


def _number(value: JsonValue) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _output(
    values: RowValues, table: _Table, suffix: str, location: str, default: str = ""
) -> ModelOutput:
    """Return the output in the columns `model` and `completion` with this suffix."""
    column, completion = f"model{suffix}", f"completion{suffix}"
    name = default
    if column in table.columns:
        name = labels.parse_model_name(values.get(column), column, location)
    return ModelOutput(name, completion in table.columns, values.get(completion))


def _has_label(table: _Table) -> bool:
    return table.label is not None or any(game[0] in table.columns for game in GAMES)


def _preference(
    values: RowValues, table: _Table, names: tuple[str, str]
) -> tuple[float | ParseFailure | None, bool]:
    """Return the preference in the column of labels, and whether both are bad; None without one."""
    if not _has_label(table):
        return None, False
    label = table.label or "winner"
    value = values.get(label)
    if table.meaning is not None:
        return parse_meaning(label, value, table.meaning), False
    preference = labels.parse_winner(label, value, _meanings(names, table.winner_numbers))
    return preference, preference == 0.5 and labels.is_both_bad(value)


def _preference_of_scores(scores: FileScores | None) -> float | ParseFailure:
    """Return the preference for the higher score, on whatever scale."""
    if scores is None:
        return labels.parse_failure("score_a", None)
    parsed = labels.parse_scores(scores.columns, scores.values, math.inf)
    if isinstance(parsed, Scores):
        return labels.preference_from_scores(parsed)
    if parsed is not None:
        return parsed
    first_missing = labels.normalize_label(scores.values[0]) in (None, "")
    return labels.parse_failure("score_a" if first_missing else "score_b", None)


def _shown_first(values: RowValues, table: _Table, names: tuple[str, str]) -> ShownFirst:
    meanings = _meanings(names, table.first_numbers)
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
