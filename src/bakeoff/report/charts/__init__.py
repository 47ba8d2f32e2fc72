"""Charts of results as Vega-Lite specs, for the page, papers and notebooks.

Numbers come from the summary where it has them; colors are names that `theme` defines. Charts
without data are omitted.
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
from bakeoff.report.charts.spreads import score_chart

__all__ = ["PAPER", "Chart", "Table", "pair_charts", "summary_charts", "theme"]


def pair_charts(pair: PairSummary, data: PairData, order: Sequence[str]) -> dict[str, Chart]:
    """The charts of one pair of models by name, in the order of showing.

    `data` is the data of `pair`, `order` the prompt ids in the order of the run.
    """
    return _by_name(
        win_rate_chart(pair),
        score_chart(pair, data),
        slices_chart(pair),
        sequence_chart(pair, data, order),
        order_chart(pair, data),
        length_chart(pair, data),
        agreement_chart(data),
    )


def summary_charts(summary: Summary) -> dict[str, Chart]:
    """The charts of all models by name; empty for fewer than three models."""
    return _by_name(ratings_chart(summary.ratings), pairs_chart(summary))


def _by_name(*charts: Chart | None) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts if chart}
