"""The win rate of a: over all prompts, and after each prompt."""

from collections.abc import Sequence

import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    ChartRow,
    Table,
    VegaSpec,
    count_text,
    display_name,
    end_of,
    interval,
    interval_text,
    layer,
    layered_spec,
    mark,
    nominal,
    percent,
    percent_axis,
    pixel,
    quantitative,
    side_color,
    tooltips,
)
from bakeoff.report.charts.marks import (
    ESTIMATE_POINT,
    center_line,
    end_labels,
    estimate_marks,
    heading,
    value_label,
)
from bakeoff.stats.sequential import confidence_sequence_at

MAX_LOOKS = 120
_TABLE_LOOKS = 12
_TOP, _BOTTOM = 22, 50  # pixels: the edges of the bar
_Part = tuple[str, str, int]  # name, side and count


def win_rate_chart(pair: PairSummary) -> Chart | None:
    """Wins, ties and losses as a stacked bar, and below it the win rate with its interval."""
    rate = pair.win_rate
    if rate is None:
        return None
    a, b = display_name(pair.a), display_name(pair.b)
    ties = count_text(pair.ties, "is a tie", "are ties") if pair.ties else "none is a tie"
    description = (
        f"Of {count_text(pair.prompts, 'prompt', 'prompts')}, {a} wins {pair.wins:,} and {b} "
        f"{pair.losses:,}; {ties}. With ties as half, the "
        f"win rate of {a} is {interval(rate)}."
    )
    parts = [
        (f"{a} wins", "a", pair.wins),
        ("tie", "tie", pair.ties),
        (f"{b} wins", "b", pair.losses),
    ]
    texts = {
        "what": f"win rate of {a}",
        "value": percent(rate.estimate),
        "range": interval_text(rate),
    }
    layers = [
        _margin(pair.margin),
        *_outcomes(parts, pair.prompts),
        center_line(0.5, _BOTTOM),
        *end_labels((f"won by {a}", "name-a"), (f"won by {b}", "name-b")),
        *estimate_marks(rate, texts, 68),
        *value_label(rate.estimate, f"win rate {percent(rate.estimate)}", 78, rate.estimate),
    ]
    rows = [(name, count, percent(count / pair.prompts)) for name, _, count in parts]
    rows.append((f"win rate of {a}, ties half", pair.prompts, interval(rate)))
    table = Table(("Outcome", "Prompts", "Share"), tuple(rows))
    return Chart("win-rate", "Win rate", description, layered_spec(layers, 98, description), table)


def _margin(points: float) -> VegaSpec:
    """The band of equivalence, `points` percentage points around 50 %."""
    row: ChartRow = {
        "low": 0.5 - points / 100,
        "high": 0.5 + points / 100,
        "range": f"{50 - points:g} to {50 + points:g} %",
    }
    return layer(
        [row],
        mark("rect", style="margin"),
        x=quantitative(
            "low", scale={"domain": [0, 1]}, axis=percent_axis(grid=False, labelFlush=True)
        ),
        x2=end_of("high"),
        y=pixel(_BOTTOM + 4),
        y2=pixel("height"),
        tooltip=tooltips({"range": "equivalent within"}),
    )


def _outcomes(parts: Sequence[_Part], prompts: int) -> list[VegaSpec]:
    """The stacked bar, with counts in the parts that are wide enough."""
    rows: list[ChartRow] = []
    for index, (name, side, count) in enumerate(parts):
        start = sum(part[2] for part in parts[:index])
        row: ChartRow = {"name": name, "side": side, "count": f"{count:,}"}
        row |= {"share": percent(count / prompts), "low": start / prompts}
        row |= {"high": (start + count) / prompts, "middle": (start + count / 2) / prompts}
        rows.append(row)
    tooltip = tooltips({"name": "outcome", "count": "prompts", "share": "share"})
    labels = [
        layer(
            [row],
            mark("text", style=f"on-{side}", baseline="middle"),
            x=quantitative("middle"),
            y=pixel((_TOP + _BOTTOM) / 2),
            text=nominal("count"),
            tooltip=tooltip,
        )
        for row, (_, side, count) in zip(rows, parts, strict=True)
        if count > _text_width(count) * prompts
    ]
    bar = layer(
        [row for row, part in zip(rows, parts, strict=True) if part[2]],
        mark("rect", style="part"),
        x=quantitative("low"),
        x2=end_of("high"),
        y=pixel(_TOP),
        y2=pixel(_BOTTOM),
        color=side_color(),
        tooltip=tooltip,
    )
    return [bar, *labels]


def _text_width(count: int) -> float:
    """The width of a count as a share of a narrow chart."""
    return 0.02 + 0.022 * len(f"{count:,}")


