"""Rows of estimates with their intervals: the place of a completion, tags, and strengths."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import altair as alt
import numpy as np

from bakeoff.analysis.aggregate import preference_of
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import Outcome, PairSummary, Rating, SliceOutcome
from bakeoff.report.charts.drawing import (
    Chart,
    Row,
    Spec,
    Table,
    around_zero,
    bounds,
    counted,
    data,
    drawn,
    expression,
    interval,
    label,
    percent,
    pixels,
    shares,
    shown,
    sides,
    signed,
    tooltips,
    x_at,
    y2_at,
    y_at,
)
from bakeoff.report.charts.marks import heading
from bakeoff.stats.intervals import cluster_means, win_rate
from bakeoff.stats.results import Estimate

SLICES = 20
_ROW, _HEAD = 26, -14  # pixels: a row, and where what is over the first has its middle
_NAMES = "(0.36 * width)"
_PLOT = "(width - (width < 480 ? 64 : 130))"  # where it ends: narrow charts leave n out
_GROUPED = "(width - (width < 480 ? 106 : 176))"
_GROUP = 48  # pixels: the column of groups

Side = Literal["a", "b", "none"]
_SIDES: Mapping[Outcome | SliceOutcome | None, Side] = {"better": "a", "worse": "b"}


class Line(NamedTuple):
    """A row of a forest; `side` is the model that it speaks for, `group` what it belongs to."""

    name: str
    value: Estimate
    told: str
    side: Side = "none"
    group: str = ""


class Scale(NamedTuple):
    """What a forest measures: where neither is ahead, its axis, and how its numbers read; `group`
    heads the last column, where there is one.
    """

    middle: float
    domain: tuple[float, float]
    axis: alt.Axis
    heads: tuple[str, str]
    share: bool
    group: str = ""

    @property
    def end(self) -> str:
        """Where the plot ends: narrow charts leave the middle one of the columns out."""
        return _GROUPED if self.group else _PLOT

    def said(self, value: Estimate) -> tuple[str, str]:
        """An estimate and its interval, as texts."""
        if self.share:
            return percent(value.estimate), bounds(value)
        if value.low == value.high:
            return signed(value.estimate, 2), "none"
        return signed(value.estimate, 2), f"{signed(value.low, 2)} to {signed(value.high, 2)}"


def _shares(count: str) -> Scale:
    return Scale(0.5, (0, 1), shares(labelFlush=False), ("win rate", count), share=True)


def order_chart(pair: PairSummary, trial: Trial) -> Chart | None:
    """a's win rate when shown first and second, and how often the first place wins."""
    if pair.order.identified not in ("both orders", "random order"):
        return None
    first, second = placed(trial, paired=pair.order.identified == "both orders")
    a, picked = shown(pair.a), pair.order.pick_first
    lines = [
        Line("shown first", first, f"{first.n:,}"),
        Line("shown second", second, f"{second.n:,}"),
    ]
    says = (
        f"The win rate of {a} is {percent(first.estimate)} where it is shown first and "
        f"{percent(second.estimate)} where it is shown second"
    )
    if picked:
        lines.append(Line("either shown first", picked, f"{picked.n:,}"))
        says += f"; the completion shown first wins {interval(picked)} of the decided verdicts"
    spec = forest(lines, _shares("prompts"), f"win rate of {a}", f"{says}.")
    return Chart("order", "Order", f"{says}.", spec, _table(lines, _shares("Prompts"), "Shown"))


def placed(trial: Trial, *, paired: bool) -> tuple[Estimate, Estimate]:
    """a's win rate over prompts when shown first and when shown second; where it is paired, over
    the prompts that were judged in both orders.
    """
    recorded = [j for j in trial.judgments if j.presented == "recorded"]
    rates: list[dict[str, float]] = []
    for model in (trial.a, trial.b):
        here = [j for j in recorded if j.first == model]
        ids, codes = np.unique([j.prompt_id for j in here], return_inverse=True)
        means = cluster_means(np.round([preference_of(trial.a, j) for j in here], 9), codes)
        rates.append(dict(zip(ids.tolist(), means.tolist(), strict=True)))
    both = rates[0].keys() & rates[1].keys()
    found = []
    for rate in rates:
        kept = sorted(both if paired else rate)
        values = np.array([rate[prompt_id] for prompt_id in kept])
        found.append(win_rate(values, trial.clusters_of(kept)))
    return found[0], found[1]


def slices_chart(pair: PairSummary) -> Chart | None:
    """The win rate by tag, the largest first, under that of the whole pair."""
    if pair.win_rate is None or not pair.slices:
        return None
    kept = pair.slices[:SLICES]
    lines = [
        Line("all prompts", pair.win_rate, f"{pair.prompts:,}", _SIDES.get(pair.outcome, "none")),
        *(
            Line(shown(row.tag), row.win_rate, f"{row.prompts:,}", _SIDES.get(row.outcome, "none"))
            for row in kept
        ),
    ]
    ordered = sorted(kept, key=lambda row: row.win_rate.estimate)
    a, low, high = shown(pair.a), ordered[0], ordered[-1]
    says = f"The win rate of {a} is {interval(pair.win_rate)} over all prompts"
    if len(kept) > 1:
        says += (
            f", and from {percent(low.win_rate.estimate)} ({shown(low.tag)}) to "
            f"{percent(high.win_rate.estimate)} ({shown(high.tag)}) by tag"
        )
    else:
        says += f", and {interval(low.win_rate)} on those tagged {shown(low.tag)}"
    left = len(pair.slices) - len(kept)
    says += f"; {counted(left, 'smaller tag is', 'smaller tags are')} left out." if left else "."
    spec = forest(lines, _shares("prompts"), f"win rate of {a}", says)
    return Chart("slices", "By tag", says, spec, _table(lines, _shares("Prompts"), "Tag"))


