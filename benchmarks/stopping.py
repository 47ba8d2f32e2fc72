"""Measures error rates and savings of runs that stop early, against fixed designs.

    python benchmarks/stopping.py

Prints a JSON line per part; `ratio` is the peer's value divided by ours, or the other way round
where more is better. Prompts are simulated: each has a difference between its two completions,
normal around the true one, and a judge adds noise and a position bias, so the truth of both orders
is known. A verdict is false if it names a winner where there is none or the wrong one, or says
"equivalent" where the truth is outside of the margin; `found` counts true verdicts other than "not
enough data"; `missed` counts intervals that do not contain the truth. All are percentages of runs.

`stopping`: up to 500 prompts in both orders, tested after each, for several truths; `fixed_*` are
of the interval of all 500. `saved` is the median share of judgments. The peer is the declared 5 %.

`stopping:alpaca_eval`: the same on 805 recorded preferences for each of several models, whose mean
is the truth: in the order of the file, and shuffled. Skipped where the data is absent.

`stopping:orders`: `--orders adaptive`, for several limits and truths, against `both` orders of the
same prompts and `one` random order of each; `same` is the share of verdicts equal to both orders'.

`stopping:orders_stopped`: the same with --stop early, on up to 500 prompts.

`stopping:planning`: the prompts that 80 of 100 sequential runs need, as a multiple of the prompts
of a fixed design with 80 % power, by effect. The peer is the factor in
`stats/detectable_rates.py`.
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
from bakeoff.stats.detectable_rates import sequential_factor
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.power import (
    OrderVariances,
    prompts_for_equivalence,
    prompts_needed,
    second_order_may_matter,
)
from bakeoff.stats.sequential import SequentialTest, mean_confidence_sequence

DATA = Path(__file__).parents[2] / "shared" / "data" / "alpaca_eval" / "judgments_compact.csv.gz"
RUNS, LIMIT, SHUFFLES = 1_000, 500, 1_000
FIXED = 400  # runs that are also evaluated at a fixed sample size
LIMITS, ORDERED_RUNS, STOPPED_RUNS = (100, 200, 500), 600, 400
PLANNED_RUNS, ALPHAS = 300, (0.05, 0.01, 0.001)
CHECKED = 2  # runs of each kind that are checked against `SequentialTest` and `Schedule`
MARGIN = 0.05
BLOCK = 40  # looks per block, limited by the CPU cache
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
        """Whether a verdict is false; "not enough data" never is."""
        if outcome == "equivalent":
            return abs(self.rate - 0.5) > MARGIN
        if self.rate == 0.5:
            return outcome != "not enough data"
        return outcome == ("worse" if self.rate > 0.5 else "better")

    def draw(self, rng: np.random.Generator, *shape: int) -> tuple[Values, Values]:
        """Preferences for a when it is shown first, and when it is shown second."""
        middle = float(brentq(lambda mean: self._rate(mean) - self.rate, -9, 9))
        prompts = rng.normal(middle, 1, shape)
        first, second = (self._judged(rng, prompts + side * self.position_bias) for side in (1, -1))
        return first, second

    def _judged(self, rng: np.random.Generator, perceived: Values) -> Values:
        if self.tie is None:
            return np.round(stats.norm.cdf(perceived / self.noise), 3)
        perceived = perceived + rng.normal(0, self.noise, perceived.shape)
        return np.where(np.abs(perceived) < self.tie, 0.5, perceived > 0)

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


class Stopped(NamedTuple):
    """For each run the prompts at which it stops, its outcome, and whether its interval there
    excludes the truth.
    """

    counts: Places
    outcomes: list[Outcome]
    missed: Mask


def run_tests(values: Values, truth: float, alpha: float = 0.05) -> Stopped:
    """Vectorized `SequentialTest` for values of shape (runs, prompts); some runs are checked
    against the class itself.
    """
    distinct, code = np.unique(values, return_inverse=True)
    means = (0.5, 0.5 - MARGIN, 0.5 + MARGIN, truth)
    gains = np.stack([_gains(distinct, mean) for mean in means])
    stopped_runs = [_stop(gains, run, alpha) for run in code.reshape(values.shape)]
    outcomes: list[Outcome] = []
    for run, (end, sure, _) in zip(values, stopped_runs, strict=True):
        side: Outcome = "better" if run[:end].mean() > 0.5 else "worse"
        outcomes.append(side if sure == "different" else sure or "not enough data")
    for run in range(CHECKED):
        _check(values[run, : stopped_runs[run][0]], outcomes[run], alpha)
    counts, missed = ([result[place] for result in stopped_runs] for place in (0, 2))
    return Stopped(np.array(counts), outcomes, np.array(missed))


def _gains(values: Values, mean: float) -> Values:
    """Log gains of each belief per value; values between hundredths are interpolated."""
    at = np.minimum((values * betting._STEPS).astype(int), betting._STEPS - 1)
    part = (values * betting._STEPS - at)[:, None]
    exact = betting._log_gains(betting._GRID, mean)
    return np.asarray((1 - part) * exact[at] + part * exact[at + 1])


def _stop(gains: Values, run: Places, alpha: float) -> tuple[int, betting.Decision | None, bool]:
    """The prompts at which a run stops, its decision, and whether it excludes the truth."""
    logs, enough = np.tile(betting._LOG_WEIGHTS, (len(gains), 1, 1)), -math.log(alpha)
    for start in range(0, len(run), BLOCK):
        extended = logs + gains[:, run[start : start + BLOCK]].cumsum(axis=1)
        excluded = (
            extended.max(axis=2) + math.log(extended.shape[2]) >= enough
        )  # the maximum over beliefs bounds the mixture
        excluded[excluded] = betting._log_sum(extended[excluded]) >= enough
        sure = excluded[0] | excluded[1] & excluded[2]
        sure[: max(0, MIN_PROMPTS - 1 - start)] = False
        if sure.any():
            first = int(sure.argmax())
            decision: betting.Decision = "different" if excluded[0, first] else "equivalent"
            return start + first + 1, decision, bool(excluded[3, first])
        logs = extended[:, -1:]
    return len(run), None, bool(excluded[3, -1])


def _check(values: Values, outcome: Outcome, alpha: float) -> None:
    looks = SequentialTest(MARGIN, alpha)
    for count, value in enumerate(values.tolist(), 1):
        looks.add(value)
        assert count < MIN_PROMPTS or count == len(values) or looks.decision is None
    assert (looks.decision is None) == (outcome == "not enough data")
    assert interval_outcome(mean_confidence_sequence(values, alpha), MARGIN) == outcome


def measure_stopping() -> None:
    """--stop early, for each truth."""
    results = {name: _stopped(number, truth) for number, (name, truth) in enumerate(TRUTHS.items())}
    worst = max(max(result["false"], result["missed"]) for result in results.values())
    print_result(
        "stopping",
        figure=worst,
        unit=f"% false verdicts or intervals, at the worst of {len(results)} truths",
        peer="the 5 % that are declared",
        ratio=5 / max(worst, 1e-9),
        runs=RUNS,
        prompts=LIMIT,
        in_percent=results,
        versions=versions("numpy", "scipy"),
    )


def _stopped(seed: int, truth: Truth) -> dict[str, float]:
    values = _both(*truth.draw(np.random.default_rng(seed), RUNS, LIMIT))
    ended = run_tests(values, truth.rate)
    ends = [run[:end].mean() for run, end in zip(values, ended.counts, strict=True)]
    fixed = [interval_outcome(win_rate(run), MARGIN) for run in values[:FIXED]]
    return {
        "false": _share(truth.false(outcome) for outcome in ended.outcomes),
        "missed": _share(ended.missed),
        "found": _share(_is_true_finding(truth, outcome) for outcome in ended.outcomes),
        "fixed_found": _share(_is_true_finding(truth, outcome) for outcome in fixed),
        "fixed_false": _share(truth.false(outcome) for outcome in fixed),
        "saved": _percent(1 - float(np.median(ended.counts)) / LIMIT),
        "saved_mean": _percent(1 - float(ended.counts.mean()) / LIMIT),
        "bias_points": round(100 * float(np.mean(ends) - truth.rate), 2),
    }


def measure_alpaca_eval() -> None:
    """--stop early on preferences of AlpacaEval; skipped without the data."""
    if not DATA.exists():
        print(f"stopping:alpaca_eval is skipped: there is no {DATA}", file=sys.stderr)
        return
    results, counts = {}, []
    for seed, (model, values) in enumerate(_alpaca().items()):
        rng = np.random.default_rng(seed)
        shuffled = np.stack([values, *(rng.permutation(values) for _ in range(SHUFFLES))])
        truth = Truth(float(values.mean()))
        ended = run_tests(shuffled, truth.rate)
        counts.append(ended.counts[1:])
        results[model] = {
            "all_prompts": interval_outcome(win_rate(values), MARGIN),
            "in_file_order": [ended.outcomes[0], int(ended.counts[0])],
            "false": _share(truth.false(outcome) for outcome in ended.outcomes[1:]),
            "missed": _share(ended.missed[1:]),
            "said": {
                outcome: _share(s == outcome for s in ended.outcomes[1:])
                for outcome in set(ended.outcomes[1:])
            },
            "prompts": int(np.median(ended.counts[1:])),
            "saved": _percent(1 - float(np.median(ended.counts[1:])) / len(values)),
        }
    saved = float(np.median(1 - np.concatenate(counts) / len(values)))
    print_result(
        "stopping:alpaca_eval",
        figure=100 * saved,
        unit=f"% of judgments saved, median of {len(results)} models and {SHUFFLES:,} shuffles",
        peer=f"all {len(values)} prompts",
        ratio=1 / (1 - saved),
        models=results,
    )


def _alpaca() -> dict[str, Values]:
    """The preferences for each model, by prompt; a model against itself is left out."""
    preferences: dict[str, list[float]] = {}
    with gzip.open(DATA, "rt") as lines:
        for row in csv.DictReader(lines):
            raw = float(row["preference"])
            preferences.setdefault(row["model"], []).append((raw or 1.5) - 1)
    return {name: np.round(values, 9) for name, values in preferences.items() if np.ptp(values) > 0}


def measure_orders() -> None:
    """--orders adaptive for each limit and truth."""
    results = {
        str(limit): {
            name: _adaptive(np.random.default_rng((limit, seed)), truth, limit)
            for seed, (name, truth) in enumerate(ORDERED.items())
        }
        for limit in LIMITS
    }
    every_result = [result for of_limit in results.values() for result in of_limit.values()]
    biases = [abs(result["bias_points"]) / (result["bias_error"] or 1) for result in every_result]
    saved = float(np.mean([result["second_saved"] for result in every_result])) / 200
    print_result(
        "stopping:orders",
        figure=100 * saved,
        unit=f"% of judgments saved, mean of {len(ORDERED)} truths and {len(LIMITS)} limits",
        peer="both orders of the same prompts",
        ratio=1 / (1 - saved),
        runs=ORDERED_RUNS,
        means={
            key: round(float(np.mean([result[key] for result in every_result])), 2)
            for key in every_result[0]
        },
        most_false=max(result["false"] for result in every_result),
        most_bias_in_errors=round(max(biases), 2),
        limits=results,
    )


def _adaptive(rng: np.random.Generator, truth: Truth, limit: int) -> dict[str, float]:
    drawn = Drawn.of(rng, truth, ORDERED_RUNS, limit)
    adaptive, twice = drawn.chosen(Z)
    drawn.check(twice)
    every = {"": adaptive, "both_": drawn.both, "one_": drawn.single}
    rates = {kind: [win_rate(run) for run in values] for kind, values in every.items()}
    outcomes = {
        kind: [interval_outcome(rate, MARGIN) for rate in each] for kind, each in rates.items()
    }
    # Both orders have no bias, so the bias is the difference from them, which varies less.
    difference = 100 * (adaptive.mean(axis=1) - drawn.both.mean(axis=1))
    result: dict[str, float] = {}
    for kind in every:
        result |= {
            f"{kind}false": _share(truth.false(outcome) for outcome in outcomes[kind]),
            f"{kind}missed": _share(not r.low <= truth.rate <= r.high for r in rates[kind]),
            f"{kind}found": _share(_is_true_finding(truth, outcome) for outcome in outcomes[kind]),
            f"{kind}same": _share(map(str.__eq__, outcomes[kind], outcomes["both_"])),
        }
    del result["both_same"]
    return result | {
        "bias_points": round(float(difference.mean()), 3),
        "bias_error": round(float(difference.std(ddof=1)) / math.sqrt(len(difference)), 3),
        "second_saved": _percent(1 - float(twice.mean())),
    }


def measure_stopped_orders() -> None:
    """--orders adaptive with --stop early, for each truth."""
    results = {}
    for seed, (name, truth) in enumerate(ORDERED.items()):
        drawn = Drawn.of(np.random.default_rng(200 + seed), truth, STOPPED_RUNS, LIMIT)
        adaptive, twice = drawn.chosen(Z * sequential_factor(0.05) ** 0.5)
        ended, both, single_order = (
            run_tests(v, truth.rate) for v in (adaptive, drawn.both, drawn.single)
        )
        drawn.check(twice, ended)
        bought = [end + run[:end].sum() for end, run in zip(ended.counts, twice, strict=True)]
        results[name] = {
            "false": _share(map(truth.false, ended.outcomes)),
            "missed": _share(ended.missed),
            "same": _share(map(str.__eq__, ended.outcomes, both.outcomes)),
            "found": _share(_is_true_finding(truth, outcome) for outcome in ended.outcomes),
            "both_found": _share(_is_true_finding(truth, outcome) for outcome in both.outcomes),
            "one_found": _share(
                _is_true_finding(truth, outcome) for outcome in single_order.outcomes
            ),
            "judgments": round(float(np.mean(bought)), 1),
            "both_judgments": round(2 * float(both.counts.mean()), 1),
            "one_judgments": round(float(single_order.counts.mean()), 1),
        }
    shares = [
        single_order["judgments"] / single_order["both_judgments"]
        for single_order in results.values()
    ]
    print_result(
        "stopping:orders_stopped",
        figure=100 * (1 - float(np.mean(shares))),
        unit=f"% of judgments saved, mean of {len(results)} truths",
        peer="--stop early with both orders",
        ratio=1 / float(np.mean(shares)),
        runs=STOPPED_RUNS,
        prompts=LIMIT,
        truths=results,
    )


class Drawn(NamedTuple):
    """Preferences for a when it is shown first and second, of shape (runs, prompts), and the
    random first orders.
    """

    first: Values
    second: Values
    a_first: Mask

    @classmethod
    def of(cls, rng: np.random.Generator, truth: Truth, runs: int, prompts: int) -> "Drawn":
        """Draw `runs` runs of `prompts` prompts."""
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
        """The preferences that `Schedule` requests per run, and where it requests both orders."""
        values, both = self.single, self.both
        twice = np.ones(both.shape, dtype=bool)
        runs, limit = both.shape
        for run in range(runs):
            adaptive, second_order = values[run], twice[run]
            end, size, matters = 0, sequential._FIRST_STAGE, True
            while end < limit:
                wave = slice(end, end + size)
                second_order[wave] = matters
                adaptive[wave] = both[run, wave] if matters else adaptive[wave]
                end += size
                size = max(sequential._MIN_STAGE, int(sequential._STAGE_GROWTH * end))
                if end < limit:
                    apart = np.concatenate([each[run, :end] for each in self[:2]])
                    known = second_order[:end]
                    spread = OrderVariances(
                        float(apart[np.tile(known, 2)].var(ddof=1)),
                        float(adaptive[:end][known].var(ddof=1)),
                    )
                    matters = second_order_may_matter(adaptive[:end], spread, limit, MARGIN, z)
        return values, twice

    def check(self, twice: Mask, ended: Stopped | None = None) -> None:
        """Check in some runs that `Schedule` requests exactly these orders."""
        limit, pair = self.first.shape[1], ("a", "b")
        messages = (Message(role="user", content="?"),)
        prompts = [Prompt(id=str(n), messages=messages) for n in range(limit)]
        config = Config(model=("x", "y"), orders="adaptive", stop="early" if ended else "never")
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
            end = int(ended.counts[run]) if ended else limit
            both = [stage.both_orders for stage in course.stages for _ in stage.positions]
            assert both == twice[run, :end].tolist()


def _judgment(prompt_id: str, a_first: bool, for_a: float) -> Judgment:
    names = ("a", "b") if a_first else ("b", "a")
    verdict = Verdict(first=for_a if a_first else 1 - for_a)
    return Judgment(
        prompt_id=prompt_id, judge="j", first=names[0], second=names[1], verdict=verdict
    )


def measure_planning() -> None:
    """The prompts of a sequential run relative to a fixed design of equal power."""
    results = {}
    for seed, (name, truth) in enumerate(PLANNED.items()):
        rng = np.random.default_rng(300 + seed)
        sd = float(_both(*truth.draw(rng, 1, 100_000)).std())
        away = abs(truth.rate - 0.5)
        n = prompts_needed(sd, away) if away > MARGIN else prompts_for_equivalence(sd, away, MARGIN)
        assert n is not None
        runs = _both(*truth.draw(rng, PLANNED_RUNS, 4 * n))
        stopped = {f"{alpha:g}": run_tests(runs, truth.rate, alpha) for alpha in ALPHAS}
        results[name] = {"fixed": n} | {
            f"at_{alpha}": round(float(np.quantile(_ends(ended), 0.8)) / n, 2)
            for alpha, ended in stopped.items()
        }
        results[name]["median_at_0.05"] = round(float(np.median(stopped["0.05"].counts)) / n, 2)
    times = float(np.median([stopped["at_0.05"] for stopped in results.values()]))
    print_result(
        "stopping:planning",
        figure=times,
        unit="times the prompts of a fixed number, for 80 % power at any look, in the median",
        peer=f"the {sequential_factor(0.05):.3g} of stats/detectable_rates.py",
        ratio=sequential_factor(0.05) / times,
        planned={f"at_{alpha:g}": round(sequential_factor(alpha), 2) for alpha in ALPHAS},
        runs=PLANNED_RUNS,
        truths=results,
    )


def _ends(ended: Stopped) -> Values:
    """The prompts at which runs decide; infinity for undecided runs."""
    unsure = np.array([outcome == "not enough data" for outcome in ended.outcomes])
    return np.where(unsure, math.inf, ended.counts)


def _both(first: Values, second: Values) -> Values:
    return (first + second) / 2


def _is_true_finding(truth: Truth, outcome: Outcome) -> bool:
    return outcome != "not enough data" and not truth.false(outcome)


def _share(which: Iterable[bool]) -> float:
    """The share of true values, in percent."""
    return _percent(float(np.mean(list(which))))


def _percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    main()
