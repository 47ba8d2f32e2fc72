"""Charts of results as Vega-Lite: what was counted, drawn once for the page, papers and notebooks.

Counts nothing anew that a summary holds, and knows no colour but by its name in `theme`. A chart
that has nothing to show is left out.
"""

from collections.abc import Sequence

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary, Summary
from bakeoff.report.charts.drawing import Chart, Table
from bakeoff.report.charts.forests import order_chart, ratings_chart, slices_chart
from bakeoff.report.charts.lengths import length_chart
from bakeoff.report.charts.matrices import agreement_chart, pairs_chart
from bakeoff.report.charts.palette import PAPER, theme
from bakeoff.report.charts.rates import sequence_chart, win_rate_chart
from bakeoff.report.charts.script import javascript
from bakeoff.report.charts.spreads import score_chart

__all__ = ["PAPER", "Chart", "Table", "javascript", "pair_charts", "theme", "whole_charts"]


def pair_charts(pair: PairSummary, pair_data: PairData, order: Sequence[str]) -> dict[str, Chart]:
    """The charts of one pair by name, in the order of showing. `pair_data` is what `pair` was
    counted from, `order` the ids of the prompts as they were drawn.
    """
    return _named(
        win_rate_chart(pair),
        score_chart(pair, pair_data),
        slices_chart(pair),
        sequence_chart(pair, pair_data, order),
        order_chart(pair, pair_data),
        length_chart(pair, pair_data),
        agreement_chart(pair_data),
    )


def whole_charts(summary: Summary) -> dict[str, Chart]:
    """The charts of three models or more by name; of fewer there are none."""
    return _named(ratings_chart(summary.ratings), pairs_chart(summary))


def _named(*charts: Chart | None) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts if chart}
