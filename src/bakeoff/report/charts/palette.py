"""The colors of all charts as a Vega-Lite config, for the light and the dark theme."""

from typing import NamedTuple

from pydantic import JsonValue

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
PAPER = "#ffffff"  # the background of an exported figure
SIDES = ("a", "b", "tie", "none")  # in the order of `config.range.category`


class Palette(NamedTuple):
    """The colors of one theme, as hexadecimal RGB.

    In grayscale a is dark, b medium and a tie light; in the dark theme the reverse.
    """

    ink: str  # text
    soft: str  # secondary text
    line: str
    paper: str  # background
    tint: str  # slightly darker background
    a: str  # model a
    b: str  # model b
    tie: str
    a_ink: str  # text in the color of a
    b_ink: str
    on_a: str  # text on the color of a
    on_b: str
    on_tie: str
    low: str  # lowest color of a matrix; `ink` is readable on all of its colors
    high: str  # highest color of a matrix


_LIGHT = Palette(
    ink="#1c1e21",
    soft="#5b6168",
    line="#d9dce0",
    paper=PAPER,
    tint="#f4f5f7",
    a="#1f5a93",
    b="#e8963e",
    tie="#c9ced6",
    a_ink="#1f5a93",
    b_ink="#97500f",
    on_a="#ffffff",
    on_b="#1c1e21",
    on_tie="#1c1e21",
    low="#f0b67c",
    high="#6f9fcb",
)
_DARK = Palette(
    ink="#e6e8ea",
    soft="#a3a9b0",
    line="#33383e",
    paper="#16181b",
    tint="#1f2226",
    a="#4a94d6",
    b="#f5b860",
    tie="#454c54",
    a_ink="#7db8ea",
    b_ink="#f5b860",
    on_a="#16181b",
    on_b="#16181b",
    on_tie="#e6e8ea",
    low="#875816",
    high="#2c669c",
)


def theme(*, dark: bool) -> dict[str, JsonValue]:
    """The Vega-Lite config with the colors of the styles and ranges that the specs name.

    The background is transparent.
    """
    p = _DARK if dark else _LIGHT
    text: dict[str, JsonValue] = {"font": FONT, "fontSize": 12, "color": p.ink, "fontWeight": 400}
    return {
        "background": "transparent",
        "font": FONT,
        "padding": 2,
        "view": {"stroke": None},
        "text": text,
        "axis": _axis(p),
        "range": {
            "category": [p.a, p.b, p.tie, p.soft],
            "heatmap": [p.tint, p.high],
            "diverging": [p.low, p.tint, p.high],
        },
        "style": _marks(p) | _texts(p),
    }


def _axis(p: Palette) -> dict[str, JsonValue]:
    return {
        "domain": False,
        "ticks": False,
        "gridColor": p.line,
        "gridWidth": 1,
        "labelColor": p.soft,
        "labelFontSize": 11,
        "labelPadding": 6,
        "labelSeparation": 10,
        "titleColor": p.soft,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    }


def _marks(p: Palette) -> dict[str, JsonValue]:
    return {
        "line": {"color": p.a, "strokeWidth": 2},
        "curve": {"color": p.ink, "strokeWidth": 2},
        "interval": {"color": p.ink, "strokeWidth": 2},
        "whisker": {"strokeWidth": 2},
        "estimate": {"color": p.ink},
        "band": {"color": p.a, "opacity": 0.18},
        "margin": {"color": p.soft, "opacity": 0.14},
        "half": {"color": p.soft, "strokeWidth": 1, "strokeDash": [4, 3]},
        "part": {"stroke": p.paper, "strokeWidth": 1},
        "cell": {"stroke": p.paper, "strokeWidth": 2},
        "halo": {"color": p.paper, "stroke": p.paper, "strokeWidth": 4, "strokeJoin": "round"},
        "unseen": {"color": p.paper, "opacity": 0},
    }


def _texts(p: Palette) -> dict[str, JsonValue]:
    colors = {
        "ink": p.ink,
        "soft": p.soft,
        "name-a": p.a_ink,
        "name-b": p.b_ink,
        "on-a": p.on_a,
        "on-b": p.on_b,
        "on-tie": p.on_tie,
    }
    styles: dict[str, JsonValue] = {name: {"color": color} for name, color in colors.items()}
    for name in ("name-a", "name-b"):
        styles[name] = {"color": colors[name], "fontWeight": 600}
    return styles
