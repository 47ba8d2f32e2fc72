"""Everything that was said of one prompt, folded into one comparison of two models."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from bakeoff.records import Comparison, Judgment, Scores, Winner

STANDS_FOR: dict[Winner, float] = {"a": 1.0, "tie": 0.5, "b": 0.0}


class Opinion(NamedTuple):
    """What one judge thinks of one prompt, orders and repeats averaged."""

    preference: float
    winner: Winner
    flipped: bool
    consistent: bool | None
    scores: Scores | None


Panel = Literal["mean", "majority"]


def compare(
    a: str, b: str, judgments: Iterable[Judgment], panel: Panel = "mean"
) -> list[Comparison]:
    """One comparison per prompt that was judged, as a against b.

    Of several judges the preference is the mean, or that of the winner that most of them name.
    """
    by_prompt: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        if {judgment.first, judgment.second} == {a, b}:
            by_prompt[judgment.prompt_id].append(judgment)
    return [_comparison(a, b, group, panel) for group in by_prompt.values()]


def winner_of(preference: float) -> Winner:
    """Who is preferred. A mean of p and 1 - p need not be 0.5 to the last bit."""
    if abs(preference - 0.5) < 1e-9:
        return "tie"
    return "a" if preference > 0.5 else "b"


def preference_of(a: str, judgment: Judgment) -> float:
    """The probability that a is better, by this judgment."""
    first = judgment.verdict.first
    return first if judgment.first == a else 1 - first


def _comparison(a: str, b: str, judgments: Sequence[Judgment], panel: Panel) -> Comparison:
    by_judge: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        by_judge[judgment.judge].append(judgment)
    opinions = [_opinion(a, group) for group in by_judge.values()]
    preference = fmean(opinion.preference for opinion in opinions)
    winner = _voted([opinion.winner for opinion in opinions], preference)
    if panel == "majority" and len(opinions) > 1:
        preference = STANDS_FOR[winner]
    told = [opinion.consistent for opinion in opinions if opinion.consistent is not None]
    return Comparison(
        prompt_id=judgments[0].prompt_id,
        a=a,
        b=b,
        preference=preference,
        winner=winner,
        flipped=2 * sum(opinion.flipped for opinion in opinions) > len(opinions),
        consistent=2 * sum(told) > len(told) if told else None,
        scores=_mean_scores([opinion.scores for opinion in opinions]),
    )


def _opinion(a: str, judgments: Sequence[Judgment]) -> Opinion:
    """Average each order of each two completions, then the orders, then the completions.

    A winner needs orders that do not contradict it.
    """
    cells: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judgment in judgments:
        # Where no order is known, there is one: that of averaging.
        order = judgment.first if judgment.presented == "recorded" else ""
        cells[judgment.sample][order].append(preference_of(a, judgment))
    means = [{order: fmean(row) for order, row in rows.items()} for rows in cells.values()]
    preference = fmean(fmean(orders.values()) for orders in means)
    orders = {order for rows in means for order in rows}
    winners = {winner_of(fmean(rows[o] for rows in means if o in rows)) for o in orders}
    flipped = {"a", "b"} <= winners
    return Opinion(
        preference=preference,
        winner="tie" if flipped else winner_of(preference),
        flipped=flipped,
        consistent=len(winners) == 1 if len(orders) > 1 else None,
        scores=_mean_scores(
            [(j.verdict if j.first == a else j.verdict.swapped()).scores for j in judgments]
        ),
    )


def _voted(winners: Sequence[Winner], preference: float) -> Winner:
    """What most judges say; without a majority a tie if they contradict each other."""
    most, votes = Counter(winners).most_common(1)[0]
    if 2 * votes > len(winners):
        return most
    return "tie" if {"a", "b"} <= set(winners) else winner_of(preference)


def _mean_scores(scores: Sequence[Scores | None]) -> Scores | None:
    given = [score for score in scores if score]
    if not given:
        return None
    return Scores(fmean(s.first for s in given), fmean(s.second for s in given))
