"""Measures the coverage and width of win-rate intervals, and the error rates of their tests.

    python benchmarks/interval_coverage.py [RUNS]

Prints a table per part, with a row per kind of data and number of units, and a JSON line for all;
`ratio` is the share of settings that meet the targets of coverage and of errors. Wins, ties and
losses of independent prompts are enumerated (no simulation error); those of clusters, and other
values, are simulated with fixed seeds, RUNS (20,000) of each setting. Some runs of each setting are
checked against the functions of `bakeoff.stats`.

`intervals`: `cover` is the lowest coverage of the 95 % interval over the settings of the row; at
least 92 % is the target. `width` is the largest ratio of its mean width to that of the best valid
competitor: the narrowest of effective-n Wilson, Bonett-Price, Student's t (also on the logit
scale), Dirichlet, and Wilson with ties as half wins, which itself covers at least 92 %; the target
is 1.10, and 2.00 for means within 0.1 of 0 or 1. `wide` counts the settings above it.

`no difference`: the highest share of runs with a winner between equal models, over n from 10 to
500; at most 5.5 %. `at the margin`: the highest share of "equivalent" at a true win rate of 55 %
and a margin of 5 points; at most 5 %. `few labels`: as `intervals`, of the rate corrected by human
labels; the competitor of its width is the interval of the labels alone, and its target 2.00.
"""

import csv
import gzip
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness.results import print_result, versions
from numpy.typing import NDArray
from scipy import stats
from scipy.special import betaincinv, expit, gammaln, logit, stdtr, stdtrit

from bakeoff.stats.calibration import corrected_rate
from bakeoff.stats.intervals import score_rate, win_rate
from bakeoff.stats.tests import sign_flip_test, tested_win_rate

DATA = Path(__file__).parents[2] / "shared" / "data" / "alpaca_eval" / "judgments_compact.csv.gz"
RUNS, CHECKED = 20_000, 5
SIZES = (15, 20, 30, 50, 100, 200)
CLUSTERS = (10, 12, 15, 20, 40)
LABELS = (10, 20, 30, 50)
TIES = (0.0, 0.2, 0.5, 0.7, 0.86, 0.9, 0.95)
NULL_TIES = (0.0, 0.2, 0.5, 0.86, 0.9)
NULL_SIZES = (15, 20, 30, 50, 100, 200, 500)
MOST_NULL = 500
MARGIN, LEAST_COVERAGE, MOST_WINNERS, MOST_EQUIVALENT = 0.05, 0.92, 0.055, 0.05
MOST_WIDTH, MOST_WIDTH_NEAR_0 = 1.10, 2.0
SLACK = 1e-9
Z = float(stats.norm.ppf(0.975))

Values = NDArray[np.float64]
Bounds = tuple[Values, Values]


class Result(NamedTuple):
    """The result of one setting."""

    part: str
    kind: str
    n: int
    setting: str
    cover: float = 1.0
    width: float = 0.0
    """Relative to the best valid competitor; 0 without any."""
    most_width: float = MOST_WIDTH
    errors: float = 0.0
    """False winners, or false equivalence."""
    most_errors: float = 1.0

    @property
    def wide(self) -> bool:
        """Whether the interval is wider than its target."""
        return self.width > self.most_width

    @property
    def passed(self) -> bool:
        """Whether the targets of coverage and errors are met."""
        return self.cover >= LEAST_COVERAGE and self.errors <= self.most_errors


