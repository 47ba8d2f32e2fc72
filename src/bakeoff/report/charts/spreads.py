"""The distribution of paired score differences, with their mean."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    ChartRow,
    Table,
    VegaSpec,
    count_text,
    difference_axis,
    display_name,
    end_of,
    expression,
    layer,
    layered_spec,
    mark,
    quantitative,
    side_color,
    side_of,
    signed,
    tooltips,
)
from bakeoff.report.charts.marks import center_line, end_labels, estimate_marks, value_label
from bakeoff.stats.arrays import Values
from bakeoff.stats.results import Estimate

_BIN_WIDTHS = (0.1, 0.05, 0.02, 0.01)  # on the scale of 0 to 1
_MAX_BINS = 25


def score_chart(pair: PairSummary, pair_data: PairData) -> Chart | None:
    """Paired score differences, a minus b, as a histogram with their mean."""
    if pair.score_difference is None:
        return None
    mean, a, b = pair.score_difference.value, display_name(pair.a), display_name(pair.b)
    scores = [c.scores for c in pair_data.comparisons if c.scores]
    differences = np.round([(first - second) / 10 for first, second in scores], 12)
    description = (
        f"On a scale of 0 to 1, {a} scores {signed(mean.estimate, 3)} against {b} on average "
        f"(95 %: {signed(mean.low, 3)} to {signed(mean.high, 3)}): higher on "
        f"{count_text(pair.scored_better, 'prompt', 'prompts')}, lower on {pair.scored_worse:,}, "
        f"the same on {pair.scored_equal:,}."
    )
    rows = _bins(differences, _bin_width(differences))
    table = Table(
        ("Score difference", "Who scores higher", "Prompts"),
        tuple((row["range"], _higher(str(row["side"]), a, b), row["count"]) for row in rows),
    )
    for row in rows:
        row["higher"] = _higher(str(row["side"]), a, b)
    spec = layered_spec(_histogram(rows, mean, (a, b)), 210, description)
    return Chart("score-differences", "Score differences", description, spec, table)


def _higher(side: str, a: str, b: str) -> str:
    return {"a": a, "b": b, "tie": "neither"}[side]


def _bin_width(differences: Values) -> float:
    """0.1 if all scores are integers; else the smallest width with fewer than _MAX_BINS bins."""
    if np.allclose(differences * 10, np.round(differences * 10), atol=1e-6):
        return _BIN_WIDTHS[0]
    largest = float(np.abs(differences).max())
    return [
        width for width in _BIN_WIDTHS if 2 * largest / width < _MAX_BINS or width == _BIN_WIDTHS[0]
    ][-1]


def _bins(differences: Values, width: float) -> list[ChartRow]:
    """Counts by bin and side; only the bin around 0 has both sides."""
    counts = Counter(
        (math.copysign(math.floor(abs(value) / width + 0.5 + 1e-9), value), side_of(value))
        for value in differences.tolist()
    )
    rows: list[ChartRow] = []
    stacked: Counter[float] = Counter()
    for (step, side), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1])):
        low, high = (step - 0.5) * width, (step + 0.5) * width
        row: ChartRow = {"low": round(low, 4), "high": round(high, 4), "side": side, "count": count}
        row |= {"from": stacked[step], "to": stacked[step] + count}
        row["range"] = f"{signed(low, 2)} to {signed(high, 2)}"
        stacked[step] += count
        rows.append(row)
    return rows


def _histogram(rows: Sequence[ChartRow], mean: Estimate, names: tuple[str, str]) -> list[VegaSpec]:
    reach = max(*(abs(float(row[edge])) for row in rows for edge in ("low", "high")), 0.1)
    reach = max(reach, abs(mean.low), abs(mean.high))
    top = max(int(row["to"]) for row in rows)
    bars = layer(
        rows,
        mark("rect", style="part"),
        x=quantitative(
            "low",
            scale={"domain": [-reach, reach], "nice": False},
            axis=difference_axis("score difference", "+.2~f"),
        ),
        x2=end_of("high"),
        y=quantitative(
            "from",
            scale={"domain": [0, top], "range": [expression("height"), 52], "nice": False},
            axis={"title": None, "tickCount": 4, "tickMinStep": 1, "format": ",d"},
        ),
        y2=end_of("to"),
        color=side_color(),
        tooltip=tooltips({"higher": "higher", "range": "difference", "count": "prompts"}),
    )
    value = signed(mean.estimate, 3)
    texts = {
        "what": "mean difference",
        "value": value,
        "range": f"{signed(mean.low, 3)} to {signed(mean.high, 3)}",
    }
    return [
        bars,
        center_line(0, 20),
        *end_labels((f"higher: {names[1]}", "name-b"), (f"higher: {names[0]}", "name-a")),
        *estimate_marks(mean, texts, 28),
        *value_label(mean.estimate, f"mean {value}", 36, 0.5 + mean.estimate / (2 * reach)),
    ]
