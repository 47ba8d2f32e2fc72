"""Completions that someone already made, read from a file. Knows no model, and asks nobody."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Spec, parse_fields
from bakeoff.errors import BackendError, ConfigError
from bakeoff.generators.thinking import completion_of
from bakeoff.plugins import RunContext
from bakeoff.prompts.rows import Row, listed, read_rows
from bakeoff.records import Completion, Finish, Prompt, content_key
from bakeoff.runtime import PerItem, Traits, to_daemon_thread

# How a row and a prompt find each other: what of (its id, all messages, the last turn's text), and
# which of several completions of it.
Mark = tuple[str, str, int]


class _Line(NamedTuple):
    place: str
    completion: Completion


class Recorded(PerItem[Prompt, Completion]):
    """`file:FILE` completes with what FILE (.jsonl, .json, .csv) holds for a prompt.

    A row has a `completion` (`?column=NAME`: in another column) and says what it is for: in
    `prompt_id`, else in `messages`, else in `prompt`, the text of the last user's turn. `finish`
    and `tokens` may stand beside it, and `sample`, from 0, where a prompt has several completions.
    A row whose completion is missing or null counts as none.
    """

    traits = Traits(free=True)

    class Options(BaseModel):
        """Options of the spec."""

        model_config = ConfigDict(extra="forbid")

        column: str = "completion"

    class Fields(BaseModel):
        """What is read of a row, beside what says which prompt it is for."""

        completion: str
        finish: Finish = "unknown"
        tokens: int | None = Field(None, ge=0)
        sample: int = Field(0, ge=0)

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(context.max_concurrency)
        self._path = Path(spec.target)
        self._column = parse_fields(self.Options, dict(spec.options), where=spec.name).column
        self._lines: dict[Mark, list[_Line]] | None = None
        self._reading = asyncio.Lock()
        try:
            with self._path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError) as error:  # ValueError: no path can be such
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"cannot read the completions in {spec.target!r}: {why}") from None
        # The column is part of it: one file may hold the completions of several models.
        self.identity = {"backend": "file", "sha256": digest, "column": self._column}

    async def prepare(self) -> None:
        """Read the file; ConfigError where it cannot be read, or holds two for one prompt."""
        async with self._reading:
            self._lines = self._lines or await to_daemon_thread(self._read)

    async def process(self, item: Prompt) -> Completion:
        """The completion that the file holds; BackendError where it holds none for this prompt."""
        if self._lines is None:
            await self.prepare()
        for mark in _marks_of(item):
            if lines := (self._lines or {}).get(mark):
                first, *others = lines
                for other in others:
                    self._check_same(first, other)
                return first.completion
        which = f", sample {item.sample}" if item.sample else ""
        raise BackendError(f"no completion for prompt {item.id!r}{which} in {str(self._path)!r}")

    def _read(self) -> dict[Mark, list[_Line]]:
        lines: dict[Mark, list[_Line]] = defaultdict(list)
        surest: dict[Mark, _Line] = {}
        columns: dict[str, None] = {}
        for row in read_rows(self._path, lists=("completions", "data")):
            columns.update(dict.fromkeys(row.values))
            if row.values.get(self._column) is None:
                continue
            line, sample = self._line(row)
            marks = [(*mark, sample) for mark in _marks_in(row, self._where(row.place))]
            if not marks:
                where = self._where(row.place)
                raise ConfigError(
                    f"{where}: no 'prompt_id', 'messages' or 'prompt' says what it is for"
                )
            self._check_same(surest.setdefault(marks[0], line), line)
            for mark in marks:
                lines[mark].append(line)
        if not lines:
            raise ConfigError(
                f"{str(self._path)!r} holds no completions in the column {self._column!r}; there "
                f"are: {listed(columns)}: choose with ?column=NAME"
            )
        return dict(lines)

    def _line(self, row: Row) -> tuple[_Line, int]:
        """What a row holds, and which of several completions it is."""
        values = {name: row.values.get(name) for name in self.Fields.model_fields}
        values["completion"] = row.values[self._column]
        given = {k: v for k, v in values.items() if k == "completion" or v not in (None, "")}
        read = parse_fields(self.Fields, given, where=self._where(row.place))
        completion = completion_of(read.completion, finish=read.finish, tokens=read.tokens)
        return _Line(row.place, completion), read.sample

    def _check_same(self, one: _Line, other: _Line) -> None:
        if one.completion != other.completion:
            raise ConfigError(
                f"{str(self._path)!r}: {one.place} and {other.place} are different completions of "
                "one prompt; keep one of them"
            )

    def _where(self, place: str) -> str:
        return f"{str(self._path)!r}, {place}"


def _marks_of(prompt: Prompt) -> Iterator[Mark]:
    yield "id", prompt.id, prompt.sample
    yield "messages", content_key(prompt.conversation()), prompt.sample
    for message in reversed(prompt.messages):
        if message.role == "user":
            yield "prompt", message.content, prompt.sample
            return


def _marks_in(row: Row, where: str) -> Iterator[tuple[str, str]]:
    """What a row says about its prompt, the surest first."""
    if (name := row.values.get("prompt_id")) not in (None, ""):
        yield "id", str(name)
    for column, kind in (("messages", "a list of messages"), ("prompt", "a text")):
        value: JsonValue = row.values.get(column)
        if isinstance(value, list):
            prompt = parse_fields(Prompt, {"messages": value}, where=where)
            yield "messages", content_key(prompt.conversation())
        elif isinstance(value, str) and column == "prompt":
            yield "prompt", value
        elif value not in (None, ""):
            raise ConfigError(f"{where}: {column!r} has to be {kind}")
