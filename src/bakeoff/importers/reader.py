"""Reads evaluations of any format, from any number of files, to one Evidence. Asks no model."""

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
from bakeoff.importers.builder import Gathering
from bakeoff.importers.columns import mapped
from bakeoff.importers.documents import Document, listed, opened
from bakeoff.importers.pointwise import pair_up
from bakeoff.records import Evidence


class Format(Protocol):
    """What each module of a format is: its name, what marks it in words, and two functions."""

    NAME: str
    MARK: str

    def claims(self, document: Document) -> bool:
        """Whether the document looks like it."""

    def gather(self, document: Document, into: Gathering) -> None:
        """Put all that the document holds into the gathering; ConfigError where it cannot."""


_MARKED: tuple[Format, ...] = (
    script,
    alpaca_eval,
    arena_hard,
    llm_comparator,
    pandalm,
    own_results,
)
_ALL: tuple[Format, ...] = (*_MARKED, table)

MOST_MODELS = 100  # each is compared with each: more are rather a column of something else

FORMATS = tuple(one.NAME for one in _ALL)
_CHOICES = f"choose with --format {' | '.join(FORMATS)}"


class Imported(NamedTuple):
    """What was read: the format of each file, in their order, and all that they hold."""

    formats: tuple[str, ...]
    evidence: Evidence


def read(
    paths: Sequence[Path], *, format: str | None = None, columns: Mapping[str, str] | None = None
) -> Imported:
    """The evidence in all files together; ConfigError of one line where one cannot be read.

    Each file's format is found from what it holds, unless `format` says what all of them are.
    `columns` maps our names of columns to a table's own: with it, every file is a table.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(f"there is no format {format!r}: {_CHOICES}")
    if columns and format not in (None, table.NAME):
        raise ConfigError(f"--columns is for tables: leave it out, or choose --format {table.NAME}")
    if not paths:
        raise ConfigError("no file to read: give one or more files of an evaluation")
    into = Gathering()
    formats = []
    for path in paths:
        document = opened(path)
        if columns:
            document = mapped(document, columns)
        chosen = _chosen(document, table.NAME if columns else format)
        before = into.seen
        into.begin()
        chosen.gather(document, into)
        if into.seen == before:
            raise ConfigError(f"{document.where()} holds no judgments: there is nothing to audit")
        formats.append(chosen.NAME)
        _check_models(into.models, document)
    pair_up(into)
    evidence = into.evidence()
    if not evidence.judgments and not any(f.stage == "judgment" for f in evidence.failures):
        raise ConfigError(
            f"no two of the models {listed(evidence.models)} were scored on the same prompt: give "
            "the scores of another model on the same prompts too"
        )
    return Imported(tuple(formats), evidence)


def _check_models(models: Collection[str], document: Document) -> None:
    if len(models) > MOST_MODELS:
        raise ConfigError(
            f"{document.where()}: {len(models)} models, and each would be compared with each; is "
            f"that column their names? ({listed(models)})"
        )


def _chosen(document: Document, format: str | None) -> Format:
    if format is not None:
        return next(one for one in _ALL if format == one.NAME)
    claiming = [one for one in _MARKED if one.claims(document)]
    if not claiming and table.claims(document):  # what nothing more special claims
        return table
    if len(claiming) == 1:
        return claiming[0]
    if claiming:
        names = " and ".join(one.NAME for one in claiming)
        raise ConfigError(f"{document.where()} could be {names}: {_CHOICES}")
    raise ConfigError(
        f"{document.where()} is of no known format: it holds {listed(document.columns())}; "
        f"{_CHOICES}, or name a table's columns with --columns winner=COLUMN"
    )
