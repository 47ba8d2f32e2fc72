"""Heat maps: the agreement of raters, and the win rate of each model against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Comparison, Outcome, PairSummary, Summary
from bakeoff.report.charts.drawing import (
    MAX_TABLE_ROWS,
    Chart,
    ChartRow,
    Table,
    VegaSpec,
    count_text,
    display_name,
    end_of,
    expression,
    interval,
    layer,
    layered_spec,
    mark,
    nominal,
    percent,
    pixel,
    pixel_y,
    quantitative,
    tooltips,
)
from bakeoff.report.charts.marks import heading

_ROW, _HEAD = 34, -12  # pixels: the height of a row, and the y position of the column heads
_MAX_CELL = 84  # pixels: the width of a cell
_NAMES = "(0.36 * width)"


class _MatrixStyle(NamedTuple):
    """The colors and texts of a matrix."""

    color: VegaSpec  # a scale
    head: str
    fields: Mapping[str, str]  # fields of the tooltip to their labels


def agreement_chart(pair_data: PairData) -> Chart | None:
    """How often two raters name the same winner of a prompt; None with fewer than two raters."""
    raters: list[tuple[str, Sequence[Comparison]]] = [
        (display_name(judge), comparisons)
        for judge, comparisons in pair_data.comparisons_by_judge.items()
    ]
    if pair_data.people_comparisons:
        raters.append(("people", pair_data.people_comparisons))
    winners = [{c.prompt_id: c.winner for c in comparisons} for _, comparisons in raters]
    names = [name for name, _ in raters]
    cells: list[ChartRow] = []
    for i, j in permutations(range(len(names)), 2):
        shared = winners[i].keys() & winners[j].keys()
        if shared:
            same = sum(winners[i][p] == winners[j][p] for p in shared) / len(shared)
            cell = _cell(i, j, same)
            labels: ChartRow = {"row": names[i], "column": names[j], "text": percent(same)}
            cells.append(cell | labels | {"n": len(shared)})
    if not cells:
        return None
    unique = sorted(filter(_above_diagonal, cells), key=lambda c: -float(c["share"]))
    description = _agreement(unique)
    table = Table(
        ("Rater", "Rater", "Same winner", "Prompts"),
        tuple((c["row"], c["column"], c["text"], c["n"]) for c in unique[:MAX_TABLE_ROWS]),
    )
    style = _MatrixStyle(
        {"domain": [0, 1], "range": "heatmap", "interpolate": "rgb"},
        "same winner",
        {"row": "rater", "column": "and", "text": "same winner", "n": "prompts"},
    )
    return Chart(
        "agreement", "Agreement", description, _matrix(names, cells, style, description), table
    )


def _above_diagonal(cell: ChartRow) -> bool:
    return int(cell["i"]) < int(cell["j"])


def _agreement(unique: Sequence[ChartRow]) -> str:
    most, least = unique[0], unique[-1]
    description = (
        f"{most['row']} and {most['column']} name the same winner on {most['text']} of "
        f"{count_text(int(most['n']), 'prompt', 'prompts')}"
    )
    if len(unique) > 1:
        description += (
            f", the most of any two; {least['row']} and {least['column']} on {least['text']} of "
            f"{least['n']:,}, the fewest"
        )
    return f"{description}."


def pairs_chart(summary: Summary) -> Chart | None:
    """The win rate of each model against each other one, the strongest first.

    The cells of pairs whose verdict is withheld are empty.
    """
    rated = [row.model for row in summary.ratings]
    names = list(dict.fromkeys([*rated, *(row.model for row in summary.models)]))
    judged = [pair for pair in summary.pairs if pair.win_rate and pair.outcome != "withheld"]
    if len(names) < 3 or not judged:
        return None
    withheld = sum(pair.outcome == "withheld" for pair in summary.pairs)
    index = {name: number for number, name in enumerate(names)}
    cells = [cell for pair in judged for cell in _mirrored(pair, index)]
    cells.sort(key=lambda cell: (cell["i"], cell["j"]))
    ahead = sorted(filter(_above_diagonal, cells), key=lambda c: -abs(float(c["share"]) - 0.5))
    widest = max(cells, key=lambda cell: float(cell["share"]))
    description = (
        f"Of {count_text(len(judged), 'pair', 'pairs')} of models, the widest apart are "
        f"{widest['row']} and {widest['column']}: {widest['row']} has a win rate of "
        f"{widest['text']}."
    )
    if withheld:
        pairs = count_text(withheld, "pair has an empty cell", "pairs have empty cells")
        description += f" {pairs}: the verdict is withheld."
    table = Table(
        ("Model", "Against", "Win rate", "Prompts", "Verdict"),
        tuple(
            (c["row"], c["column"], c["text"], c["n"], c["outcome"]) for c in ahead[:MAX_TABLE_ROWS]
        ),
    )
    style = _MatrixStyle(
        {"domain": [0, 1], "domainMid": 0.5, "range": "diverging", "interpolate": "rgb"},
        "win rate of a row",
        {
            "row": "model",
            "column": "against",
            "text": "win rate",
            "outcome": "it is",
            "n": "prompts",
        },
    )
    spec = _matrix([display_name(name) for name in names], cells, style, description)
    return Chart("pairs", "Each against each", description, spec, table)


_REVERSED: dict[Outcome, Outcome] = {"better": "worse", "worse": "better"}


def _mirrored(pair: PairSummary, index: dict[str, int]) -> list[ChartRow]:
    """The two cells of a pair of models."""
    rate = pair.win_rate
    if rate is None:
        return []
    reverse = replace(rate, estimate=1 - rate.estimate, low=1 - rate.high, high=1 - rate.low)
    sides = (
        (pair.a, pair.b, rate, pair.outcome),
        (pair.b, pair.a, reverse, _REVERSED.get(pair.outcome, pair.outcome)),
    )
    rows: list[ChartRow] = []
    for model, other, value, outcome in sides:
        cell = _cell(index[model], index[other], value.estimate)
        labels: ChartRow = {
            "row": display_name(model),
            "column": display_name(other),
            "text": interval(value),
        }
        rows.append(cell | labels | {"n": pair.prompts, "outcome": outcome})
    return rows


def _cell(i: int, j: int, share: float) -> ChartRow:
    return {"i": i, "j": j, "share": round(share, 6), "value": percent(share, 0)}


def _matrix(
    names: Sequence[str], cells: Sequence[ChartRow], style: _MatrixStyle, description: str
) -> VegaSpec:
    """A heat map: numbered names at the left, the numbers as column heads."""
    count = len(names)
    wide = f"(min(width - {_NAMES}, {_MAX_CELL * count}) / {count})"
    across = {
        "domain": [0, count],
        "range": [expression(_NAMES), expression(f"{_NAMES} + {count} * {wide}")],
        "nice": False,
        "zero": False,
    }
    tooltip = tooltips(style.fields)
    rows: list[ChartRow] = [
        {
            **cell,
            "x": int(cell["j"]),
            "middle": int(cell["j"]) + 0.5,
            "x2": int(cell["j"]) + 1,
            "y": int(cell["i"]) * _ROW,
            "center": (int(cell["i"]) + 0.5) * _ROW,
            "y2": (int(cell["i"]) + 1) * _ROW,
        }
        for cell in cells
    ]
    opacity = expression(f"{wide} < 34 ? 0 : 1")
    layers = [
        layer(
            rows,
            mark("rect", style="cell"),
            x=quantitative("x", scale=across, axis=None),
            x2=end_of("x2"),
            y=pixel_y("y"),
            y2=end_of("y2"),
            color=quantitative("share", scale=style.color, legend=None),
            tooltip=tooltip,
        ),
        layer(  # the number of each cell, in cells that are wide enough
            rows,
            mark("text", style="ink", baseline="middle", opacity=opacity),
            x=quantitative("middle"),
            y=pixel_y("center"),
            text=nominal("value"),
            tooltip=tooltip,
        ),
        *_row_and_column_heads(names, f"{_NAMES} - 12"),
        heading(style.head, _HEAD, f"{_NAMES} - 12"),
    ]
    return layered_spec(layers, _ROW * count, description)


def _row_and_column_heads(names: Sequence[str], limit: str) -> list[VegaSpec]:
    rows: list[ChartRow] = [
        {"name": name, "number": f"{at + 1}", "x": at + 0.5, "y": (at + 0.5) * _ROW}
        for at, name in enumerate(names)
    ]
    tooltip = tooltips({"number": "number", "name": "name"})
    name = mark(
        "text", style="ink", align="left", baseline="middle", limit=expression(f"{limit} - 20")
    )
    return [
        layer(
            rows,
            mark("text", style="soft", align="left", baseline="middle"),
            x=pixel(0),
            y=pixel_y("y"),
            text=nominal("number"),
        ),
        layer(rows, name, x=pixel(20), y=pixel_y("y"), text=nominal("name"), tooltip=tooltip),
        layer(
            rows,
            mark("text", style="soft", baseline="middle"),
            x=quantitative("x"),
            y=pixel(_HEAD),
            text=nominal("number"),
            tooltip=tooltip,
        ),
    ]
