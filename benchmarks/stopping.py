"""Measures error rates and savings of runs that stop early, against fixed designs.

    python benchmarks/stopping.py

Prints a JSON line per part; `ratio` is the peer's value divided by ours, or the other way round
where more is better. Prompts are simulated: each has a difference between its two completions,
normal around the true one, and a judge adds noise and a position bias, so the truth of both orders
is known. A verdict is false if it names a winner where there is none or the wrong one, or says
"equivalent" where the truth is outside of the margin; `found` counts true verdicts other than "not
enough data"; `missed` counts intervals that do not contain the truth. All are percentages of runs.

`stopping`: up to 500 prompts in both orders, tested after each, for several truths; `fixed` is the
interval of all 500. `saved` is the median share of judgments. The peer is the declared 5 %.

`stopping:alpaca_eval`: the same on 805 recorded preferences for each of several models, whose mean
is the truth: in the order of the file, and shuffled. Skipped where the data is absent.

`stopping:orders`: `--orders adaptive`, for several limits and truths, against `both` orders of the
same prompts and `one` random order of each; `same` is the share of verdicts equal to both orders'.

`stopping:orders_stopped`: the same with --stop when-sure, on up to 500 prompts.

`stopping:planning`: the prompts that 80 of 100 sequential runs need, as a multiple of the prompts
of a fixed design with 80 % power, by effect. The peer is the factor in `stats/power.py`.
"""

import csv
import gzip
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness.results import print_result, versions
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from bakeoff import Config
from bakeoff.analysis.verdict import interval_outcome
from bakeoff.evaluation import sequential
from bakeoff.evaluation.sequential import MIN_PROMPTS, Schedule
from bakeoff.records import Judgment, Message, Outcome, Prompt, Verdict
from bakeoff.stats import sequential as betting
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.power import (
    OrderVariances,
    prompts_for_equivalence,
    prompts_needed,
    second_order_may_matter,
    sequential_factor,
)
from bakeoff.stats.sequential import SequentialTest, mean_confidence_sequence

DATA = Path(__file__).parents[2] / "shared" / "data" / "alpaca_eval" / "judgments_compact.csv.gz"
RUNS, LIMIT, SHUFFLES = 1_000, 500, 1_000
FIXED = 400  # of the runs are also judged as a fixed number
LIMITS, ORDERED_RUNS, STOPPED_RUNS = (100, 200, 500), 600, 400
PLANNED_RUNS, ALPHAS = 300, (0.05, 0.01, 0.001)
CHECKED = 2  # runs of each kind that also go through `SequentialTest` and `Schedule` themselves
MARGIN = 0.05
BLOCK = 40  # looks at once: more do not fit into a cache
Z = float(stats.norm.ppf(0.975))

Values = NDArray[np.float64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]


class Truth(NamedTuple):
    """The true difference of two models, and the judge's errors.

    `tie` is the largest difference that is a tie; None: the judge returns a probability.
    `position_bias` is the advantage of the first place, `noise` the sd of a verdict's noise, where
    differences between prompts have sd 1.
    """

    rate: float
    tie: float | None = 0.0
    position_bias: float = 0.3
    noise: float = 0.5

    def false(self, outcome: Outcome) -> bool:
        """Whether a verdict is false: one that is too careful is not."""
        if outcome == "equivalent":
            return abs(self.rate - 0.5) > MARGIN
        if self.rate == 0.5:
            return outcome != "not enough data"
        return outcome == ("worse" if self.rate > 0.5 else "better")

    def draw(self, rng: np.random.Generator, *shape: int) -> tuple[Values, Values]:
        """Preferences for the one model when it is shown first, and when it is shown second."""
        middle = float(brentq(lambda mean: self._rate(mean) - self.rate, -9, 9))
        prompts = rng.normal(middle, 1, shape)
        one, other = (self._judged(rng, prompts + side * self.position_bias) for side in (1, -1))
        return one, other

    def _judged(self, rng: np.random.Generator, seen: Values) -> Values:
        if self.tie is None:
            return np.round(stats.norm.cdf(seen / self.noise), 3)
        seen = seen + rng.normal(0, self.noise, seen.shape)
        return np.where(np.abs(seen) < self.tie, 0.5, seen > 0)

    def _rate(self, mean: float) -> float:
        sides = np.array([mean + self.position_bias, mean - self.position_bias])
        edges = np.array([[-1.0], [1.0]]) * (self.tie or 0.0)
        return float(stats.norm.cdf((sides + edges) / math.hypot(1, self.noise)).mean())


