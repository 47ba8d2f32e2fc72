"""The expected numbers of `bakeoff.stats` on `vectors.json`, computed without bakeoff."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import evalica
import krippendorff
import numpy as np
import pandas as pd
import ppi_py
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.formula.api import ols
from statsmodels.stats import inter_rater
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, normal_sample_size_one_tail
from statsmodels.stats.proportion import proportion_confint

from tests.golden import reference
from tests.golden.reference import (
    BCA,
    EXACT_FLIPS,
    FITS,
    FLEISS,
    GLM,
    HOLM,
    LOGLINEAR,
    NEWMAN,
    ONE_SAMPLE,
    PPI,
    SIGN,
    SIZE,
    WILSON,
    Numbers,
    NumberTable,
)

MCNEMAR = "statsmodels mcnemar"
MAX_T = "Romano and Wolf 2005, step-down max-T over all flips, by itertools.product"
BETA_BINOMIAL = "scipy.stats.betabinom.pmf / scipy.stats.binom.pmf"
BT = "evalica.bradley_terry"
ALPHA_LEVEL = "krippendorff.alpha(level_of_measurement=...)"
LASSO = "statsmodels GLM.fit_regularized(method='elastic_net', L1_wt=1)"
ANOVA = "statsmodels anova_lm, method of moments"
BOUNDS = "scipy.optimize.brentq on the beta-binomial likelihood ratio"
LEE = "Lee et al. 2025 (arXiv 2511.21140): README case of LLM-judge-reporting"
POWER = "statsmodels NormalIndPower.solve_power"
MULTINORMAL = "scipy.stats.multivariate_normal.cdf of O'Brien and Fleming's boundary"
BINOMIAL = "scipy.stats.binomtest and scipy.optimize.brentq on scipy.stats.binom.sf"
ANOVA_PANEL = "statsmodels anova_lm of prompts and judges, proportion_confint, t(J-1)"
DERSIMONIAN = "statsmodels combine_effects(method_re='chi2'), weights by precision"
EFFICIENT = "means by value of the judge, then as for few labels"


def expected(folder: Path) -> dict[str, Numbers]:
    """Group -> source -> name -> number."""
    vectors = json.loads((folder / "vectors.json").read_text("utf-8"))
    groups = (
        *(intervals, tests, agreement, ratings, sequential, planning, labels, length, variance),
        panels,
    )
    return {group.__name__: group(vectors) for group in groups}


def intervals(vectors: dict[str, Any]) -> Numbers:
    """Win rates in each of the four regimes of stats.md 1.2, and unbounded means."""
    book = NumberTable()
    values = {name: np.array(vectors[name]) for name in ("singles", "few", "many", "rare")}
    for name, y in values.items():
        reference.rate(book, name, y)
    reference.rate(book, "groups", values["many"], vectors["groups"])
    for hits, n in ((0, 7), (11, 16), (20, 20)):
        low, high = proportion_confint(hits, n, 0.05, "wilson")
        book.estimate(WILSON, f"{hits}/{n}", hits / n, low, high)
    low, high = proportion_confint(11, 16, 0.01, "wilson")
    book.estimate(WILSON, "11/16 at 99 %", 11 / 16, low, high)
    d = np.array(vectors["more_differences"])
    low, high = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    book.estimate(ONE_SAMPLE, "differences", d.mean(), low, high, stats.sem(d))
    for name, y in (("bca", values["rare"]), ("bca of differences", d)):
        result = stats.bootstrap(
            (y,), np.mean, n_resamples=99_999, method="BCa", rng=np.random.default_rng(1)
        )
        low, high = result.confidence_interval
        for part, value in (("low", low), ("high", high), ("se", result.standard_error)):
            book.add(BCA, f"{name}.{part}", value)
    return book.numbers


def tests(vectors: dict[str, Any]) -> Numbers:
    """Sign, McNemar and permutation tests, and corrections for multiple tests."""
    book = NumberTable()
    for wins, losses in ((55, 45), (15, 5), (0, 6), (7, 7)):
        book.add(SIGN, f"sign {wins}-{losses}", stats.binomtest(wins, wins + losses).pvalue)
    for b, c in vectors["discordant"]:
        result = mcnemar([[0, b], [c, 0]], exact=b + c < 25, correction=True)
        book.add(MCNEMAR, f"mcnemar {b}-{c}", result.pvalue)
    d = np.array(vectors["differences"])
    result = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    book.add(EXACT_FLIPS, "flips", result.pvalue)
    more = np.array(vectors["more_differences"])
    book.add(reference.SCORE_FLIPS, "more flips", reference.all_flips(more))
    for name in ("singles", "few", "many", "rare"):
        _add_tested(book, name, reference.rate_with_test(np.array(vectors[name])))
    many, groups = np.array(vectors["many"]), [str(group) for group in vectors["groups"]]
    _add_tested(book, "groups", reference.rate_with_test(many, groups))
    # The difference of two rates over a baseline is that of a rate from -1 to 1.
    paired = reference.rate_with_test((1 + many - np.array(vectors["baseline"])) / 2)
    book.add(paired.sources[1], "paired p", paired.p)
    parts = (2 * paired.estimate - 1, 2 * paired.low - 1, 2 * paired.high - 1)
    assert paired.se is not None
    book.estimate(paired.sources[0], "paired", *parts, 2 * paired.se)
    for at, p in enumerate(multipletests(vectors["p_values"], method="holm")[1]):
        book.add(HOLM, f"holm {at}", p)
    families = np.array(vectors["families"])
    signs = np.array(list(product((-1, 1), repeat=len(families))))
    scale = np.sqrt((families**2).sum(axis=0))
    drawn, observed = np.abs(signs @ families) / scale, np.abs(families.sum(axis=0)) / scale
    highest = 0.0
    order = np.argsort(-observed)
    for rank, at in enumerate(order):
        largest = drawn[:, order[rank:]].max(axis=1)
        highest = max(highest, float((largest >= observed[at] - 1e-12).mean()))
        book.add(MAX_T, f"romano-wolf {at}", highest)
    return book.numbers


def _add_tested(book: NumberTable, name: str, tested: reference.Tested) -> None:
    tested.put(book, f"tested {name}")
    book.add(tested.sources[1], f"tested {name} p", tested.p)


def agreement(vectors: dict[str, Any]) -> Numbers:
    """Chance-corrected agreement of four raters on a scale, some ratings missing."""
    book = NumberTable()
    table = np.array(vectors["ratings"], dtype=float)
    for level in ("nominal", "ordinal", "interval"):
        value = krippendorff.alpha(table.T, level_of_measurement=level, value_domain=range(1, 6))
        book.add(ALPHA_LEVEL, f"alpha {level}", value)
    complete = table[~np.isnan(table).any(axis=1)].astype(int)
    counts = (complete[:, :, None] == np.arange(1, 6)).sum(axis=1)
    book.add(FLEISS, "fleiss", inter_rater.fleiss_kappa(counts))
    book.add(reference.AC1, "ac1", reference.gwet(counts))
    two = table[:, :2]
    two = two[~np.isnan(two).any(axis=1)].astype(int)
    cells = np.zeros((5, 5))
    np.add.at(cells, (two[:, 0] - 1, two[:, 1] - 1), 1)
    book.add(reference.COHEN, "cohen", inter_rater.cohens_kappa(cells, return_results=False))
    return book.numbers


def ratings(vectors: dict[str, Any]) -> Numbers:
    """Bradley-Terry without ties, with ties half, Davidson's, and with an order effect."""
    book = NumberTable()
    battles = [(int(left), int(right), won) for left, right, won, _ in vectors["battles"]]
    named = {1: evalica.Winner.X, 0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}

    def fitted(rows: list[tuple[int, int, float]], newman: bool) -> tuple[Any, dict[int, float]]:
        fit = evalica.newman if newman else evalica.bradley_terry
        lefts, rights, won = zip(*rows, strict=True)
        result = fit(
            lefts, rights, [named[winner] for winner in won], tolerance=1e-13, limit=1_000_000
        )
        logs = {int(item): math.log(score) for item, score in result.scores.items()}
        middle = sum(logs.values()) / len(logs)
        return result, {item: value - middle for item, value in sorted(logs.items())}

    decided = [row for row in battles if row[2] != 0.5]
    for name, rows in (("decided", decided), ("ties half", battles)):
        for item, value in fitted(rows, newman=False)[1].items():
            book.add(BT, f"{name} {item}", value)
    result, logs = fitted(battles, newman=True)
    book.add(NEWMAN, "davidson tie", 2 * result.v)
    for item, value in logs.items():
        book.add(NEWMAN, f"davidson {item}", value)
    outcomes: list[reference.Outcome] = []
    for left, right, won in battles:
        a, b = sorted((left, right))
        side = {1: 1, 0: -1, 0.5: 0}[won] * (1 if left == a else -1)
        outcomes.append(((str(a), str(b)), "a" if left == a else "b", side, 1.0))
    strengths, tie, first = reference.log_linear([str(item) for item in range(5)], outcomes)
    book.put(LOGLINEAR, **{"ordered tie": tie, "ordered first": first})
    for item, value in strengths.items():
        book.add(LOGLINEAR, f"ordered {item}", value)
    return book.numbers