def main() -> None:
    """Run the parts, and print the tables and the JSON line."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    started, results = time.perf_counter(), list(measure(runs))
    for part in dict.fromkeys(result.part for result in results):
        print_table([result for result in results if result.part == part])
    passed, wide = sum(r.passed for r in results), sum(r.wide for r in results)
    print_result(
        "coverage",
        figure=100 * min(result.cover for result in results),
        unit=f"% coverage at the worst of {len(results)} settings",
        peer="the 92 % that are the target",
        ratio=passed / len(results),
        runs=runs,
        missed=[f"{r.part}: {r.kind}, {r.n}, {r.setting}" for r in results if not r.passed],
        wider_than_target=wide,
        seconds=round(time.perf_counter() - started),
        versions=versions("numpy", "scipy"),
    )


def measure(
    runs: int = RUNS,
    sizes: Iterable[int] = SIZES,
    clusters: Iterable[int] = CLUSTERS,
    labels: Iterable[int] = LABELS,
) -> Iterator[Result]:
    """The result of each setting of each part."""
    for n in sizes:
        yield from enumerated_intervals(n)
        yield from simulated_intervals(n, runs)
    for count in clusters:
        yield from clustered_intervals(count, runs)
    yield from enumerated_winners()
    for n in (n for n in NULL_SIZES if n <= 3 * max(sizes)):
        yield from simulated_winners(n, runs)
    for n in sizes:
        yield from enumerated_equivalence(n)
    for n in labels:
        yield from corrected_rates(n, runs)


def print_table(results: list[Result]) -> None:
    """Print a row per kind of data and n: the worst setting, and whether the targets are met."""
    print(f"\n{results[0].part}")
    print(f"{'':34}{'n':>5} {'settings':>9} {'cover':>7} {'errors':>7} {'width':>6} {'wide':>5}")
    for kind, n in dict.fromkeys((result.kind, result.n) for result in results):
        row = [result for result in results if (result.kind, result.n) == (kind, n)]
        verdict = "pass" if all(result.passed for result in row) else "FAIL"
        print(
            f"{kind:34}{n:5} {len(row):9} {100 * min(r.cover for r in row):6.1f}%"
            f" {100 * max(r.errors for r in row):6.2f}% {max(r.width for r in row):6.2f}"
            f" {sum(r.wide for r in row):5}  {verdict}"
        )


# The interval, for arrays of runs.


def score_bounds(mean: Values, variance: Values, units: float, degrees: float) -> Bounds:
    """`score_interval` of each run."""
    return wilson(mean, effective_units(mean, variance, units), float(stdtrit(degrees, 0.975)))


def effective_units(mean: Values, variance: Values, units: float) -> Values:
    """The effective n of `score_interval`."""
    smoothed_mean = (units * mean + 1) / (units + 2)
    smoothed = (units * variance + mean**2 + (1 - mean) ** 2) / (units + 2)
    smoothed -= (smoothed_mean - mean) ** 2
    return np.maximum(1.0, (units + 2) * smoothed_mean * (1 - smoothed_mean) / smoothed - 2)


def wilson(mean: Values, n: Values | float, quantile: float) -> Bounds:
    """Wilson's interval of a share of n."""
    shrinkage = 1 + quantile**2 / n
    centre = (mean + quantile**2 / (2 * n)) / shrinkage
    half = quantile * np.sqrt(np.maximum(0, mean * (1 - mean)) / n + quantile**2 / (4 * n**2))
    low, high = centre - half / shrinkage, centre + half / shrinkage
    return np.maximum(0, np.minimum(mean, low)), np.minimum(1, np.maximum(mean, high))


def score_p(mean: Values, variance: Values, units: float, degrees: float) -> Values:
    """`score_test_p` of each run, against 0.5."""
    distance = 2 * np.abs(mean - 0.5) * np.sqrt(effective_units(mean, variance, units))
    return np.asarray(2 * stdtr(degrees, -distance))


def competitors(mean: Values, variance: Values, n: int) -> dict[str, Bounds]:
    """Bounds for any values: means, and variances (ddof 1) of one of n units."""
    population = variance * (n - 1) / n
    t = float(stdtrit(n - 1, 0.975))
    with np.errstate(divide="ignore", invalid="ignore"):
        half = t * np.sqrt(variance / n)
        effective = np.where(
            population > 1e-15, n * np.maximum(1, mean * (1 - mean) / population), n
        )
        flat = (variance < 1e-15) | (mean <= 0) | (mean >= 1)
        inner = np.clip(mean, 1e-12, 1 - 1e-12)
        on_logits = half / (inner * (1 - inner))
        plain = wilson(mean, n, Z)
        sides = [expit(logit(inner) - on_logits), expit(logit(inner) + on_logits)]
    return {
        "effective-n Wilson": wilson(mean, effective, Z),
        "Wilson, ties half": plain,
        "t": (np.maximum(0, mean - half), np.minimum(1, mean + half)),
        "logit t": (np.where(flat, plain[0], sides[0]), np.where(flat, plain[1], sides[1])),
    }


