"""The expected numbers of the golden evaluations, computed without bakeoff.

Everything is recomputed from the raw rows, which `formats.py` reads. The statistics come from
scipy, statsmodels, evalica, krippendorff and ppi-python; other numbers are formulas with
their source. Each number is listed under its source.

Terms: a verdict is one judge's preference for a (1, 0.5 for a tie, 0, or a probability) in one
order; y is a prompt's preference for a. Of the two models of a pair, a is the one that is always
the first of a pair in the file, or else the first by name. A unit is a prompt, or a cluster of
prompts with a common cluster tag or similar texts. A row is a judge's preference on a prompt.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import evalica
import krippendorff
import numpy as np
import pandas as pd
import ppi_py
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats import inter_rater
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, normal_sample_size_one_tail
from statsmodels.stats.proportion import proportion_confint, proportions_ztest
from statsmodels.stats.weightstats import DescrStatsW

from tests.golden.formats import READERS, Evaluation, Verdict
from tests.golden.reference_rows import ONE_ORDER, Row, View, decide, sides, sign, views_of

Values = NDArray[np.float64]
Numbers = dict[str, dict[str, float]]  # source -> name -> number

MARGIN = 0.05  # around 0.5, the default of `bakeoff audit`
LEAST_PROMPTS = 15  # of an interval
LEAST_CLUSTERS = 10
MOST_ADVISED = 20_000  # prompts
RATED = ("own_results",)  # the evaluations of many models that no check withholds

COUNT = "counting rows"
MEAN = "numpy.mean, numpy.std(ddof=1)"
WILSON = "statsmodels proportion_confint(method='wilson')"
EFFECTIVE = "statsmodels proportion_confint(method='wilson') at the effective n, t(2C) for normal"
TOO_FEW = "numpy.mean, with less than 15 prompts or 10 clusters: no interval"
BALANCED = "statsmodels WLS(cov_type='cluster') of each order, Welch 1947, proportion_confint"
T = "statsmodels OLS(cov_type='cluster', use_t=True).conf_int"
SIGN = "scipy.stats.binomtest"
SCORE_P = "statsmodels proportions_ztest(prop_var=0.5) at the effective n, t for normal"
HOLM = "statsmodels multipletests(method='holm')"
WELCH = "scipy.stats.ttest_ind(equal_var=False).confidence_interval"
PAIRED = "scipy.stats.ttest_rel.confidence_interval"
ONE_SAMPLE = "scipy.stats.ttest_1samp.confidence_interval"
EXACT_FLIPS = "scipy.stats.permutation_test(permutation_type='samples'), all flips"
ALL_FLIPS = "the distribution over all sign flips, by numpy.convolve"
SCORE_FLIPS = "the distribution over all sign flips of score differences, by numpy.convolve"
GRADED_FLIPS = "the sums over all sign flips of values on no common grid"
SPEARMAN = "scipy.stats.spearmanr"
GLM = "statsmodels GLM(family=Binomial)"
BCA = "scipy.stats.bootstrap(method='BCa')"
COHEN = "statsmodels inter_rater.cohens_kappa"
FLEISS = "statsmodels inter_rater.fleiss_kappa"
AC1 = "Gwet 2008: (po - pe)/(1 - pe), pe = sum pi(1 - pi)/(q - 1)"
ALPHA = "krippendorff.alpha(level_of_measurement='nominal')"
SIZE = "statsmodels normal_sample_size_one_tail(alpha=0.025)"
FITS = "scipy.stats.norm: least n with power 0.8 in two one-sided tests"
POWER = "statsmodels NormalIndPower.solve_power"
PPI = "ppi_py.ppi_mean_ci"
FEW_LABELS = "ppi_py.ppi_mean_pointestimate with lambda (n-2)/(n+2), proportion_confint, t(n-1)"
NEWMAN = "evalica.newman"
LOGLINEAR = "statsmodels GLM(family=Poisson): Davidson's model as a log-linear one"


# Estimates.


class NumberTable:
    """Numbers by source, under names with a common prefix."""

    def __init__(self) -> None:
        self.numbers: Numbers = defaultdict(dict)

    def put(self, source: str, **numbers: float | None) -> None:
        """Numbers by name (`__` stands for a dot); None is left out."""
        for name, value in numbers.items():
            self.add(source, name.replace("__", "."), value)

    def add(self, source: str, name: str, value: float | None) -> None:
        """One number."""
        if value is not None:
            value = value if isinstance(value, int) else float(value)
            assert math.isfinite(value), name
            self.numbers[source][name] = value

    def estimate(self, source: str, name: str, *parts: float | None) -> None:
        """An estimate with its interval and standard error."""
        for part, value in zip(("estimate", "low", "high", "se"), parts, strict=False):
            self.add(source, f"{name}.{part}", value)


class Tested(NamedTuple):
    """A rate with its interval, and the p-value that agrees with it."""

    estimate: float
    low: float
    high: float
    se: float | None
    p: float
    sources: tuple[str, str]
    """Of the interval and of the p-value."""

    def put(self, book: NumberTable, name: str) -> None:
        """Add the rate to a table."""
        book.estimate(self.sources[0], name, self.estimate, self.low, self.high, self.se)


def score(m: float, se: float, units: float, degrees: float) -> tuple[float, float, float]:
    """The bounds of Wilson's interval at the effective n, and the p-value of its test of 0.5.

    The units are a mixture of C with mean m and variance C SE^2, and one of 0 and one of 1; the
    effective n has the same variance of a mean as that many wins and losses, less these two.
    """
    mixture = DescrStatsW([m, 0.0, 1.0], weights=[units, 1.0, 1.0])
    within = units * units * se**2 / (units + 2)
    portion = float(mixture.mean)
    n = (units + 2) * portion * (1 - portion) / (float(mixture.var) + within) - 2
    assert n >= 1
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, degrees))
    low, high = proportion_confint(m * n, n, alpha, "wilson")
    z, _ = proportions_ztest(m * n, n, 0.5, prop_var=0.5)
    return float(low), float(high), float(2 * stats.t.sf(abs(z), degrees))


def agreeing(m: float, se: float, bounds: tuple[float, float], p: float, *sources: str) -> Tested:
    """The interval is widened to contain 0.5 where p is not below 0.05."""
    low, high = bounds
    if p >= 0.05:
        low, high = min(low, 0.5), max(high, 0.5)
    assert (p < 0.05) == (not low <= 0.5 <= high)
    return Tested(m, low, high, se, p, (sources[0], sources[1]))


def moments(y: Values, clusters: Sequence[str] | None) -> tuple[float, float, float, int]:
    """The mean, its cluster-robust standard error, the effective and the plain number of units."""
    names = clusters if clusters is not None else np.arange(len(y))
    groups, sizes = np.unique(names, return_inverse=True, return_counts=True)[1:]
    fit = sm.OLS(y, np.ones(len(y))).fit()
    fit = fit.get_robustcov_results("cluster", groups=groups, use_t=True)
    units = len(y) ** 2 / float((sizes**2).sum())
    return float(fit.params[0]), float(fit.bse[0]), units, len(sizes)


def rate_with_test(y: Values, clusters: Sequence[str] | None = None) -> Tested:
    """The rate that decides: p is the larger one of the score test and of an exact test."""
    m, se, units, count = moments(y, clusters)
    if len(y) < LEAST_PROMPTS or count < LEAST_CLUSTERS:
        return Tested(m, 0.0, 1.0, se if count > 1 else None, 1.0, (TOO_FEW, TOO_FEW))
    low, high, p = score(m, se, units, 2 * units)
    exact, source = exact_test(y, clusters)
    if exact >= p:
        return agreeing(m, se, (low, high), exact, EFFECTIVE, source)
    return agreeing(m, se, (low, high), p, EFFECTIVE, SCORE_P)


def exact_test(y: Values, clusters: Sequence[str] | None) -> tuple[float, str]:
    """The p-value of the sign test, or of the sign flips of the sums of units, and its source."""
    if len(set(clusters or ())) in (0, len(y)) and np.isin(np.round(y, 8), (0, 0.5, 1)).all():
        won, lost = int((y > 0.5 + 1e-8).sum()), int((y < 0.5 - 1e-8).sum())
        return (float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0), SIGN
    names = clusters if clusters is not None else [str(at) for at in range(len(y))]
    sums = pd.Series(y - 0.5).groupby(list(names)).sum().to_numpy()
    if np.allclose(sums * GRID, np.rint(sums * GRID), atol=1e-4):
        return all_flips(sums), ALL_FLIPS
    return all_sums(sums), GRADED_FLIPS


def rate(book: NumberTable, name: str, y: Values, clusters: Sequence[str] | None = None) -> None:
    """The mean of y with the score interval; without one for too few prompts."""
    m, se, _, count = moments(y, clusters)
    if len(y) < LEAST_PROMPTS or count < LEAST_CLUSTERS:
        book.estimate(TOO_FEW, name, m, 0.0, 1.0, se if count > 1 else None)
    else:
        mean(book, name, y, clusters)


def mean(book: NumberTable, name: str, y: Values, clusters: Sequence[str] | None = None) -> None:
    """The mean of y with the score interval, at any number of prompts."""
    m, se, units, _ = moments(y, clusters)
    low, high, _ = score(m, se, units, 2 * units)
    book.estimate(EFFECTIVE, name, m, low, high, se)


def published(book: NumberTable, verdicts: Sequence[Verdict], cluster: Mapping[str, str]) -> None:
    """The mean over all prompts with Student's t interval, and the sign test of their winners."""
    views = views_of(verdicts)
    y = np.array([view.y for view in views.values()])
    names = [cluster.get(prompt, prompt) for prompt in views]
    groups = np.unique(names, return_inverse=True)[1]
    fit = sm.OLS(y, np.ones(len(y))).fit()
    fit = fit.get_robustcov_results("cluster", groups=groups, use_t=True)
    low, high = fit.conf_int(0.05)[0]
    book.estimate(T, "published", float(fit.params[0]), low, high, float(fit.bse[0]))
    won, lost = (sum(view.side == side for view in views.values()) for side in (1, -1))
    book.put(SIGN, published__p=stats.binomtest(won, won + lost).pvalue)


