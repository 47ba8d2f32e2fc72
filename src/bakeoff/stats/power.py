"""How much more would settle it: power before and after, and where the noise comes from."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr

from bakeoff.stats.results import Power, VarianceSplit

Values = NDArray[np.float64]
Codes = NDArray[np.intp]

_CERTAIN = 0.95
_NORMAL = np.linspace(-4, 4, 321)  # standard deviations
_WEIGHTS = np.exp(-(_NORMAL**2) / 2)
_WEIGHTS /= _WEIGHTS.sum()
_TOO_MANY = 1_000_000  # prompts: an effect that needs more than this is none


def z_sum(level: float = 0.95, power: float = 0.8) -> float:
    """z_{alpha/2} + z_beta: 2.80 for a two-sided 5 % test with 80 % power."""
    return float(stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power))


def detectable(se: float, power: float = 0.8) -> float:
    """The smallest effect that a trial with this standard error finds so often (Bloom 1995)."""
    return z_sum(power=power) * se


def prompts_needed(sd: float, effect: float, power: float = 0.8) -> int | None:
    """Units that a difference of `effect` needs, sd being that of one unit (Miller 2024, s. 5).

    n = (z_{alpha/2} + z_beta)^2 sd^2 / effect^2, rounded up; None where that is a million or more.
    """
    if abs(effect) * math.sqrt(_TOO_MANY) <= z_sum(power=power) * sd:
        return None
    return max(1, math.ceil((z_sum(power=power) * sd / effect) ** 2 - 1e-9))


def prompts_to_fit(sd: float, away: float, margin: float, power: float = 0.8) -> int | None:
    """Units after which the interval fits into the margin in 80 of 100 trials, 0 <= away < margin.

    The least n with Phi((margin - away)/se - z) + Phi((margin + away)/se - z) - 1 >= power, where
    se = sd/sqrt(n): two one-sided tests. None where that is a million or more.
    """
    least = prompts_needed(sd, margin - away, power)
    if least is None:
        return None
    z = float(stats.norm.ppf(0.975))

    def found(n: int) -> float:
        edges = np.array([margin - away, margin + away]) * math.sqrt(n) / sd - z
        return float(stats.norm.cdf(edges).sum()) - 1

    # At the worst, away = 0, both edges are as near, and each may be missed half as often.
    most = math.ceil((z_sum(power=(1 + power) / 2) * sd / (margin - away)) ** 2)
    return least + bisect_left(range(least, most), power, key=found)


def sd_of(omega: float, sigmas: Sequence[float] = (), samples: Sequence[int] = ()) -> float:
    """The sd of one prompt's difference: sqrt(omega + sum_k sigma_k / K_k) (Miller 2024, s. 5).

    `omega` is the variance over prompts of the expected difference; `sigmas` are each model's
    resampling variances, `samples` its completions per prompt.
    """
    return math.sqrt(omega + sum(s / k for s, k in zip(sigmas, samples, strict=True)))


def power_of(values: Values, margin: float, *, anytime: float | None = None) -> Power:
    """What n >= 1 per-prompt preferences can show, and how many more the present mean needs.

    Where the mean lies inside the margin the target is to be sure of that: the whole interval has
    to fit into it, again in 80 of 100 trials. `anytime` is the alpha of a confidence sequence that
    is looked at after each: to be as sure it needs more, though half of the trials end at about
    that number, or before.
    """
    n = len(values)
    sd = float(values.std(ddof=1)) if n > 1 else 0.0
    # A unanimous sample has no variance, but that is not known of the next prompt: one that would
    # have gone the other way is added on each side, as in the interval.
    spread = sd if sd > 1e-9 else float(np.append(values, (0.0, 1.0)).std(ddof=1))
    away = abs(float(values.mean()) - 0.5)
    outside = away > margin - 1e-9  # 55 % and 45 % alike, however they round
    needed = prompts_needed(spread, away) if outside else prompts_to_fit(spread, away, margin)
    what = "to tell it from 50 %" if outside else "to show that it is within the margin"
    dearer = 1.0
    if anytime is not None:
        dearer, what = sequence_factor(anytime), f"{what}, at any look"
        needed = math.ceil(dearer * needed) if needed is not None else None
    return Power(
        detectable=detectable(spread * math.sqrt(dearer / n)),
        needed=needed,
        more=max(0, needed - n) if needed is not None else None,
        method=f"80 % power, {what}",
    )


def sequence_factor(alpha: float) -> float:
    """How many times the units of a fixed number a confidence sequence needs to be as sure, at 80 %
    power: measured for alphas from 0.05 to 0.001 (`benchmarks/stopping.py`).
    """
    return 0.65 + 0.36 * math.log(1 / alpha)


class Spread(NamedTuple):
    """Variances of the preference of one prompt: judged in one order, and in both."""

    one: float
    both: float


def second_order_may_matter(
    values: Values, spread: Spread, total: int, margin: float, z: float
) -> bool:
    """Whether the verdict on `total` prompts may depend on whether the next ones are judged in one
    order, drawn at random, or in both.

    `values` are the preferences for a of the first n < total prompts, n >= 2; `margin` is a share,
    and z how many standard errors the final interval has to each side.
    """
    return same_either_way(values, spread, total, margin, z) < _CERTAIN


def same_either_way(values: Values, spread: Spread, total: int, margin: float, z: float) -> float:
    """How likely it is that the final interval is on the same side of a half, within the margin, or
    neither, whether the prompts to come are judged in one order or in both.

    The mean from both orders is taken as normal around the present one, with the uncertainty of
    that and of what is to come; that from one order has a noise of its own on top, of the variance
    that the second order takes away.
    """
    n, left = len(values), total - len(values)
    # Nobody knows from n prompts that none would go another way, or be seen otherwise in turn.
    doubt = 0.25 / n
    now, both = max(doubt, float(values.var(ddof=1))), max(doubt, spread.both)
    one = both + max(doubt, spread.one - spread.both)
    sd = left / total * math.sqrt(now / n + both / left)
    mean = float(values.mean()) - 0.5 + sd * _NORMAL
    noise = math.sqrt((one - both) * left) / total
    halves = (z * math.sqrt(n * now + left * each) / total for each in (both, one))
    (half, within), (wider, narrower) = ((h, min(h, margin - h)) for h in halves)
    said = np.select((mean > half, mean < -half, np.abs(mean) < within), (0, 1, 2), 3)
    above, below = ndtr((mean - wider) / noise), ndtr((-wider - mean) / noise)
    inside = ndtr((narrower - mean) / noise) - ndtr((-narrower - mean) / noise)
    inside *= narrower > 0
    chances = np.stack((above, below, inside, 1 - above - below - inside))
    return float(_WEIGHTS @ chances[said, np.arange(len(mean))])


def variance_split(
    values: Values, prompts: Codes, generations: Codes, orders: Codes, repeats: Codes
) -> VarianceSplit:
    """Split the variance of single verdicts by nested analysis of variance (method of moments).

    Each argument has one entry per verdict: a's preference and four codes; repeats are nested in
    orders, in generations, in prompts. A common order effect is taken out first: both orders
    cancel it. A source is None where nothing was repeated on its level, and its variance is then
    part of the source above. With them Var(mean) = (prompt + generation/G + order/(GO) +
    repeat/(GOR)) / n.
    """
    if not len(values):
        raise ValueError("no values")
    values = values.astype(np.float64)
    for order in np.unique(orders):
        values = values - np.where(orders == order, values[orders == order].mean(), 0.0)
    levels = (prompts, generations, orders, repeats)
    units = [np.zeros_like(prompts)]  # of each level, from the outermost: all verdicts are one
    for codes in levels[:-1]:
        units.append(_within_each(units[-1], codes))
    found: dict[int, float | None] = {}
    sizes: dict[int, float] = {}
    below = 0.0  # what the mean of a unit still holds of the noise of the levels under it
    for level in (3, 2, 1, 0):
        groups = units[level]
        counts = np.bincount(groups)
        sizes[level] = float(counts.mean())
        within = _within(values, groups, counts)
        found[level] = None if within is None else max(0.0, within - below)
        below = (below if within is None else max(within, below)) / sizes[level]
        values = np.bincount(groups, weights=values) / counts
        first = np.unique(groups, return_index=True)[1]
        units = [codes[first] for codes in units]
    prompt, generation, order, repeat = (found[level] for level in range(4))
    return VarianceSplit(
        prompt=prompt,
        generation=generation,
        order=order,
        repeat=repeat,
        prompts=round(sizes[0]),
        generations=sizes[1],
        orders=sizes[2],
        repeats=sizes[3],
        advice=_advice(found, sizes),
    )


def _within_each(outer: Codes, codes: Codes) -> Codes:
    """A code for each of the codes within each of the outer ones."""
    values, inner = np.unique(codes, return_inverse=True)
    found: Codes = np.unique(outer * len(values) + inner, return_inverse=True)[1]
    return found


def _within(values: Values, groups: Codes, counts: Codes) -> float | None:
    """The pooled variance inside the groups; None where no group has two members."""
    degrees = int((counts - 1).sum())
    if degrees == 0:
        return None
    means = np.bincount(groups, weights=values) / counts
    return float(((values - means[groups]) ** 2).sum()) / degrees


def _advice(found: dict[int, float | None], sizes: dict[int, float]) -> str:
    """What lowers Var(mean) most, when each choice doubles the number of verdicts."""
    if found[0] is None:
        return "one prompt tells nothing of others: add prompts"
    if sizes[2] < 1.5:
        return "judge the second order: within a prompt it cancels the judge's bias for a place"
    g, o, r = sizes[1], sizes[2], sizes[3]
    made = {
        "more prompts": found[0],
        "new completions of the same prompts": (found[1] or 0.0) / g,
        "orders": (found[2] or 0.0) / (g * o),
        "repeats of the same verdicts": (found[3] or 0.0) / (g * o * r),
    }
    total = sum(made.values())
    if total <= 1e-12:  # rounding
        return "nothing varies: more of anything tells nothing new"
    left = {"more prompts": 0.5}  # the share of the variance that is left after doubling
    if found[1] is not None:
        left["new completions of the same prompts"] = 0.5 + made["more prompts"] / total / 2
    if found[3] is not None:
        left["repeats of the same verdicts"] = 1 - made["repeats of the same verdicts"] / total / 2
    if len(left) == 1:
        return (
            "buy more prompts; what new completions or repeats would buy, one of each cannot tell"
        )
    best = sorted(left.items(), key=lambda item: item[1])
    words = ", ".join(f"{100 * math.sqrt(share):.0f} % with {what}" for what, share in best)
    return f"for twice the verdicts the standard error falls to {words}"
