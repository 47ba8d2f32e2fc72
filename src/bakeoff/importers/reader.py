"""Reads evaluation files of all installed formats as one Evidence."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from bakeoff.errors import ConfigError
from bakeoff.importers.builder import EvidenceBuilder
from bakeoff.importers.documents import Document, open_document, quote_names, sorted_by_content
from bakeoff.importers.pointwise import pair_scores
from bakeoff.importers.table_columns import rename_columns
from bakeoff.plugins import IMPORTERS, load_entry_points
from bakeoff.records import Evidence


class Importer(Protocol):
    """A reader of one file format: the module or object of an entry point."""

    def recognizes(self, document: Document) -> bool:
        """Return whether the document looks like this format."""

    def read_into(self, document: Document, builder: EvidenceBuilder) -> None:
        """Add the contents of the document to the builder. Raises ConfigError if it is invalid."""


TABLE = "table"  # the format that is tried only if no other one recognizes the document
MAX_MODELS = 100  # all pairs are compared: a column with more values hardly holds model names


class ImportResult(NamedTuple):
    """Evidence that was read from files."""

    formats: tuple[str, ...]
    """The format of each file."""
    evidence: Evidence


def importers() -> dict[str, Importer]:
    """Return the installed importers by the name of their format: sorted, with `table` last."""
    loaded: dict[str, Importer] = load_entry_points(IMPORTERS)
    return {name: loaded[name] for name in sorted(loaded, key=lambda name: (name == TABLE, name))}


def read(
    paths: Sequence[Path], *, format: str | None = None, columns: Mapping[str, str] | None = None
) -> ImportResult:
    """Return the evidence of all files together.

    `format` is the format of all files; without it, the format of each file is detected from its
    contents. `columns` maps standard column names to those of the files, which then are tables.
    Raises ConfigError, with a message of one line, if a file cannot be read or has no judgments.
    """
    installed = importers()
    if format is not None and format not in installed:
        raise ConfigError(f"there is no format {format!r}: {_choices(installed)}")
    if columns and format not in (None, TABLE):
        raise ConfigError(f"--columns is for tables: leave it out, or choose --format {TABLE}")
    if not paths:
        raise ConfigError("no file to read: give one or more files of an evaluation")
    builder = EvidenceBuilder()
    formats = []
    for path in paths:
        document = open_document(path)
        document = document._replace(rows=sorted_by_content(document.rows))
        if columns:
            document = rename_columns(document, columns)
        name = TABLE if columns else format or _detect_format(document, installed)
        count_before = builder.outcome_count
        builder.begin_file(document.location())
        installed[name].read_into(document, builder)
        if builder.outcome_count == count_before:
            raise ConfigError(
                f"{document.location()} holds no judgments: there is nothing to audit"
            )
        formats.append(name)
        _check_model_count(builder.models, document)
    pair_scores(builder)
    evidence = builder.build()
    if not evidence.judgments and not any(f.stage == "judgment" for f in evidence.failures):
        raise ConfigError(
            f"no two of the models {quote_names(evidence.models)} were scored on the same prompt: "
            "give the scores of another model on the same prompts too"
        )
    return ImportResult(tuple(formats), evidence)


def _check_model_count(models: Collection[str], document: Document) -> None:
    if len(models) > MAX_MODELS:
        raise ConfigError(
            f"{document.location()}: {len(models)} models, and each would be compared with each; "
            f"is that column their names? ({quote_names(models)})"
        )


def _choices(names: Iterable[str]) -> str:
    return f"choose with --format {' | '.join(names)}"


def _detect_format(document: Document, installed: Mapping[str, Importer]) -> str:
    matches = [
        name
        for name, importer in installed.items()
        if name != TABLE and importer.recognizes(document)
    ]
    if not matches and installed[TABLE].recognizes(document):
        return TABLE
    if len(matches) == 1:
        return matches[0]
    choices = _choices(installed)
    if matches:
        raise ConfigError(f"{document.location()} could be {' and '.join(matches)}: {choices}")
    raise ConfigError(
        f"{document.location()} is of no known format: it holds "
        f"{quote_names(document.columns())}; {choices}, or name a table's columns with --columns "
        "winner=COLUMN"
    )
