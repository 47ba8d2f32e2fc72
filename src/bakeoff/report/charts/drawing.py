"""What all charts are drawn with: names and numbers as people read them, axes, and the spec.

Text from outside (models, judges, tags) is only ever a value in the data: no field name, no title
and no expression of a spec holds any.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
from pydantic import JsonValue

from bakeoff.report.charts.palette import SIDES
from bakeoff.stats.results import Estimate

Row = dict[str, str | float | int]
Spec = dict[str, JsonValue]

ROWS = 50  # of a table for a screen reader
_TURNING = ("R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI")
FEW = alt.ExprRef("width < 480 ? 4 : 7")  # ticks
_POINTS = "format(100 * datum.value, '.0f') + ' %'"


class Table(NamedTuple):
    """What a chart says, for a screen reader: aggregated, numbers as people read them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int, ...], ...]


class Chart(NamedTuple):
    """A chart: `says` is one sentence with its numbers, for a caption and in place of a picture;
    `spec` is Vega-Lite without colours, to be drawn with the config of `theme`.
    """

    name: str
    title: str
    says: str
    spec: Spec
    table: Table


def shown(name: str) -> str:
    """A name as it can be shown: on one line, without what no file can hold, and so that a script
    that runs from right to left turns nothing around it.
    """
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in " ".join(name.split())
    )
    turning = any(unicodedata.bidirectional(c) in _TURNING for c in clean)
    return f"\u2068{clean}\u2069" if turning else clean or "(no name)"


def percent(share: float, digits: int = 1) -> str:
    """A share as `72.4 %`."""
    return f"{100 * share:.{digits}f} %"


def bounds(estimate: Estimate) -> str:
    """The 95 % interval of a share, as `61.0 to 81.3 %`."""
    return f"{100 * estimate.low:.1f} to {percent(estimate.high)}"


def interval(estimate: Estimate) -> str:
    """A share with its 95 % interval, in a sentence."""
    return f"{percent(estimate.estimate)} (95 %: {bounds(estimate)})"


def signed(value: float, digits: int) -> str:
    """A difference with its sign; one that is written as 0 has none."""
    text = f"{value:+,.{digits}f}".replace("-", "\u2212")
    return text if text.strip("+\u22120.,") else text[1:]


def counted(count: int, one: str, several: str) -> str:
    """A count with the words that go with it."""
    return f"{count:,} {one if count == 1 else several}"


def data(rows: Sequence[Row]) -> alt.Chart:
    """A chart of these rows, still without a mark."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def tooltips(names: Mapping[str, str]) -> list[alt.Tooltip]:
    """A line for each field of text: what it is called."""
    return [alt.Tooltip(field, type="nominal", title=title) for field, title in names.items()]


def shares(**more: object) -> alt.Axis:
    """An axis of shares, in percent."""
    return alt.Axis(
        values=[0, 0.25, 0.5, 0.75, 1],
        labelExpr=_POINTS,
        title=None,
        **more,  # type: ignore[arg-type]
    )


def around_zero(title: str, form: str, ticks: alt.ExprRef = FEW) -> alt.Axis:
    """An axis of differences around 0; `form` is a number format with a sign."""
    text = f"datum.value === 0 ? '0' : format(datum.value, '{form}')"
    return alt.Axis(title=title or None, grid=False, labelExpr=text, tickCount=ticks)


def sides(field: str = "side") -> alt.Color:
    """The colour of a, of b, of a tie and of none of these."""
    return alt.Color(field, type="nominal", scale=alt.Scale(domain=list(SIDES)), legend=None)


def side_of(difference: float) -> str:
    """Who is ahead, from what a has more than b."""
    if abs(difference) < 1e-9:
        return "tie"
    return "a" if difference > 0 else "b"


def label(field: str) -> alt.Text:
    """A text as it is, whatever it looks like."""
    return alt.Text(field, type="nominal")


def x_at(value: float | str | alt.ExprRef) -> alt.XValue:
    """A place from the left, in pixels; "width" is the right end."""
    return alt.XValue(value)  # type: ignore[no-untyped-call]


def x2_at(value: float | str) -> alt.X2Value:
    """The other end of what begins at a place from the left."""
    return alt.X2Value(value)  # type: ignore[no-untyped-call]


def y_at(value: float) -> alt.YValue:
    """A place from the top, in pixels."""
    return alt.YValue(value)  # type: ignore[no-untyped-call]


def y2_at(value: float | str) -> alt.Y2Value:
    """The other end of what begins at a place from the top; "height" is the bottom."""
    return alt.Y2Value(value)  # type: ignore[no-untyped-call]


def pixels(field: str) -> alt.Y:
    """A place from the top, in pixels."""
    return alt.Y(field, type="quantitative", scale=None, axis=None)


def expression(text: str) -> alt.ExprRef:
    """One of our own expressions, of the width of the chart."""
    return alt.ExprRef(text)


def drawn(layers: Sequence[alt.Chart], height: int, says: str) -> Spec:
    """The spec of these layers, as wide as its container, with its data in it and no config."""
    chart = alt.layer(*layers).properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=says,
    )
    with alt.data_transformers.enable("default", consolidate_datasets=False):
        # The shape of a spec is ours, and tested; to check it takes longer than all the rest.
        spec: dict[str, Any] = chart.to_dict(validate=False)
    for key in ("config", "$schema"):
        spec.pop(key, None)
    return _shared(spec)


def _shared(spec: dict[str, Any]) -> Spec:
    """The rows that most layers have are written once, for all layers that have none."""
    written = [json.dumps(layer["data"]) for layer in spec["layer"]]
    often = max(written, key=lambda text: (written.count(text) - 1) * len(text))
    if written.count(often) > 1:
        spec["data"] = json.loads(often)
        for layer, text in zip(spec["layer"], written, strict=True):
            if text == often:
                del layer["data"]
    return spec
