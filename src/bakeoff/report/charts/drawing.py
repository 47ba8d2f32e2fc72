"""Building blocks of charts: formatted names and numbers, axes, and the complete spec.

Untrusted text (models, judges, tags) is only used as a value in the data, never in a field name, a
title or an expression of a spec.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bakeoff.report.charts.palette import SIDES
from bakeoff.stats.results import NO_INTERVAL, Estimate

ChartRow = dict[str, str | float | int]
VegaSpec = dict[str, Any]  # JSON of Vega-Lite: a chart, or a part of one

MAX_TABLE_ROWS = 50  # of the table of a chart
# Bidirectional classes of characters that reorder the text around them.
_BIDI_CLASSES = ("R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI")
_FEW_TICKS = "width < 480 ? 4 : 7"  # an expression
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


def layer(
    rows: Sequence[ChartRow], mark: VegaSpec, **encoding: VegaSpec | list[VegaSpec]
) -> VegaSpec:
    """A layer of a chart: a mark for each row; `encoding` maps channels to their definitions."""
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def mark(kind: str, **properties: object) -> VegaSpec:
    """The mark of a layer, such as `rule`, with its properties."""
    return {"type": kind, **properties}


def quantitative(field: str, **more: object) -> VegaSpec:
    """The channel of a number; `more` are further properties, such as `scale`."""
    return {"field": field, "type": "quantitative", **more}


def nominal(field: str, **more: object) -> VegaSpec:
    """The channel of a text; nominal, so that a text is never parsed as a number."""
    return {"field": field, "type": "nominal", **more}


def end_of(field: str) -> VegaSpec:
    """A second position (`x2`, `y2`), on the scale of the first one."""
    return {"field": field}


def pixel(value: float | str | VegaSpec) -> VegaSpec:
    """A position in pixels; `width` is the right end, and `height` the bottom."""
    return {"value": value}


def pixel_y(field: str) -> VegaSpec:
    """The y channel of a field in pixels from the top."""
    return quantitative(field, scale=None, axis=None)


def expression(text: str) -> VegaSpec:
    """A Vega expression; it must not contain untrusted text."""
    return {"expr": text}


def tooltips(names: Mapping[str, str]) -> list[VegaSpec]:
    """Tooltip lines of text fields; `names` maps a field to its label."""
    return [nominal(field, title=title) for field, title in names.items()]


def percent_axis(**more: object) -> VegaSpec:
    """An axis of shares in percent; `more` are further properties of the axis."""
    return {"values": [0, 0.25, 0.5, 0.75, 1], "labelExpr": _POINTS, "title": None, **more}


def difference_axis(title: str, form: str, ticks: str = _FEW_TICKS) -> VegaSpec:
    """An axis of differences around 0.

    `form` is a d3 number format with a sign, and `ticks` an expression of the number of ticks.
    """
    label = f"datum.value === 0 ? '0' : format(datum.value, '{form}')"
    return {
        "title": title or None,
        "grid": False,
        "labelExpr": label,
        "tickCount": expression(ticks),
    }


def side_color() -> VegaSpec:
    """The color channel of the field `side`, with the values a, b and tie (`SIDES`)."""
    return nominal("side", scale={"domain": list(SIDES)}, legend=None)


def side_of(difference: float) -> str:
    """The side that is ahead, by the value of a minus that of b: a, b or tie."""
    if abs(difference) < 1e-9:
        return "tie"
    return "a" if difference > 0 else "b"


def layered_spec(layers: Sequence[VegaSpec], height: int, description: str) -> VegaSpec:
    """The spec of layers, as wide as its container, with inline data and without a config.

    The data that occurs most often is moved from the layers to the top level of the spec.
    """
    spec: VegaSpec = {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": description,
    }
    data = [layer["data"] for layer in layers]
    repeated = [rows for rows in data if data.count(rows) > 1]
    if not repeated:
        return {**spec, "layer": list(layers)}
    shared = max(repeated, key=lambda rows: (data.count(rows) - 1) * len(json.dumps(rows)))
    return {
        **spec,
        "data": shared,
        "layer": [
            {key: value for key, value in layer.items() if key != "data" or value != shared}
            for layer in layers
        ],
    }
