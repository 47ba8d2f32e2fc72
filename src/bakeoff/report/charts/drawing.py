"""Building blocks of charts: formatted names and numbers, axes, and the complete spec.

Untrusted text (models, judges, tags) is only used as a value in the data, never in a field name, a
title or an expression of a spec.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
from pydantic import JsonValue

from bakeoff.report.charts.palette import SIDES
from bakeoff.stats.results import NO_INTERVAL, Estimate

ChartRow = dict[str, str | float | int]
VegaSpec = dict[str, JsonValue]

MAX_TABLE_ROWS = 50  # of the table of a chart
# Bidirectional classes of characters that reorder the text around them.
_BIDI_CLASSES = ("R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI")
FEW_TICKS = alt.ExprRef("width < 480 ? 4 : 7")  # ticks
_POINTS = "format(100 * datum.value, '.0f') + ' %'"


class Table(NamedTuple):
    """The data of a chart as a table of formatted numbers, for screen readers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int, ...], ...]


class Chart(NamedTuple):
    """A chart as a Vega-Lite spec, with its text alternatives."""

    name: str  # unique within the charts of a pair, used in file names
    title: str
    description: str  # one sentence with the numbers, as caption and text alternative
    spec: VegaSpec  # without colors: to be drawn with the config of `theme`
    table: Table


def display_name(name: str) -> str:
    """A name on one line, without control characters and lone surrogates.

    A name in a right-to-left script is isolated: it does not reorder the text around it.
    """
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in " ".join(name.split())
    )
    reorders = any(unicodedata.bidirectional(c) in _BIDI_CLASSES for c in clean)
    return f"\u2068{clean}\u2069" if reorders else clean or "(no name)"


def percent(share: float, digits: int = 1) -> str:
    """A share as `72.4 %`."""
    return f"{100 * share:.{digits}f} %"


def interval_text(estimate: Estimate) -> str:
    """The 95 % interval of a share, as `61.0 to 81.3 %`; `none` without an interval."""
    if estimate.method == NO_INTERVAL:
        return "none"
    return f"{100 * estimate.low:.1f} to {percent(estimate.high)}"


def interval(estimate: Estimate) -> str:
    """A share with its 95 % interval, as `72.4 % (95 %: 61.0 to 81.3 %)`, if it has one."""
    if estimate.method == NO_INTERVAL:
        return f"{percent(estimate.estimate)} (no interval: too few)"
    return f"{percent(estimate.estimate)} ({100 * estimate.level:.3g} %: {interval_text(estimate)})"


def signed(value: float, digits: int) -> str:
    """A difference with its sign; without one if it rounds to 0."""
    text = f"{value:+,.{digits}f}".replace("-", "\u2212")
    return text if text.strip("+\u22120.,") else text[1:]


def count_text(count: int, singular: str, plural: str) -> str:
    """A count with its noun."""
    return f"{count:,} {singular if count == 1 else plural}"


def inline_chart(rows: Sequence[ChartRow]) -> alt.Chart:
    """A chart with these rows as inline data, without a mark."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def tooltips(names: Mapping[str, str]) -> list[alt.Tooltip]:
    """Tooltip lines of text fields; `names` maps a field to its label."""
    return [alt.Tooltip(field, type="nominal", title=title) for field, title in names.items()]


def percent_axis(**more: object) -> alt.Axis:
    """An axis of shares in percent; `more` are further arguments of `alt.Axis`."""
    return alt.Axis(
        values=[0, 0.25, 0.5, 0.75, 1],
        labelExpr=_POINTS,
        title=None,
        **more,  # type: ignore[arg-type]
    )


def difference_axis(title: str, form: str, ticks: alt.ExprRef = FEW_TICKS) -> alt.Axis:
    """An axis of differences around 0; `form` is a d3 number format with a sign."""
    text = f"datum.value === 0 ? '0' : format(datum.value, '{form}')"
    return alt.Axis(title=title or None, grid=False, labelExpr=text, tickCount=ticks)


def side_color(field: str = "side") -> alt.Color:
    """Return the Altair color encoding of a field with the values a, b and tie (`SIDES`)."""
    return alt.Color(field, type="nominal", scale=alt.Scale(domain=list(SIDES)), legend=None)


def side_of(difference: float) -> str:
    """The side that is ahead, by the value of a minus that of b: a, b or tie."""
    if abs(difference) < 1e-9:
        return "tie"
    return "a" if difference > 0 else "b"


def text_channel(field: str) -> alt.Text:
    """The text channel of a field; nominal, so that a text is never parsed as a number."""
    return alt.Text(field, type="nominal")


def x_at(value: float | str | alt.ExprRef) -> alt.XValue:
    """An x position in pixels; `width` is the right end."""
    return alt.XValue(value)  # type: ignore[no-untyped-call]


def x2_at(value: float | str) -> alt.X2Value:
    """The second x position of a mark, in pixels."""
    return alt.X2Value(value)  # type: ignore[no-untyped-call]


def y_at(value: float) -> alt.YValue:
    """A y position in pixels from the top."""
    return alt.YValue(value)  # type: ignore[no-untyped-call]


def y2_at(value: float | str) -> alt.Y2Value:
    """The second y position of a mark, in pixels from the top; `height` is the bottom."""
    return alt.Y2Value(value)  # type: ignore[no-untyped-call]


def pixel_y(field: str) -> alt.Y:
    """The y channel of a field in pixels from the top."""
    return alt.Y(field, type="quantitative", scale=None, axis=None)


def expression(text: str) -> alt.ExprRef:
    """A Vega expression; it must not contain untrusted text."""
    return alt.ExprRef(text)


def layered_spec(layers: Sequence[alt.Chart], height: int, description: str) -> VegaSpec:
    """The spec of layers, as wide as its container, with inline data and without a config."""
    chart = alt.layer(*layers).properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=description,
    )
    with alt.data_transformers.enable("default", consolidate_datasets=False):
        # Validation takes longer than everything else; unit tests validate the specs.
        spec: dict[str, Any] = chart.to_dict(validate=False)
    for key in ("config", "$schema"):
        spec.pop(key, None)
    return _share_data(spec)


def _share_data(spec: dict[str, Any]) -> VegaSpec:
    """Move the data that occurs most often from the layers to the top level of the spec."""
    encoded = [json.dumps(layer["data"]) for layer in spec["layer"]]
    shared = max(encoded, key=lambda text: (encoded.count(text) - 1) * len(text))
    if encoded.count(shared) > 1:
        spec["data"] = json.loads(shared)
        for layer, text in zip(spec["layer"], encoded, strict=True):
            if text == shared:
                del layer["data"]
    return spec