def deciding(
    verdicts: Sequence[Verdict], golden: Evaluation, prompts: Sequence[str] | None = None
) -> tuple[Tested, list[Row]]:
    """The rate over the rows that decide, and these rows with their weights."""
    units = golden.cluster | golden.similar
    rows = decide(verdicts, prompts, golden.tags)
    if any(row.order in ONE_ORDER for row in rows):
        return balanced(rows, units), rows
    names = [units.get(row.prompt, row.prompt) for row in rows]
    return rate_with_test(np.array([row.y for row in rows]), names), rows


def balanced(rows: Sequence[Row], units: Mapping[str, str]) -> Tested:
    """Both orders of a judge's prompts in one order have equal weights.

    The strata are the rows in both orders, and the rows of each judge in each order. The variance
    of each is cluster-robust, and at least that with one more win and one more loss; units in
    several strata add the products of their residuals.
    """
    frame = pd.DataFrame(rows)
    frame["unit"] = [units.get(prompt, prompt) for prompt in frame["prompt"]]
    frame["stratum"] = [(row.judge if row.order in ONE_ORDER else "", row.order) for row in rows]
    frame["residual"] = 0.0
    parts, alone = {}, {}
    for stratum, of_stratum in frame.groupby("stratum"):
        total, codes = of_stratum["weight"].sum(), pd.factorize(of_stratum["unit"])[0]
        n = int(codes.max()) + 1
        fit = sm.WLS(of_stratum["y"], np.ones(len(codes)), weights=of_stratum["weight"]).fit()
        fit = fit.get_robustcov_results("cluster", groups=codes)
        m, variance = float(fit.params[0]), float(fit.bse[0]) ** 2
        residuals = of_stratum["weight"] * (of_stratum["y"] - m) * math.sqrt(n / (n - 1))
        frame.loc[of_stratum.index, "residual"] = residuals
        mixture = DescrStatsW([m, 0.0, 1.0], weights=[float(n), 1.0, 1.0])
        least = (float(mixture.var) + n * n * variance / (n + 2)) / n
        alone[stratum] = total**2 * variance
        parts[stratum] = total**2 * max(variance, least), n - 1
    together = float((frame.groupby("unit")["residual"].sum() ** 2).sum())
    variance = together + sum(part for part, _ in parts.values()) - sum(alone.values())
    degrees = sum(part for part, _ in parts.values()) ** 2 / sum(
        part**2 / df for part, df in parts.values()
    )
    count, m, se = frame["unit"].nunique(), float(frame["weight"] @ frame["y"]), math.sqrt(variance)
    assert count >= LEAST_CLUSTERS
    low, high, p = score(m, se, count, degrees)
    return agreeing(m, se, (low, high), p, BALANCED, SCORE_P)


