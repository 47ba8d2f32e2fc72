"""Load pairs whose better completion is known: the built-in ones, or those of a file.

    {"id", "set", "kind", "prompt", "better", "worse"}                  the built-in pairs
    {"prompt", "chosen", "rejected"}                                    a preference dataset
    {"input", "output_1", "output_2", "label": 1}                       LLMBar
    {"question", "completion_a", "completion_b", "winner": "B"}         other columns with a label

A prompt is a text or a list of messages; `reference`, `set`, `kind` and `id` are optional.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.config import parse_fields
from bakeoff.errors import ConfigError
from bakeoff.importers.documents import Document, json_type, open_document, quote_names
from bakeoff.importers.labels import ParseFailure, label_meanings, label_text, parse_winner
from bakeoff.importers.table_columns import STANDARD_COLUMNS
from bakeoff.prompts.rows import Row
from bakeoff.records import Prompt, Record, content_key

BUILT_IN = "bakeoff's own"
BETTER, WORSE = "better", "worse"  # names of the two completions in place of model names

_PROMPT_COLUMNS = ("messages", "prompt", "instruction", "question", "input")
_SORTED_COLUMNS = ((BETTER, WORSE), ("chosen", "rejected"))
_UNSORTED_COLUMNS = (
    ("first", "second"),
    *(
        (a, b)
        for a, b in zip(
            STANDARD_COLUMNS["completion_a"], STANDARD_COLUMNS["completion_b"], strict=True
        )
    ),
    ("completion_a", "completion_b"),
)
_LABEL_COLUMNS = ("label", "winner")
_LABELS = label_meanings(
    ("1", "a", *(a for a, _ in _UNSORTED_COLUMNS)),
    ("2", "b", *(b for _, b in _UNSORTED_COLUMNS)),
    ("tie", "draw", "equal", "both", "neither"),
)


class LabeledPair(Record):
    """A prompt with a better and a worse completion."""

    id: str
    set: str = ""
    """Group of the pair."""
    kind: str = ""
    """Subgroup of the pair."""
    prompt: Prompt
    better: str
    worse: str


class LabeledPairs(NamedTuple):
    """The pairs of a check, in the order of their source."""

    source: str
    """Path, or `BUILT_IN`."""
    pairs: tuple[LabeledPair, ...]
    available: int
    """Number of pairs of the source, before `limit`."""


def load_labeled_pairs(file: Path | None = None, limit: int | None = None) -> LabeledPairs:
    """Return the pairs of a file (.jsonl, .json or .csv, also gzipped), or the built-in pairs.

    At most `limit` (>= 1) pairs are drawn by a hash of their content: a smaller limit draws a
    subset of a larger one. Raises ConfigError if the file cannot be read, or a row lacks a prompt,
    two completions or a label that names the better one.
    """
    if file is None:
        with as_file(files("bakeoff.evaluation.judge_check") / "pairs.jsonl") as path:
            document = open_document(path)
    else:
        document = open_document(file)
    pairs = [_labeled_pair(document, row) for row in document.rows]
    _check_ids(document, pairs)
    drawn = sorted(range(len(pairs)), key=lambda index: _rank(pairs[index]))[:limit]
    return LabeledPairs(
        source=str(file) if file else BUILT_IN,
        pairs=tuple(pairs[index] for index in sorted(drawn)),
        available=len(pairs),
    )


def _labeled_pair(document: Document, row: Row) -> LabeledPair:
    where, values = document.location(row.place), row.values
    better, worse = _better_and_worse(where, values)
    return LabeledPair(
        id=label_text(values.get("id")) or row.place,
        set=label_text(values.get("set")),
        kind=label_text(values.get("kind")),
        prompt=_prompt(where, values),
        better=better,
        worse=worse,
    )


def _better_and_worse(where: str, values: Mapping[str, JsonValue]) -> tuple[str, str]:
    """Return the better and the worse completion of a row."""
    for columns in _SORTED_COLUMNS:
        if all(column in values for column in columns):
            return _texts(where, values, columns)
    unsorted = next((pair for pair in _UNSORTED_COLUMNS if all(c in values for c in pair)), None)
    if unsorted is None:
        raise ConfigError(
            f"{where} holds {quote_names(values)}: it needs two completions, as 'better' and "
            "'worse', or as 'first' and 'second' with a 'label'"
        )
    first, second = _texts(where, values, unsorted)
    return (first, second) if _first_is_better(where, values) else (second, first)


def _texts(where: str, values: Mapping[str, JsonValue], columns: Sequence[str]) -> tuple[str, str]:
    first, second = (_text(where, column, values[column]) for column in columns)
    return first, second


def _text(where: str, column: str, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {column!r} has to be a text, and is {json_type(value)}")
    return value


def _first_is_better(where: str, values: Mapping[str, JsonValue]) -> bool:
    column = next((name for name in _LABEL_COLUMNS if name in values), _LABEL_COLUMNS[0])
    preference = parse_winner(column, values.get(column), _LABELS)
    if isinstance(preference, ParseFailure):
        raise ConfigError(
            f"{where}: {preference.message}; write 1 or 2, 'A' or 'B', 'first' or 'second'"
        )
    if preference == 0.5:
        raise ConfigError(
            f"{where}: {column!r} is a tie, so that nothing is known: take the row out"
        )
    return preference == 1


def _prompt(where: str, values: Mapping[str, JsonValue]) -> Prompt:
    column = next((name for name in _PROMPT_COLUMNS if name in values), None)
    if column is None:
        raise ConfigError(f"{where} has no prompt: it needs one of {quote_names(_PROMPT_COLUMNS)}")
    messages, alpaca_input = values[column], values.get("input")
    if not isinstance(messages, list):
        text = _text(where, column, messages)
        if column == "instruction" and isinstance(alpaca_input, str) and alpaca_input.strip():
            text = f"{text}\n\n{alpaca_input}"
        messages = [{"role": "user", "content": text}]
    fields = {"messages": messages, "reference": values.get("reference") or None}
    return parse_fields(Prompt, fields, where=where)


def _check_ids(document: Document, pairs: Sequence[LabeledPair]) -> None:
    places: dict[str, str] = {}
    for row, pair in zip(document.rows, pairs, strict=True):
        earlier = places.setdefault(pair.id, row.place)
        if earlier != row.place:
            raise ConfigError(
                f"{document.location(earlier)} and {row.place} have one id, {pair.id!r}: give each "
                "an id of its own"
            )


def _rank(pair: LabeledPair) -> str:
    return content_key("check", pair.prompt.conversation(), pair.better, pair.worse)
