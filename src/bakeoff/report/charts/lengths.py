"""The effect of length on winning: a point per prompt and the means of groups of prompts."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary
from bakeoff.report.charts.drawing import (
    Chart,
    ChartRow,
    Table,
    VegaSpec,
    count_text,
    difference_axis,
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
    quantitative,
    side_color,
    side_of,
    signed,
    tooltips,
)
from bakeoff.report.charts.marks import ESTIMATE_POINT, center_line, end_labels
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


def _points(lengths: _LengthData) -> VegaSpec:
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
    points = layer(
        rows,
        mark("point", filled=True, size=26, opacity=0.7 if count < 400 else 0.45),
        x=quantitative(
            "d",
            scale={"domain": [low - margin, high + margin], "nice": False, "zero": False},
            axis=difference_axis("difference in characters", "+,"),
        ),
        y=quantitative("y", scale={"domain": [-0.04, 1.04], "nice": False}, axis=percent_axis()),
        color=side_color(),
        tooltip=[
            quantitative("d", title="characters more", format="+,.0f"),
            nominal("percent", title="preference"),
        ],
    )
    percents = {"calculate": "format(100 * datum.v, '.0f') + ' %'", "as": "percent"}
    return {**points, "transform": [percents]}


def _group_means(lengths: _LengthData) -> VegaSpec:
    """A line through the mean preferences of groups of prompts, ordered by length difference."""
    points: list[ChartRow] = []
    for group in _groups(lengths):
        d, rate = (float(x[group].mean()) for x in (lengths.differences, lengths.values))
        points.append({"d": round(d, 1), "rate": round(rate, 4), "percent": percent(rate)})
    return layer(
        points,
        mark("line", style="curve"),
        x=quantitative("d"),
        y=quantitative("rate"),
        tooltip=tooltips({"percent": "win rate of the group"}),
    )


def _controlled(controls: ControlledRate | None) -> list[VegaSpec]:
    """The win rate at equal length and style, with its interval."""
    if controls is None or controls.rate is None:
        return []
    rate = controls.rate
    point: ChartRow = {"d": 0, "rate": rate.estimate, "low": rate.low, "high": rate.high}
    point |= {"value": percent(rate.estimate), "range": interval_text(rate)}
    point["text"] = f"{point['value']} at equal length and style"
    x, y = quantitative("d"), quantitative("rate")
    names = tooltips({"value": "win rate at equal length and style", "range": "95 % interval"})
    return [
        layer(
            [point],
            mark("rule", style="interval"),
            x=x,
            y=quantitative("low"),
            y2=end_of("high"),
            tooltip=names,
        ),
        layer([point], {**ESTIMATE_POINT, "size": 80}, x=x, y=y, tooltip=names),
        *(
            layer(
                [point],
                mark("text", style=style, align="left", dx=10, dy=18),
                x=x,
                y=y,
                text=nominal("text"),
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
