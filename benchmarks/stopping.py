"""How often a run that stops when it is sure is wrong, and what it saves: a JSON line each.

    python benchmarks/stopping.py

Prompts are simulated: each has a difference between its two completions, normal around what makes
the truth, and a judge adds noise and a habit for a place. So the truth is known, and it is that of
both orders. A verdict is false that names a winner where there is none or the wrong one, or says
"equivalent" of a truth outside of the margin; it has `found` it if it is true and no "not enough
data"; `missed` are intervals that do not hold the truth. All in percent of the runs.

`stopping`: up to 500 prompts in both orders, looked at after each, for several truths, and `fixed`
all 500 with the interval of a fixed number. `saved` is the median share of judgments.

`stopping:alpaca_eval`: the same on 805 real preferences for each of several models, of which the
mean of all is the truth: in the order of the file, and shuffled. It is skipped without the data.

`stopping:orders`: `--orders adaptive` on 200 prompts against always both orders: the bias of the
estimate that is reported, and what is saved; `with_stop` is with --stop when-sure too, on up to
500. `splits` are the judgments that it takes to find a winner in 80 of 100 runs, if the two looks
share the 5 % so; 0/0.05 is always both orders.

`stopping:planning`: how many times the prompts of a fixed number with 80 % power 80 of 100 runs
that are looked at need, by the effect. The peer is what `stats/planning.py` takes for it.
"""

import csv
import gzip
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measuring.line import say, versions
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp

from bakeoff.records import Design, Outcome
from bakeoff.schedule.waves import FEWEST
from bakeoff.stats import betting, planning
from bakeoff.stats.betting import Looks, mean_sequence
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.planning import prompts_needed, prompts_to_fit
from bakeoff.summary.trial import Terms
from bakeoff.summary.verdict import outcome_of

DATA = Path(__file__).parents[2] / "shared" / "data" / "alpaca_eval" / "judgments_compact.csv.gz"
RUNS, LIMIT, SHUFFLES = 1_000, 500, 1_000
FIXED = 400  # of the runs are also judged as a fixed number
ORDERED_RUNS, STOPPED_RUNS, ORDERED_PROMPTS = 1_000, 400, 200
PLANNED_RUNS = 300
DIFFERENT, EQUIVALENT, NEITHER = range(3)
CHECKED = 3  # runs of each kind that also go through `Looks` itself, one by one
MARGIN = 0.05
NOISE = 0.5  # of a verdict, where differences between prompts have sd 1
BLOCK, FEW = 50, 20  # looks, and runs, at once: more do not fit into a cache

Values = NDArray[np.float64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]


class Truth(NamedTuple):
    """What is true of two models, and how they are judged.

    `tie` is how small a difference is a tie; None: the judge says how sure it is. `habit` is what
    the first place is worth to it.
    """

    rate: float
    tie: float | None = 0.0
    habit: float = 0.3

    def false(self, said: Outcome) -> bool:
        """Whether a verdict is false: one that is too careful is not."""
        if said == "equivalent":
            return abs(self.rate - 0.5) > MARGIN
        if self.rate == 0.5:
            return said != "not enough data"
        return said == ("worse" if self.rate > 0.5 else "better")

    def drawn(self, rng: np.random.Generator, *shape: int) -> tuple[Values, Values]:
        """Preferences for the one model when it is shown first, and when it is shown second."""
        middle = float(brentq(lambda mean: self._rate(mean) - self.rate, -9, 9))
        prompts = rng.normal(middle, 1, shape)
        one, other = (self._judged(rng, prompts + side * self.habit) for side in (1, -1))
        return one, other

    def _judged(self, rng: np.random.Generator, seen: Values) -> Values:
        if self.tie is None:
            return np.round(stats.norm.cdf(seen / NOISE), 3)
        seen = seen + rng.normal(0, NOISE, seen.shape)
        return np.where(np.abs(seen) < self.tie, 0.5, seen > 0)

    def _rate(self, mean: float) -> float:
        sides = np.array([mean + self.habit, mean - self.habit])
        edges = np.array([[-1.0], [1.0]]) * (self.tie or 0.0)
        return float(stats.norm.cdf((sides + edges) / math.hypot(1, NOISE)).mean())


