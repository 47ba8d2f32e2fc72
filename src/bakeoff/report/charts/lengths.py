"""What the length of a completion has to do with winning: a point per prompt, and the fit."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import altair as alt
import numpy as np
from scipy.special import expit, logit

from bakeoff.analysis.judgment_table import Codes, Values
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    Row,
    Table,
    around_zero,
    bounds,
    counted,
    data,
    drawn,
    interval,
    label,
    percent,
    shares,
    shown,
    side_of,
    sides,
    signed,
    tooltips,
)
from bakeoff.report.charts.marks import ends, middle
from bakeoff.stats.results import LengthEffect

POINTS = 1500  # that are drawn, of as many prompts as there are
SEED = 20240
_CURVE = 61
_GROUPS = 5
_JITTER = 0.025  # of the preference: most are 0, a half or 1, and would lie on each other


class _Lengths(NamedTuple):
    """Per prompt: the preference for a, and by how many characters its completion is longer;
    `kept` are the prompts that are drawn.
    """

    values: Values
    differences: Values
    kept: Codes

    @property
    def reach(self) -> tuple[float, float]:
        """The shortest and the longest difference that is drawn."""
        drawn_here = self.differences[self.kept]
        return float(drawn_here.min()), float(drawn_here.max())


def length_chart(pair: PairSummary, pair_data: PairData) -> Chart | None:
    """The preference for a against how much longer its completion is, in characters."""
    if pair.length is None:
        return None
    rows = [
        (index, fmean(len(c.text) for c in ours) - fmean(len(c.text) for c in theirs))
        for index, ours, theirs in pair_data.paired_completions()
    ]
    found = _Lengths(
        pair_data.preferences[[index for index, _ in rows]],
        np.array([difference for _, difference in rows], dtype=np.float64),
        np.sort(np.random.default_rng(SEED).permutation(len(rows))[:POINTS]),
    )
    names = shown(pair.a), shown(pair.b)
    says = _says(pair.length, len(rows), names)
    ended = ends((f"longer: {names[1]}", "name-b"), (f"longer: {names[0]}", "name-a"), -20)
    layers = [_points(found), middle(0), *_fitted(pair.length, found), *ended]
    return Chart("length", "Length", says, drawn(layers, 230, says), _table(found, names[0]))


def _says(effect: LengthEffect, count: int, names: tuple[str, str]) -> str:
    fair, longer = effect.controlled, effect.bias.more_wins
    said = []
    if longer:
        said.append(f"The longer completion wins {interval(longer)} of the decided prompts.")
    if fair:
        said.append(f"At equal length the win rate of {names[0]} is {interval(fair)}.")
    else:
        said.append("There is too little to tell the win rate at equal length.")
    drawn_here = counted(count, "prompt", "prompts")
    if count > POINTS:
        drawn_here = f"{POINTS:,} prompts drawn from {count:,}"
    said.append(f"There is a point for {drawn_here}, moved up or down a little to be seen.")
    return " ".join(said)


def _points(found: _Lengths) -> alt.Chart:
    kept, count = found.kept, len(found.kept)
    shift = np.random.default_rng(SEED).uniform(-_JITTER, _JITTER, count)
    rows: list[Row] = [
        {"d": round(difference, 1), "v": round(value, 3), "y": round(value + moved, 3)}
        | {"side": side_of(value - 0.5).replace("tie", "none")}
        for value, difference, moved in zip(
            found.values[kept].tolist(), found.differences[kept].tolist(), shift, strict=True
        )
    ]
    low, high = min(0.0, found.reach[0]), max(0.0, found.reach[1])
    room = max(0.04 * (high - low), 1)
    x = alt.X(
        "d",
        type="quantitative",
        scale=alt.Scale(domain=[low - room, high + room], nice=False, zero=False),
        axis=around_zero("difference in characters", "+,"),
    )
    y = alt.Y(
        "y", type="quantitative", scale=alt.Scale(domain=[-0.04, 1.04], nice=False), axis=shares()
    )
    told = [
        alt.Tooltip("d", type="quantitative", title="characters more", format="+,.0f"),
        alt.Tooltip("told", type="nominal", title="preference"),
    ]
    points: alt.Chart = (
        data(rows)
        .transform_calculate(told="format(100 * datum.v, '.0f') + ' %'")
        .mark_point(filled=True, size=26, opacity=0.7 if count < 400 else 0.45)
        .encode(x=x, y=y, color=sides(), tooltip=told)
    )
    return points


def _fitted(effect: LengthEffect, found: _Lengths) -> list[alt.Chart]:
    """The curve of `stats.bias.length_effect`, and what it says of equal length."""
    fair, slope = effect.controlled, effect.slope
    if fair is None or slope is None:
        return []
    sd = float(found.differences.std(ddof=1))
    alpha = float(logit(np.clip(fair.estimate, 1e-9, 1 - 1e-9)))
    at = np.linspace(*found.reach, _CURVE)
    rates = expit(alpha + slope.estimate * np.tanh(at / sd))
    curve: list[Row] = [
        {"d": round(d, 1), "rate": round(rate, 4), "told": percent(rate)}
        for d, rate in zip(at.tolist(), rates.tolist(), strict=True)
    ]
    point: Row = {"d": 0, "rate": fair.estimate, "low": fair.low, "high": fair.high}
    point |= {"value": percent(fair.estimate), "range": bounds(fair)}
    x, y = alt.X("d", type="quantitative"), alt.Y("rate", type="quantitative")
    names = tooltips({"value": "win rate at equal length", "range": "95 % interval"})
    equal = data([{**point, "text": f"{point['value']} at equal length"}])
    return [
        data(curve)
        .mark_line(style="curve")
        .encode(x=x, y=y, tooltip=tooltips({"told": "fitted win rate"})),
        equal.mark_rule(style="interval").encode(
            x=x, y=alt.Y("low", type="quantitative"), y2="high", tooltip=names
        ),
        equal.mark_point(style="estimate", size=80, filled=True, opacity=1).encode(
            x=x, y=y, tooltip=names
        ),
        *(
            equal.mark_text(
                style=style, align="left", dx=10, dy=18 if slope.estimate > 0 else -18
            ).encode(x=x, y=y, text=label("text"))
            for style in ("halo", "ink")
        ),
    ]


def _table(found: _Lengths, a: str) -> Table:
    """Prompts in groups of like length difference, as large as each other."""
    order = np.argsort(found.differences, kind="stable")
    groups: Sequence[Values] = np.array_split(order, min(_GROUPS, len(order)))
    rows = []
    for group in groups:
        inside = found.differences[group]
        rows.append(
            (
                f"{signed(inside.min(), 0)} to {signed(inside.max(), 0)}",
                len(group),
                percent(float(found.values[group].mean())),
            )
        )
    return Table((f"Characters more from {a}", "Prompts", f"Win rate of {a}"), tuple(rows))
