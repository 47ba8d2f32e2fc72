"""Opens prompt sets by name: the starter set, UltraChat, a dataset, or a file.

    starter                                     a set in this package; needs no network
    ultrachat[?turns=all]                       first turns of HuggingFaceH4/ultrachat_200k
    hf:DATASET[?split=&column=&config=&revision=&turns=]
                                                a hub name or a folder
    FILE[?column=&turns=]                       .jsonl, .json, .csv, or .txt (one prompt per line)

A row has `messages`, or a text in `prompt`, `instruction`, `question`, `text` or `content`, and may
have `tags`, `reference`, `criteria` (a rubric) and, in a file, `id`. The ids of datasets are
ignored, since users could not correct duplicate ids.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from bakeoff.config import Spec, parse_fields
from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import (
    DatasetPart,
    DatasetRows,
    Row,
    format_names,
    read_dataset,
    read_rows,
)

SOURCES = "starter, ultrachat, hf:DATASET, or a FILE (.jsonl, .json, .csv, .txt)"
COLUMNS = ("messages", "prompt", "instruction", "question", "text", "content")

Turns = Literal["first", "all"]


class FileOptions(BaseModel):
    """Options of a file."""

    model_config = ConfigDict(extra="forbid")

    column: str | None = None
    turns: Turns = "all"
    """Whether a conversation is used up to its first or its last user message."""


class HubOptions(BaseModel):
    """Options of a dataset."""

    model_config = ConfigDict(extra="forbid")

    split: str | None = None
    column: str | None = None
    config: str | None = None
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    turns: Turns = "first"


class PromptSet(NamedTuple):
    """The rows of a prompt set, and the options for reading prompts from them."""

    rows: Iterable[Row]
    column: str | None
    """Column of the prompt; None for the first of `COLUMNS` with a value."""
    turns: Turns
    revision: str | None
    """Commit of the hub repository; None for other sources."""


def open_prompt_set(source: str) -> PromptSet:
    """Open a prompt set. Raises ConfigError if it is missing or cannot be read."""
    spec = _parse(source)
    if spec.backend == "hf":
        hub = parse_fields(HubOptions, dict(spec.options), where=repr(source))
        rows, revision = _read_dataset(spec.target, hub)
        return PromptSet(rows, hub.column, hub.turns, revision)
    file = parse_fields(FileOptions, dict(spec.options), where=repr(source))
    starter = spec.backend == "starter"
    file_rows = _starter_rows() if starter else _file_rows(Path(spec.target))
    return PromptSet(file_rows, file.column, file.turns, None)


def prompt_columns(columns: Collection[str], column: str | None, where: str) -> list[str]:
    """Return `column`, or those of `COLUMNS` that exist. Raises ConfigError if there is none."""
    candidates = [column] if column else COLUMNS
    if present := [name for name in candidates if name in columns]:
        return present
    missing = repr(column) if column else f"of {', '.join(COLUMNS)}"
    raise ConfigError(
        f"{where}: no column {missing}; there are: {format_names(columns)}: choose with "
        "?column=NAME"
    )


def _parse(source: str) -> Spec:
    # A path may contain '=', ':' or '?': no name is split off, and an existing path takes priority.
    if _exists(source):
        return Spec(name=source, backend="file", target=source)
    kind, colon, rest = source.strip().partition(":")
    has_backend = bool(colon) and kind in ("hf", "file")
    if not (rest if has_backend else kind):
        raise ConfigError(f"no prompts {source!r}; there are: {SOURCES}")
    spec = Spec.parse(source if has_backend else f"file:{source}")
    if not has_backend and spec.target == "ultrachat":
        options = {"split": "test_sft", "column": "messages", **spec.options}
        return Spec(
            name=source, backend="hf", target="HuggingFaceH4/ultrachat_200k", options=options
        )
    if not has_backend and spec.target == "starter":
        return spec.with_backend("starter")
    if spec.backend == "file" and not _exists(spec.target):
        raise ConfigError(f"no prompts {source!r}: no such file; there are: {SOURCES}")
    return spec


def _exists(path: str) -> bool:
    try:
        return path not in ("", "starter", "ultrachat") and Path(path).exists()
    except OSError:  # too long for a path
        return False


def _starter_rows() -> Iterator[Row]:
    with as_file(files("bakeoff.prompts") / "starter.jsonl") as path:
        yield from read_rows(path, lists=())


def _file_rows(path: Path) -> Iterator[Row]:
    return read_rows(path, lists=("prompts", "data"))


def _read_dataset(target: str, options: HubOptions) -> DatasetRows:
    def select(columns: Sequence[str]) -> list[str]:
        column = prompt_columns(columns, options.column, repr(target))[0]
        optional = {"tags", "reference", "criteria"} - {column}
        return [column, *(name for name in columns if name in optional)]

    part = DatasetPart(options.revision, options.config, options.split)
    return read_dataset(target, part, select=select)