TRUTHS = {
    "none, no ties": Truth(0.5),
    "none, half ties": Truth(0.5, tie=0.7),
    "none, nine in ten are ties": Truth(0.5, tie=1.8),
    "none, a judge in degrees": Truth(0.5, tie=None),
    "none, a strong habit": Truth(0.5, habit=1.5),
    "52 %, nine in ten are ties": Truth(0.52, tie=1.8),
    "53 %": Truth(0.53),
    "just outside of the margin, ties": Truth(0.5501, tie=1.8),
    "57 %": Truth(0.57),
    "60 %": Truth(0.6),
    "60 %, a judge in degrees": Truth(0.6, tie=None),
    "60 %, half ties": Truth(0.6, tie=0.7),
    "70 %": Truth(0.7),
    "95 %": Truth(0.95),
}
ORDERED = {
    name: TRUTHS[name]
    for name in ("none, no ties", "none, half ties", "none, a strong habit", "57 %", "60 %")
} | {
    "52 %, nine in ten are ties": Truth(0.52, tie=1.8),
    "60 %, half ties": Truth(0.6, tie=0.7),
    "60 %, a strong habit": Truth(0.6, habit=1.5),
    "70 %": Truth(0.7),
}
PLANNED = {
    "55.5 %": Truth(0.555),
    "60 %": Truth(0.6),
    "60 %, half ties": Truth(0.6, tie=0.7),
    "60 %, a judge in degrees": Truth(0.6, tie=None),
    "65 %": Truth(0.65),
    "70 %": Truth(0.7),
    "equivalent, half ties": Truth(0.5, tie=0.7),
    "equivalent, nine in ten are ties": Truth(0.51, tie=1.8),
}
SPLITS = ((0.0, 0.05), (0.01, 0.04), (0.025, 0.025), (0.04, 0.01))


def main() -> None:
    """Measure all four, and print a line each."""
    simulated()
    real()
    orders()
    planned()


class Stops(NamedTuple):
    """Where runs end: after so many prompts, and what each says; whether its sequence there misses
    the truth.
    """

    after: Places
    said: list[Outcome]
    missed: Mask


def stops(values: Values, truth: float, alpha: float = 0.05) -> Stops:
    """`Looks` at many runs at once, of shape (runs, prompts); some go through it one by one too."""
    seen, code = np.unique(values, return_inverse=True)
    code = code.reshape(values.shape)
    enough, (runs, prompts) = -math.log(alpha), values.shape
    gains = [betting._gains(seen, mean) for mean in (0.5, 0.5 - MARGIN, 0.5 + MARGIN)]
    logs = [np.tile(betting._STAKES, (runs, 1)) for _ in gains]
    after, kind = np.full(runs, prompts), np.full(runs, NEITHER)
    left = np.arange(runs)
    for start in range(0, prompts, BLOCK):
        block = code[left, start : start + BLOCK]
        half, low, high = (
            _out(log, gain, block, left, enough) for log, gain in zip(logs, gains, strict=True)
        )
        found = np.where(half, DIFFERENT, np.where(low & high, EQUIVALENT, NEITHER))
        found[:, : max(0, FEWEST - 1 - start)] = NEITHER
        first = (found != NEITHER).argmax(axis=1)
        kinds = found[np.arange(len(left)), first]
        over = kinds != NEITHER
        after[left[over]], kind[left[over]] = start + first[over] + 1, kinds[over]
        left = left[~over]
    against = betting._gains(seen, truth)
    said: list[Outcome] = []
    missed = np.zeros(runs, dtype=bool)
    for run, end in enumerate(after.tolist()):
        said.append(_said(values[run, :end], int(kind[run])))
        times = np.bincount(code[run, :end], minlength=len(seen))
        missed[run] = logsumexp(betting._STAKES + times @ against) > enough
        if run < CHECKED:
            _check(values[run, :end], said[run], alpha)
    return Stops(after, said, missed)


