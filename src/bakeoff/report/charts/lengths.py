"""The effect of length on winning: a point per prompt and the means of groups of prompts."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import altair as alt
import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    ChartRow,
    Table,
    count_text,
    difference_axis,
    display_name,
    inline_chart,
    interval,
    interval_text,
    layered_spec,
    percent,
    percent_axis,
    side_color,
    side_of,
    signed,
    text_channel,
    tooltips,
)
from bakeoff.report.charts.marks import center_line, end_labels
from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.results import ControlledRate, FeatureBias

MAX_POINTS = 1500  # a random sample of more prompts is drawn
SEED = 20240
_GROUPS = 5
_JITTER = 0.025  # of the preference: most are 0, 0.5 or 1, and would overlap


class _LengthData(NamedTuple):
    """Preferences and length differences of all prompts with both completions."""

    values: Values  # preferences for a, from 0 to 1
    differences: Values  # characters of a minus those of b
    drawn: Codes  # the indexes of the prompts that are drawn

    @property
    def reach(self) -> tuple[float, float]:
        """The smallest and the largest difference that is drawn."""
        differences = self.differences[self.drawn]
        return float(differences.min()), float(differences.max())


def length_chart(pair: PairSummary, pair_data: PairData) -> Chart | None:
    """The preference for a by the difference of lengths, in characters, with means of groups."""
    if pair.length is None:
        return None
    rows = [
        (index, fmean(len(c.text) for c in ours) - fmean(len(c.text) for c in theirs))
        for index, ours, theirs in pair_data.paired_completions()
    ]
    lengths = _LengthData(
        pair_data.preferences[[index for index, _ in rows]],
        np.array([difference for _, difference in rows], dtype=np.float64),
        np.sort(np.random.default_rng(SEED).permutation(len(rows))[:MAX_POINTS]),
    )
    names = display_name(pair.a), display_name(pair.b)
    description = _description(pair.length, pair.controls, len(rows), names)
    labels = end_labels((f"longer: {names[1]}", "name-b"), (f"longer: {names[0]}", "name-a"), -20)
    layers = [
        _points(lengths),
        center_line(0),
        _group_means(lengths),
        *_controlled(pair.controls),
        *labels,
    ]
    return Chart(
        "length",
        "Length",
        description,
        layered_spec(layers, 230, description),
        _table(lengths, names[0]),
    )


def _description(
    bias: FeatureBias, controls: ControlledRate | None, count: int, names: tuple[str, str]
) -> str:
    sentences = []
    if bias.more_wins:
        sentences.append(
            f"The longer completion wins {interval(bias.more_wins)} of the decided prompts."
        )
    if controls and controls.rate:
        sentences.append(
            f"At equal length and style the win rate of {names[0]} is {interval(controls.rate)}."
        )
    elif controls and controls.without_overlap:
        what = " and ".join(controls.without_overlap)
        sentences.append(f"The completions do not overlap in {what}: no win rate at equal {what}.")
    else:
        sentences.append("There is too little to tell the win rate at equal length.")
    prompts = count_text(count, "prompt", "prompts")
    if count > MAX_POINTS:
        prompts = f"{MAX_POINTS:,} prompts drawn from {count:,}"
    sentences.append(f"There is a point for {prompts}, moved up or down a little to be seen.")
    return " ".join(sentences)


def _points(lengths: _LengthData) -> alt.Chart:
    drawn, count = lengths.drawn, len(lengths.drawn)
    shift = np.random.default_rng(SEED).uniform(-_JITTER, _JITTER, count)
    rows: list[ChartRow] = [
        {"d": round(difference, 1), "v": round(value, 3), "y": round(value + offset, 3)}
        | {"side": side_of(value - 0.5).replace("tie", "none")}
        for value, difference, offset in zip(
            lengths.values[drawn].tolist(), lengths.differences[drawn].tolist(), shift, strict=True
        )
    ]
    low, high = min(0.0, lengths.reach[0]), max(0.0, lengths.reach[1])
    margin = max(0.04 * (high - low), 1)
    x = alt.X(
        "d",
        type="quantitative",
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False),
        axis=difference_axis("difference in characters", "+,"),
    )
    y = alt.Y(
        "y",
        type="quantitative",
        scale=alt.Scale(domain=[-0.04, 1.04], nice=False),
        axis=percent_axis(),
    )
    tooltip = [
        alt.Tooltip("d", type="quantitative", title="characters more", format="+,.0f"),
        alt.Tooltip("percent", type="nominal", title="preference"),
    ]
    points: alt.Chart = (
        inline_chart(rows)
        .transform_calculate(percent="format(100 * datum.v, '.0f') + ' %'")
        .mark_point(filled=True, size=26, opacity=0.7 if count < 400 else 0.45)
        .encode(x=x, y=y, color=side_color(), tooltip=tooltip)
    )
    return points


def _group_means(lengths: _LengthData) -> alt.Chart:
    """A line through the mean preferences of groups of prompts, ordered by length difference."""
    points: list[ChartRow] = []
    for group in _groups(lengths):
        d, rate = (float(x[group].mean()) for x in (lengths.differences, lengths.values))
        points.append({"d": round(d, 1), "rate": round(rate, 4), "percent": percent(rate)})
    line: alt.Chart = (
        inline_chart(points)
        .mark_line(style="curve")
        .encode(
            x=alt.X("d", type="quantitative"),
            y=alt.Y("rate", type="quantitative"),
            tooltip=tooltips({"percent": "win rate of the group"}),
        )
    )
    return line


def _controlled(controls: ControlledRate | None) -> list[alt.Chart]:
    """The win rate at equal length and style, with its interval."""
    if controls is None or controls.rate is None:
        return []
    rate = controls.rate
    point: ChartRow = {"d": 0, "rate": rate.estimate, "low": rate.low, "high": rate.high}
    point |= {"value": percent(rate.estimate), "range": interval_text(rate)}
    x, y = alt.X("d", type="quantitative"), alt.Y("rate", type="quantitative")
    names = tooltips({"value": "win rate at equal length and style", "range": "95 % interval"})
    equal = inline_chart([{**point, "text": f"{point['value']} at equal length and style"}])
    return [
        equal.mark_rule(style="interval").encode(
            x=x, y=alt.Y("low", type="quantitative"), y2="high", tooltip=names
        ),
        equal.mark_point(style="estimate", size=80, filled=True, opacity=1).encode(
            x=x, y=y, tooltip=names
        ),
        *(
            equal.mark_text(style=style, align="left", dx=10, dy=18).encode(
                x=x, y=y, text=text_channel("text")
            )
            for style in ("halo", "ink")
        ),
    ]


def _groups(lengths: _LengthData) -> Sequence[Codes]:
    """Equally large groups of prompts, by length difference."""
    order = np.argsort(lengths.differences, kind="stable")
    groups: Sequence[Codes] = np.array_split(order, min(_GROUPS, len(order)))
    return groups


def _table(lengths: _LengthData, a: str) -> Table:
    """Win rates of equally large groups of prompts, by length difference."""
    rows = []
    for group in _groups(lengths):
        differences = lengths.differences[group]
        rows.append(
            (
                f"{signed(differences.min(), 0)} to {signed(differences.max(), 0)}",
                len(group),
                percent(float(lengths.values[group].mean())),
            )
        )
    return Table((f"Characters more from {a}", "Prompts", f"Win rate of {a}"), tuple(rows))
