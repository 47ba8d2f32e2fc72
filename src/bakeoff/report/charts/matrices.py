"""Tables of shares in colour: which raters agree, and which model wins against which."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import altair as alt

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Comparison, Outcome, PairSummary, Summary
from bakeoff.report.charts.drawing import (
    ROWS,
    Chart,
    Row,
    Spec,
    Table,
    counted,
    data,
    drawn,
    expression,
    interval,
    label,
    percent,
    pixels,
    shown,
    tooltips,
    x_at,
    y_at,
)
from bakeoff.report.charts.marks import heading

_ROW, _HEAD = 34, -12  # pixels: a row, and where what is over the first has its middle
_WIDEST = 84  # pixels: a cell of a wide chart
_NAMES = "(0.36 * width)"


class _Look(NamedTuple):
    """How a matrix is drawn: its colours, what it shows, what its tooltips call each field."""

    shade: alt.Scale
    head: str
    fields: Mapping[str, str]


def agreement_chart(pair_data: PairData) -> Chart | None:
    """How often two raters name the same winner of a prompt; None with fewer than two raters."""
    raters: list[tuple[str, Sequence[Comparison]]] = [
        (shown(judge), comparisons) for judge, comparisons in pair_data.comparisons_by_judge.items()
    ]
    if pair_data.people_comparisons:
        raters.append(("people", pair_data.people_comparisons))
    winners = [{c.prompt_id: c.winner for c in comparisons} for _, comparisons in raters]
    names = [name for name, _ in raters]
    cells: list[Row] = []
    for i, j in permutations(range(len(names)), 2):
        shared = winners[i].keys() & winners[j].keys()
        if shared:
            same = sum(winners[i][p] == winners[j][p] for p in shared) / len(shared)
            cell = _cell(i, j, same)
            told: Row = {"row": names[i], "column": names[j], "told": percent(same)}
            cells.append(cell | told | {"n": len(shared)})
    if not cells:
        return None
    once = sorted(filter(_above, cells), key=lambda c: -float(c["share"]))
    says = _agreed(once)
    table = Table(
        ("Rater", "Rater", "Same winner", "Prompts"),
        tuple((c["row"], c["column"], c["told"], c["n"]) for c in once[:ROWS]),
    )
    look = _Look(
        alt.Scale(domain=[0, 1], range="heatmap", interpolate="rgb"),
        "same winner",
        {"row": "rater", "column": "and", "told": "same winner", "n": "prompts"},
    )
    return Chart("agreement", "Agreement", says, _matrix(names, cells, look, says), table)


def _above(cell: Row) -> bool:
    """Whether it is above the diagonal: each two are there once."""
    return int(cell["i"]) < int(cell["j"])


def _agreed(once: Sequence[Row]) -> str:
    most, least = once[0], once[-1]
    says = (
        f"{most['row']} and {most['column']} name the same winner on {most['told']} of "
        f"{counted(int(most['n']), 'prompt', 'prompts')}"
    )
    if len(once) > 1:
        says += (
            f", the most of any two; {least['row']} and {least['column']} on {least['told']} of "
            f"{least['n']:,}, the fewest"
        )
    return f"{says}."


def pairs_chart(summary: Summary) -> Chart | None:
    """The win rate of each model against each other one, the strongest first."""
    rated = [row.model for row in summary.ratings]
    names = list(dict.fromkeys([*rated, *(row.model for row in summary.models)]))
    told = [pair for pair in summary.pairs if pair.win_rate is not None]
    if len(names) < 3 or not told:
        return None
    place = {name: index for index, name in enumerate(names)}
    cells = [cell for pair in told for cell in _both(pair, place)]
    cells.sort(key=lambda cell: (cell["i"], cell["j"]))
    ahead = sorted(filter(_above, cells), key=lambda c: -abs(float(c["share"]) - 0.5))
    far = max(cells, key=lambda cell: float(cell["share"]))
    says = (
        f"Of {counted(len(told), 'pair', 'pairs')} of models, the widest apart are {far['row']} "
        f"and {far['column']}: {far['row']} has a win rate of {far['told']}."
    )
    table = Table(
        ("Model", "Against", "Win rate", "Prompts", "Verdict"),
        tuple((c["row"], c["column"], c["told"], c["n"], c["outcome"]) for c in ahead[:ROWS]),
    )
    look = _Look(
        alt.Scale(domain=[0, 1], domainMid=0.5, range="diverging", interpolate="rgb"),
        "win rate of a row",
        {
            "row": "model",
            "column": "against",
            "told": "win rate",
            "outcome": "it is",
            "n": "prompts",
        },
    )
    spec = _matrix([shown(name) for name in names], cells, look, says)
    return Chart("pairs", "Each against each", says, spec, table)


_TURNED: dict[Outcome, Outcome] = {"better": "worse", "worse": "better"}


def _both(pair: PairSummary, place: dict[str, int]) -> list[Row]:
    """A pair as seen from either side."""
    rate = pair.win_rate
    if rate is None:
        return []
    back = replace(rate, estimate=1 - rate.estimate, low=1 - rate.high, high=1 - rate.low)
    sides = (
        (pair.a, pair.b, rate, pair.outcome),
        (pair.b, pair.a, back, _TURNED.get(pair.outcome, pair.outcome)),
    )
    rows: list[Row] = []
    for model, other, value, outcome in sides:
        cell = _cell(place[model], place[other], value.estimate)
        told: Row = {"row": shown(model), "column": shown(other), "told": interval(value)}
        rows.append(cell | told | {"n": pair.prompts, "outcome": outcome})
    return rows


def _cell(i: int, j: int, share: float) -> Row:
    return {"i": i, "j": j, "share": round(share, 6), "value": percent(share, 0)}


def _matrix(names: Sequence[str], cells: Sequence[Row], look: _Look, says: str) -> Spec:
    """Names and their numbers on the left, the numbers again over the columns."""
    count = len(names)
    wide = f"(min(width - {_NAMES}, {_WIDEST * count}) / {count})"
    across = alt.Scale(
        domain=[0, count],
        range=[expression(_NAMES), expression(f"{_NAMES} + {count} * {wide}")],
        nice=False,
        zero=False,
    )
    x = alt.X("x", type="quantitative", scale=across, axis=None)
    told = tooltips(look.fields)
    rows: list[Row] = [
        {
            **cell,
            "x": int(cell["j"]),
            "middle": int(cell["j"]) + 0.5,
            "x2": int(cell["j"]) + 1,
            "y": int(cell["i"]) * _ROW,
            "centre": (int(cell["i"]) + 0.5) * _ROW,
            "y2": (int(cell["i"]) + 1) * _ROW,
        }
        for cell in cells
    ]
    squares = data(rows)
    colour = alt.Color("share", type="quantitative", scale=look.shade, legend=None)
    layers = [
        squares.mark_rect(style="cell").encode(
            x=x, x2="x2", y=pixels("y"), y2="y2", color=colour, tooltip=told
        ),
        _inside(squares, f"{wide} < 34 ? 0 : 1", told),
        *_outside(names, f"{_NAMES} - 12"),
        heading(look.head, _HEAD, f"{_NAMES} - 12"),
    ]
    return drawn(layers, _ROW * count, says)


def _inside(squares: alt.Chart, opacity: str, told: list[alt.Tooltip]) -> alt.Chart:
    """The number of each cell, where cells are wide enough."""
    number: alt.Chart = squares.mark_text(
        style="ink", baseline="middle", opacity=expression(opacity)
    ).encode(
        x=alt.X("middle", type="quantitative"),
        y=pixels("centre"),
        text=label("value"),
        tooltip=told,
    )
    return number


def _outside(names: Sequence[str], limit: str) -> list[alt.Chart]:
    rows: list[Row] = [
        {"name": name, "number": f"{at + 1}", "x": at + 0.5, "y": (at + 0.5) * _ROW}
        for at, name in enumerate(names)
    ]
    told = tooltips({"number": "number", "name": "name"})
    x, number = alt.X("x", type="quantitative"), label("number")
    sides = data(rows)
    return [
        sides.mark_text(style="soft", align="left", baseline="middle").encode(
            x=x_at(0), y=pixels("y"), text=number
        ),
        sides.mark_text(
            style="ink", align="left", baseline="middle", limit=expression(f"{limit} - 20")
        ).encode(x=x_at(20), y=pixels("y"), text=label("name"), tooltip=told),
        sides.mark_text(style="soft", baseline="middle").encode(
            x=x, y=y_at(_HEAD), text=number, tooltip=told
        ),
    ]