def _out(log: Values, gains: Values, block: Places, left: Places, enough: float) -> Mask:
    """Whether a mean is ruled out at each look of a block; `log` is what bets made until then, and
    becomes what they have made after it.
    """
    out = np.zeros(block.shape, dtype=bool)
    for start in range(0, len(left), FEW):
        some = slice(start, start + FEW)
        made = gains[block[some]]
        made[:, 0] += log[left[some]]
        np.cumsum(made, axis=1, out=made)
        log[left[some]] = made[:, -1]
        maybe = made.max(axis=2) + math.log(made.shape[2]) >= enough  # it is not out elsewhere
        out[some][maybe] = logsumexp(made[maybe], axis=1) >= enough
    return out


def _said(values: Values, kind: int) -> Outcome:
    if kind == DIFFERENT:
        return "better" if values.mean() > 0.5 else "worse"
    return "equivalent" if kind == EQUIVALENT else "not enough data"


def _check(values: Values, said: Outcome, alpha: float) -> None:
    looks = Looks(MARGIN, alpha)
    for count, value in enumerate(values.tolist(), 1):
        looks.add(value)
        assert count < FEWEST or count == len(values) or looks.finding is None
    assert (looks.finding is None) == (said == "not enough data")
    assert outcome_of(mean_sequence(values, alpha), MARGIN) == said


def simulated() -> None:
    """--stop when-sure, for each truth."""
    found = {name: _stopped(number, truth) for number, (name, truth) in enumerate(TRUTHS.items())}
    worst = max(max(one["false"], one["missed"]) for one in found.values())
    say(
        "stopping",
        figure=worst,
        unit=f"% false verdicts or intervals, at the worst of {len(found)} truths",
        peer="the 5 % that are declared",
        ratio=5 / max(worst, 1e-9),
        runs=RUNS,
        prompts=LIMIT,
        in_percent=found,
        versions=versions("numpy", "scipy"),
    )


def _stopped(seed: int, truth: Truth) -> dict[str, float]:
    values = _both(*truth.drawn(np.random.default_rng(seed), RUNS, LIMIT))
    ended = stops(values, truth.rate)
    ends = [each[:end].mean() for each, end in zip(values, ended.after, strict=True)]
    fixed = [outcome_of(win_rate(each), MARGIN) for each in values[:FIXED]]
    return {
        "false": _share(truth.false(one) for one in ended.said),
        "missed": _share(ended.missed),
        "found": _share(_found(truth, one) for one in ended.said),
        "fixed_found": _share(_found(truth, one) for one in fixed),
        "fixed_false": _share(truth.false(one) for one in fixed),
        "saved": _percent(1 - float(np.median(ended.after)) / LIMIT),
        "saved_mean": _percent(1 - float(ended.after.mean()) / LIMIT),
        "bias_points": round(100 * float(np.mean(ends) - truth.rate), 2),
    }


def real() -> None:
    """--stop when-sure on preferences of AlpacaEval; nothing where they are not."""
    if not DATA.exists():
        print(f"stopping:alpaca_eval is skipped: there is no {DATA}", file=sys.stderr)
        return
    found, after = {}, []
    for seed, (model, values) in enumerate(_alpaca().items()):
        rng = np.random.default_rng(seed)
        shuffled = np.stack([values, *(rng.permutation(values) for _ in range(SHUFFLES))])
        truth = Truth(float(values.mean()))
        ended = stops(shuffled, truth.rate)
        after.append(ended.after[1:])
        found[model] = {
            "all_prompts": outcome_of(win_rate(values), MARGIN),
            "in_file_order": [ended.said[0], int(ended.after[0])],
            "false": _share(truth.false(one) for one in ended.said[1:]),
            "missed": _share(ended.missed[1:]),
            "said": {one: _share(s == one for s in ended.said[1:]) for one in set(ended.said[1:])},
            "prompts": int(np.median(ended.after[1:])),
            "saved": _percent(1 - float(np.median(ended.after[1:])) / len(values)),
        }
    saved = float(np.median(1 - np.concatenate(after) / len(values)))
    say(
        "stopping:alpaca_eval",
        figure=100 * saved,
        unit=f"% of judgments saved, median of {len(found)} models and {SHUFFLES:,} shuffles",
        peer=f"all {len(values)} prompts",
        ratio=1 / (1 - saved),
        models=found,
    )


