"""Marks that several charts share: estimates with intervals, center lines, end labels, headings."""

from typing import Literal

import altair as alt

from bakeoff.report.charts.drawing import (
    ChartRow,
    expression,
    inline_chart,
    text_channel,
    tooltips,
    x_at,
    y2_at,
    y_at,
)
from bakeoff.stats.results import Estimate

Align = Literal["left", "center", "right"]


def center_line(at: float, top: float = 0) -> alt.Chart:
    """The dashed line at the value where neither model is ahead, from `top` (pixels) downwards."""
    line: alt.Chart = (
        inline_chart([{"at": at}])
        .mark_rule(style="half")
        .encode(x=alt.X("at", type="quantitative"), y=y_at(top), y2=y2_at("height"))
    )
    return line


def end_labels(left: tuple[str, str], right: tuple[str, str], y: float = 2) -> list[alt.Chart]:
    """Labels at the left and right end of a chart, `y` pixels from the top.

    `left` and `right` are a text and its style.
    """
    places: tuple[tuple[tuple[str, str], Align, alt.XValue], ...] = (
        (left, "left", x_at(0)),
        (right, "right", x_at("width")),
    )
    return [
        inline_chart([{"text": text}])
        .mark_text(style=style, align=align, baseline="top", limit=expression("width / 2 - 8"))
        .encode(x=at, y=y_at(y), text=text_channel("text"), tooltip=tooltips({"text": "in full"}))
        for (text, style), align, at in places
    ]


def heading(text: str, y: float, limit: str = "width") -> alt.Chart:
    """A small heading at the left, `y` pixels from the top; `limit` is its width, an expression."""
    title: alt.Chart = (
        inline_chart([{"text": text}])
        .mark_text(
            style="soft", align="left", baseline="middle", fontSize=11, limit=expression(limit)
        )
        .encode(
            x=x_at(0), y=y_at(y), text=text_channel("text"), tooltip=tooltips({"text": "in full"})
        )
    )
    return title


def estimate_marks(estimate: Estimate, texts: dict[str, str], y: float) -> list[alt.Chart]:
    """A point with its interval, `y` pixels from the top.

    `texts` are the lines of the tooltip: `what` is estimated, its `value` and its `range`.
    """
    row: ChartRow = {"at": estimate.estimate, "low": estimate.low, "high": estimate.high, **texts}
    names = tooltips({"what": "what", "value": "estimate", "range": "95 % interval"})
    rows, x = inline_chart([row]), alt.X("at", type="quantitative")
    return [
        rows.mark_rule(style="interval").encode(
            x=alt.X("low", type="quantitative"), x2="high", y=y_at(y), tooltip=names
        ),
        rows.mark_point(style="estimate", size=50, filled=True, opacity=1).encode(
            x=x, y=y_at(y), tooltip=names
        ),
    ]


def value_label(at: float, text: str, y: float, share: float) -> list[alt.Chart]:
    """A number below the point at `at`, which is at `share` of the width of the chart.

    The text is aligned to stay within the chart, and has a halo over the lines behind it.
    """
    align: Align = "left" if share < 0.25 else "right" if share > 0.75 else "center"
    labels = inline_chart([{"at": at, "text": text}])
    return [
        labels.mark_text(style=style, align=align, baseline="top").encode(
            x=alt.X("at", type="quantitative"), y=y_at(y), text=text_channel("text")
        )
        for style in ("halo", "ink")
    ]
