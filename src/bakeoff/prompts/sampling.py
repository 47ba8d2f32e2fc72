"""Draws a seeded sample from a prompt set and validates its rows."""

import heapq
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple, get_args

from pydantic import JsonValue

from bakeoff.config import parse_fields
from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import Row, json_value
from bakeoff.prompts.sources import PromptSet, Turns, open_prompt_set, prompt_columns
from bakeoff.records import Prompt, Role, content_key

_MAX_PLACES = 5  # places of skipped rows that a note lists

Conversation = list[dict[str, str]]


class PromptSample(NamedTuple):
    """Sampled prompts in the order of the sample."""

    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...]
    """Messages about skipped rows and a small prompt set, one line each."""
    revision: str | None = None
    """Commit of the hub repository; None for other sources."""


def sample_prompts(source: str, limit: int, seed: int) -> PromptSample:
    """Return up to `limit` (>= 1) distinct prompts, sampled without replacement.

    Prompts are ranked by the content key of the seed and their messages, and the first `limit` are
    returned: a seed gives the same prompts on every machine and for every order of the source, and
    a smaller limit gives a subset. Of duplicates, the first one is kept, with its id, tags and
    reference. Raises ConfigError if the source is missing, cannot be read, or has no prompts.
    """
    prompt_set = open_prompt_set(source)
    sampler = _PromptSampler(source, seed, prompt_set)
    candidates = sampler.candidates(prompt_set.rows)
    chosen = heapq.nsmallest(limit, candidates, key=lambda candidate: candidate.key)
    notes = sampler.notes()
    if not chosen:
        raise ConfigError(": ".join([f"there are no prompts in {source!r}", *notes]))
    if len(chosen) < limit:
        notes.append(f"asked for {limit} prompts, drew all {len(chosen)} that there are")
    return PromptSample(tuple(map(_prompt, chosen)), tuple(notes), prompt_set.revision)


class _Candidate(NamedTuple):
    key: str
    location: str
    messages: Conversation
    values: dict[str, JsonValue]


class _PromptSampler:
    """Selects distinct candidates from a stream of rows, and counts the rows that it skips."""

    def __init__(self, source: str, seed: int, prompt_set: PromptSet) -> None:
        self._source = source
        self._seed = seed
        self._column = prompt_set.column
        self._turns = prompt_set.turns
        self._places: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._empty: list[str] = []
        self._duplicates: list[str] = []

    def candidates(self, rows: Iterable[Row]) -> Iterator[_Candidate]:
        """Yield every distinct prompt with its rank. Raises ConfigError for an invalid row."""
        for place, values in rows:
            location = f"{self._source!r}, {place}"
            columns = prompt_columns(values, self._column, location)
            name = next((name for name in columns if values[name] not in (None, "")), columns[0])
            turns = _parse_turns(values[name], name, location)
            messages = _select_messages(turns, self._turns, location)
            if not messages:
                self._empty.append(place)
                continue
            key = content_key(self._seed, [{**message} for message in messages])
            if key in self._places:
                self._duplicates.append(f"{place} (the same as {self._places[key]})")
                continue
            self._places[key] = place
            self._check_id(_text(values, "id", location), place)
            yield _Candidate(key, location, messages, values)

    def notes(self) -> list[str]:
        """Return messages about skipped rows: their number and first places."""
        return [
            _note(places, what)
            for places, what in ((self._duplicates, "duplicate"), (self._empty, "empty prompt"))
            if places
        ]

    def _check_id(self, name: str | None, place: str) -> None:
        if name and (other := self._ids.setdefault(name, place)) != place:
            raise ConfigError(
                f"{self._source!r}: {other} and {place} are different prompts with one id, "
                f"{name!r}: give each an id of its own"
            )


def _note(places: list[str], what: str) -> str:
    rest = [f"and {len(places) - _MAX_PLACES} more"] if len(places) > _MAX_PLACES else []
    return (
        f"{len(places)} {what}{'s' * (len(places) > 1)} left out: "
        f"{', '.join([*places[:_MAX_PLACES], *rest])}"
    )


def _parse_turns(value: JsonValue, name: str, location: str) -> list[JsonValue]:
    if name == "messages" and isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json_value(value)  # a cell of a .csv file
            json.dumps(value, ensure_ascii=False).encode()
        except ValueError as error:
            surrogate = isinstance(error, UnicodeEncodeError)
            why = "it holds half a character" if surrogate else getattr(error, "msg", str(error))
            raise ConfigError(f"{location}: {name!r} is not JSON: {why}") from None
    if value is None:
        return []
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        kind = type(value).__name__
        raise ConfigError(
            f"{location}: {name!r} has to be a text or a list of messages, not {kind}"
        )
    return value


def _select_messages(conversation: list[JsonValue], turns: Turns, location: str) -> Conversation:
    """Return the first user message after any system message, or all up to the last user message.

    Returns an empty list if there is no user message, or if it is blank.
    """
    users = [
        index
        for index, turn in enumerate(conversation)
        if isinstance(turn, dict) and turn.get("role") == "user"
    ]
    # Later messages are not validated, since they are not used.
    last = users[0 if turns == "first" else -1] if users else len(conversation) - 1
    messages = [_message(turn, location) for turn in conversation[: last + 1]]
    if not users or not messages[-1]["content"].strip():
        return []
    if turns == "first":
        return [*(m for m in messages[:1] if m["role"] == "system"), messages[-1]]
    return messages


def _message(turn: JsonValue, location: str) -> dict[str, str]:
    if not isinstance(turn, dict) or not turn.keys() >= {"role", "content"}:
        raise ConfigError(f"{location}: a message has to be an object with 'role' and 'content'")
    role, content = turn["role"], turn["content"]
    if not isinstance(role, str) or role not in get_args(Role):
        known = ", ".join(get_args(Role))
        raise ConfigError(f"{location}: a message's role has to be one of {known}, not {role!r}")
    if not isinstance(content, str):
        kind = type(content).__name__
        raise ConfigError(f"{location}: a message's content has to be a text, not {kind}")
    return {"role": role, "content": content}


def _prompt(candidate: _Candidate) -> Prompt:
    values = candidate.values
    fields = {
        "id": _text(values, "id", candidate.location) or "",
        "messages": candidate.messages,
        "tags": _list(values.get("tags")),
        "reference": _text(values, "reference", candidate.location) or None,
        "criteria": _list(values.get("criteria")),
    }
    return parse_fields(Prompt, fields, where=candidate.location)


def _list(value: JsonValue) -> JsonValue:
    """Return a list unchanged; split a text at commas."""
    if isinstance(value, str):
        return [*filter(None, map(str.strip, value.split(",")))]
    return value or []


def _text(values: dict[str, JsonValue], name: str, location: str) -> str | None:
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise ConfigError(f"{location}: {name!r} has to be a text, not {value!r}")