def _alpaca() -> dict[str, Values]:
    """The preferences for each model, by prompt; a model against itself is left out."""
    found: dict[str, list[float]] = {}
    with gzip.open(DATA, "rt") as lines:
        for row in csv.DictReader(lines):
            raw = float(row["preference"])
            found.setdefault(row["model"], []).append((raw or 1.5) - 1)
    return {name: np.round(each, 9) for name, each in found.items() if np.ptp(each) > 0}


def orders() -> None:
    """--orders adaptive for each truth, alone and with --stop when-sure."""
    alone, together = {}, {}
    for seed, (name, truth) in enumerate(ORDERED.items()):
        rng = np.random.default_rng(100 + seed)
        alone[name] = _adaptive(rng, truth)
        together[name] = _adaptive_and_stopped(rng, truth)
    worst = max(max(o["false"], o["missed"]) for o in (*alone.values(), *together.values()))
    saved = float(np.mean([one["saved"] for one in alone.values()])) / 100
    say(
        "stopping:orders",
        figure=100 * saved,
        unit=f"% of judgments saved, mean of {len(alone)} truths",
        peer=f"both orders of {ORDERED_PROMPTS} prompts",
        ratio=1 / (1 - saved),
        worst_false_or_missed=worst,
        runs=ORDERED_RUNS,
        alone=alone,
        with_stop={"runs": STOPPED_RUNS, "prompts": LIMIT, **together},
        splits=_splits(),
    )


def _adaptive(rng: np.random.Generator, truth: Truth) -> dict[str, float]:
    """One random order of each prompt, and the other where that does not settle it."""
    first, both = _orders(rng, truth, ORDERED_RUNS, ORDERED_PROMPTS)
    level = 1 - Terms(design=Design(twice=True)).alpha
    singles = [win_rate(each, None, level) for each in first]
    again = [outcome_of(one, MARGIN) == "not enough data" for one in singles]
    rates = [
        win_rate(whole, None, level) if more else one
        for one, whole, more in zip(singles, both, again, strict=True)
    ]
    fixed = [win_rate(each) for each in both]
    said, always = ([outcome_of(one, MARGIN) for one in each] for each in (rates, fixed))
    # What both orders say has no bias, so what is reported is compared with that: it varies less.
    off = 100 * (np.array([rate.estimate for rate in rates]) - both.mean(axis=1))
    return {
        "false": _share(truth.false(one) for one in said),
        "missed": _share(not rate.low <= truth.rate <= rate.high for rate in rates),
        "always_missed": _share(not rate.low <= truth.rate <= rate.high for rate in fixed),
        "bias_points": round(float(off.mean()), 3),
        "bias_error": round(float(off.std(ddof=1)) / math.sqrt(len(off)), 3),
        "bias_of_one_order": round(100 * float((first - both).mean()), 3),
        "found": _share(_found(truth, one) for one in said),
        "always_found": _share(_found(truth, one) for one in always),
        "second_orders_saved": _percent(1 - float(np.mean(again))),
        "saved": _percent((1 - float(np.mean(again))) / 2),
    }


def _adaptive_and_stopped(rng: np.random.Generator, truth: Truth) -> dict[str, float]:
    """A sequence over single orders, and where it is not sure at the limit one over both."""
    first, both = _orders(rng, truth, STOPPED_RUNS, LIMIT)
    alpha = Terms(design=Design(anytime=True, twice=True)).alpha
    single, again = stops(first, truth.rate, alpha), stops(both, truth.rate, alpha)
    always = stops(both, truth.rate)
    more = np.array([one == "not enough data" for one in single.said])
    said = [b if m else a for a, b, m in zip(single.said, again.said, more, strict=True)]
    judged = np.where(more, LIMIT + again.after, single.after)
    return {
        "false": _share(truth.false(one) for one in said),
        "missed": _share(np.where(more, again.missed, single.missed)),
        "found": _share(_found(truth, one) for one in said),
        "always_found": _share(_found(truth, one) for one in always.said),
        "judgments": round(float(judged.mean()), 1),
        "always_judgments": round(2 * float(always.after.mean()), 1),
    }


