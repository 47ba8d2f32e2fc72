"""Reads evaluation files of any format into one Evidence."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from bakeoff.errors import ConfigError
from bakeoff.importers import (
    alpaca_eval,
    arena_hard,
    llm_comparator,
    own_results,
    pandalm,
    script,
    table,
)
from bakeoff.importers.builder import EvidenceBuilder
from bakeoff.importers.documents import Document, format_names, open_document
from bakeoff.importers.pointwise import pair_scores
from bakeoff.records import Evidence


class Format(Protocol):
    """A file format; each module of this package that reads one implements it."""

    NAME: str

    def recognizes(self, document: Document) -> bool:
        """Return whether the document looks like this format."""

    def read_into(self, document: Document, builder: EvidenceBuilder) -> None:
        """Add everything in the document to the builder; ConfigError if it does not fit."""


# A table is tried only if no other format recognizes the document.
_FORMATS: tuple[Format, ...] = (
    script,
    alpaca_eval,
    arena_hard,
    llm_comparator,
    pandalm,
    own_results,
    table,
)

MAX_MODELS = 100  # all pairs are compared: with more, the column hardly holds model names

FORMATS = tuple(format.NAME for format in _FORMATS)
_CHOICES = f"choose with --format {' | '.join(FORMATS)}"


class Imported(NamedTuple):
    """The evidence in some files."""

    formats: tuple[str, ...]
    """The format of each file."""
    evidence: Evidence


def read(
    paths: Sequence[Path], *, format: str | None = None, columns: Mapping[str, str] | None = None
) -> Imported:
    """Return the evidence in all files together; ConfigError of one line if one cannot be read.

    `format` is the format of all files; without it each file's is detected from its contents.
    `columns` maps standard column names to those of a table: then all files are tables.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(f"there is no format {format!r}: {_CHOICES}")
    if columns and format not in (None, table.NAME):
        raise ConfigError(f"--columns is for tables: leave it out, or choose --format {table.NAME}")
    if not paths:
        raise ConfigError("no file to read: give one or more files of an evaluation")
    builder = EvidenceBuilder()
    formats = []
    for path in paths:
        document = open_document(path)
        if columns:
            document = table.rename_columns(document, columns)
        chosen = _choose_format(document, table.NAME if columns else format)
        count_before = builder.outcome_count
        builder.begin_file()
        chosen.read_into(document, builder)
        if builder.outcome_count == count_before:
            raise ConfigError(
                f"{document.location()} holds no judgments: there is nothing to audit"
            )
        formats.append(chosen.NAME)
        _check_model_count(builder.models, document)
    pair_scores(builder)
    evidence = builder.build()
    if not evidence.judgments and not any(f.stage == "judgment" for f in evidence.failures):
        raise ConfigError(
            f"no two of the models {format_names(evidence.models)} were scored on the same prompt: "
            "give the scores of another model on the same prompts too"
        )
    return Imported(tuple(formats), evidence)


def _check_model_count(models: Collection[str], document: Document) -> None:
    if len(models) > MAX_MODELS:
        raise ConfigError(
            f"{document.location()}: {len(models)} models, and each would be compared with each; "
            f"is that column their names? ({format_names(models)})"
        )


def _choose_format(document: Document, name: str | None) -> Format:
    if name is not None:
        return next(format for format in _FORMATS if name == format.NAME)
    matches = [f for f in _FORMATS if f is not table and f.recognizes(document)]
    if not matches and table.recognizes(document):
        return table
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = " and ".join(format.NAME for format in matches)
        raise ConfigError(f"{document.location()} could be {names}: {_CHOICES}")
    raise ConfigError(
        f"{document.location()} is of no known format: it holds "
        f"{format_names(document.columns())}; {_CHOICES}, or name a table's columns with --columns "
        "winner=COLUMN"
    )
