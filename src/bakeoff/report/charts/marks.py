"""Marks that several charts share: estimates with intervals, center lines, end labels, headings."""

from bakeoff.report.charts.drawing import (
    ChartRow,
    VegaSpec,
    end_of,
    expression,
    layer,
    mark,
    nominal,
    pixel,
    quantitative,
    tooltips,
)
from bakeoff.stats.results import Estimate

ESTIMATE_POINT = mark("point", style="estimate", size=50, filled=True, opacity=1)


def center_line(at: float, top: float = 0) -> VegaSpec:
    """The dashed line at the value where neither model is ahead, from `top` (pixels) downwards."""
    return layer(
        [{"at": at}],
        mark("rule", style="half"),
        x=quantitative("at"),
        y=pixel(top),
        y2=pixel("height"),
    )


def end_labels(left: tuple[str, str], right: tuple[str, str], y: float = 2) -> list[VegaSpec]:
    """Labels at the left and right end of a chart, `y` pixels from the top.

    `left` and `right` are a text and its style.
    """
    limit = expression("width / 2 - 8")
    return [
        layer(
            [{"text": label}],
            mark("text", style=style, align=align, baseline="top", limit=limit),
            x=pixel(x),
            y=pixel(y),
            text=nominal("text"),
            tooltip=tooltips({"text": "in full"}),
        )
        for (label, style), align, x in ((left, "left", 0), (right, "right", "width"))
    ]


def heading(label: str, y: float, limit: str = "width") -> VegaSpec:
    """A small heading at the left, `y` pixels from the top; `limit` is its width, an expression."""
    return layer(
        [{"text": label}],
        mark(
            "text",
            style="soft",
            align="left",
            baseline="middle",
            fontSize=11,
            limit=expression(limit),
        ),
        x=pixel(0),
        y=pixel(y),
        text=nominal("text"),
        tooltip=tooltips({"text": "in full"}),
    )


def estimate_marks(estimate: Estimate, texts: dict[str, str], y: float) -> list[VegaSpec]:
    """A point with its interval, `y` pixels from the top.

    `texts` are the lines of the tooltip: `what` is estimated, its `value` and its `range`.
    """
    row: ChartRow = {"at": estimate.estimate, "low": estimate.low, "high": estimate.high, **texts}
    names = tooltips({"what": "what", "value": "estimate", "range": "95 % interval"})
    return [
        layer(
            [row],
            mark("rule", style="interval"),
            x=quantitative("low"),
            x2=end_of("high"),
            y=pixel(y),
            tooltip=names,
        ),
        layer([row], ESTIMATE_POINT, x=quantitative("at"), y=pixel(y), tooltip=names),
    ]


def value_label(at: float, label: str, y: float, share: float) -> list[VegaSpec]:
    """A number below the point at `at`, which is at `share` of the width of the chart.

    The text is aligned to stay within the chart, and has a halo over the lines behind it.
    """
    align = "left" if share < 0.25 else "right" if share > 0.75 else "center"
    return [
        layer(
            [{"at": at, "text": label}],
            mark("text", style=style, align=align, baseline="top"),
            x=quantitative("at"),
            y=pixel(y),
            text=nominal("text"),
        )
        for style in ("halo", "ink")
    ]