def share(book: NumberTable, name: str, hits: int, n: int) -> None:
    """A share of independent prompts; nothing is added without prompts."""
    if n:
        low, high = proportion_confint(hits, n, 0.05, "wilson")
        se = stats.sem(np.repeat((1.0, 0.0), (hits, n - hits))) if n > 1 else None
        book.estimate(WILSON, name, hits / n, low, high, se)


def position(book: NumberTable, verdicts: Sequence[Verdict]) -> None:
    """The position effect: stats.md 2.1."""
    known = [v for v in verdicts if v.y is not None]
    placed = [v for v in known if v.first]
    if 2 * len(placed) < len(known) or not placed:
        return
    shown_first = fmean(v.first == "a" for v in placed)
    book.put(MEAN, order__shown_first=shown_first)
    if shown_first in (0, 1):
        return
    picks(book, "order.pick_first", placed)
    by_place: dict[str, dict[str, float]] = {}
    for place in "ab":
        by_prompt = defaultdict(list)
        for v in placed:
            if v.first == place:
                by_prompt[v.prompt].append(v.y)
        by_place[place] = {prompt: fmean(ys) for prompt, ys in by_prompt.items()}
    both = sorted(by_place["a"].keys() & by_place["b"].keys())
    if 2 * len(both) < len(by_place["a"].keys() | by_place["b"].keys()):
        x, y = (np.array(list(by_place[place].values())) for place in "ab")
        test = stats.ttest_ind(x, y, equal_var=False)
        low, high = test.confidence_interval(0.95)
        gap = x.mean() - y.mean()
        book.estimate(WELCH, "order.effect", gap, low, high, gap / test.statistic)
        middle, half = (x.mean() + y.mean()) / 2, (high - low) / 4
        se = gap / test.statistic / 2
        book.estimate(WELCH, "order.balanced", middle, middle - half, middle + half, se)
        return
    x, y = (np.array([by_place[place][prompt] for prompt in both]) for place in "ab")
    test = stats.ttest_rel(x, y)
    low, high = test.confidence_interval(0.95)
    book.estimate(PAIRED, "order.effect", (x - y).mean(), low, high, stats.sem(x - y))
    rate(book, "order.balanced", (x + y) / 2)
    sides = [(sign(left), sign(right)) for left, right in zip(x, y, strict=True)]
    first, second = sides.count((1, -1)), sides.count((-1, 1))
    book.put(COUNT, order__first_twice=first, order__second_twice=second)
    p = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    book.put(SIGN, order__p=p)


def picks(book: NumberTable, name: str, placed: Sequence[Verdict]) -> None:
    """The share of decisive verdicts for the answer shown first, clustered by prompt."""
    decisive = [v for v in placed if v.y is not None and sign(v.y)]
    first = np.array([float((v.y > 0.5) == (v.first == "a")) for v in decisive])
    mean(book, name, first, [v.prompt for v in decisive])


