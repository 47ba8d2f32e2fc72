"""How often a wins: over all prompts, and so far while the prompts came in."""

from collections.abc import Sequence

import altair as alt
import numpy as np

from bakeoff.analysis.pair_data import Trial
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    Row,
    Table,
    bounds,
    counted,
    data,
    drawn,
    interval,
    label,
    percent,
    shares,
    shown,
    sides,
    tooltips,
    x2_at,
    x_at,
    y2_at,
    y_at,
)
from bakeoff.report.charts.marks import beside, ends, heading, measured, middle
from bakeoff.stats.confidence_sequences import looked_at

LOOKS = 120
_TOLD = 12  # looks in the table
_TOP, _BOTTOM = 22, 50  # of the bar, in pixels from the top of the chart
_Part = tuple[str, str, int]


def win_rate_chart(pair: PairSummary) -> Chart | None:
    """Wins, ties and losses as one bar, and under it the win rate with its interval."""
    rate = pair.win_rate
    if rate is None:
        return None
    a, b = shown(pair.a), shown(pair.b)
    ties = counted(pair.ties, "is a tie", "are ties") if pair.ties else "none is a tie"
    says = (
        f"Of {counted(pair.prompts, 'prompt', 'prompts')}, {a} wins {pair.wins:,} and {b} "
        f"{pair.losses:,}; {ties}. With ties as half, the "
        f"win rate of {a} is {interval(rate)}."
    )
    parts = [
        (f"{a} wins", "a", pair.wins),
        ("tie", "tie", pair.ties),
        (f"{b} wins", "b", pair.losses),
    ]
    told = {"what": f"win rate of {a}", "value": percent(rate.estimate), "range": bounds(rate)}
    layers = [
        _margin(pair.margin),
        *_outcomes(parts, pair.prompts),
        middle(0.5, _BOTTOM),
        *ends((f"won by {a}", "name-a"), (f"won by {b}", "name-b")),
        *measured(rate, told, 68),
        *beside(rate.estimate, f"win rate {percent(rate.estimate)}", 78, rate.estimate),
    ]
    rows = [(who, count, percent(count / pair.prompts)) for who, _, count in parts]
    rows.append((f"win rate of {a}, ties half", pair.prompts, interval(rate)))
    table = Table(("Outcome", "Prompts", "Share"), tuple(rows))
    return Chart("win-rate", "Win rate", says, drawn(layers, 98, says), table)


def _margin(points: float) -> alt.Chart:
    """The band within which two models are equivalent."""
    row: Row = {
        "low": 0.5 - points / 100,
        "high": 0.5 + points / 100,
        "range": f"{50 - points:g} to {50 + points:g} %",
    }
    band: alt.Chart = (
        data([row])
        .mark_rect(style="margin")
        .encode(
            x=alt.X(
                "low",
                type="quantitative",
                scale=alt.Scale(domain=[0, 1]),
                axis=shares(grid=False, labelFlush=True),
            ),
            x2="high",
            y=y_at(_BOTTOM + 4),
            y2=y2_at("height"),
            tooltip=tooltips({"range": "equivalent within"}),
        )
    )
    return band


def _outcomes(parts: Sequence[_Part], prompts: int) -> list[alt.Chart]:
    """The bar, and a count in each part that has room for it."""
    rows: list[Row] = []
    for index, (who, side, count) in enumerate(parts):
        begun = sum(part[2] for part in parts[:index])
        row: Row = {"who": who, "side": side, "count": f"{count:,}"}
        row |= {"share": percent(count / prompts), "low": begun / prompts}
        row |= {"high": (begun + count) / prompts, "middle": (begun + count / 2) / prompts}
        rows.append(row)
    told = tooltips({"who": "outcome", "count": "prompts", "share": "share"})
    bar = data([row for row, part in zip(rows, parts, strict=True) if part[2]]).mark_rect(
        style="part"
    )
    labels = [
        data([row])
        .mark_text(style=f"on-{part[1]}", baseline="middle")
        .encode(
            x=alt.X("middle", type="quantitative"),
            y=y_at((_TOP + _BOTTOM) / 2),
            text=label("count"),
            tooltip=told,
        )
        for row, part in zip(rows, parts, strict=True)
        if part[2] > _room(part[2]) * prompts
    ]
    return [
        bar.encode(
            x=alt.X("low", type="quantitative"),
            x2="high",
            y=y_at(_TOP),
            y2=y2_at(_BOTTOM),
            color=sides(),
            tooltip=told,
        ),
        *labels,
    ]


