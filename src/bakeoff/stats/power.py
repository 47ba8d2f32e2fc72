"""Power analysis before and after a comparison, and the sources of variance of verdicts."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.detectable_rates import sequential_factor
from bakeoff.stats.distributions import two_sided_quantile
from bakeoff.stats.intervals import smoothed_variance
from bakeoff.stats.results import Power, VarianceComponents

_SAME_VERDICT = 0.95  # probability from which a second order is not needed
_NORMAL_GRID = np.linspace(-4, 4, 321)  # standard deviations
_NORMAL_WEIGHTS = np.exp(-(_NORMAL_GRID**2) / 2)
_NORMAL_WEIGHTS /= _NORMAL_WEIGHTS.sum()
_MAX_PROMPTS = 1_000_000  # an effect that needs more counts as none
MAX_ADVISED = 20_000  # prompts; with more needed, two models are too close to tell apart


def z_sum(level: float = 0.95, power: float = 0.8) -> float:
    """z_{alpha/2} + z_beta: 2.80 for a two-sided 5 % test with 80 % power."""
    return two_sided_quantile(level) + float(ndtri(power))


def detectable_effect(se: float, power: float = 0.8) -> float:
    """The smallest effect that a comparison with this standard error detects (Bloom 1995)."""
    return z_sum(power=power) * se


def prompts_needed(sd: float, effect: float, power: float = 0.8) -> int | None:
    """The number of units that detects a difference of `effect` (Miller 2024, arXiv 2411.00640).

    n = (z_{alpha/2} + z_beta)^2 sd^2 / effect^2 (section 5), rounded up, sd being that of one unit;
    None where that is a million or more.
    """
    if abs(effect) * math.sqrt(_MAX_PROMPTS) <= z_sum(power=power) * sd:
        return None
    return max(1, math.ceil((z_sum(power=power) * sd / effect) ** 2 - 1e-9))


def prompts_for_equivalence(
    sd: float, difference: float, margin: float, power: float = 0.8
) -> int | None:
    """The number of units with which the interval lies within the margin with this power.

    The least n with Phi((margin - d)/se - z) + Phi((margin + d)/se - z) - 1 >= power, where
    se = sd/sqrt(n) and 0 <= d = `difference` < margin: two one-sided tests. None where that is a
    million or more.
    """
    least = prompts_needed(sd, margin - difference, power)
    if least is None:
        return None
    z = two_sided_quantile()

    def power_at(n: int) -> float:
        bounds = np.array([margin - difference, margin + difference]) * math.sqrt(n) / sd - z
        return float(ndtr(bounds).sum()) - 1

    # In the worst case, d = 0, both bounds are equally near: each may fail half as often.
    most = math.ceil((z_sum(power=(1 + power) / 2) * sd / (margin - difference)) ** 2)
    return least + bisect_left(range(least, most), power, key=power_at)


def difference_sd(omega: float, sigmas: Sequence[float] = (), samples: Sequence[int] = ()) -> float:
    """The sd of one prompt's difference: sqrt(omega + sum_k sigma_k / K_k).

    `omega` is the variance over prompts of the expected difference, `sigmas` are each model's
    resampling variances, `samples` its completions per prompt (Miller 2024, arXiv 2411.00640,
    section 5).
    """
    return math.sqrt(omega + sum(s / k for s, k in zip(sigmas, samples, strict=True)))


def power_analysis(
    values: Values, margin: float, *, anytime: float | None = None, later: float | None = None
) -> Power:
    """What n >= 1 per-prompt preferences can detect, and how many more would settle the question.

    See `power_of_mean`. Raises ValueError for no values.
    """
    if not len(values):
        raise ValueError("no values")
    sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return power_of_mean(
        float(values.mean()), sd, len(values), margin, anytime=anytime, later=later
    )


def power_of_mean(
    mean: float,
    sd: float,
    n: int,
    margin: float,
    *,
    anytime: float | None = None,
    later: float | None = None,
) -> Power:
    """What a mean of n >= 1 units detects, and how many more units would settle the question.

    Two ways settle it, and `needed` is the smaller number: the mean is told from 0.5, or, where it
    lies within the margin (a share), the whole interval is; each with 80 % power if the present
    mean is the true one. Above 20,000 it is None: the models are too close to tell apart.
    `detectable` is that of a test at a fixed n, or of a confidence sequence at the level `anytime`
    that decides instead (early stopping, or a second look). `needed` is that of the procedure that
    will decide then: a confidence sequence at the level `later` if more prompts are another look,
    else the present one. A sequence needs more prompts for the same power, though half of such
    runs stop at about that number or before.
    """
    if sd <= 1e-9:
        # A unanimous sample has sd 0, but the next prompt may differ: as in the interval, one more
        # win and one more loss are added.
        sd = math.sqrt(smoothed_variance(mean, 0.0, n) * (n + 2) / (n + 1))
    difference = abs(mean - 0.5)
    ways = [(prompts_needed(sd, difference), "to tell it from 50 %")]
    if difference < margin - 1e-9:  # the same for 55 % and 45 %, which round differently
        within = "to show that it is within the margin"
        ways.append((prompts_for_equivalence(sd, difference, margin), within))
    now, then = (
        1.0 if alpha is None else sequential_factor(alpha) for alpha in (anytime, later or anytime)
    )
    enough = [(math.ceil(then * count), target) for count, target in ways if count is not None]
    needed, target = min(enough, default=(None, ways[-1][1]))
    if needed is not None and needed > MAX_ADVISED:
        needed = None
    return Power(
        detectable=detectable_effect(sd * math.sqrt(now / n)),
        needed=needed,
        more=max(0, needed - n) if needed is not None else None,
        method=f"80 % power, {target}{', at any look' if then > 1 else ''}",
    )


class OrderVariances(NamedTuple):
    """Variances of the preference of one prompt: judged in one order, and in both."""

    one_order: float
    both_orders: float


def second_order_may_matter(
    values: Values, variances: OrderVariances, total: int, margin: float, z: float
) -> bool:
    """Whether judging the remaining prompts in both orders may change the verdict on `total`.

    The alternative is one random order. Returns whether `same_verdict_probability`, which has the
    same parameters, is below 95 %.
    """
    return same_verdict_probability(values, variances, total, margin, z) < _SAME_VERDICT


def same_verdict_probability(
    values: Values, variances: OrderVariances, total: int, margin: float, z: float
) -> float:
    """The probability that one and both orders for the remaining prompts give the same verdict.

    A verdict is the final interval above 0.5, below it, within the margin, or none of these.
    `values` are the preferences for a of the first n < total prompts, n >= 2; `margin` is a share,
    and z the half-width of the final interval in standard errors.

    The mean from both orders is taken as normal around the present one, with the uncertainty of
    past and future prompts; the mean from one order adds independent noise, with the variance that
    the second order removes.
    """
    n, remaining = len(values), total - len(values)
    # n prompts without variation do not show that the next ones have none.
    floor = 0.25 / n
    now, both = max(floor, float(values.var(ddof=1))), max(floor, variances.both_orders)
    one = both + max(floor, variances.one_order - variances.both_orders)
    sd = remaining / total * math.sqrt(now / n + both / remaining)
    mean = float(values.mean()) - 0.5 + sd * _NORMAL_GRID
    noise = math.sqrt((one - both) * remaining) / total
    halves = (z * math.sqrt(n * now + remaining * each) / total for each in (both, one))
    (half, within), (wider, narrower) = ((h, min(h, margin - h)) for h in halves)
    verdict = np.select((mean > half, mean < -half, np.abs(mean) < within), (0, 1, 2), 3)
    above, below = ndtr((mean - wider) / noise), ndtr((-wider - mean) / noise)
    inside = ndtr((narrower - mean) / noise) - ndtr((-narrower - mean) / noise)
    inside *= narrower > 0
    chances = np.stack((above, below, inside, 1 - above - below - inside))
    return float(_NORMAL_WEIGHTS @ chances[verdict, np.arange(len(mean))])


def variance_components(
    values: Values, prompts: Codes, generations: Codes, orders: Codes, repeats: Codes
) -> VarianceComponents:
    """Variance components of single verdicts by nested analysis of variance (method of moments).

    Each argument has one entry per verdict: a's preference and four codes; repeats are nested in
    orders, in generations, in prompts. A common order effect is removed first, since both orders
    cancel it. A component is None where nothing was repeated on its level; its variance is then
    part of the level above. Var(mean) = (prompt + generation/G + order/(GO) + repeat/(GOR)) / n.

    Raises ValueError for no values.
    """
    if not len(values):
        raise ValueError("no values")
    values = values.astype(np.float64)
    for order in np.unique(orders):
        values = values - np.where(orders == order, values[orders == order].mean(), 0.0)
    levels = (prompts, generations, orders, repeats)
    units = [np.zeros_like(prompts)]  # of each level, from the outermost: a single unit
    for codes in levels[:-1]:
        units.append(_nested_codes(units[-1], codes))
    components: dict[int, float | None] = {}
    sizes: dict[int, float] = {}
    inner_noise = 0.0  # variance of a unit's mean that is due to the levels below
    for level in (3, 2, 1, 0):
        groups = units[level]
        counts = np.bincount(groups)
        sizes[level] = float(counts.mean())
        within = _pooled_variance(values, groups, counts)
        components[level] = None if within is None else max(0.0, within - inner_noise)
        inner_noise = (inner_noise if within is None else max(within, inner_noise)) / sizes[level]
        values = np.bincount(groups, weights=values) / counts
        first = np.unique(groups, return_index=True)[1]
        units = [codes[first] for codes in units]
    prompt, generation, order, repeat = (components[level] for level in range(4))
    return VarianceComponents(
        prompt=prompt,
        generation=generation,
        order=order,
        repeat=repeat,
        prompts=round(sizes[0]),
        generations=sizes[1],
        orders=sizes[2],
        repeats=sizes[3],
        advice=_advice(components, sizes),
    )


def _nested_codes(outer: Codes, codes: Codes) -> Codes:
    """A code for each combination of an outer and an inner code."""
    values, inner = np.unique(codes, return_inverse=True)
    nested: Codes = np.unique(outer * len(values) + inner, return_inverse=True)[1]
    return nested


def _pooled_variance(values: Values, groups: Codes, counts: Codes) -> float | None:
    """The pooled variance within groups; None where no group has two members."""
    degrees = int((counts - 1).sum())
    if degrees == 0:
        return None
    means = np.bincount(groups, weights=values) / counts
    return float(((values - means[groups]) ** 2).sum()) / degrees


def _advice(components: dict[int, float | None], sizes: dict[int, float]) -> str:
    """What reduces Var(mean) most, when each choice doubles the number of verdicts."""
    if components[0] is None:
        return "one prompt tells nothing of others: add prompts"
    if sizes[2] < 1.5:
        return "judge the second order: within a prompt it cancels the judge's bias for a place"
    g, o, r = sizes[1], sizes[2], sizes[3]
    parts = {
        "more prompts": components[0],
        "new completions of the same prompts": (components[1] or 0.0) / g,
        "orders": (components[2] or 0.0) / (g * o),
        "repeats of the same verdicts": (components[3] or 0.0) / (g * o * r),
    }
    total = sum(parts.values())
    if total <= 1e-12:  # rounding
        return "nothing varies: more of anything tells nothing new"
    left = {"more prompts": 0.5}  # the share of the variance that is left after doubling
    if components[1] is not None:
        left["new completions of the same prompts"] = 0.5 + parts["more prompts"] / total / 2
    if components[3] is not None:
        left["repeats of the same verdicts"] = 1 - parts["repeats of the same verdicts"] / total / 2
    if len(left) == 1:
        return (
            "buy more prompts; what new completions or repeats would buy, one of each cannot tell"
        )
    best = sorted(left.items(), key=lambda item: item[1])
    words = ", ".join(f"{100 * math.sqrt(share):.0f} % with {what}" for what, share in best)
    return f"for twice the verdicts the standard error falls to {words}"