def length(book: NumberTable, views: Mapping[str, View], longer: Mapping[str, int]) -> None:
    """The association of length and wins: stats.md 2.2."""
    prompts = [prompt for prompt in views if prompt in longer]
    if not prompts:
        return
    y = np.array([views[prompt].y for prompt in prompts])
    d = np.array([longer[prompt] for prompt in prompts], dtype=float)
    book.put(COUNT, length__n=len(y))
    longer_wins(book, "length.longer_wins", views, longer)
    book.put(SPEARMAN, length__spearman=stats.spearmanr(y, d).statistic)


def longer_wins(
    book: NumberTable, name: str, views: Mapping[str, View], longer: Mapping[str, int]
) -> None:
    """The share of decisive prompts that the longer answer wins."""
    wins = [
        (view.y > 0.5) == (longer[prompt] > 0)
        for prompt, view in views.items()
        if prompt in longer and longer[prompt] and sign(view.y)
    ]
    share(book, name, sum(wins), len(wins))


def scored(book: NumberTable, views: Mapping[str, View]) -> None:
    """Mean scores from 0 to 1, their paired difference and a permutation test of it."""
    pairs = [view.scores for view in views.values() if view.scores]
    if not pairs:
        return
    a, b = np.array(pairs).T / 10
    d = np.round(a - b, 12)
    for name, values in (("scores_a", a), ("scores_b", b)):
        book.add(MEAN, f"{name}.mean", values.mean())
        book.add(MEAN, f"{name}.sd", values.std(ddof=1))
    low, high = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    book.estimate(ONE_SAMPLE, "score_difference", d.mean(), low, high, stats.sem(d))
    book.add(MEAN, "score_difference.sd", d.std(ddof=1))
    for name, mask in (("better", d > 0), ("worse", d < 0), ("equal", d == 0)):
        book.add(COUNT, f"scored.{name}", int(mask.sum()))
    if len(d) <= 16:
        test = stats.permutation_test(
            (d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf
        )
        book.add(EXACT_FLIPS, "score_difference.p", test.pvalue)
    else:
        book.add(SCORE_FLIPS, "score_difference.p", all_flips(d))


GRID = 480  # values are multiples of 1/480: halves and tenths, averaged over 1 to 6 verdicts


def all_flips(d: Values) -> float:
    """Twice the smaller tail of the sum over all flips of the signs of multiples of 1/480."""
    steps = np.rint(d * GRID).astype(int)
    assert np.allclose(steps / GRID, d)
    chances = np.ones(1)
    for step in np.abs(steps):
        two = np.zeros(2 * step + 1)
        two[0] += 0.5
        two[-1] += 0.5
        chances = np.convolve(chances, two)
    observed = int(steps.sum()) + len(chances) // 2
    return float(min(1.0, 2 * min(chances[: observed + 1].sum(), chances[observed:].sum())))


def all_sums(d: Values) -> float:
    """The share of all sums over flips of the signs that are at least as far from 0."""
    assert len(d) <= 22
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate((sums + value, sums - value))
    return float((np.abs(sums) >= abs(d.sum()) - 1e-7).mean())


def agreement(book: NumberTable, name: str, raters: Sequence[Mapping[str, int]]) -> None:
    """Agreement of raters on the side of the same units."""
    units = sorted(set().union(*raters))
    table = np.array([[rater.get(unit, np.nan) for rater in raters] for unit in units])
    table = table[(~np.isnan(table)).sum(axis=1) > 1]
    if not len(table):
        return
    alike = np.nanmax(table, axis=1) == np.nanmin(table, axis=1)
    book.add(MEAN, f"{name}.share", alike.mean())
    domain = np.unique(table[~np.isnan(table)])
    book.add(
        ALPHA,
        f"{name}.alpha.estimate",
        krippendorff.alpha(table.T, level_of_measurement="nominal", value_domain=domain),
    )
    complete = table[~np.isnan(table).any(axis=1)]
    counts = (complete[:, :, None] == np.array([-1, 0, 1])).sum(axis=1)
    if len(raters) == 2:
        cells = np.zeros((3, 3))
        for first, second in complete.astype(int):
            cells[first + 1, second + 1] += 1
        book.add(COHEN, f"{name}.cohen.estimate", inter_rater.cohens_kappa(cells).kappa)
    else:
        book.add(FLEISS, f"{name}.fleiss.estimate", inter_rater.fleiss_kappa(counts))
    book.add(AC1, f"{name}.ac1.estimate", gwet(counts))


def gwet(counts: NDArray[np.intp]) -> float:
    """AC1 from how often each category was given to each unit."""
    m = counts.sum(axis=1)[0]
    shares = counts.sum(axis=0) / counts.sum()
    q = int((shares > 0).sum())
    observed = (counts * (counts - 1)).sum(axis=1).mean() / (m * (m - 1))
    chance = (shares * (1 - shares)).sum() / (q - 1)
    return float((observed - chance) / (1 - chance))


def power(
    book: NumberTable, mean: float, sd: float, n: int, sequences: float | None = None
) -> None:
    """The detectable effect, and the prompts that the present mean needs: stats.md 1.4.

    These are the fewer ones of those that tell it from 0.5, and, within the margin, of those that
    show equivalence; none above 20,000. `sequences` is the alpha of the confidence sequence that
    decides a later look, which takes 0.65 + 0.36 log(1 / alpha) times as many.
    """
    if sd < 1e-9:  # unanimous: one more win and one more loss
        sd = float(np.append(np.full(n, mean), (0.0, 1.0)).std(ddof=1))
    away = abs(mean - 0.5)
    d = NormalIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8, ratio=0)
    book.put(POWER, power__detectable=d * sd)
    factor = 0.65 + 0.36 * math.log(1 / sequences) if sequences else 1.0
    ways = []
    if away > 1e-9:
        size = normal_sample_size_one_tail(away, 0.8, 0.025, std_null=sd)
        ways.append((math.ceil(factor * math.ceil(size - 1e-9)), SIZE))
    if away < MARGIN - 1e-9:
        ways.append((math.ceil(factor * prompts_within(sd, away, MARGIN)), FITS))
    needed, source = min(ways)
    if needed <= MOST_ADVISED:
        book.put(source, power__needed=needed, power__more=max(0, needed - n))