def competitors_of_counts(wins: Values, losses: Values, n: int) -> dict[str, Bounds]:
    """Bonett and Price (2012), and the moments of a Dirichlet posterior with Jeffreys' prior."""
    p1, p2 = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    gap, se = p1 - p2, np.sqrt((p1 + p2 - (p1 - p2) ** 2) / (n + 2))
    total = n + 1.5
    a, b = (wins + 0.5) / total, (losses + 0.5) / total
    middle = 0.5 + (a - b) / 2
    size = middle * (1 - middle) / ((a + b - (a - b) ** 2) / 4 / (total + 1)) - 1
    low, high = (betaincinv(middle * size, (1 - middle) * size, q) for q in (0.025, 0.975))
    return {
        "Bonett-Price": (
            np.maximum(0, 0.5 + (gap - Z * se) / 2),
            np.minimum(1, 0.5 + (gap + Z * se) / 2),
        ),
        "Dirichlet": (low, high),
    }


def compared(
    of: Result, truth: float, ours: Bounds, others: Iterable[Bounds], weights: Values | None = None
) -> Result:
    """The coverage of our bounds, and their width relative to the best valid competitor."""

    def coverage(bounds: Bounds) -> float:
        inside = (bounds[0] <= truth + SLACK) & (bounds[1] >= truth - SLACK)
        return float(np.average(inside, weights=weights))

    def width(bounds: Bounds) -> float:
        return float(np.average(bounds[1] - bounds[0], weights=weights))

    valid = [width(bounds) for bounds in others if coverage(bounds) >= LEAST_COVERAGE]
    near = min(truth, 1 - truth) <= 0.1 + SLACK
    return of._replace(
        cover=coverage(ours),
        width=width(ours) / min(valid) if valid else 0.0,
        most_width=MOST_WIDTH_NEAR_0 if near else MOST_WIDTH,
    )


# Wins, ties and losses: all outcomes with their probabilities.


class Counts(NamedTuple):
    """All numbers of wins and losses of n prompts, and the bounds for each."""

    n: int
    wins: Values
    losses: Values
    mean: Values
    variance: Values
    ours: Bounds

    @classmethod
    def of(cls, n: int) -> "Counts":
        """The counts of n prompts."""
        wins, losses = (grid.ravel() for grid in np.indices((n + 1, n + 1)).astype(np.float64))
        wins, losses = wins[wins + losses <= n], losses[wins + losses <= n]
        mean = 0.5 + (wins - losses) / (2 * n)
        variance = np.maximum(0, (wins + losses) / (4 * n) - (mean - 0.5) ** 2) * n / (n - 1)
        ours = score_bounds(mean, variance, n, 2 * n)
        for place in np.random.default_rng(n).integers(0, len(wins), CHECKED):
            w, lost = int(wins[place]), int(losses[place])
            check(np.repeat([1.0, 0.5, 0.0], [w, n - w - lost, lost]), None, ours, place)
        return cls(n, wins, losses, mean, variance, ours)

    def probabilities(self, theta: float, ties: float) -> Values:
        """The trinomial probabilities at this win rate and share of ties."""
        win, loss = max(0.0, theta - ties / 2), max(0.0, 1 - theta - ties / 2)
        ties_, logs = self.n - self.wins - self.losses, np.zeros(len(self.wins))
        for count, p in ((self.wins, win), (self.losses, loss), (ties_, ties)):
            with np.errstate(divide="ignore", invalid="ignore"):
                logs += np.where(count > 0, count * np.log(p), 0.0) - gammaln(count + 1)
        return np.asarray(np.exp(logs + gammaln(self.n + 1)))

    @property
    def winner(self) -> NDArray[np.bool_]:
        """Whether `tested_win_rate` excludes 0.5."""
        tail = stats.binom.cdf(np.minimum(self.wins, self.losses), self.wins + self.losses, 0.5)
        signs = np.minimum(1, 2 * tail)
        scores = score_p(self.mean, self.variance, self.n, 2 * self.n)
        return np.asarray(np.maximum(signs, scores) < 0.05)


