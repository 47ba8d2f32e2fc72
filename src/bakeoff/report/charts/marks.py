"""The marks that several charts share: an estimate with its interval, the middle, two ends."""

from typing import Literal

import altair as alt

from bakeoff.report.charts.drawing import (
    Row,
    data,
    expression,
    label,
    tooltips,
    x_at,
    y2_at,
    y_at,
)
from bakeoff.stats.results import Estimate

Side = Literal["left", "center", "right"]


def middle(at: float, top: float = 0) -> alt.Chart:
    """The dashed line where neither model is ahead, from `top` to the bottom."""
    line: alt.Chart = (
        data([{"at": at}])
        .mark_rule(style="half")
        .encode(x=alt.X("at", type="quantitative"), y=y_at(top), y2=y2_at("height"))
    )
    return line


def ends(left: tuple[str, str], right: tuple[str, str], y: float = 2) -> list[alt.Chart]:
    """A text and its style at each end of a line, `y` pixels from the top."""
    places: tuple[tuple[tuple[str, str], Side, alt.XValue], ...] = (
        (left, "left", x_at(0)),
        (right, "right", x_at("width")),
    )
    return [
        data([{"text": text}])
        .mark_text(style=style, align=align, baseline="top", limit=expression("width / 2 - 8"))
        .encode(x=at, y=y_at(y), text=label("text"), tooltip=tooltips({"text": "in full"}))
        for (text, style), align, at in places
    ]


def heading(text: str, y: float, limit: str = "width") -> alt.Chart:
    """What a chart shows, in a quiet line at its top left."""
    line: alt.Chart = (
        data([{"text": text}])
        .mark_text(
            style="soft", align="left", baseline="middle", fontSize=11, limit=expression(limit)
        )
        .encode(x=x_at(0), y=y_at(y), text=label("text"), tooltip=tooltips({"text": "in full"}))
    )
    return line


def measured(estimate: Estimate, told: dict[str, str], y: float) -> list[alt.Chart]:
    """A point with its interval `y` pixels from the top. `told` has what it is called, and its
    number and interval as texts, all of which are in its tooltip; the number is under the point.
    """
    row: Row = {"at": estimate.estimate, "low": estimate.low, "high": estimate.high, **told}
    names = tooltips({"what": "what", "value": "estimate", "range": "95 % interval"})
    rows, x = data([row]), alt.X("at", type="quantitative")
    return [
        rows.mark_rule(style="interval").encode(
            x=alt.X("low", type="quantitative"), x2="high", y=y_at(y), tooltip=names
        ),
        rows.mark_point(style="estimate", size=50, filled=True, opacity=1).encode(
            x=x, y=y_at(y), tooltip=names
        ),
    ]


def beside(at: float, text: str, y: float, share: float) -> list[alt.Chart]:
    """A number under a point that lies at this share of the width: it stays within the chart, and
    what is behind it does not cross it.
    """
    align: Side = "left" if share < 0.25 else "right" if share > 0.75 else "center"
    said = data([{"at": at, "text": text}])
    return [
        said.mark_text(style=style, align=align, baseline="top").encode(
            x=alt.X("at", type="quantitative"), y=y_at(y), text=label("text")
        )
        for style in ("halo", "ink")
    ]
