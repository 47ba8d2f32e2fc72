"""Completions that are read from a file instead of generated."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Spec, parse_fields
from bakeoff.errors import BackendError, ConfigError
from bakeoff.generators.thinking import make_completion
from bakeoff.plugins import RunContext
from bakeoff.prompts.rows import Row, format_names, read_rows
from bakeoff.records import Completion, Finish, Prompt, content_key
from bakeoff.runtime import PerItem, Traits, to_daemon_thread

# Key of a row: ("id", prompt id, sample), ("messages", content key of the conversation, sample) or
# ("prompt", text of the last user turn, sample).
RowKey = tuple[str, str, int]


class _Recording(NamedTuple):
    place: str  # in the file, for error messages
    completion: Completion


class RecordedCompletions(PerItem[Prompt, Completion]):
    """`file:FILE` completes a prompt with its completion in FILE (.jsonl, .json or .csv).

    A row has a `completion` (`?column=NAME`: in another column) and identifies its prompt by
    `prompt_id`, `messages` or `prompt`, the text of the last user turn; of several, the first that
    matches counts. Optional columns are `finish`, `tokens`, and `sample`, the index of a completion
    among several of one prompt. Rows whose completion is missing or null are skipped.
    """

    traits = Traits(free=True)

    class Options(BaseModel):
        """Options of the spec."""

        model_config = ConfigDict(extra="forbid")

        column: str = "completion"

    class Fields(BaseModel):
        """The columns that are read of a row, besides those that identify its prompt."""

        completion: str
        finish: Finish = "unknown"
        tokens: int | None = Field(None, ge=0)
        sample: int = Field(0, ge=0)

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(context.max_concurrency)
        self._path = Path(spec.target)
        self._column = parse_fields(self.Options, dict(spec.options), where=spec.name).column
        self._recordings: dict[RowKey, list[_Recording]] | None = None
        self._reading = asyncio.Lock()
        try:
            with self._path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError) as error:  # ValueError: not a valid path
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"cannot read the completions in {spec.target!r}: {reason}") from None
        # Includes the column: one file may hold the completions of several models.
        self.identity = {"backend": "file", "sha256": digest, "column": self._column}

    async def prepare(self) -> None:
        """Read the file.

        Raises ConfigError if it is malformed, or has two different completions of one prompt.
        """
        async with self._reading:
            self._recordings = self._recordings or await to_daemon_thread(self._read)

    async def process(self, item: Prompt) -> Completion:
        """Return the recorded completion of a prompt; raise BackendError without one."""
        if self._recordings is None:
            await self.prepare()
        for key in _keys_of_prompt(item):
            if recordings := (self._recordings or {}).get(key):
                first, *others = recordings
                for other in others:
                    self._check_same(first, other)
                return first.completion
        which = f", sample {item.sample}" if item.sample else ""
        raise BackendError(f"no completion for prompt {item.id!r}{which} in {str(self._path)!r}")

    def _read(self) -> dict[RowKey, list[_Recording]]:
        recordings: dict[RowKey, list[_Recording]] = defaultdict(list)
        by_best_key: dict[RowKey, _Recording] = {}
        columns: dict[str, None] = {}
        for row in read_rows(self._path, lists=("completions", "data")):
            columns.update(dict.fromkeys(row.values))
            if row.values.get(self._column) is None:
                continue
            recording, sample = self._parse(row)
            keys = [(*key, sample) for key in _keys_of_row(row, self._where(row.place))]
            if not keys:
                where = self._where(row.place)
                raise ConfigError(
                    f"{where}: no 'prompt_id', 'messages' or 'prompt' says what it is for"
                )
            self._check_same(by_best_key.setdefault(keys[0], recording), recording)
            for key in keys:
                recordings[key].append(recording)
        if not recordings:
            raise ConfigError(
                f"{str(self._path)!r} holds no completions in the column {self._column!r}; there "
                f"are: {format_names(columns)}: choose with ?column=NAME"
            )
        return dict(recordings)

    def _parse(self, row: Row) -> tuple[_Recording, int]:
        """Return the recording of a row and its sample number."""
        values = {name: row.values.get(name) for name in self.Fields.model_fields}
        values["completion"] = row.values[self._column]
        present = {k: v for k, v in values.items() if k == "completion" or v not in (None, "")}
        fields = parse_fields(self.Fields, present, where=self._where(row.place))
        completion = make_completion(fields.completion, finish=fields.finish, tokens=fields.tokens)
        return _Recording(row.place, completion), fields.sample

    def _check_same(self, first: _Recording, second: _Recording) -> None:
        if first.completion != second.completion:
            raise ConfigError(
                f"{str(self._path)!r}: {first.place} and {second.place} are different completions "
                "of one prompt; keep one of them"
            )

    def _where(self, place: str) -> str:
        return f"{str(self._path)!r}, {place}"


def _keys_of_prompt(prompt: Prompt) -> Iterator[RowKey]:
    yield "id", prompt.id, prompt.sample
    yield "messages", content_key(prompt.conversation()), prompt.sample
    for message in reversed(prompt.messages):
        if message.role == "user":
            yield "prompt", message.content, prompt.sample
            return


def _keys_of_row(row: Row, where: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a row without its sample number, the most specific first."""
    if (prompt_id := row.values.get("prompt_id")) not in (None, ""):
        yield "id", str(prompt_id)
    for column, kind in (("messages", "a list of messages"), ("prompt", "a text")):
        value: JsonValue = row.values.get(column)
        if isinstance(value, list):
            prompt = parse_fields(Prompt, {"messages": value}, where=where)
            yield "messages", content_key(prompt.conversation())
        elif isinstance(value, str) and column == "prompt":
            yield "prompt", value
        elif value not in (None, ""):
            raise ConfigError(f"{where}: {column!r} has to be {kind}")