def _splits() -> dict[str, dict[str, float]]:
    """Judgments that it takes to find a winner, for truths and splits of the 5 %."""
    found: dict[str, dict[str, float]] = {}
    for name in ("60 %", "60 %, a strong habit", "60 %, half ties"):
        rng = np.random.default_rng(200)
        first, both = _orders(rng, ORDERED[name], ORDERED_RUNS, 900)
        found[name] = {f"{a:g}/{b:g}": _cheapest(first, both, a, b) for a, b in SPLITS}
    return found


def _cheapest(first: Values, both: Values, one: float, two: float) -> float:
    """Judgments of a run on the fewest prompts that find a winner in 80 of 100 runs."""
    for prompts in range(40, both.shape[1], 5):
        sure = _above(first[:, :prompts], one)
        if (sure | _above(both[:, :prompts], two)).mean() >= 0.8:
            return round(prompts * (2 - float(sure.mean())), 1)
    return math.inf


def _above(values: Values, alpha: float) -> Mask:
    """Whether the t interval of `win_rate` is above a half, for all runs at once."""
    n = values.shape[1]
    half = stats.t.ppf(1 - alpha / 2, n - 1) * values.std(axis=1, ddof=1) / math.sqrt(n)
    return np.asarray(values.mean(axis=1) - half > 0.5)


def planned() -> None:
    """What a run that is looked at takes to be as sure as one of a fixed number."""
    found = {}
    for seed, (name, truth) in enumerate(PLANNED.items()):
        rng = np.random.default_rng(300 + seed)
        sd = float(_both(*truth.drawn(rng, 1, 100_000)).std())
        away = abs(truth.rate - 0.5)
        n = prompts_needed(sd, away) if away > MARGIN else prompts_to_fit(sd, away, MARGIN)
        assert n is not None
        runs = _both(*truth.drawn(rng, PLANNED_RUNS, 4 * n))
        one = {f"{alpha:g}": stops(runs, truth.rate, alpha) for alpha in (0.05, 0.01, 0.001)}
        found[name] = {"fixed": n} | {
            f"at_{alpha}": round(float(np.quantile(_ends(ended), 0.8)) / n, 2)
            for alpha, ended in one.items()
        }
        found[name]["median_at_0.05"] = round(float(np.median(one["0.05"].after)) / n, 2)
    times = float(np.median([one["at_0.05"] for one in found.values()]))
    say(
        "stopping:planning",
        figure=times,
        unit="times the prompts of a fixed number, for 80 % power at any look, in the median",
        peer=f"the {planning._ANYTIME:g} of stats/planning.py",
        ratio=planning._ANYTIME / times,
        runs=PLANNED_RUNS,
        truths=found,
    )


def _ends(ended: Stops) -> Values:
    """After how many prompts runs are sure; infinity for those that are not."""
    unsure = np.array([one == "not enough data" for one in ended.said])
    return np.where(unsure, math.inf, ended.after)


def _orders(
    rng: np.random.Generator, truth: Truth, runs: int, prompts: int
) -> tuple[Values, Values]:
    """Preferences in an order that is drawn for each prompt, and in both."""
    one, other = truth.drawn(rng, runs, prompts)
    return np.where(rng.random(one.shape) < 0.5, one, other), _both(one, other)


def _both(one: Values, other: Values) -> Values:
    return (one + other) / 2


def _found(truth: Truth, said: Outcome) -> bool:
    return said != "not enough data" and not truth.false(said)


def _share(which: Iterable[bool]) -> float:
    """In percent."""
    return _percent(float(np.mean(list(which))))


def _percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    main()
