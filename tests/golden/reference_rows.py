"""From the verdicts of golden evaluations to preferences by prompt, and the rows that decide."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.sandbox.stats.runs import runstest_1samp

from tests.golden.formats import Verdict

LEAST_PER_ORDER = 15  # prompts that a judge saw in one order only
ONE_ORDER = ("a", "b")  # the model that was shown first


@dataclass(frozen=True)
class View:
    """The aggregated verdict of a judge or of all judges on a prompt."""

    y: float
    side: int  # 1: a, 0: a tie, -1: b
    flipped: bool = False
    consistent: bool | None = None  # None: only one order was judged
    scores: tuple[float, float] | None = None


def sign(value: float) -> int:
    return 0 if abs(value - 0.5) < 1e-9 else 1 if value > 0.5 else -1


def _mean_scores(scores: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    present = [pair for pair in scores if pair is not None]
    return (fmean(a for a, _ in present), fmean(b for _, b in present)) if present else None


def view_of_judge(verdicts: Sequence[Verdict]) -> View:
    """Repeats of an order are averaged, then the orders; orders that contradict are a tie."""
    by_order = defaultdict(list)
    for v in verdicts:
        assert v.y is not None
        by_order[v.first].append(v.y)
    orders = [fmean(ys) for ys in by_order.values()]
    sides = {sign(y) for y in orders}
    flipped = {1, -1} <= sides
    y = fmean(orders)
    return View(
        y=y,
        side=0 if flipped else sign(y),
        flipped=flipped,
        consistent=len(sides) == 1 if len(orders) > 1 else None,
        scores=_mean_scores(v.scores for v in verdicts),
    )


def panel(views: Sequence[View]) -> View:
    """The mean of the judges; the side that most of them name, a tie where a and b are both named
    without a majority, else the side of the mean.
    """
    y = fmean(view.y for view in views)
    count = Counter(view.side for view in views)
    top, votes = count.most_common(1)[0]
    side = top if 2 * votes > len(views) else 0 if count[1] and count[-1] else sign(y)
    known = [view.consistent for view in views if view.consistent is not None]
    return View(
        y=y,
        side=side,
        flipped=2 * sum(view.flipped for view in views) > len(views),
        consistent=2 * sum(known) > len(known) if known else None,
        scores=_mean_scores(view.scores for view in views),
    )


def views_of(verdicts: Iterable[Verdict], judge: str | None = None) -> dict[str, View]:
    """Prompt -> the view of a judge, or of all judges."""
    by_prompt: dict[str, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for v in verdicts:
        if v.y is not None and judge in (None, v.judge):
            by_prompt[v.prompt][v.judge].append(v)
    return {
        prompt: panel([view_of_judge(own) for own in by_judge.values()])
        for prompt, by_judge in sorted(by_prompt.items())
    }


def sides(views: Mapping[str, View]) -> dict[str, int]:
    """Prompt -> side."""
    return {prompt: view.side for prompt, view in views.items()}


class Row(NamedTuple):
    """The preference of a judge, or of all judges, on a prompt, with its weight in the mean."""

    prompt: str
    judge: str
    order: str
    """`both`, or the model that was always shown first; empty if no order matters."""
    y: float
    side: int
    weight: float = 1.0


def decide(
    verdicts: Iterable[Verdict], prompts: Sequence[str] | None, tags: Mapping[str, str]
) -> list[Row]:
    """The rows that decide, with weights of sum 1; a row per prompt if all are in both orders.

    Verdicts without an order do not decide if others have one. Prompts that a judge saw in one
    order decide if there are 15 of each order, which nothing predicts. If nothing decides, all
    verdicts are averaged.
    """
    judged = [v for v in verdicts if v.y is not None]
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(v.prompt for v in judged))}
    rows = rows_by_judge(v for v in judged if v.first)
    decided = [row for row in rows if row.order == "both"]
    for judge in sorted({row.judge for row in rows}):
        of_judge = [row for row in rows if row.judge == judge and row.order in ONE_ORDER]
        chosen = [row for row in of_judge if prompts is None or row.prompt in prompts]
        if min(_counts(chosen)) >= LEAST_PER_ORDER and not is_predictable(of_judge, places, tags):
            decided += chosen
    decided = [row for row in decided if prompts is None or row.prompt in prompts]
    if any(row.order in ONE_ORDER for row in decided):
        return with_balanced_weights(decided)
    by_prompt = {row.prompt for row in decided} or {
        v.prompt for v in judged if prompts is None or v.prompt in prompts
    }
    keys = {(row.prompt, row.judge) for row in decided}
    used = [
        v
        for v in judged
        if v.prompt in by_prompt and (not keys or (v.first and (v.prompt, v.judge) in keys))
    ]
    order = "both" if keys else ""
    return [
        Row(prompt, "", order, view.y, view.side, 1 / len(by_prompt))
        for prompt, view in views_of(used).items()
    ]


def rows_by_judge(verdicts: Iterable[Verdict]) -> list[Row]:
    """A row per judge and prompt, without weights."""
    groups = defaultdict(list)
    for v in verdicts:
        groups[v.prompt, v.judge].append(v)
    rows = []
    for (prompt, judge), own in sorted(groups.items()):
        first = {v.first for v in own if v.first}
        view = view_of_judge(own)
        rows.append(
            Row(prompt, judge, "both" if len(first) > 1 else first.pop(), view.y, view.side)
        )
    return rows


def _counts(rows: Iterable[Row]) -> list[int]:
    return [sum(row.order == first for row in rows) for first in ONE_ORDER]


def with_balanced_weights(rows: Sequence[Row]) -> list[Row]:
    """Each prompt has the same weight, and then each order of a judge's one-order rows."""
    frame = pd.DataFrame(rows)
    frame["weight"] = 1 / frame.groupby("prompt")["judge"].transform("count")
    frame["weight"] /= frame["weight"].sum()
    single = frame["order"].isin(ONE_ORDER)
    by_judge = frame[single].groupby("judge")["weight"].transform("sum")
    by_order = frame[single].groupby(["judge", "order"])["weight"].transform("sum")
    frame.loc[single, "weight"] *= by_judge / 2 / by_order
    return [Row(*values) for values in frame.itertuples(index=False)]


def is_predictable(rows: Iterable[Row], places: Mapping[str, int], tags: Mapping[str, str]) -> bool:
    """Whether the place in the file or the tag predicts the order of a judge's one-order rows.

    By the classical tests; bakeoff permutes the orders, at the level of 0.01. No golden evaluation
    is near that.
    """
    ordered = sorted(rows, key=lambda row: places[row.prompt])
    first = np.array([row.order == "a" for row in ordered], dtype=float)
    ps = [runstest_1samp(first, cutoff="mean", correction=False)[1]]
    ps.append(stats.spearmanr(first, np.arange(len(first))).pvalue)
    names = [tags.get(row.prompt, "") for row in ordered]
    if len(set(names)) > 1:
        ps.append(stats.chi2_contingency(pd.crosstab(first, np.array(names))).pvalue)
    assert min(ps) > 0.02 or min(ps) < 1e-4
    return bool(min(ps) < 0.01)