def sequential(vectors: dict[str, Any]) -> Numbers:
    """The beta-mixture sign test: the mixture is a beta-binomial, the null a binomial.

    The number of arrangements of wins and losses cancels in their ratio.
    """
    book = NumberTable()
    y = np.array(vectors["stream"])
    decided = y[y != 0.5]
    logs, a = [0.0], 5
    for n in range(1, len(decided) + 1):
        wins = int((decided[:n] == 1).sum())
        logs.append(stats.betabinom.logpmf(wins, n, a, a) - stats.binom.logpmf(wins, n, 0.5))
    book.add(BETA_BINOMIAL, "log e", logs[-1])
    book.add(BETA_BINOMIAL, "p", math.exp(-max(logs)))
    crossed = next((n for n, log in enumerate(logs) if log >= math.log(20)), 0)
    if crossed:  # counted with the ties before it
        at = int(np.flatnonzero(y != 0.5)[crossed - 1]) + 1
        book.add(BETA_BINOMIAL, "stopped", at)
    n, wins = len(decided), int((decided == 1).sum())
    mixed = stats.betabinom.logpmf(wins, n, a, a)

    def against(p: float) -> float:
        return float(mixed - stats.binom.logpmf(wins, n, p) - math.log(20))

    peak = wins / n
    book.put(
        BOUNDS,
        low=optimize.brentq(against, 1e-9, peak),
        high=optimize.brentq(against, peak, 1 - 1e-9),
    )
    return book.numbers