def enumerated_intervals(n: int) -> Iterator[Result]:
    """Wins, ties and losses; the ties are a share of all prompts."""
    counts = Counts.of(n)
    others = competitors(counts.mean, counts.variance, n)
    others |= competitors_of_counts(counts.wins, counts.losses, n)
    for ties in TIES:
        for theta in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5):
            # No more ties than theta allows.
            possible = min(ties, 1.96 * theta)
            weights = counts.probabilities(theta, possible)
            of = Result("intervals", "wins, ties and losses", n, f"{possible:.0%} ties, {theta}")
            yield compared(of, theta, counts.ours, others.values(), weights)


def enumerated_winners() -> Iterator[Result]:
    """False winners of equal models, for every n from 10 to 500."""
    for n in range(10, MOST_NULL + 1):
        counts = Counts.of(n)
        winner = counts.winner & (n >= 15)
        for ties in NULL_TIES:
            errors = float(winner @ counts.probabilities(0.5, ties))
            kind = f"wins, losses, {ties:.0%} ties"
            at = 100 * (n // 100)
            yield Result("no difference", kind, at, str(n), errors=errors, most_errors=MOST_WINNERS)


def enumerated_equivalence(n: int) -> Iterator[Result]:
    """False equivalence at the margin."""
    counts = Counts.of(n)
    equivalent = (counts.ours[0] >= 0.5 - MARGIN) & (counts.ours[1] <= 0.5 + MARGIN)
    for ties in (*TIES[:-1], 0.88):
        errors = float(equivalent @ counts.probabilities(0.5 + MARGIN, min(ties, 0.9)))
        kind = "wins, ties and losses"
        setting = f"{ties:.0%} ties"
        yield Result("at the margin", kind, n, setting, errors=errors, most_errors=MOST_EQUIVALENT)


# Other values: simulated.


class Drawn(NamedTuple):
    """Simulated values of shape (runs, n), and their expectation."""

    kind: str
    setting: str
    truth: float
    values: Values


def draws(n: int, runs: int) -> Iterator[Drawn]:
    """Averages of two orders, graded values of several shapes, and real preferences."""
    rng = np.random.default_rng((1, n))
    for theta in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5):
        for ties in (0.0, 0.4):
            tie = ties * 2 * min(theta, 1 - theta)
            shares = [theta - tie / 2, tie, 1 - theta - tie / 2]
            first, second = (rng.choice([1.0, 0.5, 0.0], (runs, n), p=shares) for _ in range(2))
            for again in (0.0, 0.6, 0.9):
                values = (first + np.where(rng.random((runs, n)) < again, first, second)) / 2
                yield Drawn("two orders", f"{theta}, {ties} ties, {again} equal", theta, values)
    for a, b in ((2, 2), (4, 2), (6, 1), (0.5, 0.5), (0.1, 0.1), (0.3, 0.2), (0.1, 0.9), (0.2, 3)):
        yield Drawn("beta", f"{a}, {b}", a / (a + b), rng.beta(a, b, (runs, n)))
    for a, b in ((20, 20), (1, 19)):
        yield Drawn("beta, concentrated", f"{a}, {b}", a / (a + b), rng.beta(a, b, (runs, n)))
    for share, small in ((0.02, 0.001), (0.05, 0.003), (0.09, 0.002)):
        values = np.minimum(1, small * np.exp(rng.normal(0, 1, (runs, n))))
        large = rng.random((runs, n)) < share
        values = np.where(large, rng.beta(9, 1, (runs, n)), values)
        truth = share * 0.9 + (1 - share) * small * float(np.exp(0.5))
        yield Drawn("many near 0, few near 1", f"{share}", truth, values)
    for model, preferences in alpaca_eval().items():
        mean = float(preferences.mean())
        yield Drawn("AlpacaEval", model, mean, rng.choice(preferences, (runs, n)))


def alpaca_eval() -> dict[str, Values]:
    """The preferences for each model; none without the data."""
    preferences: dict[str, list[float]] = {}
    if DATA.exists():
        with gzip.open(DATA, "rt") as lines:
            for row in csv.DictReader(lines):
                raw = float(row["preference"])
                preferences.setdefault(row["model"], []).append((raw or 1.5) - 1)
    return {name: np.round(values, 9) for name, values in preferences.items() if np.ptp(values) > 0}


