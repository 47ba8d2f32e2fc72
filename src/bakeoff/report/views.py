"""The views of `bakeoff.Results`: data frames and the HTML of a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakeoff.records import Judgment, Results
from bakeoff.records.results import Library
from bakeoff.report.frames import (
    COMPARISONS,
    JUDGMENTS,
    comparison_rows,
    frame_of,
    judgment_rows,
)
from bakeoff.report.notebook import notebook_html

__all__ = ["comparisons_frame", "judgments_frame", "notebook_html"]

if TYPE_CHECKING:
    import pandas
    import polars


def judgments_frame(
    judgments: Sequence[Judgment], library: Library | None
) -> "pandas.DataFrame | polars.DataFrame":
    """Return one row per judgment; see `Results.judgments`."""
    return frame_of(library, JUDGMENTS, judgment_rows(judgments))


def comparisons_frame(
    results: Results, library: Library | None
) -> "pandas.DataFrame | polars.DataFrame":
    """Return one row per prompt and pair of models; see `Results.comparisons`."""
    return frame_of(library, COMPARISONS, comparison_rows(results))
