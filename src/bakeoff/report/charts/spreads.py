"""One mark per prompt: by how much the scores differ, and what length has to do with it."""

import math
from collections import Counter
from collections.abc import Sequence

import altair as alt
import numpy as np

from bakeoff.analysis.judgment_table import Values
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    Row,
    Table,
    around_zero,
    counted,
    data,
    drawn,
    shown,
    side_of,
    sides,
    signed,
    tooltips,
)
from bakeoff.report.charts.marks import beside, ends, measured, middle
from bakeoff.stats.results import Estimate

POINTS = 1500  # that are drawn, of as many prompts as there are
SEED = 20240
_WIDTHS = (0.1, 0.05, 0.02, 0.01)  # of a bin, on 0-1
_BINS = 25
_CURVE = 81
_JITTER = 0.025


def score_chart(pair: PairSummary, pair_data: PairData) -> Chart | None:
    """Paired score differences, a minus b, as a histogram with their mean."""
    if pair.score_difference is None:
        return None
    found, a, b = pair.score_difference.value, shown(pair.a), shown(pair.b)
    scores = [c.scores for c in pair_data.comparisons if c.scores]
    differences = np.round([(first - second) / 10 for first, second in scores], 12)
    says = (
        f"On a scale of 0 to 1, {a} scores {signed(found.estimate, 3)} against {b} on average "
        f"(95 %: {signed(found.low, 3)} to {signed(found.high, 3)}): higher on "
        f"{counted(pair.scored_better, 'prompt', 'prompts')}, lower on {pair.scored_worse:,}, "
        f"the same on {pair.scored_equal:,}."
    )
    rows = _bins(differences, _width(differences))
    table = Table(
        ("Score difference", "Who scores higher", "Prompts"),
        tuple((row["range"], _who(str(row["side"]), a, b), row["count"]) for row in rows),
    )
    for row in rows:
        row["who"] = _who(str(row["side"]), a, b)
    spec = drawn(_histogram(rows, found, (a, b)), 210, says)
    return Chart("score-differences", "Score differences", says, spec, table)


def _who(side: str, a: str, b: str) -> str:
    return {"a": a, "b": b, "tie": "neither"}[side]


def _width(differences: Values) -> float:
    """0.1 where all scores are whole; else the narrowest of few enough bins."""
    if np.allclose(differences * 10, np.round(differences * 10), atol=1e-6):
        return _WIDTHS[0]
    reach = float(np.abs(differences).max())
    return [width for width in _WIDTHS if 2 * reach / width < _BINS or width == _WIDTHS[0]][-1]


def _bins(differences: Values, width: float) -> list[Row]:
    """Counts by bin and by who is ahead. No bin but the one around zero holds both sides."""
    counts = Counter(
        (math.copysign(math.floor(abs(value) / width + 0.5 + 1e-9), value), side_of(value))
        for value in differences.tolist()
    )
    rows: list[Row] = []
    below: Counter[float] = Counter()
    for (step, side), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1])):
        low, high = (step - 0.5) * width, (step + 0.5) * width
        row: Row = {"low": round(low, 4), "high": round(high, 4), "side": side, "count": count}
        row |= {"from": below[step], "to": below[step] + count}
        row["range"] = f"{signed(low, 2)} to {signed(high, 2)}"
        below[step] += count
        rows.append(row)
    return rows


def _histogram(rows: Sequence[Row], mean: Estimate, names: tuple[str, str]) -> list[alt.Chart]:
    reach = max(*(abs(float(row[edge])) for row in rows for edge in ("low", "high")), 0.1)
    reach = max(reach, abs(mean.low), abs(mean.high))
    x = alt.X(
        "low",
        type="quantitative",
        scale=alt.Scale(domain=[-reach, reach], nice=False),
        axis=around_zero("score difference", "+.2~f"),
    )
    highest = max(int(row["to"]) for row in rows)
    y = alt.Y(
        "from",
        type="quantitative",
        scale=alt.Scale(domain=[0, highest], range=[alt.ExprRef("height"), 52], nice=False),
        axis=alt.Axis(title=None, tickCount=4, tickMinStep=1, format=",d"),
    )
    value = signed(mean.estimate, 3)
    told = {
        "what": "mean difference",
        "value": value,
        "range": f"{signed(mean.low, 3)} to {signed(mean.high, 3)}",
    }
    names_of = {"who": "higher", "range": "difference", "count": "prompts"}
    return [
        data(rows)
        .mark_rect(style="part")
        .encode(x=x, x2="high", y=y, y2="to", color=sides(), tooltip=tooltips(names_of)),
        middle(0, 20),
        *ends((f"higher: {names[1]}", "name-b"), (f"higher: {names[0]}", "name-a")),
        *measured(mean, told, 28),
        *beside(mean.estimate, f"mean {value}", 36, 0.5 + mean.estimate / (2 * reach)),
    ]
