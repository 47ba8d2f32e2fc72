"""Effects on verdicts that are not quality: order of presentation, length, other features, leaks.

Values are preferences for a, from 0 to 1; feature differences are a's minus b's.
"""

import math

import numpy as np

from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.distributions import average_ranks, two_sided_quantile, welch_degrees
from bakeoff.stats.intervals import (
    proportion,
    score_rate,
    t_interval,
    win_rate,
)
from bakeoff.stats.results import Estimate, FeatureBias, LeakEffect, OrderEffect
from bakeoff.stats.tests import sign_test


def order_effect(values: Values, prompts: Codes, a_first: Mask) -> OrderEffect:
    """The effect of the order of presentation on single verdicts.

    Each argument has one entry per verdict: the preference for a, a code of its prompt, and whether
    a was shown first. Prompts judged in both orders give a paired estimate (Student's t); a random
    order per prompt gives the difference of two means (Welch's t); one fixed order identifies no
    effect.
    """
    if not len(values):
        return OrderEffect("not recorded")
    shown_first = float(a_first.mean())
    if not 0 < shown_first < 1:
        return OrderEffect("one order", shown_first)
    pick_first = _pick_first(np.where(a_first, values, 1 - values), prompts)
    prompts_first, first = _prompt_means(values[a_first], prompts[a_first])
    prompts_second, second = _prompt_means(values[~a_first], prompts[~a_first])
    both, in_first, in_second = np.intersect1d(
        prompts_first, prompts_second, assume_unique=True, return_indices=True
    )
    if 2 * len(both) < len(prompts_first) + len(prompts_second) - len(both):
        effect, balanced = _welch(first, second)
        return OrderEffect("random order", shown_first, effect, pick_first, balanced)
    first, second = first[in_first], second[in_second]
    sides = np.sign(np.round(first - 0.5, 9)) - np.sign(np.round(second - 0.5, 9))
    first_twice, second_twice = int((sides == 2).sum()), int((sides == -2).sum())
    return OrderEffect(
        "both orders",
        shown_first,
        t_interval(first - second),
        pick_first,
        win_rate((first + second) / 2),
        first_twice,
        second_twice,
        sign_test(first_twice, second_twice).p,
    )


def _pick_first(for_first: Values, prompts: Codes) -> Estimate | None:
    """The share of decisive verdicts for the completion shown first, clustered by prompt."""
    decisive = np.abs(for_first - 0.5) > 1e-9
    if not decisive.any():
        return None
    return score_rate((for_first[decisive] > 0.5).astype(np.float64), prompts[decisive])


def _welch(x: Values, y: Values) -> tuple[Estimate | None, Estimate | None]:
    """The difference and the average of two independent means, with Welch's degrees of freedom."""
    if min(len(x), len(y)) < 2:
        return None, None
    variances = float(x.var(ddof=1) / len(x)), float(y.var(ddof=1) / len(y))
    se = math.sqrt(sum(variances))
    degrees = welch_degrees(variances, (len(x), len(y))) if se else 1
    half = two_sided_quantile(degrees=degrees) * se
    n, gap, middle = len(x) + len(y), float(x.mean() - y.mean()), float(x.mean() + y.mean()) / 2
    low, high = max(0.0, middle - half / 2), min(1.0, middle + half / 2)
    return (
        Estimate(gap, gap - half, gap + half, "Welch's t", n, se),
        Estimate(middle, low, high, "Welch's t", n, se / 2),
    )


def _prompt_means(values: Values, prompts: Codes) -> tuple[Codes, Values]:
    """The distinct prompts, sorted, and the mean value of each."""
    codes, rows = np.unique(prompts, return_inverse=True)
    return codes, np.bincount(rows, weights=values) / np.bincount(rows)


def feature_bias(values: Values, differences: Values) -> FeatureBias:
    """The association of the preference for a with the difference of a feature, over prompts.

    Ties, and prompts where both completions have the same amount, do not count for `more_wins`.
    """
    decisive = (np.abs(values - 0.5) > 1e-9) & (differences != 0)
    wins = int(((values > 0.5) == (differences > 0))[decisive].sum())
    varies = len(values) > 2 and np.ptp(values) > 1e-9 and np.ptp(differences) > 0
    return FeatureBias(
        n=len(values),
        more_wins=proportion(wins, int(decisive.sum())),
        spearman=_spearman(values, differences) if varies else None,
    )


def _spearman(x: Values, y: Values) -> float:
    """Spearman's rank correlation of values that vary."""
    return float(np.corrcoef(average_ranks(x), average_ranks(y))[0, 1])


def leak_effect(values: Values, a_leaks: Mask, b_leaks: Mask) -> LeakEffect:
    """Compare a's win rate on prompts where only a, and where only b, leaks text to the judge.

    A leak is text that should not be in a completion, such as `<think>` tags. The arguments have
    one entry per prompt.
    """
    only_a, only_b = a_leaks & ~b_leaks, b_leaks & ~a_leaks
    return LeakEffect(
        only_a=int(only_a.sum()),
        only_b=int(only_b.sum()),
        both=int((a_leaks & b_leaks).sum()),
        rate_only_a=win_rate(values[only_a]) if only_a.any() else None,
        rate_only_b=win_rate(values[only_b]) if only_b.any() else None,
    )