def planning(vectors: dict[str, Any]) -> Numbers:
    """Sample size and power: stats.md 1.4."""
    book = NumberTable()
    for sd, effect in ((1 / 3, 0.03), (0.5, 0.1), (0.42, 0.07)):
        n = normal_sample_size_one_tail(effect, 0.8, 0.025, std_null=sd)
        book.add(SIZE, f"prompts {sd:.3f} {effect}", math.ceil(n))
        d = NormalIndPower().solve_power(nobs1=100, alpha=0.05, power=0.8, ratio=0)
        book.add(POWER, f"detectable {sd:.3f}", d * sd)
    for name in ("singles", "few", "many", "rare"):
        values = np.array(vectors[name])
        sd = float(values.std(ddof=1))
        reference.power(_under(book, f"{name} "), float(values.mean()), sd, len(values))
    for sd, away, margin in ((0.4, 0.0, 0.05), (0.3, 0.02, 0.05)):
        book.add(FITS, f"fits {sd} {away} {margin}", reference.prompts_within(sd, away, margin))
    for looks in (2, 3):
        for at, alpha in enumerate(obrien_fleming(looks), start=1):
            book.add(MULTINORMAL, f"look {at} of {looks}", alpha)
    for n in (50, 100, 805):
        wins = int(stats.binom.ppf(0.975, n, 0.5))
        while stats.binomtest(wins, n).pvalue >= 0.05:
            wins += 1
        power_at = lambda p, n=n, wins=wins: stats.binom.sf(wins - 1, n, p) - 0.8  # noqa: E731
        book.add(BINOMIAL, f"tells {n}", optimize.brentq(power_at, 0.5, 1, xtol=1e-14))
    return book.numbers


