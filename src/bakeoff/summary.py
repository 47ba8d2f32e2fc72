"""Judgments to comparisons to a summary: pure, and the place where orders are folded back.

Knows model names and numbers; asks nobody and loads nothing. The prompt is the unit: orders,
repeats and judges of one prompt become one number before anything is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import fmean, stdev

import numpy as np

from bakeoff.records import (
    Accounting,
    Authored,
    Comparison,
    Failure,
    Interval,
    Judgment,
    ModelSummary,
    Outcome,
    PairSummary,
    Scores,
    Spread,
    Summary,
    Winner,
)
from bakeoff.stats.intervals import win_rate


def summarize(
    models: Sequence[str],
    completions: Sequence[Authored],
    judgments: Sequence[Judgment],
    failures: Sequence[Failure],
    notes: Sequence[str] = (),
) -> Summary:
    """What the records say about each model and each two of them, in the order of `models`."""
    return Summary(
        models=tuple(_model(model, completions, failures) for model in models),
        pairs=tuple(_pair(a, b, judgments, failures) for a, b in combinations(models, 2)),
        notes=tuple(notes),
    )


def compare(a: str, b: str, judgments: Iterable[Judgment]) -> list[Comparison]:
    """One comparison per prompt that was judged, as a against b."""
    by_prompt: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        if {judgment.first, judgment.second} == {a, b}:
            by_prompt[judgment.prompt_id].append(judgment)
    return [_fold(a, b, prompt_id, group) for prompt_id, group in by_prompt.items()]


def _fold(a: str, b: str, prompt_id: str, judgments: list[Judgment]) -> Comparison:
    """Average each order, then the orders; a winner needs orders that do not contradict it."""
    orders: dict[str, list[float]] = defaultdict(list)
    scores: list[Scores] = []
    for judgment in judgments:
        shown_first = judgment.first == a
        verdict = judgment.verdict if shown_first else judgment.verdict.swapped()
        orders[judgment.first].append(verdict.first)
        if verdict.scores:
            scores.append(verdict.scores)
    means = [fmean(values) for values in orders.values()]
    winners = {_winner(mean) for mean in means}
    preference = fmean(means)
    flipped = {"a", "b"} <= winners
    return Comparison(
        prompt_id=prompt_id,
        a=a,
        b=b,
        preference=preference,
        winner="tie" if flipped else _winner(preference),
        flipped=flipped,
        consistent=len(winners) == 1 if len(means) > 1 else None,
        scores=Scores(fmean(s.first for s in scores), fmean(s.second for s in scores))
        if scores
        else None,
    )


def _winner(preference: float) -> Winner:
    if abs(preference - 0.5) < 1e-9:  # a mean of p and 1 - p need not be 0.5 to the last bit
        return "tie"
    return "a" if preference > 0.5 else "b"


def _pair(
    a: str, b: str, judgments: Sequence[Judgment], failures: Sequence[Failure]
) -> PairSummary:
    ours = [judgment for judgment in judgments if {judgment.first, judgment.second} == {a, b}]
    comparisons = compare(a, b, ours)
    counts = Counter(comparison.winner for comparison in comparisons)
    rate = _rate(comparisons)
    consistent = [c.consistent for c in comparisons if c.consistent is not None]
    flipped = fmean(c.flipped for c in comparisons) if comparisons else 0.0
    outcome, verdict = _verdict(a, b, rate, flipped)
    firsts = [judgment.verdict.first for judgment in ours if judgment.verdict.first != 0.5]
    return PairSummary(
        a=a,
        b=b,
        prompts=len(comparisons),
        wins=counts["a"],
        losses=counts["b"],
        ties=counts["tie"],
        win_rate=rate,
        consistency=fmean(consistent) if consistent else None,
        flipped=flipped if consistent else None,
        pick_first=fmean(first > 0.5 for first in firsts) if firsts else None,
        accounting=_accounting(a, b, ours, failures),
        outcome=outcome,
        verdict=verdict,
        **_scored(comparisons),
    )


def _rate(comparisons: Sequence[Comparison]) -> Interval | None:
    if not comparisons:
        return None
    found = win_rate(np.array([comparison.preference for comparison in comparisons]))
    return Interval(estimate=found.mean, low=found.low, high=found.high, method=found.method)


def _verdict(a: str, b: str, rate: Interval | None, flipped: float) -> tuple[Outcome, str]:
    """What may be said: a winner only where the interval leaves 50 % out, and none from a judge
    that names the opposite winner for most prompts when the order is swapped.
    """
    if rate is None:
        return "not enough data", "No winner: nothing was judged"
    if flipped > 0.5:
        return "withheld", (
            f"Verdict withheld: for {100 * flipped:.0f} % of the prompts the judge names the "
            "opposite winner when the order is swapped"
        )
    if rate.low > 0.5:
        return "better", f"{a} is better than {b}"
    if rate.high < 0.5:
        return "worse", f"{b} is better than {a}"
    return "not enough data", "No winner: the interval of the win rate holds 50 %"


def _accounting(
    a: str, b: str, judgments: Sequence[Judgment], failures: Sequence[Failure]
) -> Accounting:
    failed = [f for f in failures if f.stage == "judgment" and {f.first, f.second} == {a, b}]
    return Accounting(
        asked=len(judgments) + len(failed),
        judged=len(judgments),
        failed=len(failed),
        failed_by_kind=dict(Counter(failure.kind for failure in failed)),
    )


def _scored(comparisons: Sequence[Comparison]) -> dict[str, Spread | int]:
    """Scores on 0-1, over the prompts whose judge gave any."""
    scores = [comparison.scores for comparison in comparisons if comparison.scores]
    if not scores:
        return {}
    differences = [(score.first - score.second) / 10 for score in scores]
    return {
        "scores_a": _spread([score.first / 10 for score in scores]),
        "scores_b": _spread([score.second / 10 for score in scores]),
        "score_difference": _spread(differences),
        "scored_better": sum(difference > 0 for difference in differences),
        "scored_worse": sum(difference < 0 for difference in differences),
        "scored_equal": sum(difference == 0 for difference in differences),
    }


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=fmean(values), sd=stdev(values) if len(values) > 1 else 0.0)


def _model(
    model: str, completions: Sequence[Authored], failures: Sequence[Failure]
) -> ModelSummary:
    ours = [authored.completion for authored in completions if authored.model == model]
    tokens = [completion.tokens for completion in ours if completion.tokens is not None]
    return ModelSummary(
        model=model,
        completed=len(ours),
        failed=sum(f.stage == "completion" and f.who == model for f in failures),
        cut=sum(completion.finish == "length" for completion in ours),
        empty=sum(not completion.text for completion in ours),
        mean_tokens=fmean(tokens) if tokens else None,
    )