def simulated_intervals(n: int, runs: int) -> Iterator[Result]:
    """Averages and graded values."""
    for drawn in draws(n, runs):
        mean, variance = drawn.values.mean(axis=1), drawn.values.var(axis=1, ddof=1)
        ours = score_bounds(mean, variance, n, 2 * n)
        for place in range(CHECKED):
            check(drawn.values[place], None, ours, place)
        of = Result("intervals", drawn.kind, n, drawn.setting)
        yield compared(of, drawn.truth, ours, competitors(mean, variance, n).values())


def check(values: Values, clusters: NDArray[np.intp] | None, ours: Bounds, place: int) -> None:
    """Assert that the bounds at this place are those of `score_rate` and `win_rate`."""
    estimate = score_rate(values, clusters)
    assert abs(estimate.low - ours[0][place]) < 1e-7, (values, estimate)
    assert abs(estimate.high - ours[1][place]) < 1e-7, (values, estimate)
    if len(values) >= 15 and estimate.n >= 10:
        assert win_rate(values, clusters) == estimate


CLUSTER_SIZES = {
    "3 each": lambda c: np.full(c, 3),
    "10 each": lambda c: np.full(c, 10),
    "1 to 8": lambda c: 1 + np.arange(c) % 8,
    "geometric": lambda c: np.maximum(1, np.round(20 * 0.85 ** np.arange(c))).astype(np.intp),
    "one holds a third": lambda c: np.array([c] + [2] * (c - 1)),
}


def clustered_intervals(count: int, runs: int) -> Iterator[Result]:
    """Wins, ties and losses in dependent clusters of equal and of unequal size."""
    rng = np.random.default_rng((2, count))
    for name, sizes_of in CLUSTER_SIZES.items():
        sizes = sizes_of(count)
        codes = np.repeat(np.arange(count), sizes)
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        n, units = len(codes), len(codes) ** 2 / float(sizes @ sizes)
        for theta, ties in ((0.05, 0.0), (0.1, 0.04), (0.2, 0.1), (0.5, 0.0), (0.5, 0.5)):
            shares = [theta - ties / 2, ties, 1 - theta - ties / 2]
            for dependence in (0.3, 0.7, 1.0):
                common = rng.choice([1.0, 0.5, 0.0], (runs, count), p=shares)[:, codes]
                own = rng.choice([1.0, 0.5, 0.0], (runs, n), p=shares)
                values = np.where(rng.random((runs, n)) < dependence**0.5, common, own)
                mean = values.mean(axis=1)
                sums = np.add.reduceat(values - mean[:, None], starts, axis=1)
                squared_se = count / (count - 1) * (sums**2).sum(axis=1) / n**2
                ours = score_bounds(mean, units * squared_se, units, 2 * units)
                for place in range(CHECKED):
                    check(values[place], codes, ours, place)
                others = competitors(mean, count * squared_se, count)
                setting = f"{theta}, {ties} ties, correlation {dependence}"
                of = Result("intervals", f"clusters, {name}", count, setting)
                yield compared(of, theta, ours, others.values())


def simulated_winners(n: int, runs: int) -> Iterator[Result]:
    """False winners of equal models, for graded values."""
    for drawn in null_draws(n, runs):
        mean, variance = drawn.values.mean(axis=1), drawn.values.var(axis=1, ddof=1)
        scores = score_p(mean, variance, n, 2 * n)
        # The larger p decides: the slower test matters only where the score test rejects.
        deviations = np.round(drawn.values[scores < 0.05] - 0.5, 9)
        flips = np.array([sign_flip_test(run).p for run in deviations])
        for run in drawn.values[:CHECKED]:
            tested = tested_win_rate(run)
            assert (tested.test.p < 0.05) == (not tested.rate.low <= 0.5 <= tested.rate.high)
        errors = float((flips < 0.05).sum()) / runs
        yield Result(
            "no difference", drawn.kind, n, drawn.setting, errors=errors, most_errors=MOST_WINNERS
        )


