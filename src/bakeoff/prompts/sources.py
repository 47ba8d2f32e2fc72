"""Draws the prompts: the packaged starter set, UltraChat, a dataset, or a file. Knows no model.

    starter                                     prompts of our own; needs no network
    ultrachat[?turns=all]                       first turns of HuggingFaceH4/ultrachat_200k
    hf:DATASET[?split=&column=&config=&revision=&turns=]
                                                a name on the hub, or a folder
    FILE[?column=&turns=]                       .jsonl, .json, .csv, or .txt (a prompt a line)

A row has `messages`, or a text in `prompt`, `instruction`, `question`, `text` or `content`; beside
it may stand `tags`, `reference`, `criteria` (of a rubric) and, in a file, `id`. The ids of a
dataset are not taken over: nobody here could mend two rows that have the same one.
"""

import heapq
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, JsonValue

from bakeoff.config import Spec, parse_fields
from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import Dataset, Part, Row, json_value, listed, read_dataset, read_rows
from bakeoff.records import Prompt, Role, content_key

SOURCES = "starter, ultrachat, hf:DATASET, or a FILE (.jsonl, .json, .csv, .txt)"
COLUMNS = ("messages", "prompt", "instruction", "question", "text", "content")
NAMED = 5  # how many places a note names before it only counts

Turns = Literal["first", "all"]
Conversation = list[dict[str, str]]


class Draw(NamedTuple):
    """The prompts in the order of the draw, and what is to be said about it, a line each.

    `revision` is the commit of the hub's repo that they are from, where they are.
    """

    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...]
    revision: str | None = None


class FileOptions(BaseModel):
    """Options of a file; its conversations are taken as they stand there."""

    model_config = ConfigDict(extra="forbid")

    column: str | None = None
    turns: Turns = "all"


class HubOptions(BaseModel):
    """Options of a dataset; of its conversations the first turn is taken.

    `revision` is a branch, a tag or a commit of its repo on the hub.
    """

    model_config = ConfigDict(extra="forbid")

    split: str | None = None
    column: str | None = None
    config: str | None = None
    revision: str | None = None
    turns: Turns = "first"


class _Candidate(NamedTuple):
    key: str
    where: str
    messages: Conversation
    values: dict[str, JsonValue]


def draw(source: str, limit: int, seed: int) -> Draw:
    """At most `limit` (>= 1) different prompts of a source, sampled without replacement.

    A prompt's rank is the content key of the seed and its messages; the first `limit` are drawn. So
    a seed draws the same prompts on every machine and in whatever order the source holds them, and
    a smaller limit draws a subset of what a larger one does. Of duplicates the first one's id, tags
    and reference stay. ConfigError where the source is not there, not readable, or empty.
    """
    spec = _parsed(source)
    if spec.backend == "hf":
        hub = parse_fields(HubOptions, dict(spec.options), where=repr(source))
        sieve = _Sieve(source, seed, hub.column, hub.turns)
        rows, revision = _dataset(spec.target, hub)
    else:
        file = parse_fields(FileOptions, dict(spec.options), where=repr(source))
        sieve = _Sieve(source, seed, file.column, file.turns)
        rows = _starter_rows() if spec.backend == "starter" else _file_rows(Path(spec.target))
        revision = None
    taken = heapq.nsmallest(limit, sieve.candidates(rows), key=lambda candidate: candidate.key)
    notes = sieve.notes()
    if not taken:
        raise ConfigError(": ".join([f"there are no prompts in {source!r}", *notes]))
    if len(taken) < limit:
        notes.append(f"asked for {limit} prompts, drew all {len(taken)} that there are")
    return Draw(tuple(map(_prompt, taken)), tuple(notes), revision)


def _parsed(source: str) -> Spec:
    # A path may hold '=', ':' or '?', so no name is split off, and a path that exists always wins.
    if _exists(source):
        return Spec(name=source, backend="file", target=source)
    kind, colon, rest = source.strip().partition(":")
    marked = bool(colon) and kind in ("hf", "file")
    if not (rest if marked else kind):
        raise ConfigError(f"no prompts {source!r}; there are: {SOURCES}")
    spec = Spec.parse(source if marked else f"file:{source}")
    if not marked and spec.target == "ultrachat":
        options = {"split": "test_sft", "column": "messages", **spec.options}
        return Spec(
            name=source, backend="hf", target="HuggingFaceH4/ultrachat_200k", options=options
        )
    if not marked and spec.target == "starter":
        return spec.model_copy(update={"backend": "starter"})
    if spec.backend == "file" and not _exists(spec.target):
        raise ConfigError(f"no prompts {source!r}: no such file; there are: {SOURCES}")
    return spec


def _exists(path: str) -> bool:
    try:
        return path not in ("", "starter", "ultrachat") and Path(path).exists()
    except OSError:  # too long to be a path
        return False


def _starter_rows() -> Iterator[Row]:
    with as_file(files("bakeoff.prompts") / "starter.jsonl") as path:
        yield from read_rows(path, lists=())


def _file_rows(path: Path) -> Iterator[Row]:
    return read_rows(path, lists=("prompts", "data"))