def obrien_fleming(looks: int) -> list[float]:
    """The nominal alphas: all |z_k| stay below C sqrt(K/k) with probability 0.95."""
    times = np.arange(1, looks + 1) / looks
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    walk = stats.multivariate_normal(cov=covariance, abseps=1e-10, releps=1e-10, seed=1)

    def excess(constant: float) -> float:
        bounds = constant / np.sqrt(times)
        return float(walk.cdf(bounds, lower_limit=-bounds)) - 0.95

    constant = optimize.brentq(excess, 1.9, 2.2, xtol=1e-9)
    return [float(2 * stats.norm.sf(bound)) for bound in constant / np.sqrt(times)]


def panels(vectors: dict[str, Any]) -> Numbers:
    """Variances between judges and between slices."""
    book = NumberTable()
    rows = pd.DataFrame(vectors["panel"], dtype=float).dropna().reset_index(drop=True)
    n, judges = rows.shape
    frame = rows.melt(var_name="judge", value_name="y", ignore_index=False).reset_index(names="p")
    frame[["p", "judge"]] = frame[["p", "judge"]].astype(str)
    squares = anova_lm(ols("y ~ p + judge", frame).fit())["mean_sq"]
    between = max(0.0, (squares["judge"] - squares["Residual"]) / n)
    y = rows.mean(axis=1).to_numpy()
    m, variance = float(y.mean()), float(stats.sem(y) ** 2 + between / judges)
    units = min(n, max(1.0, m * (1 - m) / variance))
    low, high, _ = reference.score(m, math.sqrt(variance), units, judges - 1)
    book.estimate(ANOVA_PANEL, "random judges", m, low, high, math.sqrt(variance))
    book.add(ANOVA_PANEL, "between judges", math.sqrt(between))
    x, se = np.array(vectors["slices"]).T
    combined = combine_effects(x, se**2, method_re="chi2")
    tau2, overall = float(combined.tau2), float(combined.mean_effect_re)
    book.put(DERSIMONIAN, overall=overall, between=math.sqrt(tau2))
    for at, (own, error) in enumerate(zip(x, se, strict=True)):
        precision = np.array([1 / error**2, 1 / tau2])
        book.add(DERSIMONIAN, f"slice {at}", float(precision @ [own, overall] / precision.sum()))
    return book.numbers


def _under(book: NumberTable, prefix: str) -> NumberTable:
    """A table that adds its numbers to `book` under names with a prefix."""

    class Under(NumberTable):
        def add(self, source: str, name: str, value: float | None) -> None:
            book.add(source, f"{prefix}{name}", value)

    return Under()


def labels(vectors: dict[str, Any]) -> Numbers:
    """PPI++ on 50 labels and 150 unlabeled prompts; Rogan-Gladen."""
    book = NumberTable()
    y, judged = np.array(vectors["labels"]), np.array(vectors["judged"])
    f, rest = judged[: len(y)], judged[len(y) :]
    low, high = (float(np.ravel(edge)[0]) for edge in ppi_py.ppi_mean_ci(y, f, rest, alpha=0.05))
    estimate = float(np.ravel(ppi_py.ppi_mean_pointestimate(y, f, rest))[0])
    book.estimate(PPI, "ppi", estimate, low, high)
    reference.corrected(book, "few labels", y, f, rest)
    more = np.array(vectors["more_labels"])
    f, rest = mean_labels(more, judged)
    efficient = NumberTable()
    reference.corrected(efficient, "efficient", more, f, rest)
    for part, number in efficient.numbers[reference.FEW_LABELS].items():
        book.add(EFFICIENT, part, number)
    for part, value in (("estimate", 0.1667), ("low", 0.0564), ("high", 0.2627)):
        book.add(LEE, f"lee.{part}", value)
    return book.numbers


