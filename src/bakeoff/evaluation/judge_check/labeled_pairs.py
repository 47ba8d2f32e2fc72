"""Pairs whose better completion is known: our own, or those of a file. Asks no judge.

    {"id", "set", "kind", "prompt", "better", "worse"}                  as our own are written
    {"prompt", "chosen", "rejected"}                                    a preference dataset
    {"input", "output_1", "output_2", "label": 1}                       LLMBar
    {"question", "completion_a", "completion_b", "winner": "B"}         any other two, and a label

A prompt is a text or a list of messages; beside it may stand `reference`, `set`, `kind` and `id`.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.config import parse_fields
from bakeoff.errors import ConfigError
from bakeoff.importers.documents import Document, format_names, json_type, open_document
from bakeoff.importers.labels import ParseFailure, label_meanings, label_text, parse_winner
from bakeoff.importers.table import STANDARD_COLUMNS
from bakeoff.prompts.rows import Row
from bakeoff.records import Prompt, Record, content_key

OWN = "bakeoff's own"
BETTER, WORSE = "better", "worse"  # what the two of a pair are called where models have names

_PROMPTS = ("messages", "prompt", "instruction", "question", "input")
_KNOWN = ((BETTER, WORSE), ("chosen", "rejected"))
_TWO = (
    ("first", "second"),
    *(
        (a, b)
        for a, b in zip(
            STANDARD_COLUMNS["completion_a"], STANDARD_COLUMNS["completion_b"], strict=True
        )
    ),
    ("completion_a", "completion_b"),
)
_LABELS = ("label", "winner")
_MARKS = label_meanings(
    ("1", "a", *(a for a, _ in _TWO)),
    ("2", "b", *(b for _, b in _TWO)),
    ("tie", "draw", "equal", "both", "neither"),
)


class Labelled(Record):
    """A pair whose better completion is known. `set` and `kind` say which group it is of."""

    id: str
    set: str = ""
    kind: str = ""
    prompt: Prompt
    better: str
    worse: str


class Known(NamedTuple):
    """The pairs to check with, in the order of their source, and how many it holds in all."""

    source: str
    pairs: tuple[Labelled, ...]
    held: int


def known_pairs(file: Path | None = None, limit: int | None = None) -> Known:
    """The pairs of a file (.jsonl, .json or .csv, gzipped or not), or without one our own.

    At most `limit` (>= 1): drawn by the content of a pair, so that the same are drawn everywhere
    and a smaller limit draws a subset of what a larger one does. ConfigError names the row where
    one has no prompt, no two texts, or no label that says which is better.
    """
    if file is None:
        with as_file(files("bakeoff.evaluation.judge_check") / "pairs.jsonl") as path:
            document = open_document(path)
    else:
        document = open_document(file)
    pairs = [_labelled(document, row) for row in document.rows]
    _check_ids(document, pairs)
    drawn = sorted(range(len(pairs)), key=lambda index: _rank(pairs[index]))[:limit]
    return Known(
        source=str(file) if file else OWN,
        pairs=tuple(pairs[index] for index in sorted(drawn)),
        held=len(pairs),
    )


def _labelled(document: Document, row: Row) -> Labelled:
    where, values = document.location(row.place), row.values
    better, worse = _sorted_out(where, values)
    return Labelled(
        id=label_text(values.get("id")) or row.place,
        set=label_text(values.get("set")),
        kind=label_text(values.get("kind")),
        prompt=_prompt(where, values),
        better=better,
        worse=worse,
    )


def _sorted_out(where: str, values: Mapping[str, JsonValue]) -> tuple[str, str]:
    """The better and the worse completion of a row."""
    for known in _KNOWN:
        if all(column in values for column in known):
            return _texts(where, values, known)
    columns = next((two for two in _TWO if all(one in values for one in two)), None)
    if columns is None:
        raise ConfigError(
            f"{where} holds {format_names(values)}: it needs two completions, as 'better' and "
            "'worse', or as 'first' and 'second' with a 'label'"
        )
    first, second = _texts(where, values, columns)
    return (first, second) if _first_is_better(where, values) else (second, first)


def _texts(where: str, values: Mapping[str, JsonValue], columns: Sequence[str]) -> tuple[str, str]:
    one, other = (_text(where, column, values[column]) for column in columns)
    return one, other


def _text(where: str, column: str, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {column!r} has to be a text, and is {json_type(value)}")
    return value


def _first_is_better(where: str, values: Mapping[str, JsonValue]) -> bool:
    column = next((name for name in _LABELS if name in values), _LABELS[0])
    found = parse_winner(column, values.get(column), _MARKS)
    if isinstance(found, ParseFailure):
        raise ConfigError(
            f"{where}: {found.message}; write 1 or 2, 'A' or 'B', 'first' or 'second'"
        )
    if found == 0.5:
        raise ConfigError(
            f"{where}: {column!r} is a tie, so that nothing is known: take the row out"
        )
    return found == 1


def _prompt(where: str, values: Mapping[str, JsonValue]) -> Prompt:
    column = next((name for name in _PROMPTS if name in values), None)
    if column is None:
        raise ConfigError(f"{where} has no prompt: it needs one of {format_names(_PROMPTS)}")
    said, more = values[column], values.get("input")
    if not isinstance(said, list):
        said = _text(where, column, said)
        if column == "instruction" and isinstance(more, str) and more.strip():
            said = f"{said}\n\n{more}"  # Alpaca's way to hand over what the instruction is about
        said = [{"role": "user", "content": said}]
    fields = {"messages": said, "reference": values.get("reference") or None}
    return parse_fields(Prompt, fields, where=where)


def _check_ids(document: Document, pairs: Sequence[Labelled]) -> None:
    places: dict[str, str] = {}
    for row, pair in zip(document.rows, pairs, strict=True):
        other = places.setdefault(pair.id, row.place)
        if other != row.place:
            raise ConfigError(
                f"{document.location(other)} and {row.place} have one id, {pair.id!r}: give each "
                "an id of its own"
            )


def _rank(pair: Labelled) -> str:
    return content_key("check", pair.prompt.conversation(), pair.better, pair.worse)
