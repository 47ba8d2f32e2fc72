"""The win rate of a: over all prompts, and after each prompt."""

from collections.abc import Sequence

import altair as alt
import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    ChartRow,
    Table,
    count_text,
    display_name,
    inline_chart,
    interval,
    interval_text,
    layered_spec,
    percent,
    percent_axis,
    side_color,
    text_channel,
    tooltips,
    x2_at,
    x_at,
    y2_at,
    y_at,
)
from bakeoff.report.charts.marks import (
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


def _margin(points: float) -> alt.Chart:
    """The band of equivalence, `points` percentage points around 50 %."""
    row: ChartRow = {
        "low": 0.5 - points / 100,
        "high": 0.5 + points / 100,
        "range": f"{50 - points:g} to {50 + points:g} %",
    }
    band: alt.Chart = (
        inline_chart([row])
        .mark_rect(style="margin")
        .encode(
            x=alt.X(
                "low",
                type="quantitative",
                scale=alt.Scale(domain=[0, 1]),
                axis=percent_axis(grid=False, labelFlush=True),
            ),
            x2="high",
            y=y_at(_BOTTOM + 4),
            y2=y2_at("height"),
            tooltip=tooltips({"range": "equivalent within"}),
        )
    )
    return band


def _outcomes(parts: Sequence[_Part], prompts: int) -> list[alt.Chart]:
    """The stacked bar, with counts in the parts that are wide enough."""
    rows: list[ChartRow] = []
    for index, (name, side, count) in enumerate(parts):
        start = sum(part[2] for part in parts[:index])
        row: ChartRow = {"name": name, "side": side, "count": f"{count:,}"}
        row |= {"share": percent(count / prompts), "low": start / prompts}
        row |= {"high": (start + count) / prompts, "middle": (start + count / 2) / prompts}
        rows.append(row)
    tooltip = tooltips({"name": "outcome", "count": "prompts", "share": "share"})
    bar = inline_chart([row for row, part in zip(rows, parts, strict=True) if part[2]]).mark_rect(
        style="part"
    )
    labels = [
        inline_chart([row])
        .mark_text(style=f"on-{part[1]}", baseline="middle")
        .encode(
            x=alt.X("middle", type="quantitative"),
            y=y_at((_TOP + _BOTTOM) / 2),
            text=text_channel("count"),
            tooltip=tooltip,
        )
        for row, part in zip(rows, parts, strict=True)
        if part[2] > _text_width(part[2]) * prompts
    ]
    return [
        bar.encode(
            x=alt.X("low", type="quantitative"),
            x2="high",
            y=y_at(_TOP),
            y2=y2_at(_BOTTOM),
            color=side_color(),
            tooltip=tooltip,
        ),
        *labels,
    ]


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


def _sequence(rows: Sequence[ChartRow], a: str, margin: float) -> list[alt.Chart]:
    tooltip = tooltips({"n": "prompts", "value": "so far", "range": "95 % sequence"})
    x = alt.X(
        "n",
        type="quantitative",
        scale=alt.Scale(domain=[1, max(2, rows[-1]["n"])], nice=False),
        axis=alt.Axis(
            title="prompts judged",
            grid=False,
            tickMinStep=1,
            tickCount=5,
            format=",d",
            labelFlush=True,
        ),
    )
    base = inline_chart(rows)
    axis = percent_axis(grid=True)
    band = {"low": max(0.0, 0.5 - margin), "high": min(1.0, 0.5 + margin)}
    return [
        inline_chart([band | {"range": f"{100 * band['low']:g} to {100 * band['high']:g} %"}])
        .mark_rect(style="margin")
        .encode(
            x=x_at(0),
            x2=x2_at("width"),
            y=alt.Y("low", type="quantitative"),
            y2="high",
            tooltip=tooltips({"range": "equivalent within"}),
        ),
        base.mark_area(style="band").encode(
            x=x,
            y=alt.Y("low", type="quantitative", scale=alt.Scale(domain=[0, 1]), axis=axis),
            y2="high",
            tooltip=tooltip,
        ),
        inline_chart([{"half": 0.5}])
        .mark_rule(style="half")
        .encode(y=alt.Y("half", type="quantitative"), x=x_at(0), x2=x2_at("width")),
        base.mark_line(style="line").encode(x=x, y=alt.Y("share", type="quantitative")),
        inline_chart(rows[-1:])
        .mark_point(style="estimate", size=50, filled=True, opacity=1)
        .encode(x=x, y=alt.Y("share", type="quantitative"), tooltip=tooltip),
        inline_chart(rows[-1:])
        .mark_text(style="ink", align="right", dy=_label_offset(float(rows[-1]["share"])))
        .encode(x=x, y=alt.Y("share", type="quantitative"), text=text_channel("value")),
        base.mark_rule(style="unseen", strokeWidth=6).encode(
            x=x, y=y_at(0), y2=y2_at("height"), tooltip=tooltip
        ),
        heading(f"win rate so far: {a}", -14),
    ]