def sequence_chart(pair: PairSummary, pair_data: PairData, order: Sequence[str]) -> Chart | None:
    """The win rate after each prompt with its confidence sequence, in the order of the run.

    None for clustered prompts, which the sequence does not support, and for fewer than two prompts.
    """
    if pair.prompts < 2 or pair_data.clusters is not None:
        return None
    rows = _looks(pair_data, order)
    last, a = rows[-1], display_name(pair.a)
    description = (
        f"After {count_text(pair.prompts, 'prompt', 'prompts')} the win rate of {a} is "
        f"{last['value']}; the 95 % confidence sequence, which holds however often one looks, is "
        f"{last['range']}."
    )
    table = Table(
        ("Prompts", f"Win rate of {a}", "95 % confidence sequence"),
        tuple(
            (int(rows[at]["n"]), rows[at]["value"], rows[at]["range"])
            for at in np.unique(np.linspace(0, len(rows) - 1, _TABLE_LOOKS).astype(int)).tolist()
        ),
    )
    spec = layered_spec(_sequence(rows, a, pair.margin / 100), 220, description)
    return Chart("sequence", "As the prompts came in", description, spec, table)


def _looks(pair_data: PairData, order: Sequence[str]) -> list[ChartRow]:
    """At most MAX_LOOKS evenly spaced states, the last of them after all prompts."""
    position = {prompt_id: index for index, prompt_id in enumerate(order)}
    ids = [pair_data.prompt_ids[prompt] for prompt in pair_data.prompt_table.prompt.tolist()]
    run_order = sorted(range(len(ids)), key=lambda row: position.get(ids[row], len(position)))
    values = pair_data.preferences[run_order]
    means = np.cumsum(values) / np.arange(1, len(values) + 1)
    looks = np.unique(np.linspace(1, len(values), min(MAX_LOOKS, len(values))).round().astype(int))
    alpha = pair_data.config.alpha if pair_data.config.design.sequential else 0.05
    lows, highs = confidence_sequence_at(values, looks.tolist(), alpha)
    rows: list[ChartRow] = []
    for look, low, high in zip(looks.tolist(), lows.tolist(), highs.tolist(), strict=True):
        share = float(means[look - 1])
        row: ChartRow = {"n": look, "low": round(low, 4), "high": round(high, 4)}
        row |= {"range": f"{100 * low:.1f} to {percent(high)}"}
        rows.append(row | {"share": round(share, 4), "value": percent(share)})
    return rows


def _label_offset(share: float) -> int:
    """The vertical offset of the last value in pixels: within the chart, away from its center."""
    return -12 if 0.5 <= share < 0.9 or share < 0.1 else 16


def _sequence(rows: Sequence[ChartRow], a: str, margin: float) -> list[VegaSpec]:
    """The win rate as a line in the band of its confidence sequence, with its last value."""
    x = _prompts_axis(int(rows[-1]["n"]))
    return [
        _equivalence(margin),
        _confidence_band(rows, x),
        _half_line(),
        layer(rows, mark("line", style="line"), x=x, y=quantitative("share")),
        *_last_value(rows[-1], x),
        _hover_rules(rows, x),
        heading(f"win rate so far: {a}", -14),
    ]


def _prompts_axis(last: int) -> VegaSpec:
    """The x channel: the number of prompts, from 1 to `last`."""
    return quantitative(
        "n",
        scale={"domain": [1, max(2, last)], "nice": False},
        axis={
            "title": "prompts judged",
            "grid": False,
            "tickMinStep": 1,
            "tickCount": 5,
            "format": ",d",
            "labelFlush": True,
        },
    )


def _equivalence(margin: float) -> VegaSpec:
    """The horizontal band of equivalence, `margin` around 0.5."""
    band: ChartRow = {"low": max(0.0, 0.5 - margin), "high": min(1.0, 0.5 + margin)}
    band["range"] = f"{100 * float(band['low']):g} to {100 * float(band['high']):g} %"
    return layer(
        [band],
        mark("rect", style="margin"),
        x=pixel(0),
        x2=pixel("width"),
        y=quantitative("low"),
        y2=end_of("high"),
        tooltip=tooltips({"range": "equivalent within"}),
    )


def _confidence_band(rows: Sequence[ChartRow], x: VegaSpec) -> VegaSpec:
    """The area between the bounds of the confidence sequence."""
    return layer(
        rows,
        mark("area", style="band"),
        x=x,
        y=quantitative("low", scale={"domain": [0, 1]}, axis=percent_axis(grid=True)),
        y2=end_of("high"),
        tooltip=_look_tooltip(),
    )


def _half_line() -> VegaSpec:
    """The horizontal line at 0.5."""
    return layer(
        [{"half": 0.5}],
        mark("rule", style="half"),
        y=quantitative("half"),
        x=pixel(0),
        x2=pixel("width"),
    )


def _last_value(row: ChartRow, x: VegaSpec) -> list[VegaSpec]:
    """A point at the last win rate, and its value as text."""
    share = quantitative("share")
    text = mark("text", style="ink", align="right", dy=_label_offset(float(row["share"])))
    return [
        layer([row], ESTIMATE_POINT, x=x, y=share, tooltip=_look_tooltip()),
        layer([row], text, x=x, y=share, text=nominal("value")),
    ]


def _hover_rules(rows: Sequence[ChartRow], x: VegaSpec) -> VegaSpec:
    """Invisible rules over the whole height, so that each look has a tooltip."""
    return layer(
        rows,
        mark("rule", style="unseen", strokeWidth=6),
        x=x,
        y=pixel(0),
        y2=pixel("height"),
        tooltip=_look_tooltip(),
    )


def _look_tooltip() -> list[VegaSpec]:
    return tooltips({"n": "prompts", "value": "so far", "range": "95 % sequence"})
