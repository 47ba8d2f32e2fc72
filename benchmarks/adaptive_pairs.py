"""Measures the judgments that `--pairs adaptive` saves, against judging all pairs.

    python benchmarks/adaptive_pairs.py [REPEATS]

Prints a JSON line per design; `ratio` is the judgments of all pairs divided by ours, for equally
wide intervals. A simulated judge compares 8 and 16 models, with ties, an order effect and (in some
designs) a random effect of each prompt on each model. The first wave of prompts judges all pairs,
each later wave the K pairs that `select_pairs` returns, in both orders.

`saved_*` is the share of judgments saved, for intervals of the same average width as all pairs on
200 prompts: of the differences between neighbours in the ranking, of the widest of those, and of
ranks. `drawn_*` is the same for K pairs drawn at random. `prompts` is the number of prompts that
this takes, as a multiple of 200. `cover` is the coverage of 95 % intervals of all differences, and
`tau` is Kendall's tau of the ranking with the truth. On the same number of prompts the adaptive
design judges the share `judged_on_as_many`, with intervals `wider_on_as_many` times as wide.
`wrong` is the share of runs that end with a weaker model "surely better" than a stronger one.
Names that end in `_all` are the values for all pairs.
"""

import sys
import time
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from harness.results import print_result, versions
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

from bakeoff.stats.pair_selection import select_pairs
from bakeoff.stats.ranks import rank_intervals, significantly_stronger
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry

PROMPTS, LONGEST = 200, 6  # of all pairs; times as many at most
BUDGETS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)  # of the judgments of all pairs
TIES, FIRST = 0.5, 0.3  # Davidson's nu; log-odds of being shown first

Values = NDArray[np.float64]
Pair = tuple[int, int]
Choosing = Callable[[PairwiseOutcomes], list[Pair]]


class Design(NamedTuple):
    """A simulated design: true strengths, variation of prompts, and waves."""

    name: str
    strengths: Values
    prompt_sd: float
    pairs: int
    wave: int

    @property
    def every(self) -> list[Pair]:
        """All pairs."""
        return list(combinations(range(len(self.strengths)), 2))


class Look(NamedTuple):
    """The state after some waves: widths of intervals, coverage and ranking errors."""

    judged: float
    prompts: float
    neighbours: float
    widest: float
    ranks: float
    cover: float
    tau: float


class Run(NamedTuple):
    """Looks at growing numbers of judgments, and all outcomes."""

    looks: list[Look]
    outcomes: PairwiseOutcomes