TRUTHS = {
    "none, no ties": Truth(0.5),
    "none, half ties": Truth(0.5, tie=0.7),
    "none, nine in ten are ties": Truth(0.5, tie=1.8),
    "none, a judge in degrees": Truth(0.5, tie=None),
    "none, a strong position bias": Truth(0.5, position_bias=1.5),
    "52 %, nine in ten are ties": Truth(0.52, tie=1.8),
    "53 %": Truth(0.53),
    "just outside of the margin, ties": Truth(0.5501, tie=1.8),
    "57 %": Truth(0.57),
    "60 %": Truth(0.6),
    "60 %, a judge in degrees": Truth(0.6, tie=None),
    "60 %, half ties": Truth(0.6, tie=0.7),
    "60 %, a strong position bias": Truth(0.6, position_bias=1.5),
    "70 %": Truth(0.7),
    "95 %": Truth(0.95),
}
ORDERED = {
    name: TRUTHS[name]
    for name in (
        *("none, no ties", "none, half ties", "none, a strong position bias", "57 %", "60 %"),
        *("60 %, half ties", "60 %, a judge in degrees", "60 %, a strong position bias", "70 %"),
    )
} | {"60 %, orders agree": Truth(0.6, position_bias=0.05, noise=0.05)}
PLANNED = {
    name: TRUTHS[name]
    for name in ("60 %", "60 %, half ties", "60 %, a judge in degrees", "70 %", "none, half ties")
} | {
    "55.5 %": Truth(0.555),
    "65 %": Truth(0.65),
    "51 %, nine in ten are ties": Truth(0.51, tie=1.8),
}


def main() -> None:
    """Run the five parts, and print their lines."""
    measure_stopping()
    measure_alpaca_eval()
    measure_orders()
    measure_stopped_orders()
    measure_planning()


class Stops(NamedTuple):
    """The ends of runs: the number of prompts, the outcome, and whether the confidence sequence
    misses the truth there.
    """

    after: Places
    outcomes: list[Outcome]
    missed: Mask


def stops(values: Values, truth: float, alpha: float = 0.05) -> Stops:
    """`SequentialTest` for many runs, of shape (runs, prompts), a block of looks at once; some go
    through it one by one too.
    """
    seen, code = np.unique(values, return_inverse=True)
    means = (0.5, 0.5 - MARGIN, 0.5 + MARGIN, truth)
    gains = np.stack([_gains(seen, mean) for mean in means])
    result = [_stop(gains, run, alpha) for run in code.reshape(values.shape)]
    outcomes: list[Outcome] = []
    for run, (end, sure, _) in zip(values, result, strict=True):
        side: Outcome = "better" if run[:end].mean() > 0.5 else "worse"
        outcomes.append(side if sure == "different" else sure or "not enough data")
    for run in range(CHECKED):
        _check(values[run, : result[run][0]], outcomes[run], alpha)
    after, missed = ([one[place] for one in result] for place in (0, 2))
    return Stops(np.array(after), outcomes, np.array(missed))


def _gains(seen: Values, mean: float) -> Values:
    """What each belief makes of these values: those between hundredths are both, in part."""
    at = np.minimum((seen * betting._STEPS).astype(int), betting._STEPS - 1)
    part = (seen * betting._STEPS - at)[:, None]
    whole = betting._log_gains(betting._GRID, mean)
    return np.asarray((1 - part) * whole[at] + part * whole[at + 1])


def _stop(gains: Values, run: Places, alpha: float) -> tuple[int, betting.Decision | None, bool]:
    """After how many prompts a run ends, what it has found, and whether it misses the truth."""
    logs, enough = np.tile(betting._LOG_WEIGHTS, (len(gains), 1, 1)), -math.log(alpha)
    for start in range(0, len(run), BLOCK):
        made = logs + gains[:, run[start : start + BLOCK]].cumsum(axis=1)
        out = made.max(axis=2) + math.log(made.shape[2]) >= enough  # it is not elsewhere
        out[out] = betting._log_sum(made[out]) >= enough
        sure = out[0] | out[1] & out[2]
        sure[: max(0, MIN_PROMPTS - 1 - start)] = False
        if sure.any():
            first = int(sure.argmax())
            result: betting.Decision = "different" if out[0, first] else "equivalent"
            return start + first + 1, result, bool(out[3, first])
        logs = made[:, -1:]
    return len(run), None, bool(out[3, -1])