def prompts_within(sd: float, away: float, margin: float) -> int:
    """The least n at which two one-sided tests both succeed with power 0.8."""

    def fails(n: int) -> bool:
        edges = np.array([margin - away, margin + away]) * math.sqrt(n) / sd
        return float(stats.norm.cdf(edges - stats.norm.ppf(0.975)).sum() - 1) < 0.8

    fewer, enough = 0, 1
    while fails(enough):
        fewer, enough = enough, 2 * enough
    while enough - fewer > 1:
        middle = (fewer + enough) // 2
        fewer, enough = (middle, enough) if fails(middle) else (fewer, middle)
    return enough


def accounting(book: NumberTable, verdicts: Sequence[Verdict], rows: Sequence[Row]) -> None:
    """asked = judged + failed, and the rate that decides with all failures lost and won.

    A prompt without a row that has a failed verdict counts as one more prompt.
    """
    failed = [v for v in verdicts if v.y is None]
    book.put(COUNT, asked=len(verdicts), judged=len(verdicts) - len(failed), failed=len(failed))
    for kind, count in Counter(v.kind for v in failed).items():
        book.add(COUNT, f"failed[{kind}]", count)
    failures = pd.Series([v.y is None for v in verdicts]).groupby([v.prompt for v in verdicts])
    missing = failures.mean().to_dict()
    decided = {row.prompt for row in rows}
    others = len({v.prompt for v in failed} - decided)
    portion = len(decided) / (len(decided) + others)
    low = portion * sum(row.weight * row.y * (1 - missing[row.prompt]) for row in rows)
    unknown = portion * sum(row.weight * missing[row.prompt] for row in rows) + 1 - portion
    book.put(MEAN, worst_case__low=low, worst_case__high=low + unknown)


def slices(book: NumberTable, verdicts: Sequence[Verdict], golden: Evaluation) -> None:
    """The same by tag, with Holm's correction over the tags."""
    members: dict[str, list[str]] = defaultdict(list)
    for prompt in views_of(verdicts):
        if prompt in golden.tags:
            members[golden.tags[prompt]].append(prompt)
    if not members:
        return
    ps = []
    for tag, prompts in members.items():
        book.add(COUNT, f"slice[{tag}].prompts", len(prompts))
        tested, _ = deciding(verdicts, golden, prompts)
        tested.put(book, f"slice[{tag}].win_rate")
        ps.append(tested.p)
        book.add(tested.sources[1], f"slice[{tag}].p", tested.p)
    for tag, p in zip(members, multipletests(ps, method="holm")[1], strict=True):
        book.add(HOLM, f"slice[{tag}].adjusted_p", p)


def leaks(
    book: NumberTable, views: Mapping[str, View], texts: Mapping[tuple[str, str], str], *models: str
) -> None:
    """a's win rate where only one of the two shows a thinking tag."""
    has = [
        {p for (m, p), text in texts.items() if m == model and "<think>" in text}
        for model in models
    ]
    if not any(has):
        return
    only = {"only_a": has[0] - has[1], "only_b": has[1] - has[0]}
    for name, prompts in only.items():
        y = np.array([view.y for prompt, view in views.items() if prompt in prompts])
        book.add(COUNT, f"thinking.{name}", len(y))
        rate(book, f"thinking.{name}.win_rate", y)


def people(book: NumberTable, labels: Sequence[Verdict], views: Mapping[str, View]) -> None:
    """Labels of people beside the judges, and the win rate corrected by them: stats.md 3.2."""
    voted = views_of(labels)
    if not voted:
        return
    book.put(COUNT, people__prompts=len(voted))
    y = np.array([view.y for view in voted.values()])
    mean(book, "people.win_rate", y)
    agreement(book, "people.judges", [sides(voted), sides(views)])
    names = sorted({v.judge for v in labels})
    agreement(book, "people.among", [sides(views_of(labels, name)) for name in names])
    f = np.array([views[prompt].y for prompt in voted])
    rest = np.array([view.y for prompt, view in views.items() if prompt not in voted])
    corrected(book, "people.corrected", y, f, rest)
    book.put(COUNT, people__labeled=len(y), people__unlabeled=len(rest))


