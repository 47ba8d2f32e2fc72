"""Forest plots: win rates by order and by tag, and the strengths of several models."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from bakeoff.analysis.aggregate import preference_of
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Outcome, PairSummary, Rating, SliceOutcome
from bakeoff.report.charts.drawing import (
    MAX_TABLE_ROWS,
    Chart,
    ChartRow,
    Table,
    VegaSpec,
    count_text,
    difference_axis,
    display_name,
    end_of,
    expression,
    interval,
    interval_text,
    layer,
    layered_spec,
    mark,
    nominal,
    percent,
    percent_axis,
    pixel,
    pixel_y,
    quantitative,
    side_color,
    signed,
    tooltips,
)
from bakeoff.report.charts.marks import center_line, heading
from bakeoff.stats.intervals import cluster_means, win_rate
from bakeoff.stats.results import Estimate

MAX_SLICES = 20
_ROW, _HEAD = 26, -14  # pixels: the height of a row, and the y position of the column heads
_NAMES = "(0.36 * width)"
_PLOT = "(width - (width < 480 ? 64 : 130))"  # the right end of the plot; narrow charts omit n
_GROUPED = "(width - (width < 480 ? 106 : 176))"
_GROUP = 48  # pixels: the width of the column of groups

Side = Literal["a", "b", "none"]
_SIDES: Mapping[Outcome | SliceOutcome | None, Side] = {"better": "a", "worse": "b"}


class ForestRow(NamedTuple):
    """A row of a forest plot."""

    name: str
    value: Estimate
    n: str  # the text of the last column but one
    side: Side = "none"  # the model that the row favors
    group: str = ""  # letters of the last column


class ForestScale(NamedTuple):
    """The axis and the columns of a forest plot."""

    center: float  # where neither model is ahead
    domain: tuple[float, float]
    axis: VegaSpec
    heads: tuple[str, str]  # of the columns of values and counts
    share: bool  # whether values are shown in percent
    group: str = ""  # head of the column of groups; empty if there is none

    @property
    def end(self) -> str:
        """A Vega expression of the right end of the plot."""
        return _GROUPED if self.group else _PLOT

    def texts(self, value: Estimate) -> tuple[str, str]:
        """An estimate and its interval as texts."""
        if self.share:
            return percent(value.estimate), interval_text(value)
        if value.low == value.high:
            return signed(value.estimate, 2), "none"
        return signed(value.estimate, 2), f"{signed(value.low, 2)} to {signed(value.high, 2)}"


def _percent_scale(count: str) -> ForestScale:
    return ForestScale(0.5, (0, 1), percent_axis(labelFlush=False), ("win rate", count), share=True)


def order_chart(pair: PairSummary, pair_data: PairData) -> Chart | None:
    """The win rate of a when shown first and second, and that of the completion shown first."""
    if pair.order.identified not in ("both orders", "random order"):
        return None
    first, second = win_rates_by_order(pair_data, paired=pair.order.identified == "both orders")
    a, picked = display_name(pair.a), pair.order.pick_first
    lines = [
        ForestRow("shown first", first, f"{first.n:,}"),
        ForestRow("shown second", second, f"{second.n:,}"),
    ]
    description = (
        f"The win rate of {a} is {percent(first.estimate)} where it is shown first and "
        f"{percent(second.estimate)} where it is shown second"
    )
    if picked:
        lines.append(ForestRow("either shown first", picked, f"{picked.n:,}"))
        description += (
            f"; the completion shown first wins {interval(picked)} of the decided verdicts"
        )
    spec = forest(lines, _percent_scale("prompts"), f"win rate of {a}", f"{description}.")
    return Chart(
        "order", "Order", f"{description}.", spec, _table(lines, _percent_scale("Prompts"), "Shown")
    )


def win_rates_by_order(pair_data: PairData, *, paired: bool) -> tuple[Estimate, Estimate]:
    """The win rate of a over prompts when shown first, and when shown second.

    If `paired`, only over the prompts that were judged in both orders.
    """
    recorded = [j for j in pair_data.judgments if j.presented == "recorded"]
    rates: list[dict[str, float]] = []
    for model in (pair_data.a, pair_data.b):
        judgments = [j for j in recorded if j.first == model]
        ids, codes = np.unique([j.prompt_id for j in judgments], return_inverse=True)
        means = cluster_means(
            np.round([preference_of(pair_data.a, j) for j in judgments], 9), codes
        )
        rates.append(dict(zip(ids.tolist(), means.tolist(), strict=True)))
    both = rates[0].keys() & rates[1].keys()
    estimates = []
    for rate in rates:
        prompt_ids = sorted(both if paired else rate)
        values = np.array([rate[prompt_id] for prompt_id in prompt_ids])
        estimates.append(win_rate(values, pair_data.clusters_of_ids(prompt_ids)))
    return estimates[0], estimates[1]


def slices_chart(pair: PairSummary) -> Chart | None:
    """The win rate over all prompts and by tag, the most frequent tag first."""
    if pair.win_rate is None or not pair.slices:
        return None
    slices = pair.slices[:MAX_SLICES]
    lines = [
        ForestRow(
            "all prompts", pair.win_rate, f"{pair.prompts:,}", _SIDES.get(pair.outcome, "none")
        ),
        *(
            ForestRow(
                display_name(row.tag),
                row.win_rate,
                f"{row.prompts:,}",
                _SIDES.get(row.outcome, "none"),
            )
            for row in slices
        ),
    ]
    ordered = sorted(slices, key=lambda row: row.win_rate.estimate)
    a, low, high = display_name(pair.a), ordered[0], ordered[-1]
    description = f"The win rate of {a} is {interval(pair.win_rate)} over all prompts"
    if len(slices) > 1:
        description += (
            f", and from {percent(low.win_rate.estimate)} ({display_name(low.tag)}) to "
            f"{percent(high.win_rate.estimate)} ({display_name(high.tag)}) by tag"
        )
    else:
        description += f", and {interval(low.win_rate)} on those tagged {display_name(low.tag)}"
    left = len(pair.slices) - len(slices)
    description += (
        f"; {count_text(left, 'smaller tag is', 'smaller tags are')} left out." if left else "."
    )
    spec = forest(lines, _percent_scale("prompts"), f"win rate of {a}", description)
    return Chart(
        "slices", "By tag", description, spec, _table(lines, _percent_scale("Prompts"), "Tag")
    )


def ratings_chart(ratings: Sequence[Rating]) -> Chart | None:
    """The strengths of three or more models, the strongest first, with ranks and groups.

    Models that share a letter of `group` are not significantly different.
    """
    if len(ratings) < 3:
        return None
    lines = [
        ForestRow(
            display_name(row.model), row.strength, _rank_text(row, rank), group=row.group or ""
        )
        for rank, row in enumerate(ratings, start=1)
    ]
    low = min(0.0, *(line.value.low for line in lines))
    high = max(0.0, *(line.value.high for line in lines))
    margin = 0.04 * (high - low) or 1.0
    scale = ForestScale(
        0,
        (low - margin, high + margin),
        difference_axis("", "+.2~f", "width < 720 ? 4 : 7"),
        ("strength", "rank"),
        share=False,
        group="group" if any(line.group for line in lines) else "",
    )
    best, last = lines[0], lines[-1]
    description = (
        f"{best.name} is the strongest of {len(lines)} models "
        f"({scale.texts(best.value)[0]}, 95 %: {scale.texts(best.value)[1]}), "
        f"{last.name} the weakest "
        f"({scale.texts(last.value)[0]}, 95 %: {scale.texts(last.value)[1]})."
    )
    if scale.group:
        description += " Two models that share a letter are not surely different."
    table = _table(lines, scale._replace(heads=("Strength", "Rank")), "Model")
    return Chart(
        "ratings",
        "Strength",
        description,
        forest(lines, scale, "log-odds, 0 on average", description),
        table,
    )


def _rank_text(row: Rating, rank: int) -> str:
    low, high = row.ranks or (rank, rank)
    return f"{low}" if low == high else f"{low} to {high}"


def _table(lines: Sequence[ForestRow], scale: ForestScale, name: str) -> Table:
    value, count = scale.heads[0].capitalize(), scale.heads[1]
    last = (scale.group.capitalize(),) if scale.group else ()
    rows = [
        (line.name, *scale.texts(line.value), line.n, *((line.group,) if last else ()))
        for line in lines
    ]
    return Table((name, value, "95 % interval", count, *last), tuple(rows[:MAX_TABLE_ROWS]))


def forest(lines: Sequence[ForestRow], scale: ForestScale, head: str, description: str) -> VegaSpec:
    """A forest plot: names on the left, intervals in the middle, numbers on the right.

    Narrow charts omit the column of counts; `head` is the heading of the plot.
    """
    rows: list[ChartRow] = []
    for index, line in enumerate(lines):
        value, span = scale.texts(line.value)
        row: ChartRow = {"name": line.name, "y": (index + 0.5) * _ROW, "side": line.side}
        row |= {"at": line.value.estimate, "low": line.value.low, "high": line.value.high}
        rows.append(row | {"value": value, "range": span, "n": line.n, "group": line.group})
    fields = {"name": "name", "value": scale.heads[0], "range": "95 %", "n": scale.heads[1]}
    tooltip = tooltips(fields | ({"group": scale.group} if scale.group else {}))
    scale_of_x = {
        "domain": list(scale.domain),
        "range": [expression(_NAMES), expression(scale.end)],
        "nice": False,
        "zero": False,
    }
    layers = [
        center_line(scale.center),
        layer(
            rows,
            mark("rule", style="whisker"),
            x=quantitative("low"),
            x2=end_of("high"),
            y=pixel_y("y"),
            color=side_color(),
            tooltip=tooltip,
        ),
        layer(
            rows,
            mark("point", filled=True, size=44, opacity=1),
            x=quantitative("at", scale=scale_of_x, axis=scale.axis),
            y=pixel_y("y"),
            color=side_color(),
            tooltip=tooltip,
        ),
        *_columns(rows, scale, tooltip),
        heading(head, _HEAD, "width - 66"),
    ]
    return layered_spec(layers, _ROW * len(lines), description)


def _columns(
    rows: Sequence[ChartRow], scale: ForestScale, tooltip: list[VegaSpec]
) -> list[VegaSpec]:
    """The texts of all rows: names, values and, in wide charts, counts."""
    name = mark(
        "text", style="ink", align="left", baseline="middle", limit=expression(f"{_NAMES} - 12")
    )
    value = mark("text", style="ink", align="right", baseline="middle")
    middle = expression(f"width - {_GROUP}" if scale.group else "width")
    count = mark(
        "text",
        style="soft",
        align="right",
        baseline="middle",
        opacity=expression("width < 480 ? 0 : 1"),
    )
    columns = [
        layer(rows, name, x=pixel(0), y=pixel_y("y"), text=nominal("name"), tooltip=tooltip),
        layer(
            rows,
            value,
            x=pixel(expression(f"{scale.end} + 62")),
            y=pixel_y("y"),
            text=nominal("value"),
        ),
        layer(rows, count, x=pixel(middle), y=pixel_y("y"), text=nominal("n")),
        layer(
            [{"n": scale.heads[1]}],
            {**count, "fontSize": 11},
            x=pixel(middle),
            y=pixel(_HEAD),
            text=nominal("n"),
        ),
    ]
    return columns + (_groups(rows, scale.group) if scale.group else [])


def _groups(rows: Sequence[ChartRow], head: str) -> list[VegaSpec]:
    """The last column: letters, at the right end of the chart."""
    x, letter = pixel("width"), nominal("group")
    return [
        layer(
            rows,
            mark("text", style="ink", align="right", baseline="middle", limit=_GROUP - 6),
            x=x,
            y=pixel_y("y"),
            text=letter,
        ),
        layer(
            [{"group": head}],
            mark("text", style="soft", fontSize=11, align="right", baseline="middle"),
            x=x,
            y=pixel(_HEAD),
            text=letter,
        ),
    ]