def null_draws(n: int, runs: int) -> Iterator[Drawn]:
    """Values with expectation 0.5; those of two equal models are symmetric."""
    rng = np.random.default_rng((3, n))
    kind = "symmetric"
    first, second = (rng.choice([1.0, 0.5, 0.0], (runs, n), p=[0.4, 0.2, 0.4]) for _ in range(2))
    yield Drawn(kind, "two orders", 0.5, (first + second) / 2)
    yield Drawn(kind, "uniform", 0.5, rng.random((runs, n)))
    yield Drawn(kind, "near 0 and 1", 0.5, np.round(rng.beta(0.1, 0.1, (runs, n)), 2))
    large = rng.random((runs, n)) < 0.1
    tail = rng.choice([0.0, 1.0], (runs, n))
    yield Drawn(kind, "90 % near ties", 0.5, np.where(large, tail, rng.beta(50, 50, (runs, n))))
    # Small wins and large losses: the models differ, but no mean does.
    wins = rng.random((runs, n)) < 2 / 3
    yield Drawn("asymmetric, mean 0.5", "wins by 1/4", 0.5, np.where(wins, 0.75, 0.0))


# Rates corrected by labels.

TRUTHS = ((0.5, 0.0, 0.5), (0.4, 0.3, 0.3), (0.1, 0.0, 0.9), (0.8, 0.1, 0.1), (0.05, 0.9, 0.05))
UNLABELED = 200


def corrected_rates(n: int, runs: int) -> Iterator[Result]:
    """`corrected_rate`, for several judges."""
    rng = np.random.default_rng((4, n))
    for shares in TRUTHS:
        truth = shares[0] + shares[1] / 2
        labels = rng.choice([1.0, 0.5, 0.0], (runs, n + UNLABELED), p=list(shares))
        for judge, judged in judges(rng, labels):
            of = Result("few labels", judge, n, f"{shares}")
            known = labels[:, :n]
            ours = corrected_bounds(known, judged[:, :n], judged[:, n:])
            for run in range(CHECKED):
                value = corrected_rate(known[run], judged[run, :n], judged[run, n:]).value
                assert abs(value.low - ours[0][run]) + abs(value.high - ours[1][run]) < 1e-7
            alone = score_bounds(known.mean(axis=1), known.var(axis=1, ddof=1), n, 2 * n)
            result = compared(of, truth, ours, [alone])
            yield result._replace(most_width=MOST_WIDTH_NEAR_0)


def judges(rng: np.random.Generator, labels: Values) -> Iterator[tuple[str, Values]]:
    """Judges' values for these labels."""
    luck, coin = rng.random(labels.shape), (rng.random(labels.shape) < 0.8).astype(np.float64)
    yield "agrees always", labels
    yield "agrees in 90 %, lenient", np.where(luck < 0.9, labels, coin)
    yield "agrees in 60 %, lenient", np.where(luck < 0.6, labels, coin)
    yield "a coin", (luck < 0.5).astype(np.float64)
    yield "mostly ties", np.where(luck < 0.6, 0.5, labels)
    noise = rng.normal(0, 0.2, labels.shape)
    yield "graded", np.clip(0.25 + 0.5 * labels + noise, 0, 1)


def corrected_bounds(labels: Values, judged: Values, unlabeled: Values) -> Bounds:
    """The bounds of `corrected_rate` below 100 labels."""
    n, more = labels.shape[1], unlabeled.shape[1]
    variance = np.concatenate((judged, unlabeled), axis=1).var(axis=1, ddof=1)
    centred = judged - judged.mean(axis=1, keepdims=True)
    covariance = ((labels - labels.mean(axis=1, keepdims=True)) * centred).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(variance > 1e-15, covariance / ((1 + n / more) * variance), 0)
    weight = np.clip(weight, 0, 1) * (n - 2) / (n + 2)
    residuals = labels - weight[:, None] * judged
    mean = np.clip(weight * unlabeled.mean(axis=1) + residuals.mean(axis=1), 0, 1)
    squared = weight**2 * unlabeled.var(axis=1) / more + residuals.var(axis=1, ddof=1) / n
    return score_bounds(mean, n * squared, n, n - 1)


if __name__ == "__main__":
    main()
