"""Rows as a pandas or a polars frame, where one of the two is installed. Knows no record."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from bakeoff.errors import ConfigError

if TYPE_CHECKING:
    import pandas
    import polars

Library = Literal["pandas", "polars"]
Cell = str | float | bool | list[str] | None
Row = tuple[Cell, ...]
Kind = Literal["text", "number", "count", "flag", "texts"]


class Column(NamedTuple):
    """A column: its name, what it holds, and whether a cell may be empty."""

    name: str
    kind: Kind
    optional: bool = False


# Where nothing is missing, what numpy and every plotting library knows.
_PANDAS = {"text": "string", "number": "float64", "count": "int64", "flag": "bool"}
_PANDAS_OPTIONAL = {"text": "string", "number": "Float64", "count": "Int64", "flag": "boolean"}


def pandas_frame(columns: Sequence[Column], rows: Sequence[Row]) -> "pandas.DataFrame":
    """The rows as a pandas frame; ModuleNotFoundError where pandas is not installed."""
    import pandas

    return pandas.DataFrame(
        {
            column.name: pandas.Series(
                [_clean(row[place]) for row in rows],
                dtype=(_PANDAS_OPTIONAL if column.optional else _PANDAS).get(column.kind, "object"),
            )
            for place, column in enumerate(columns)
        }
    )


def polars_frame(columns: Sequence[Column], rows: Sequence[Row]) -> "polars.DataFrame":
    """The rows as a polars frame; ModuleNotFoundError where polars is not installed."""
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
                column.name, [_clean(row[place]) for row in rows], dtype=kinds[column.kind]
            )
            for place, column in enumerate(columns)
        ]
    )


def frame_of(
    library: Library | None, columns: Sequence[Column], rows: Sequence[Row]
) -> "pandas.DataFrame | polars.DataFrame":
    """The rows as a frame of this library, or of pandas before polars; ConfigError without one."""
    if library not in ("pandas", "polars", None):
        raise ConfigError(f"there is no frame {library!r}: ask for 'pandas' or 'polars'")
    makers: dict[Library, Callable[..., pandas.DataFrame | polars.DataFrame]] = {
        "pandas": pandas_frame,
        "polars": polars_frame,
    }
    for name in [library] if library else makers:
        try:
            return makers[name](columns, rows)
        except ModuleNotFoundError as error:
            if error.name != name:  # it is there, and lacks something of its own
                raise
    wanted = library or "pandas"
    raise ConfigError(
        f"a frame needs {wanted}: pip install {wanted}" + " (or polars)" * (not library)
    )


def _clean(cell: Cell) -> Cell:
    """Half a surrogate pair is no text to a frame: it is shown as it is written in Python."""
    if isinstance(cell, str):
        return _text(cell)
    return [_text(one) for one in cell] if isinstance(cell, list) else cell


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
