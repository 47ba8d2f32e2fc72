"""Judgments and comparisons as rows with named columns, and rows as pandas or polars frames."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from bakeoff.analysis.aggregate import preference_of, winner_of
from bakeoff.analysis.evidence_pairs import pair_data_of
from bakeoff.analysis.pair_data import PairData
from bakeoff.errors import ConfigError
from bakeoff.records import Judgment, Results
from bakeoff.records.results import Library

if TYPE_CHECKING:
    import pandas
    import polars

Cell = str | float | bool | list[str] | None
TableRow = tuple[Cell, ...]
Kind = Literal["text", "number", "count", "flag", "texts"]


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind
    optional: bool = False  # whether cells may be None


JUDGMENTS = (
    Column("prompt_id", "text"),
    Column("judge", "text"),
    Column("first", "text"),
    Column("second", "text"),
    Column("repeat", "count"),
    Column("sample", "count"),
    Column("presented", "text"),
    Column("preference", "number"),
    Column("winner", "text"),
    Column("score_first", "number", optional=True),
    Column("score_second", "number", optional=True),
    Column("reason", "text"),
    Column("contradictory", "flag"),
    Column("retry_reason", "text", optional=True),
    Column("shown_characters", "count", optional=True),
    Column("tokens_in", "count", optional=True),
    Column("tokens_out", "count", optional=True),
    Column("cost", "number", optional=True),
    Column("snapshot", "text", optional=True),
)
COMPARISONS = (
    Column("prompt_id", "text"),
    Column("a", "text"),
    Column("b", "text"),
    Column("preference", "number"),
    Column("winner", "text"),
    Column("flipped", "flag"),
    Column("consistent", "flag", optional=True),
    Column("score_a", "number", optional=True),
    Column("score_b", "number", optional=True),
    Column("unit", "text"),
    Column("tags", "texts"),
)

# Columns without missing values have NumPy types, which every plotting library reads.
_PANDAS = {"text": "string", "number": "float64", "count": "int64", "flag": "bool"}
_PANDAS_OPTIONAL = {"text": "string", "number": "Float64", "count": "Int64", "flag": "boolean"}


def judgment_rows(judgments: Iterable[Judgment]) -> list[TableRow]:
    """One row per judgment with the columns `JUDGMENTS`; `winner` is a model name or `tie`."""
    return [_judgment_row(judgment) for judgment in judgments]


def comparison_rows(results: Results) -> list[TableRow]:
    """One row per prompt and pair of models, with the columns `COMPARISONS`."""
    return [row for data in pair_data_of(results).values() for row in _comparison_rows(data)]


def _judgment_row(judgment: Judgment) -> TableRow:
    verdict = judgment.verdict
    scores = verdict.scores or (None, None)
    usage = verdict.usage
    names = {"a": judgment.first, "b": judgment.second, "tie": "tie"}
    return (
        judgment.prompt_id,
        judgment.judge,
        judgment.first,
        judgment.second,
        judgment.repeat,
        judgment.sample,
        judgment.presented,
        preference_of(judgment.first, judgment),
        names[winner_of(verdict.first)],
        *scores,
        verdict.reason,
        verdict.contradictory,
        verdict.retry_reason,
        verdict.shown_characters,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        verdict.cost,
        verdict.snapshot,
    )


def _comparison_rows(data: PairData) -> Iterator[TableRow]:
    names = {"a": data.a, "b": data.b, "tie": "tie"}
    for comparison, unit in zip(data.comparisons, data.units, strict=True):
        yield (
            comparison.prompt_id,
            comparison.a,
            comparison.b,
            comparison.preference,
            names[comparison.winner],
            comparison.flipped,
            comparison.consistent,
            *(comparison.scores or (None, None)),
            unit,
            list(data.tags(comparison.prompt_id)),
        )


def pandas_frame(columns: Sequence[Column], rows: Sequence[TableRow]) -> "pandas.DataFrame":
    """The rows as a pandas frame; ModuleNotFoundError if pandas is not installed."""
    import pandas

    return pandas.DataFrame(
        {
            column.name: pandas.Series(
                [_clean(row[index]) for row in rows],
                dtype=(_PANDAS_OPTIONAL if column.optional else _PANDAS).get(column.kind, "object"),
            )
            for index, column in enumerate(columns)
        }
    )


def polars_frame(columns: Sequence[Column], rows: Sequence[TableRow]) -> "polars.DataFrame":
    """The rows as a polars frame; ModuleNotFoundError if polars is not installed."""
    import polars

    kinds: dict[Kind, polars.DataType] = {
        "text": polars.String(),
        "number": polars.Float64(),
        "count": polars.Int64(),
        "flag": polars.Boolean(),
        "texts": polars.List(polars.String()),
    }
    return polars.DataFrame(
        [
            polars.Series(
                column.name, [_clean(row[index]) for row in rows], dtype=kinds[column.kind]
            )
            for index, column in enumerate(columns)
        ]
    )


def frame_of(
    library: Library | None, columns: Sequence[Column], rows: Sequence[TableRow]
) -> "pandas.DataFrame | polars.DataFrame":
    """The rows as a frame of `library`; None means pandas or, if that is not installed, polars.

    ConfigError if the library is unknown or not installed.
    """
    if library not in ("pandas", "polars", None):
        raise ConfigError(f"there is no frame {library!r}: ask for 'pandas' or 'polars'")
    builders: dict[Library, Callable[..., pandas.DataFrame | polars.DataFrame]] = {
        "pandas": pandas_frame,
        "polars": polars_frame,
    }
    for name in [library] if library else builders:
        try:
            return builders[name](columns, rows)
        except ModuleNotFoundError as error:
            if error.name != name:  # the library is installed, a dependency of it is not
                raise
    missing = library or "pandas"
    raise ConfigError(
        f"a frame needs {missing}: pip install {missing}" + " (or polars)" * (not library)
    )


def _clean(cell: Cell) -> Cell:
    """A cell in which lone surrogates are escaped: frames hold only text that is valid UTF-8."""
    if isinstance(cell, str):
        return _text(cell)
    return [_text(text) for text in cell] if isinstance(cell, list) else cell


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