def _check(values: Values, outcome: Outcome, alpha: float) -> None:
    looks = SequentialTest(MARGIN, alpha)
    for count, value in enumerate(values.tolist(), 1):
        looks.add(value)
        assert count < MIN_PROMPTS or count == len(values) or looks.decision is None
    assert (looks.decision is None) == (outcome == "not enough data")
    assert interval_outcome(mean_confidence_sequence(values, alpha), MARGIN) == outcome


def measure_stopping() -> None:
    """--stop when-sure, for each truth."""
    result = {name: _stopped(number, truth) for number, (name, truth) in enumerate(TRUTHS.items())}
    worst = max(max(one["false"], one["missed"]) for one in result.values())
    print_result(
        "stopping",
        figure=worst,
        unit=f"% false verdicts or intervals, at the worst of {len(result)} truths",
        peer="the 5 % that are declared",
        ratio=5 / max(worst, 1e-9),
        runs=RUNS,
        prompts=LIMIT,
        in_percent=result,
        versions=versions("numpy", "scipy"),
    )


def _stopped(seed: int, truth: Truth) -> dict[str, float]:
    values = _both(*truth.draw(np.random.default_rng(seed), RUNS, LIMIT))
    ended = stops(values, truth.rate)
    ends = [each[:end].mean() for each, end in zip(values, ended.after, strict=True)]
    fixed = [interval_outcome(win_rate(each), MARGIN) for each in values[:FIXED]]
    return {
        "false": _share(truth.false(one) for one in ended.outcomes),
        "missed": _share(ended.missed),
        "found": _share(_decided(truth, one) for one in ended.outcomes),
        "fixed_found": _share(_decided(truth, one) for one in fixed),
        "fixed_false": _share(truth.false(one) for one in fixed),
        "saved": _percent(1 - float(np.median(ended.after)) / LIMIT),
        "saved_mean": _percent(1 - float(ended.after.mean()) / LIMIT),
        "bias_points": round(100 * float(np.mean(ends) - truth.rate), 2),
    }


def measure_alpaca_eval() -> None:
    """--stop when-sure on preferences of AlpacaEval; nothing where they are not."""
    if not DATA.exists():
        print(f"stopping:alpaca_eval is skipped: there is no {DATA}", file=sys.stderr)
        return
    result, after = {}, []
    for seed, (model, values) in enumerate(_alpaca().items()):
        rng = np.random.default_rng(seed)
        shuffled = np.stack([values, *(rng.permutation(values) for _ in range(SHUFFLES))])
        truth = Truth(float(values.mean()))
        ended = stops(shuffled, truth.rate)
        after.append(ended.after[1:])
        result[model] = {
            "all_prompts": interval_outcome(win_rate(values), MARGIN),
            "in_file_order": [ended.outcomes[0], int(ended.after[0])],
            "false": _share(truth.false(one) for one in ended.outcomes[1:]),
            "missed": _share(ended.missed[1:]),
            "verdicts": {
                one: _share(s == one for s in ended.outcomes[1:]) for one in set(ended.outcomes[1:])
            },
            "prompts": int(np.median(ended.after[1:])),
            "saved": _percent(1 - float(np.median(ended.after[1:])) / len(values)),
        }
    saved = float(np.median(1 - np.concatenate(after) / len(values)))
    print_result(
        "stopping:alpaca_eval",
        figure=100 * saved,
        unit=f"% of judgments saved, median of {len(result)} models and {SHUFFLES:,} shuffles",
        peer=f"all {len(values)} prompts",
        ratio=1 / (1 - saved),
        models=result,
    )


def _alpaca() -> dict[str, Values]:
    """The preferences for each model, by prompt; a model against itself is left out."""
    result: dict[str, list[float]] = {}
    with gzip.open(DATA, "rt") as lines:
        for row in csv.DictReader(lines):
            raw = float(row["preference"])
            result.setdefault(row["model"], []).append((raw or 1.5) - 1)
    return {name: np.round(each, 9) for name, each in result.items() if np.ptp(each) > 0}


def measure_orders() -> None:
    """--orders adaptive for each limit and truth."""
    result = {
        str(limit): {
            name: _adaptive(np.random.default_rng((limit, seed)), truth, limit)
            for seed, (name, truth) in enumerate(ORDERED.items())
        }
        for limit in LIMITS
    }
    each = [one for of_limit in result.values() for one in of_limit.values()]
    biases = [abs(one["bias_points"]) / (one["bias_error"] or 1) for one in each]
    saved = float(np.mean([one["second_saved"] for one in each])) / 200
    print_result(
        "stopping:orders",
        figure=100 * saved,
        unit=f"% of judgments saved, mean of {len(ORDERED)} truths and {len(LIMITS)} limits",
        peer="both orders of the same prompts",
        ratio=1 / (1 - saved),
        runs=ORDERED_RUNS,
        means={key: round(float(np.mean([one[key] for one in each])), 2) for key in each[0]},
        most_false=max(one["false"] for one in each),
        most_bias_in_errors=round(max(biases), 2),
        limits=result,
    )


