"""The false statements of a summary, given the true win rates of the models."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from bakeoff.records import PairSummary, Rating, Summary

MARGIN = 0.05
_EPSILON = 1e-9


class Truth(NamedTuple):
    """The true strengths of models: a's true win rate against b is 0.5 + s_a - s_b."""

    strengths: Mapping[str, float]
    slices: Mapping[str, Mapping[str, float]] = {}
    """The strengths on the prompts with a tag, where they are others."""

    def rate(self, a: str, b: str, tag: str = "") -> float:
        """The true win rate of a against b; on the prompts with this tag, if it is in `slices`."""
        strengths = self.slices.get(tag, self.strengths)
        return 0.5 + strengths[a] - strengths[b]


def false_statements(summary: Summary, truth: Truth) -> frozenset[str]:
    """The kinds of false statements: `verdict`, `rank` and `slice`; empty if all are true.

    "Not enough data" and "withheld" claim nothing and are never false.
    """
    return frozenset(_kinds(summary, truth))


def _kinds(summary: Summary, truth: Truth) -> Iterator[str]:
    for pair in summary.pairs:
        if is_false(pair.outcome, truth.rate(pair.a, pair.b)):
            yield "verdict"
        if any(is_false(s.outcome, truth.rate(pair.a, pair.b, s.tag)) for s in pair.slices):
            yield "slice"
    if _false_ranks(summary.ratings, truth) or _false_groups(summary.ratings, truth):
        yield "rank"


def is_false(outcome: str | None, rate: float) -> bool:
    """Whether an outcome contradicts the true win rate."""
    if outcome == "better":
        return rate <= 0.5 + _EPSILON
    if outcome == "worse":
        return rate >= 0.5 - _EPSILON
    return outcome == "equivalent" and abs(rate - 0.5) > MARGIN + _EPSILON


def _false_ranks(ratings: tuple[Rating, ...], truth: Truth) -> bool:
    """Whether an interval of ranks claims more better or worse models than there are."""
    for rating in ratings:
        if rating.ranks is None:
            continue
        rates = [truth.rate(other.model, rating.model) for other in ratings if other != rating]
        better = sum(rate > 0.5 + _EPSILON for rate in rates)
        worse = sum(rate < 0.5 - _EPSILON for rate in rates)
        low, high = rating.ranks
        if low > 1 + better or high < len(ratings) - worse:
            return True
    return False


def _false_groups(ratings: tuple[Rating, ...], truth: Truth) -> bool:
    """Whether two equal models share no letter, or the better one stands below."""
    return any(
        not set(upper.group) & set(lower.group)
        and truth.rate(upper.model, lower.model) <= 0.5 + _EPSILON
        for upper, lower in combinations(ratings, 2)
        if upper.group and lower.group
    )


def contradicts_itself(pair: PairSummary, alpha: float = 0.05) -> bool:
    """Whether the interval excludes 50 % although the test does not reject, or the reverse."""
    # `sign_test` before the deciding test was a field of its own.
    test = getattr(pair, "test", None) or getattr(pair, "sign_test", None)
    if pair.win_rate is None or test is None:
        return False
    excluded = not pair.win_rate.low <= 0.5 <= pair.win_rate.high
    return bool(excluded != (test.p < alpha))