def _dataset(target: str, options: HubOptions) -> Dataset:
    def pick(columns: Sequence[str]) -> list[str]:
        column = _columns(columns, options.column, repr(target))[0]
        beside = {"tags", "reference", "criteria"} - {column}
        return [column, *(name for name in columns if name in beside)]

    part = Part(options.revision, options.config, options.split)
    return read_dataset(target, part, pick=pick)


def _columns(columns: Collection[str], named: str | None, where: str) -> list[str]:
    if found := [name for name in ([named] if named else COLUMNS) if name in columns]:
        return found
    missing = repr(named) if named else f"of {', '.join(COLUMNS)}"
    raise ConfigError(
        f"{where}: no column {missing}; there are: {listed(columns)}: choose with ?column=NAME"
    )


class _Sieve:
    """Lets every conversation through once; remembers what it left out and where that stood."""

    def __init__(self, source: str, seed: int, column: str | None, turns: Turns) -> None:
        self._source = source
        self._seed = seed
        self._column = column
        self._turns = turns
        self._places: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._empty: list[str] = []
        self._twice: list[str] = []

    def candidates(self, rows: Iterable[Row]) -> Iterator[_Candidate]:
        """Every different prompt of the rows, with the key that it is drawn by."""
        for place, values in rows:
            where = f"{self._source!r}, {place}"
            found = _columns(values, self._column, where)
            name = next((name for name in found if values[name] not in (None, "")), found[0])
            messages = _asked(_turns(values[name], name, where), self._turns, where)
            if not messages:
                self._empty.append(place)
                continue
            key = content_key(self._seed, [{**message} for message in messages])
            if key in self._places:
                self._twice.append(f"{place} (the same as {self._places[key]})")
                continue
            self._places[key] = place
            self._check_id(_text(values, "id", where), place)
            yield _Candidate(key, where, messages, values)

    def notes(self) -> list[str]:
        """What was left out: at most five places by name, and how many."""
        return [
            _note(places, what)
            for places, what in ((self._twice, "duplicate"), (self._empty, "empty prompt"))
            if places
        ]

    def _check_id(self, name: str | None, place: str) -> None:
        if name and (other := self._ids.setdefault(name, place)) != place:
            raise ConfigError(
                f"{self._source!r}: {other} and {place} are different prompts with one id, "
                f"{name!r}: give each an id of its own"
            )


def _note(places: list[str], what: str) -> str:
    more = [f"and {len(places) - NAMED} more"] if len(places) > NAMED else []
    listed = ", ".join([*places[:NAMED], *more])
    return f"{len(places)} {what}{'s' * (len(places) > 1)} left out: {listed}"


def _turns(value: JsonValue, name: str, where: str) -> list[JsonValue]:
    if name == "messages" and isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json_value(value)  # a cell of a .csv file
            json.dumps(value, ensure_ascii=False).encode()
        except ValueError as error:
            half = isinstance(error, UnicodeEncodeError)
            why = "it holds half a character" if half else getattr(error, "msg", str(error))
            raise ConfigError(f"{where}: {name!r} is not JSON: {why}") from None
    if value is None:
        return []
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        kind = type(value).__name__
        raise ConfigError(f"{where}: {name!r} has to be a text or a list of messages, not {kind}")
    return value


def _asked(given: list[JsonValue], turns: Turns, where: str) -> Conversation:
    # A prompt ends in a user's turn. What comes after is cut off unread: it may be of any form.
    users = [
        i for i, turn in enumerate(given) if isinstance(turn, dict) and turn.get("role") == "user"
    ]
    last = users[0 if turns == "first" else -1] if users else len(given) - 1
    messages = [_message(turn, where) for turn in given[: last + 1]]
    if not users or not messages[-1]["content"].strip():
        return []
    if turns == "first":
        return [*(m for m in messages[:1] if m["role"] == "system"), messages[-1]]
    return messages


def _message(turn: JsonValue, where: str) -> dict[str, str]:
    if not isinstance(turn, dict) or not turn.keys() >= {"role", "content"}:
        raise ConfigError(f"{where}: a message has to be an object with 'role' and 'content'")
    role, content = turn["role"], turn["content"]
    if not isinstance(role, str) or role not in get_args(Role):
        known = ", ".join(get_args(Role))
        raise ConfigError(f"{where}: a message's role has to be one of {known}, not {role!r}")
    if not isinstance(content, str):
        kind = type(content).__name__
        raise ConfigError(f"{where}: a message's content has to be a text, not {kind}")
    return {"role": role, "content": content}


def _prompt(candidate: _Candidate) -> Prompt:
    values = candidate.values
    fields = {
        "id": _text(values, "id", candidate.where) or "",
        "messages": candidate.messages,
        "tags": _listed(values.get("tags")),
        "reference": _text(values, "reference", candidate.where) or None,
        "criteria": _listed(values.get("criteria")),
    }
    return parse_fields(Prompt, fields, where=candidate.where)


def _listed(value: JsonValue) -> JsonValue:
    """A list as it stands there; a text is a list of names with commas between them."""
    if isinstance(value, str):
        return [*filter(None, map(str.strip, value.split(",")))]
    return value or []


def _text(values: dict[str, JsonValue], name: str, where: str) -> str | None:
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise ConfigError(f"{where}: {name!r} has to be a text, not {value!r}")