def corrected(book: NumberTable, name: str, y: Values, f: Values, rest: Values) -> None:
    """PPI++ as published, the form for few labels with its p-value, and the labels alone.

    For few labels, lambda is times (n-2)/(n+2), the variance has ddof 1, and the score interval is
    that of n units, with n - 1 degrees of freedom.
    """
    n = len(y)
    low, high = (float(np.ravel(edge)[0]) for edge in ppi_py.ppi_mean_ci(y, f, rest, alpha=0.05))
    plain = float(np.ravel(ppi_py.ppi_mean_pointestimate(y, f, rest))[0])
    se = (high - low) / 2 / stats.norm.ppf(0.975)
    book.estimate(PPI, f"{name}.published", plain, low, high, se)
    # The estimate is linear in lambda.
    ends = [
        float(np.ravel(ppi_py.ppi_mean_pointestimate(y, f, rest, lam=lam))[0]) for lam in (0, 1)
    ]
    shrunk = (plain - ends[0]) / (ends[1] - ends[0]) * (n - 2) / (n + 2)
    estimate = float(np.ravel(ppi_py.ppi_mean_pointestimate(y, f, rest, lam=shrunk))[0])
    variance = shrunk**2 * rest.var() / len(rest) + stats.sem(y - shrunk * f) ** 2
    se = math.sqrt(variance)
    low, high, p = score(estimate, se, n, n - 1)
    book.estimate(FEW_LABELS, name, estimate, low, high, se)
    book.add(SCORE_P, f"{name}.p", p)
    mean(book, f"{name}.labels_only", y)


def card(
    book: NumberTable,
    judge: str,
    verdicts: Sequence[Verdict],
    longer: Mapping[str, int],
    golden: Evaluation,
) -> None:
    """The numbers of a single judge."""
    own = [v for v in verdicts if v.judge == judge]
    rest_verdicts = [v for v in verdicts if v.judge != judge]
    name, views = f"judge[{judge}]", views_of(own)
    failed = sum(v.y is None for v in own)
    book.add(COUNT, f"{name}.asked", len(own))
    book.add(COUNT, f"{name}.failed", failed)
    deciding(own, golden)[0].put(book, f"{name}.win_rate")
    known = [view.consistent for view in views.values() if view.consistent is not None]
    share(book, f"{name}.consistency", sum(known), len(known))
    placed = [v for v in own if v.y is not None and v.first]
    if len({v.first for v in placed}) == 2 and 2 * len(placed) >= len(own) - failed:
        picks(book, f"{name}.first_wins", placed)
    longer_wins(book, f"{name}.longer_wins", views, longer)
    if len({v.judge for v in rest_verdicts}) > 1:  # else both equal the other judge
        agreement(book, f"{name}.others", [sides(views), sides(views_of(rest_verdicts))])
        deciding(rest_verdicts, golden)[0].put(book, f"{name}.without")
    repeats(book, f"{name}.repeats", own)


def repeats(book: NumberTable, name: str, own: Sequence[Verdict]) -> None:
    """Agreement of a judge with its own repeats."""
    by_repeat: dict[int, dict[str, int]] = defaultdict(dict)
    for v in own:
        if v.y is not None:
            by_repeat[v.repeat][f"{v.prompt} {v.first}"] = sign(v.y)
    if len(by_repeat) > 1:
        agreement(book, name, list(by_repeat.values()))