def ratings_chart(ratings: Sequence[Rating]) -> Chart | None:
    """The strengths of three models or more, the strongest first, with the ranks that each may have
    and the letters of those that it is not surely different from.
    """
    if len(ratings) < 3:
        return None
    lines = [
        Line(shown(row.model), row.strength, _ranks(row, rank), group=row.group or "")
        for rank, row in enumerate(ratings, start=1)
    ]
    low = min(0.0, *(line.value.low for line in lines))
    high = max(0.0, *(line.value.high for line in lines))
    room = 0.04 * (high - low) or 1.0
    scale = Scale(
        0,
        (low - room, high + room),
        around_zero("", "+.2~f", expression("width < 720 ? 4 : 7")),
        ("strength", "rank"),
        share=False,
        group="group" if any(line.group for line in lines) else "",
    )
    best, last = lines[0], lines[-1]
    says = (
        f"{best.name} is the strongest of {len(lines)} models "
        f"({scale.said(best.value)[0]}, 95 %: {scale.said(best.value)[1]}), "
        f"{last.name} the weakest "
        f"({scale.said(last.value)[0]}, 95 %: {scale.said(last.value)[1]})."
    )
    if scale.group:
        says += " Two models that share a letter are not surely different."
    table = _table(lines, scale._replace(heads=("Strength", "Rank")), "Model")
    return Chart(
        "ratings", "Strength", says, forest(lines, scale, "log-odds, 0 on average", says), table
    )


def _ranks(row: Rating, rank: int) -> str:
    low, high = row.ranks or (rank, rank)
    return f"{low}" if low == high else f"{low} to {high}"


def _table(lines: Sequence[Line], scale: Scale, what: str) -> Table:
    value, count = scale.heads[0].capitalize(), scale.heads[1]
    last = (scale.group.capitalize(),) if scale.group else ()
    rows = [
        (line.name, *scale.said(line.value), line.told, *((line.group,) if last else ()))
        for line in lines
    ]
    return Table((what, value, "95 % interval", count, *last), tuple(rows[:50]))


def forest(lines: Sequence[Line], scale: Scale, head: str, says: str) -> Spec:
    """Names on the left, intervals in the middle, numbers on the right; the narrower the chart,
    the fewer of them.
    """
    rows: list[Row] = []
    for index, line in enumerate(lines):
        value, span = scale.said(line.value)
        row: Row = {"name": line.name, "y": (index + 0.5) * _ROW, "side": line.side}
        row |= {"at": line.value.estimate, "low": line.value.low, "high": line.value.high}
        rows.append(row | {"value": value, "range": span, "n": line.told, "group": line.group})
    fields = {"name": "name", "value": scale.heads[0], "range": "95 %", "n": scale.heads[1]}
    told = tooltips(fields | ({"group": scale.group} if scale.group else {}))
    x = alt.X(
        "at",
        type="quantitative",
        scale=alt.Scale(
            domain=list(scale.domain),
            range=[expression(_NAMES), expression(scale.end)],
            nice=False,
            zero=False,
        ),
        axis=scale.axis,
    )
    height, lined = _ROW * len(lines), data(rows)
    layers = [
        _centre(scale.middle),
        lined.mark_rule(style="whisker").encode(
            x=alt.X("low", type="quantitative"),
            x2="high",
            y=pixels("y"),
            color=sides(),
            tooltip=told,
        ),
        lined.mark_point(filled=True, size=44, opacity=1).encode(
            x=x, y=pixels("y"), color=sides(), tooltip=told
        ),
        *_columns(lined, scale, told),
        heading(head, _HEAD, "width - 66"),
    ]
    return drawn(layers, height, says)


def _centre(at: float) -> alt.Chart:
    line: alt.Chart = (
        data([{"at": at}])
        .mark_rule(style="half")
        .encode(x=alt.X("at", type="quantitative"), y=y_at(0), y2=y2_at("height"))
    )
    return line


def _columns(lined: alt.Chart, scale: Scale, told: list[alt.Tooltip]) -> list[alt.Chart]:
    """The texts of all rows: names, numbers and, where the chart is wide, how many prompts."""
    rows, seen = pixels("y"), expression("width < 480 ? 0 : 1")
    name = lined.mark_text(
        style="ink", align="left", baseline="middle", limit=expression(f"{_NAMES} - 12")
    )
    value = lined.mark_text(style="ink", align="right", baseline="middle")
    middle = expression(f"width - {_GROUP}") if scale.group else expression("width")
    count = lined.mark_text(style="soft", align="right", baseline="middle", opacity=seen)
    head = data([{"n": scale.heads[1]}]).mark_text(
        style="soft", fontSize=11, align="right", baseline="middle", opacity=seen
    )
    columns = [
        name.encode(x=x_at(0), y=rows, text=label("name"), tooltip=told),
        value.encode(x=x_at(expression(f"{scale.end} + 62")), y=rows, text=label("value")),
        count.encode(x=x_at(middle), y=rows, text=label("n")),
        head.encode(x=x_at(middle), y=y_at(_HEAD), text=label("n")),
    ]
    return columns + (_groups(lined, scale.group) if scale.group else [])


def _groups(lined: alt.Chart, what: str) -> list[alt.Chart]:
    """The last column: letters, on the right of every chart."""
    letters = lined.mark_text(style="ink", align="right", baseline="middle", limit=_GROUP - 6)
    head = data([{"group": what}]).mark_text(
        style="soft", fontSize=11, align="right", baseline="middle"
    )
    return [
        letters.encode(x=x_at("width"), y=pixels("y"), text=label("group")),
        head.encode(x=x_at("width"), y=y_at(_HEAD), text=label("group")),
    ]