def _adaptive(rng: np.random.Generator, truth: Truth, limit: int) -> dict[str, float]:
    drawn = Drawn.of(rng, truth, ORDERED_RUNS, limit)
    ours, twice = drawn.chosen(Z)
    drawn.check(twice)
    every = {"": ours, "both_": drawn.both, "one_": drawn.single}
    rates = {kind: [win_rate(run) for run in values] for kind, values in every.items()}
    outcomes = {
        kind: [interval_outcome(rate, MARGIN) for rate in each] for kind, each in rates.items()
    }
    # What both orders say has no bias, so what is reported is compared with that: it varies less.
    off = 100 * (ours.mean(axis=1) - drawn.both.mean(axis=1))
    result: dict[str, float] = {}
    for kind in every:
        result |= {
            f"{kind}false": _share(truth.false(one) for one in outcomes[kind]),
            f"{kind}missed": _share(not r.low <= truth.rate <= r.high for r in rates[kind]),
            f"{kind}found": _share(_decided(truth, one) for one in outcomes[kind]),
            f"{kind}same": _share(map(str.__eq__, outcomes[kind], outcomes["both_"])),
        }
    del result["both_same"]
    return result | {
        "bias_points": round(float(off.mean()), 3),
        "bias_error": round(float(off.std(ddof=1)) / math.sqrt(len(off)), 3),
        "second_saved": _percent(1 - float(twice.mean())),
    }


def measure_stopped_orders() -> None:
    """--orders adaptive with --stop when-sure, for each truth."""
    result = {}
    for seed, (name, truth) in enumerate(ORDERED.items()):
        drawn = Drawn.of(np.random.default_rng(200 + seed), truth, STOPPED_RUNS, LIMIT)
        ours, twice = drawn.chosen(Z * sequential_factor(0.05) ** 0.5)
        ended, both, one = (stops(v, truth.rate) for v in (ours, drawn.both, drawn.single))
        drawn.check(twice, ended)
        bought = [end + run[:end].sum() for end, run in zip(ended.after, twice, strict=True)]
        result[name] = {
            "false": _share(map(truth.false, ended.outcomes)),
            "missed": _share(ended.missed),
            "same": _share(map(str.__eq__, ended.outcomes, both.outcomes)),
            "found": _share(_decided(truth, outcome) for outcome in ended.outcomes),
            "both_found": _share(_decided(truth, outcome) for outcome in both.outcomes),
            "one_found": _share(_decided(truth, outcome) for outcome in one.outcomes),
            "judgments": round(float(np.mean(bought)), 1),
            "both_judgments": round(2 * float(both.after.mean()), 1),
            "one_judgments": round(float(one.after.mean()), 1),
        }
    shares = [one["judgments"] / one["both_judgments"] for one in result.values()]
    print_result(
        "stopping:orders_stopped",
        figure=100 * (1 - float(np.mean(shares))),
        unit=f"% of judgments saved, mean of {len(result)} truths",
        peer="--stop when-sure with both orders",
        ratio=1 / float(np.mean(shares)),
        runs=STOPPED_RUNS,
        prompts=LIMIT,
        truths=result,
    )