def with_ties(golden: Evaluation, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, with a tie in each of those on two answers with the same text."""
    return [
        replace(v, y=0.5) if v.y is not None and v.prompt in identical(golden, v.a, v.b) else v
        for v in verdicts
    ]


def identical(golden: Evaluation, a: str, b: str) -> set[str]:
    """The prompts to which two models gave the same answer."""
    texts = golden.texts
    return {p for m, p in texts if m == a and texts[a, p] == texts.get((b, p))}


def pair_numbers(golden: Evaluation, a: str, b: str) -> tuple[Numbers, float]:
    """All numbers of a pair of models, and the p-value that Holm's correction takes."""
    own = [v for v in golden.verdicts if (v.a, v.b) == (a, b)]
    labels = [v for v in own if v.judge in golden.people]
    raw = [v for v in own if v.judge not in golden.people]
    verdicts = with_ties(golden, raw)
    views, book = views_of(verdicts), NumberTable()
    won, lost = (sum(view.side == side for view in views.values()) for side in (1, -1))
    book.put(COUNT, prompts=len(views), wins=won, losses=lost, ties=len(views) - won - lost)
    same_text = len(identical(golden, a, b) & views.keys())
    repeated = len(golden.similar.keys() & views.keys())
    book.put(COUNT, identical=same_text, repeated=repeated)
    tested, rows = deciding(verdicts, golden)
    tested.put(book, "win_rate")
    book.add(tested.sources[1], "test.p", tested.p)
    book.put(COUNT, deciding_prompts=len({row.prompt for row in rows}))
    book.put(MEAN, winner_share=sum(row.weight * (row.side + 1) / 2 for row in rows))
    published(book, raw, golden.cluster)
    cluster = golden.cluster | golden.similar
    decided = {prompt: view.side for prompt, view in views.items() if view.side}
    if decided:
        names = [cluster.get(prompt, prompt) for prompt in decided]
        won_or_lost = np.array([(side + 1) / 2 for side in decided.values()])
        rate_with_test(won_or_lost, names).put(book, "decisive")
    units = np.array([view.y for view in views.values()])
    if views.keys() & cluster.keys():
        by_cluster = defaultdict(list)
        for prompt, view in views.items():
            by_cluster[cluster.get(prompt, prompt)].append(view.y)
        units = np.array([fmean(ys) for ys in by_cluster.values()])
        book.put(COUNT, clusters=len(units))
    known = [view.consistent for view in views.values() if view.consistent is not None]
    if known:
        flips = sum(view.flipped for view in views.values())
        book.put(MEAN, consistency=sum(known) / len(known), flipped=flips / len(known))
    position(book, verdicts)
    longer = {
        prompt: len(golden.texts[a, prompt]) - len(golden.texts[b, prompt])
        for prompt in views
        if (a, prompt) in golden.texts and (b, prompt) in golden.texts
    }
    length(book, views, longer)
    scored(book, views)
    judges = sorted({v.judge for v in verdicts})
    if len(judges) > 1:
        agreement(book, "judges", [sides(views_of(verdicts, judge)) for judge in judges])
    for judge in judges:
        card(book, judge, verdicts, longer, golden)
    if tested.se is not None:
        compared = {(v.a, v.b) for v in golden.verdicts}
        n = len({cluster.get(row.prompt, row.prompt) for row in rows})
        power(book, tested.estimate, tested.se * math.sqrt(n), n, 0.05 / len(compared))
    accounting(book, verdicts, rows)
    slices(book, verdicts, golden)
    leaks(book, views, golden.texts, a, b)
    people(book, labels, views)
    return book.numbers, tested.p


# Bootstrap intervals, of one number of each kind.

Statistic = Callable[[NDArray[np.intp]], float]


def bootstrapped(
    book: NumberTable,
    name: str,
    statistic: Statistic,
    units: Sequence[Sequence[int]],
    resamples: int,
) -> None:
    """A BCa interval; `statistic` takes rows, `units` are rows that are resampled together."""
    rows = [np.array(unit, dtype=np.intp) for unit in units]
    result = stats.bootstrap(
        (np.arange(len(rows)),),
        lambda drawn: statistic(np.concatenate([rows[at] for at in drawn])),
        vectorized=False,
        n_resamples=resamples,
        method="BCa",
        rng=np.random.default_rng(1),
    )
    low, high = result.confidence_interval
    for part, value in (("low", low), ("high", high), ("se", result.standard_error)):
        book.add(BCA, f"{name}.{part}", value)


def alpha_of(table: Values) -> Statistic:
    """Krippendorff's alpha of rows of a table of raters."""
    domain = np.unique(table[~np.isnan(table)])

    def statistic(rows: NDArray[np.intp]) -> float:
        chosen = table[rows].T
        return float(
            krippendorff.alpha(chosen, level_of_measurement="nominal", value_domain=domain)
        )

    return statistic


def _table(golden: Evaluation, a: str, b: str) -> tuple[list[str], Values]:
    """The side that each judge names, a row per prompt, and the prompts."""
    own = [v for v in golden.verdicts if (v.a, v.b) == (a, b) and v.judge not in golden.people]
    own = with_ties(golden, own)
    by_judge = [sides(views_of(own, judge)) for judge in sorted({v.judge for v in own})]
    prompts = sorted(set().union(*by_judge))
    return prompts, np.array(
        [[judged.get(prompt, np.nan) for judged in by_judge] for prompt in prompts]
    )


def intervals(name: str, golden: Evaluation) -> Numbers:
    """The bootstrap intervals of the first pair of an evaluation."""
    book = NumberTable()
    a, b = golden.models[0], golden.models[1]
    prompts, table = _table(golden, a, b)
    alone = [[at] for at in range(len(prompts))]
    if name in ("llm_comparator", "pandalm"):
        bootstrapped(book, "judges.alpha", alpha_of(table), alone, 9999)
    if name == "clusters":
        documents = sorted(set(golden.cluster.values()))
        units = [
            [at for at, p in enumerate(prompts) if golden.cluster[p] == document]
            for document in documents
        ]
        bootstrapped(book, "judges.alpha", alpha_of(table), units, 9999)
    if name == "own_results":

        def cohen(rows: NDArray[np.intp]) -> float:
            cells = np.zeros((3, 3))
            np.add.at(cells, tuple(table[rows].astype(int).T + 1), 1)
            return float(inter_rater.cohens_kappa(cells, return_results=False))

        bootstrapped(book, "judges.cohen", cohen, alone, 9999)
    return book.numbers


# Many models.


def ratings(golden: Evaluation, verdicts: Sequence[Verdict]) -> Numbers:
    """Log-strengths of mean 0: one outcome per prompt, pair and order; ties as Davidson 1970.

    The orders of a prompt weigh 1 together. Without any order this is the model of evalica's
    `newman`, whose v is half of Davidson's nu.
    """
    book = NumberTable()
    outcomes = _outcomes(with_ties(golden, verdicts))
    if any(first for _, first, _, _ in outcomes):
        strengths, tie, first = log_linear(golden.models, outcomes)
        book.put(LOGLINEAR, tie=tie, first=first)
        source = LOGLINEAR
    else:
        named = {1: evalica.Winner.X, -1: evalica.Winner.Y, 0: evalica.Winner.Draw}
        fitted = evalica.newman(
            [a for (a, _), _, _, _ in outcomes],
            [b for (_, b), _, _, _ in outcomes],
            [named[side] for _, _, side, _ in outcomes],
            tolerance=1e-13,
            limit=1_000_000,
        )
        logs = {str(model): math.log(score) for model, score in fitted.scores.items()}
        strengths = {model: value - fmean(logs.values()) for model, value in logs.items()}
        book.put(NEWMAN, tie=2 * fitted.v)
        source = NEWMAN
    for model, value in strengths.items():
        book.add(source, f"strength[{model}]", value)
    return book.numbers


Outcome = tuple[tuple[str, str], str | None, int, float]  # models, first model, side, weight


def _outcomes(verdicts: Sequence[Verdict]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    by_pair: dict[tuple[str, str], dict[str, dict[str | None, dict[str, list[float]]]]] = (
        defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    )
    for v in verdicts:
        if v.y is not None:
            by_pair[v.a, v.b][v.prompt][v.first][v.judge].append(v.y)
    for models, by_prompt in by_pair.items():
        for by_order in by_prompt.values():
            for first, by_judge in by_order.items():
                y = fmean(fmean(ys) for ys in by_judge.values())
                outcomes.append((models, first, sign(y), 1 / len(by_order)))
    return outcomes


def log_linear(
    models: Sequence[str], outcomes: Sequence[Outcome]
) -> tuple[dict[str, float], float, float]:
    """Davidson and Beaver 1977 as Poisson counts of (pair, order, side), with a level for each
    pair and order (Fienberg and Larntz 1976).
    """
    counts: Counter[tuple[tuple[str, str], str | None, int]] = Counter()
    for pair, first, side, weight in outcomes:
        counts[pair, first, side] += weight  # type: ignore[assignment]
    settings = sorted({(pair, first) for pair, first, _ in counts}, key=str)
    rows, observed = [], []
    for level, (pair, first) in enumerate(settings):
        for side in (1, 0, -1):
            strengths = [side / 2 * ((m == pair[0]) - (m == pair[1])) for m in models[1:]]
            bonus = side / 2 * {"a": 1, "b": -1}[first or ""]
            levels = [float(level == at) for at in range(len(settings))]
            rows.append([*strengths, float(side == 0), bonus, *levels])
            observed.append(counts[pair, first, side])
    fit = sm.GLM(np.array(observed), np.array(rows), family=sm.families.Poisson()).fit(tol=1e-14)
    raw = np.append(0.0, fit.params[: len(models) - 1])
    strengths = dict(zip(models, (raw - raw.mean()).tolist(), strict=True))
    return strengths, float(np.exp(fit.params[len(models) - 1])), float(fit.params[len(models)])


def evaluation(name: str, folder: Path) -> dict[str, Numbers]:
    """Pair -> numbers, and those of all models together: `all` if every pair allows a conclusion,
    else `all judged`, from all verdicts.
    """
    golden = READERS[name](folder)
    pairs = [
        (a, b)
        for a, b in combinations(golden.models, 2)
        if any((v.a, v.b) == (a, b) for v in golden.verdicts)
    ]
    numbers: dict[str, Numbers] = {}
    ps = []
    for a, b in pairs:
        numbers[f"{a} vs {b}"], p = pair_numbers(golden, a, b)
        ps.append(p)
    numbers["{} vs {}".format(*pairs[0])].update(intervals(name, golden))
    if len(pairs) > 1:
        for pair, p in zip(numbers.values(), multipletests(ps, method="holm")[1], strict=True):
            pair[HOLM]["holm_p"] = float(p)
    if len(golden.models) > 2:
        judged = [v for v in golden.verdicts if v.y is not None and v.judge not in golden.people]
        if name in RATED:
            numbers["all"] = ratings(golden, in_both_orders(judged))
        else:
            numbers["all judged"] = ratings(golden, judged)
    return numbers


def in_both_orders(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of the judges on the prompts and pairs that they saw in both orders."""
    orders: dict[tuple[str, ...], set[str | None]] = defaultdict(set)
    for v in verdicts:
        orders[v.a, v.b, v.prompt, v.judge].add(v.first)
    return [v for v in verdicts if len(orders[v.a, v.b, v.prompt, v.judge]) == 2]


def expected(folder: Path) -> dict[str, dict[str, Numbers]]:
    """The numbers of all evaluations in a folder."""
    return {name: evaluation(name, folder) for name in READERS}


def to_json(numbers: Mapping[str, Any]) -> str:
    """JSON with one line for the numbers of a source."""

    def text(value: Any, depth: int) -> str:
        if isinstance(next(iter(value.values())), float | int):
            return json.dumps({name: _rounded(number) for name, number in value.items()})
        inner = ",\n".join(
            f"{' ' * depth}{json.dumps(key)}: {text(nested, depth + 1)}"
            for key, nested in value.items()
        )
        return "{\n" + inner + "}"

    return text(numbers, 1) + "\n"


def _rounded(number: float) -> float:
    return number if isinstance(number, int) else float(f"{number:.10g}")