def mean_labels(y: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean label of the prompts with the same value by the judge, without the own label.

    Two labels with the mean of all are added to each value.
    """
    n = len(y)
    of_labeled = np.empty(n)
    for at in range(n):
        others = np.delete(y, at)
        alike = others[np.delete(judged[:n], at) == judged[at]]
        of_labeled[at] = np.mean([*alike, others.mean(), others.mean()])
    means = {value: np.mean([*y[judged[:n] == value], y.mean(), y.mean()]) for value in set(judged)}
    return of_labeled, np.array([means[value] for value in judged[n:]])


def length(vectors: dict[str, Any]) -> Numbers:
    """The win rate at equal length: bakeoff's, and AlpacaEval's with two penalties."""
    book = NumberTable()
    y, d = np.array(vectors["soft"]), np.array(vectors["lengths"], dtype=float)
    z = np.tanh(d / d.std(ddof=1))
    fit = sm.GLM(y, sm.add_constant(z), family=sm.families.Binomial()).fit(tol=1e-12)
    book.put(GLM, controlled=special.expit(fit.params[0]))
    hardness, gamed = np.array(vectors["hardness"]), np.array(vectors["gamed"])
    at = gamed[:, 2].astype(int)
    own_rows = np.column_stack((np.tanh(d / d.std(ddof=1)), hardness, np.ones(len(y))))
    gamed_rows = np.column_stack((np.tanh(gamed[:, 0]), hardness[at], np.zeros(len(gamed))))
    x, outcome = np.vstack((own_rows, gamed_rows)), np.append(y, gamed[:, 1])
    weights = np.repeat((1.0, 0.2 * len(y) / len(gamed)), (len(y), len(gamed)))
    for c in (2.78, 21.54):
        # A weight on a row is that of a count: statsmodels divides the log-likelihood by rows.
        model = sm.GLM(outcome, x, family=sm.families.Binomial(), freq_weights=weights)
        fitted = model.fit_regularized(
            method="elastic_net",
            alpha=1 / c / len(outcome),
            L1_wt=1.0,
            maxiter=10_000,
            cnvrg_tol=1e-13,
            zero_tol=1e-12,
        )
        beta = np.asarray(fitted.params)
        rate = special.expit(beta[1] * hardness + beta[2]).mean()
        book.add(LASSO, f"alpaca_eval c={c}", rate)
        for name, value in zip(("length", "difficulty", "model"), beta, strict=True):
            book.add(LASSO, f"alpaca_eval c={c} {name}", value)
    return book.numbers


def variance(vectors: dict[str, Any]) -> Numbers:
    """Variance components of a balanced nested design, from the mean squares of its ANOVA."""
    book = NumberTable()
    frame = pd.DataFrame(vectors["nested"], columns=["p", "g", "o", "r", "y"])
    frame["y"] -= frame.groupby("o")["y"].transform("mean")  # both orders cancel what they share
    sizes = [int(frame[column].nunique()) for column in "pgor"]
    for column in "pgo":
        frame[column] = frame[column].astype(int).astype(str)
    table = anova_lm(ols("y ~ p + p:g + p:g:o", frame).fit())
    squares = table["mean_sq"].to_dict()
    _, g, o, r = sizes
    repeat = squares["Residual"]
    order = (squares["p:g:o"] - repeat) / r
    generation = (squares["p:g"] - squares["p:g:o"]) / (r * o)
    prompt = (squares["p"] - squares["p:g"]) / (r * o * g)
    book.put(ANOVA, prompt=prompt, generation=generation, order=order, repeat=repeat)
    return book.numbers