class Drawn(NamedTuple):
    """Preferences for a when it is shown first, and second, of shape (runs, prompts); and which of
    them one random order would ask for.
    """

    first: Values
    second: Values
    a_first: Mask

    @classmethod
    def of(cls, rng: np.random.Generator, truth: Truth, runs: int, prompts: int) -> "Drawn":
        """Draw the preferences and the first orders of `runs` runs."""
        return cls(*truth.draw(rng, runs, prompts), rng.random((runs, prompts)) < 0.5)

    @property
    def single(self) -> Values:
        """In one random order."""
        return np.where(self.a_first, self.first, self.second)

    @property
    def both(self) -> Values:
        """In both orders."""
        return _both(self.first, self.second)

    def chosen(self, z: float) -> tuple[Values, Mask]:
        """What `Schedule` asks for of each run, wave by wave, and where that is both orders."""
        values, both = self.single, self.both
        twice = np.ones(both.shape, dtype=bool)
        runs, limit = both.shape
        for run in range(runs):
            ours, again = values[run], twice[run]
            end, size, matters = 0, sequential._FIRST_STAGE, True
            while end < limit:
                wave = slice(end, end + size)
                again[wave] = matters
                ours[wave] = both[run, wave] if matters else ours[wave]
                end += size
                size = max(sequential._MIN_STAGE, int(sequential._STAGE_GROWTH * end))
                if end < limit:
                    apart = np.concatenate([each[run, :end] for each in self[:2]])
                    known = again[:end]
                    spread = OrderVariances(
                        float(apart[np.tile(known, 2)].var(ddof=1)),
                        float(ours[:end][known].var(ddof=1)),
                    )
                    matters = second_order_may_matter(ours[:end], spread, limit, MARGIN, z)
        return values, twice

    def check(self, twice: Mask, ended: Stops | None = None) -> None:
        """Some runs by `Schedule` itself, which asks for no more and no less."""
        limit, pair = self.first.shape[1], ("a", "b")
        messages = (Message(role="user", content="?"),)
        prompts = [Prompt(id=str(n), messages=messages) for n in range(limit)]
        config = Config(model=("x", "y"), orders="adaptive", stop="when-sure" if ended else "never")
        for run in range(CHECKED):
            schedule = Schedule(config, prompts, pair)

            def judged(
                _: object, prompt: Prompt, run: int = run, schedule: Schedule = schedule
            ) -> Sequence[Judgment] | None:
                at = int(prompt.id)
                if not schedule.pairs_on(prompt):
                    return None
                shown = self.a_first[run, at], not self.a_first[run, at]
                return [
                    _judgment(prompt.id, first, float(self[not first][run, at]))
                    for first in shown[: 1 + schedule.both_orders(pair, prompt.id)]
                ]

            while schedule.advance(judged):
                pass
            (course,) = schedule.progress
            end = int(ended.after[run]) if ended else limit
            both = [stage.both_orders for stage in course.stages for _ in stage.positions]
            assert both == twice[run, :end].tolist()


def _judgment(prompt_id: str, a_first: bool, for_a: float) -> Judgment:
    names = ("a", "b") if a_first else ("b", "a")
    verdict = Verdict(first=for_a if a_first else 1 - for_a)
    return Judgment(
        prompt_id=prompt_id, judge="j", first=names[0], second=names[1], verdict=verdict
    )


def measure_planning() -> None:
    """What a run that is looked at takes to be as sure as one of a fixed number."""
    result = {}
    for seed, (name, truth) in enumerate(PLANNED.items()):
        rng = np.random.default_rng(300 + seed)
        sd = float(_both(*truth.draw(rng, 1, 100_000)).std())
        away = abs(truth.rate - 0.5)
        n = prompts_needed(sd, away) if away > MARGIN else prompts_for_equivalence(sd, away, MARGIN)
        assert n is not None
        runs = _both(*truth.draw(rng, PLANNED_RUNS, 4 * n))
        one = {f"{alpha:g}": stops(runs, truth.rate, alpha) for alpha in ALPHAS}
        result[name] = {"fixed": n} | {
            f"at_{alpha}": round(float(np.quantile(_ends(ended), 0.8)) / n, 2)
            for alpha, ended in one.items()
        }
        result[name]["median_at_0.05"] = round(float(np.median(one["0.05"].after)) / n, 2)
    times = float(np.median([one["at_0.05"] for one in result.values()]))
    print_result(
        "stopping:planning",
        figure=times,
        unit="times the prompts of a fixed number, for 80 % power at any look, in the median",
        peer=f"the {sequential_factor(0.05):.3g} of stats/power.py",
        ratio=sequential_factor(0.05) / times,
        planned={f"at_{alpha:g}": round(sequential_factor(alpha), 2) for alpha in ALPHAS},
        runs=PLANNED_RUNS,
        truths=result,
    )


def _ends(ended: Stops) -> Values:
    """After how many prompts runs are sure; infinity for those that are not."""
    unsure = np.array([one == "not enough data" for one in ended.outcomes])
    return np.where(unsure, math.inf, ended.after)


def _both(one: Values, other: Values) -> Values:
    return (one + other) / 2


def _decided(truth: Truth, outcome: Outcome) -> bool:
    return outcome != "not enough data" and not truth.false(outcome)


def _share(which: Iterable[bool]) -> float:
    """In percent."""
    return _percent(float(np.mean(list(which))))


def _percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    main()