def main(repeats: int) -> None:
    """Print a line for each design."""
    for design in designs():
        report(design, repeats if len(design.strengths) < 10 else repeats // 2)


def designs() -> list[Design]:
    """Even and clustered strengths, with several numbers of pairs and lengths of waves."""
    eight, sixteen = np.linspace(-0.9, 0.9, 8), np.linspace(-1.8, 1.8, 16)
    near = np.linspace(-0.12, 0.12, 4)
    two = (np.array([-1, 1])[:, None] + near).ravel()
    four = (np.array([-1.8, -0.6, 0.6, 1.8])[:, None] + near).ravel()
    all_designs = [
        Design(f"even:{len(s)}", s, sd, k * len(s), 25)
        for s in (eight, sixteen)
        for sd in (0.0, 0.7)
        for k in (1, 2)
    ]
    all_designs += [
        Design("clustered:8", two, 0.7, 8, 25),
        Design("clustered:16", four, 0.7, 16, 25),
        Design("even:8", eight, 0.7, 4, 25),
        Design("even:8", eight, 0.7, 8, 10),
        Design("even:8", eight, 0.7, 8, 50),
        Design("even:16", sixteen, 0.7, 16, 50),
    ]
    return all_designs


def report(design: Design, repeats: int) -> None:
    """Simulate a design, and print its savings."""
    started = time.perf_counter()
    truth = limiting_strengths(design)
    complete, chosen, drawn = [], [], []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        every = concatenate([simulate_judgments(design, rng, PROMPTS, design.every, 0)])
        complete.append(Run([look(every, design, truth, rng)], every))
        chosen.append(waves(design, truth, rng, choose_informative(design)))
        drawn.append(waves(design, truth, rng, choose_random(design, rng)))
    all_pairs = mean_looks(complete)[0]
    adaptive, random_looks = mean_looks(chosen), mean_looks(drawn)
    enough = look_at_width(adaptive, all_pairs, "neighbours")
    saved = {
        f"saved_{w}": saving(adaptive, all_pairs, w) for w in ("neighbours", "widest", "ranks")
    }
    saved |= {
        f"drawn_{w}": saving(random_looks, all_pairs, w) for w in ("neighbours", "widest", "ranks")
    }
    rows = np.array(adaptive)
    same = [float(np.interp(PROMPTS, rows[:, 1], rows[:, at])) for at in (0, 2)]
    ratio = all_pairs.judged / enough.judged
    print_result(
        f"adaptive_pairs:{design.name}",
        figure=100 * (1 - 1 / ratio),
        unit="% fewer judgments, neighbours' intervals as wide",
        peer=f"all pairs on {PROMPTS} prompts",
        ratio=ratio,
        prompt_sd=design.prompt_sd,
        K=design.pairs,
        of=len(design.every),
        wave=design.wave,
        **{key: rounded(value) for key, value in saved.items()},
        judged_on_as_many=round(same[0] / all_pairs.judged, 3),
        wider_on_as_many=round(same[1] / all_pairs.neighbours, 3),
        prompts=round(enough.prompts / PROMPTS, 2),
        cover=round(enough.cover, 3),
        cover_all=round(all_pairs.cover, 3),
        wrong=false_share(chosen, truth),
        wrong_all=false_share(complete, truth),
        tau=round(enough.tau, 3),
        tau_all=round(all_pairs.tau, 3),
        repeats=repeats,
        seconds=round(time.perf_counter() - started),
        versions=versions("numpy", "scipy"),
    )


def choose_informative(design: Design) -> Choosing:
    """The choice of `select_pairs`."""
    return lambda outcomes: select_pairs(
        outcomes, len(design.strengths), design.pairs, prompts=design.wave
    )


def choose_random(design: Design, rng: np.random.Generator) -> Choosing:
    """Pairs drawn at random."""

    def drawn(outcomes: PairwiseOutcomes) -> list[Pair]:
        assert len(outcomes.values)
        at = rng.choice(len(design.every), design.pairs, replace=False)
        return [design.every[row] for row in at]

    return drawn


def waves(design: Design, truth: Values, rng: np.random.Generator, choose: Choosing) -> Run:
    """Simulate waves up to the judgments of all pairs or six times the prompts; look when a share
    in `BUDGETS` of the judgments is spent.
    """
    judged, spent = design.wave, design.wave * len(design.every)
    total, looks = PROMPTS * len(design.every), []
    parts = [simulate_judgments(design, rng, design.wave, design.every, 0)]
    for budget in BUDGETS:
        while spent < budget * total and judged < LONGEST * PROMPTS:
            pairs = choose(concatenate(parts))
            parts.append(simulate_judgments(design, rng, design.wave, pairs, judged))
            judged, spent = judged + design.wave, spent + design.wave * len(pairs)
        looks.append(look(concatenate(parts), design, truth, rng))
    return Run(looks, concatenate(parts))


def mean_looks(runs: list[Run]) -> list[Look]:
    """The mean of each look over all runs."""
    numbers = np.array([run.looks for run in runs]).mean(axis=0)
    return [Look(*row) for row in numbers.tolist()]


def look_at_width(looks: list[Look], all_pairs: Look, width: str) -> Look:
    """The look at which a width equals that of all pairs, interpolated in 1 / width^2; the last
    look if it never does.
    """
    rows, at = np.array(looks), Look._fields.index(width)
    precision = np.maximum.accumulate(rows[:, at] ** -2.0)
    return Look(*(float(np.interp(all_pairs[at] ** -2.0, precision, column)) for column in rows.T))


def saving(looks: list[Look], all_pairs: Look, width: str) -> float | None:
    """The share of judgments saved at equal width; None if the width was not reached."""
    at = Look._fields.index(width)
    if min(item[at] for item in looks) > all_pairs[at]:
        return None
    return 1 - look_at_width(looks, all_pairs, width).judged / all_pairs.judged


def rounded(value: float | None) -> float | None:
    """The number rounded for output."""
    return None if value is None else round(value, 3)


def simulate_judgments(
    design: Design, rng: np.random.Generator, prompts: int, pairs: list[Pair], first_prompt: int
) -> list[Values]:
    """Judgments of the pairs in both orders: left, right, values and prompts."""
    i, j = np.array(pairs).T
    effect = rng.normal(0, design.prompt_sd, (prompts, len(design.strengths)))
    parts = []
    for left, right in ((i, j), (j, i)):
        gap = design.strengths[left] - design.strengths[right] + FIRST
        won, _, lost = outcome_probabilities(gap + effect[:, left] - effect[:, right])
        drawn = rng.random(won.shape)
        values = np.where(drawn < won, 1.0, np.where(drawn < won + lost, 0.0, 0.5))
        rows = np.repeat(np.arange(first_prompt, first_prompt + prompts), len(pairs))
        parts.append((np.tile(left, prompts), np.tile(right, prompts), values.ravel(), rows))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def outcome_probabilities(gap: Values) -> tuple[Values, Values, Values]:
    """The probabilities of a win, a tie and a loss of the left model."""
    won, lost = np.exp(gap / 2), np.exp(-gap / 2)
    total = won + lost + TIES
    return won / total, TIES / total, lost / total


def concatenate(parts: list[list[Values]]) -> PairwiseOutcomes:
    """The outcomes of all waves; the orders of a prompt have a total weight of 1."""
    left, right, values, prompts = (np.concatenate(part) for part in zip(*parts, strict=True))
    return PairwiseOutcomes(left, right, values, prompts, np.full(len(left), 0.5))


def look(
    outcomes: PairwiseOutcomes, design: Design, truth: Values, rng: np.random.Generator
) -> Look:
    """The widths of intervals: of gaps from the sandwich covariance over prompts, of ranks from
    `significantly_stronger` on draws from it.
    """
    items = len(design.strengths)
    theta, covariance = sandwich(outcomes, items)
    own = np.diag(covariance)
    errors = np.sqrt(np.maximum(0, own[:, None] + own - 2 * covariance))
    count = int(outcomes.prompts.max()) + 1
    values, vectors = np.linalg.eigh(covariance)
    spread = vectors * np.sqrt(np.maximum(0, values))
    drawn = theta + rng.normal(0, 1, (400, items)) @ spread.T
    met = np.zeros((items, items), dtype=np.intp)
    ranks = rank_intervals(significantly_stronger(theta, drawn, [range(items)], met, count))
    beside = 2 * 1.96 * np.diag(errors, 1)
    left, right = np.triu_indices(items, 1)
    off = np.abs(theta[left] - theta[right] - (truth[left] - truth[right]))
    return Look(
        judged=len(outcomes.values) / 2,
        prompts=count,
        neighbours=float(beside.mean()),
        widest=float(beside.max()),
        ranks=float(np.mean([1 + high - low for low, high in ranks])),
        cover=float((off <= 1.96 * errors[left, right]).mean()),
        tau=float(stats.kendalltau(theta, truth).statistic),
    )


def sandwich(outcomes: PairwiseOutcomes, items: int) -> tuple[Values, Values]:
    """Strengths, and their covariance clustered by prompt (Liang and Zeger 1986)."""
    fit = bradley_terry(outcomes, items, ties=True, order=True, resamples=0)
    theta = np.array([strength.estimate for strength in fit.strengths])
    nu, first = fit.tie_parameter or 0.0, fit.first_advantage or 0.0
    gap = theta[outcomes.left] - theta[outcomes.right] + first
    won, lost = np.exp(gap / 2), np.exp(-gap / 2)
    total = won + lost + nu
    lead, tie = (won - lost) / total / 2, nu / total
    weight = outcomes.counts
    d, rows = items + 2, np.arange(len(weight))
    design = np.zeros((len(weight), d))
    design[rows, outcomes.left], design[rows, outcomes.right], design[:, -1] = 1, -1, 1
    score = (weight * (outcomes.values - 0.5 - lead))[:, None] * design
    score[:, -2] = weight * ((outcomes.values == 0.5) - tie)
    bread = design.T @ ((weight * ((1 - tie) / 4 - lead**2))[:, None] * design)
    cross = -design.T @ (weight * lead * tie)
    bread[-2] += cross
    bread[:, -2] += cross
    bread[-2, -2] += weight @ (tie * (1 - tie))
    sums = csr_array((np.ones(len(rows)), (outcomes.prompts, rows))) @ score
    bread[:items, :items] += 1  # fixes the mean at 0, which is not identified otherwise
    inverse = np.linalg.inv(bread)
    covariance = (inverse @ (sums.T @ sums) @ inverse)[:items, :items]
    return theta, covariance


def limiting_strengths(design: Design) -> Values:
    """The limit of the strengths of all pairs for many prompts, which vary and shrink them."""
    i, j = np.array(design.every).T
    nodes, shares = np.polynomial.hermite_e.hermegauss(30)
    noise, shares, rows = nodes * design.prompt_sd * np.sqrt(2), shares / shares.sum(), []
    for left, right in ((i, j), (j, i)):
        gap = (design.strengths[left] - design.strengths[right] + FIRST)[:, None] + noise
        for value, chance in zip((1.0, 0.5, 0.0), outcome_probabilities(gap), strict=True):
            rows.append((left, right, np.full(len(left), value), chance @ shares))
    left, right, values, weights = (np.concatenate(part) for part in zip(*rows, strict=True))
    outcomes = PairwiseOutcomes(left, right, values, np.zeros_like(left), 1e4 * weights)
    fit = bradley_terry(outcomes, len(design.strengths), ties=True, order=True, resamples=0)
    return np.array([strength.estimate for strength in fit.strengths])


def false_share(runs: list[Run], truth: Values) -> float:
    """The share of runs in which a weaker model is significantly better than a stronger one."""
    wrong = 0
    for run in runs:
        fit = bradley_terry(run.outcomes, len(truth), ties=True, order=True, resamples=300)
        wrong += any(truth[i] < truth[j] for i, j in fit.better)
    return round(wrong / len(runs), 3)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