def _room(count: int) -> float:
    """The share of a narrow chart that its digits take."""
    return 0.02 + 0.022 * len(f"{count:,}")


def sequence_chart(pair: PairSummary, trial: Trial, order: Sequence[str]) -> Chart | None:
    """The win rate so far and its confidence sequence, as the prompts were drawn.

    None where prompts come in clusters, which the sequence knows nothing of, and where there is but
    one look. It is the verdict's own interval where the run could stop when it liked.
    """
    if pair.prompts < 2 or trial.clusters is not None:
        return None
    rows = _looks(trial, order)
    last, a = rows[-1], shown(pair.a)
    says = (
        f"After {counted(pair.prompts, 'prompt', 'prompts')} the win rate of {a} is "
        f"{last['value']}; the 95 % confidence sequence, which holds however often one looks, is "
        f"{last['range']}."
    )
    table = Table(
        ("Prompts", f"Win rate of {a}", "95 % confidence sequence"),
        tuple(
            (int(rows[at]["n"]), rows[at]["value"], rows[at]["range"])
            for at in np.unique(np.linspace(0, len(rows) - 1, _TOLD).astype(int)).tolist()
        ),
    )
    spec = drawn(_sequence(rows, a, pair.margin / 100), 220, says)
    return Chart("sequence", "As the prompts came in", says, spec, table)


def _looks(trial: Trial, order: Sequence[str]) -> list[Row]:
    """At most LOOKS of the states after each prompt; the last is after all of them."""
    place = {prompt_id: index for index, prompt_id in enumerate(order)}
    ids = [trial.ids[prompt] for prompt in trial.folded.prompt.tolist()]
    drawn_as = sorted(range(len(ids)), key=lambda row: place.get(ids[row], len(place)))
    values = trial.values[drawn_as]
    means = np.cumsum(values) / np.arange(1, len(values) + 1)
    looks = np.unique(np.linspace(1, len(values), min(LOOKS, len(values))).round().astype(int))
    alpha = trial.terms.alpha if trial.terms.design.sequential else 0.05
    lows, highs = looked_at(values, looks.tolist(), alpha)
    rows: list[Row] = []
    for look, low, high in zip(looks.tolist(), lows.tolist(), highs.tolist(), strict=True):
        share = float(means[look - 1])
        row: Row = {"n": look, "low": round(low, 4), "high": round(high, 4)}
        row |= {"range": f"{100 * low:.1f} to {percent(high)}"}
        rows.append(row | {"share": round(share, 4), "value": percent(share)})
    return rows


def _beside(share: float) -> int:
    """Where the last value is written: away from the middle, within the chart."""
    return -12 if 0.5 <= share < 0.9 or share < 0.1 else 16


def _sequence(rows: Sequence[Row], a: str, margin: float) -> list[alt.Chart]:
    told = tooltips({"n": "prompts", "value": "so far", "range": "95 % sequence"})
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
    told_by = {"tooltip": told}
    whole = data(rows)
    axis = shares(grid=True)
    within = {"low": max(0.0, 0.5 - margin), "high": min(1.0, 0.5 + margin)}
    return [
        data([within | {"range": f"{100 * within['low']:g} to {100 * within['high']:g} %"}])
        .mark_rect(style="margin")
        .encode(
            x=x_at(0),
            x2=x2_at("width"),
            y=alt.Y("low", type="quantitative"),
            y2="high",
            tooltip=tooltips({"range": "equivalent within"}),
        ),
        whole.mark_area(style="band").encode(
            x=x,
            y=alt.Y("low", type="quantitative", scale=alt.Scale(domain=[0, 1]), axis=axis),
            y2="high",
            **told_by,
        ),
        data([{"half": 0.5}])
        .mark_rule(style="half")
        .encode(y=alt.Y("half", type="quantitative"), x=x_at(0), x2=x2_at("width")),
        whole.mark_line(style="line").encode(x=x, y=alt.Y("share", type="quantitative")),
        data(rows[-1:])
        .mark_point(style="estimate", size=50, filled=True, opacity=1)
        .encode(x=x, y=alt.Y("share", type="quantitative"), **told_by),
        data(rows[-1:])
        .mark_text(style="ink", align="right", dy=_beside(float(rows[-1]["share"])))
        .encode(x=x, y=alt.Y("share", type="quantitative"), text=label("value")),
        whole.mark_rule(style="unseen", strokeWidth=6).encode(
            x=x, y=y_at(0), y2=y2_at("height"), **told_by
        ),
        heading(f"win rate so far: {a}", -14),
    ]
