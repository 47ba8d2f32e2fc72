"""The expected numbers of the golden evaluations, computed without bakeoff.

Everything is recomputed from the raw rows, which `formats.py` reads. The statistics come from
scipy, statsmodels, evalica, krippendorff and ppi-python; other numbers are formulas with
their source. Each number is listed under its source.

Terms: a verdict is one judge's preference for a (1, 0.5 for a tie, 0, or a probability) in one
order; y is a prompt's preference for a. Of the two models of a pair, a is the one that is always
the first of a pair in the file, or else the first by name.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import evalica
import krippendorff
import numpy as np
import ppi_py
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats import inter_rater
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, normal_sample_size_one_tail
from statsmodels.stats.proportion import proportion_confint

from tests.golden.formats import READERS, Evaluation, Verdict

Values = NDArray[np.float64]
Numbers = dict[str, dict[str, float]]  # source -> name -> number

MARGIN = 0.05  # around 0.5, the default of `bakeoff audit`

COUNT = "counting rows"
MEAN = "numpy.mean, numpy.std(ddof=1)"
WILSON = "statsmodels proportion_confint(method='wilson')"
EFFECTIVE = "statsmodels proportion_confint(method='wilson') at n_e = n max(1, m(1-m)/var)"
T = "statsmodels OLS(cov_type='cluster', use_t=True).conf_int"
LOGIT = "statsmodels OLS(cov_type='cluster'), scipy.stats.t.ppf, scipy.special.logit"
SIGN = "scipy.stats.binomtest"
HOLM = "statsmodels multipletests(method='holm')"
WELCH = "scipy.stats.ttest_ind(equal_var=False).confidence_interval"
PAIRED = "scipy.stats.ttest_rel.confidence_interval"
ONE_SAMPLE = "scipy.stats.ttest_1samp.confidence_interval"
EXACT_FLIPS = "scipy.stats.permutation_test(permutation_type='samples'), all flips"
ALL_FLIPS = "the distribution over all sign flips, by numpy.convolve"
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
NEWMAN = "evalica.newman"
LOGLINEAR = "statsmodels GLM(family=Poisson): Davidson's model as a log-linear one"


# From verdicts to prompts.


@dataclass(frozen=True)
class View:
    """The aggregated verdict of a judge or of all judges on a prompt."""

    y: float
    side: int  # 1: a, 0: a tie, -1: b
    flipped: bool = False
    consistent: bool | None = None  # None: only one order was judged
    scores: tuple[float, float] | None = None


def _sign(value: float) -> int:
    return 0 if abs(value - 0.5) < 1e-9 else 1 if value > 0.5 else -1


def _mean_scores(scores: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    present = [pair for pair in scores if pair is not None]
    return (fmean(a for a, _ in present), fmean(b for _, b in present)) if present else None


def view_of_judge(verdicts: Sequence[Verdict]) -> View:
    """Repeats of an order are averaged, then the orders; orders that contradict are a tie."""
    by_order = defaultdict(list)
    for v in verdicts:
        assert v.y is not None
        by_order[v.first].append(v.y)
    orders = [fmean(ys) for ys in by_order.values()]
    sides = {_sign(y) for y in orders}
    flipped = {1, -1} <= sides
    y = fmean(orders)
    return View(
        y=y,
        side=0 if flipped else _sign(y),
        flipped=flipped,
        consistent=len(sides) == 1 if len(orders) > 1 else None,
        scores=_mean_scores(v.scores for v in verdicts),
    )


def panel(views: Sequence[View]) -> View:
    """The mean of the judges; the side that most of them name, a tie where a and b are both named
    without a majority, else the side of the mean.
    """
    y = fmean(view.y for view in views)
    count = Counter(view.side for view in views)
    top, votes = count.most_common(1)[0]
    side = top if 2 * votes > len(views) else 0 if count[1] and count[-1] else _sign(y)
    known = [view.consistent for view in views if view.consistent is not None]
    return View(
        y=y,
        side=side,
        flipped=2 * sum(view.flipped for view in views) > len(views),
        consistent=2 * sum(known) > len(known) if known else None,
        scores=_mean_scores(view.scores for view in views),
    )


def views_of(verdicts: Iterable[Verdict], judge: str | None = None) -> dict[str, View]:
    """Prompt -> the view of a judge, or of all judges."""
    by_prompt: dict[str, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for v in verdicts:
        if v.y is not None and judge in (None, v.judge):
            by_prompt[v.prompt][v.judge].append(v)
    return {
        prompt: panel([view_of_judge(own) for own in by_judge.values()])
        for prompt, by_judge in sorted(by_prompt.items())
    }


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


def rate(book: NumberTable, name: str, y: Values, clusters: Sequence[str] | None = None) -> None:
    """The mean of y, with the interval that stats.md 1.2 recommends for such values."""
    if clusters is not None and len(set(clusters)) < len(y):
        mean(book, name, y, clusters)
    elif np.isin(np.round(y, 9), (0, 0.5, 1)).all():
        m, n = float(y.mean()), len(y)
        effective = n * max(1.0, m * (1 - m) / y.var()) if np.ptp(y) else n
        assert np.ptp(y) or m in (0, 1)
        se = float(stats.sem(y)) if n > 1 else None
        low, high = proportion_confint(m * effective, effective, 0.05, "wilson")
        book.estimate(EFFECTIVE, name, m, low, high, se)
    else:
        mean(book, name, y)


def mean(book: NumberTable, name: str, y: Values, clusters: Sequence[str] | None = None) -> None:
    """Student's t over clusters, on the logit scale with few clusters, wins or losses."""
    groups = np.unique(clusters if clusters is not None else np.arange(len(y)), return_inverse=True)
    codes, count = groups[1], len(groups[0])
    fit = sm.OLS(y, np.ones(len(y))).fit()
    fit = fit.get_robustcov_results("cluster", groups=codes, use_t=True)
    m, se = float(fit.params[0]), float(fit.bse[0])
    assert se > 0
    if count >= 30 and count * min(m, 1 - m) >= 15:
        low, high = fit.conf_int(0.05)[0]
        book.estimate(T, name, m, low, high, se)
        return
    half = stats.t.ppf(0.975, count - 1) * se / (m * (1 - m))
    low, high = special.expit(special.logit(m) + np.array([-half, half]))
    book.estimate(LOGIT, name, m, low, high, se)


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
    sides = [(_sign(left), _sign(right)) for left, right in zip(x, y, strict=True)]
    first, second = sides.count((1, -1)), sides.count((-1, 1))
    book.put(COUNT, order__first_twice=first, order__second_twice=second)
    p = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    book.put(SIGN, order__p=p)


def picks(book: NumberTable, name: str, placed: Sequence[Verdict]) -> None:
    """The share of decisive verdicts for the answer shown first, clustered by prompt."""
    decisive = [v for v in placed if v.y is not None and _sign(v.y)]
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
        if prompt in longer and longer[prompt] and _sign(view.y)
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
        book.add(ALL_FLIPS, "score_difference.p", all_flips(d))


def all_flips(d: Values) -> float:
    """Twice the smaller tail of the sum over all flips of the signs of multiples of 1/480."""
    steps = np.rint(d * 480).astype(int)  # scores are halves, averaged over 1 to 3 verdicts
    assert np.allclose(steps / 480, d)
    chances = np.ones(1)
    for step in np.abs(steps):
        two = np.zeros(2 * step + 1)
        two[0] += 0.5
        two[-1] += 0.5
        chances = np.convolve(chances, two)
    observed = int(steps.sum()) + len(chances) // 2
    return float(min(1.0, 2 * min(chances[: observed + 1].sum(), chances[observed:].sum())))


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


def sides(views: Mapping[str, View]) -> dict[str, int]:
    """Prompt -> side."""
    return {prompt: view.side for prompt, view in views.items()}


def power(book: NumberTable, units: Values) -> None:
    """The detectable effect, and the prompts that the present mean needs: stats.md 1.4."""
    sd = float(units.std(ddof=1))
    if sd < 1e-9:  # unanimous: one more win and one more loss
        sd = float(np.append(units, (0.0, 1.0)).std(ddof=1))
    n, away = len(units), abs(float(units.mean()) - 0.5)
    d = NormalIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8, ratio=0)
    book.put(POWER, power__detectable=d * sd)
    if away > MARGIN - 1e-9:
        source = SIZE
        needed = math.ceil(normal_sample_size_one_tail(away, 0.8, 0.025, std_null=sd) - 1e-9)
    else:
        source, needed = FITS, 1

        def reached(n: int) -> float:
            edges = np.array([MARGIN - away, MARGIN + away]) * math.sqrt(n) / sd
            return float(stats.norm.cdf(edges - stats.norm.ppf(0.975)).sum() - 1)

        while reached(2 * needed) < 0.8:
            needed *= 2
        while reached(needed) < 0.8:
            needed += 1
    book.put(source, power__needed=needed, power__more=max(0, needed - n))


def accounting(book: NumberTable, verdicts: Sequence[Verdict], views: Mapping[str, View]) -> None:
    """asked = judged + failed, and the bounds with all failures lost and won."""
    failed = [v for v in verdicts if v.y is None]
    book.put(COUNT, asked=len(verdicts), judged=len(verdicts) - len(failed), failed=len(failed))
    for kind, count in Counter(v.kind for v in failed).items():
        book.add(COUNT, f"failed[{kind}]", count)
    low = high = 0.0
    prompts = {v.prompt for v in verdicts}
    for prompt in prompts:
        failures = [v.y is None for v in verdicts if v.prompt == prompt]
        missing = sum(failures) / len(failures)
        known = views[prompt].y * (1 - missing) if prompt in views else 0.0
        low, high = low + known, high + known + missing
    book.put(MEAN, worst_case__low=low / len(prompts), worst_case__high=high / len(prompts))


def slices(book: NumberTable, views: Mapping[str, View], tags: Mapping[str, str]) -> None:
    """The same by tag, with Holm's correction over the tags."""
    members = defaultdict(list)
    for prompt in views:
        if prompt in tags:
            members[tags[prompt]].append(views[prompt])
    if not members:
        return
    ps = []
    for tag, tagged in members.items():
        book.add(COUNT, f"slice[{tag}].prompts", len(tagged))
        rate(book, f"slice[{tag}].win_rate", np.array([view.y for view in tagged]))
        won, lost = (sum(view.side == side for view in tagged) for side in (1, -1))
        ps.append(stats.binomtest(won, won + lost).pvalue if won + lost else 1.0)
        book.add(SIGN, f"slice[{tag}].p", ps[-1])
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
    rate(book, "people.win_rate", np.array([view.y for view in voted.values()]))
    agreement(book, "people.judges", [sides(voted), sides(views)])
    names = sorted({v.judge for v in labels})
    agreement(book, "people.among", [sides(views_of(labels, name)) for name in names])
    y = np.array([view.y for view in voted.values()])
    f = np.array([views[prompt].y for prompt in voted])
    rest = np.array([view.y for prompt, view in views.items() if prompt not in voted])
    low, high = (float(np.ravel(edge)[0]) for edge in ppi_py.ppi_mean_ci(y, f, rest, alpha=0.05))
    estimate = float(np.ravel(ppi_py.ppi_mean_pointestimate(y, f, rest))[0])
    se = (high - low) / 2 / stats.norm.ppf(0.975)
    book.estimate(PPI, "people.corrected", estimate, low, high, se)
    book.put(COUNT, people__labeled=len(y), people__unlabeled=len(rest))


def card(
    book: NumberTable,
    judge: str,
    verdicts: Sequence[Verdict],
    longer: Mapping[str, int],
    cluster: Mapping[str, str],
) -> None:
    """The numbers of a single judge."""
    own = [v for v in verdicts if v.judge == judge]
    rest_verdicts = [v for v in verdicts if v.judge != judge]
    name, views = f"judge[{judge}]", views_of(own)
    failed = sum(v.y is None for v in own)
    book.add(COUNT, f"{name}.asked", len(own))
    book.add(COUNT, f"{name}.failed", failed)
    _rate_of(book, f"{name}.win_rate", views, cluster)
    known = [view.consistent for view in views.values() if view.consistent is not None]
    share(book, f"{name}.consistency", sum(known), len(known))
    placed = [v for v in own if v.y is not None and v.first]
    if len({v.first for v in placed}) == 2 and 2 * len(placed) >= len(own) - failed:
        picks(book, f"{name}.first_wins", placed)
    longer_wins(book, f"{name}.longer_wins", views, longer)
    if len({v.judge for v in rest_verdicts}) > 1:  # else both equal the other judge
        rest_views = views_of(rest_verdicts)
        agreement(book, f"{name}.others", [sides(views), sides(rest_views)])
        _rate_of(book, f"{name}.without", rest_views, cluster)
    repeats(book, f"{name}.repeats", own)


def repeats(book: NumberTable, name: str, own: Sequence[Verdict]) -> None:
    """Agreement of a judge with its own repeats."""
    by_repeat: dict[int, dict[str, int]] = defaultdict(dict)
    for v in own:
        if v.y is not None:
            by_repeat[v.repeat][f"{v.prompt} {v.first}"] = _sign(v.y)
    if len(by_repeat) > 1:
        agreement(book, name, list(by_repeat.values()))


def _rate_of(
    book: NumberTable, name: str, views: Mapping[str, View], cluster: Mapping[str, str]
) -> None:
    names = [cluster[prompt] for prompt in views] if cluster else None
    rate(book, name, np.array([view.y for view in views.values()]), names)


def pair_numbers(golden: Evaluation, a: str, b: str) -> tuple[Numbers, float]:
    """All numbers of a pair of models, and the p-value that Holm's correction takes."""
    own = [v for v in golden.verdicts if (v.a, v.b) == (a, b)]
    labels = [v for v in own if v.judge in golden.people]
    verdicts = [v for v in own if v.judge not in golden.people]
    views, book = views_of(verdicts), NumberTable()
    won, lost = (sum(view.side == side for view in views.values()) for side in (1, -1))
    book.put(COUNT, prompts=len(views), wins=won, losses=lost, ties=len(views) - won - lost)
    _rate_of(book, "win_rate", views, golden.cluster)
    share(book, "decisive", won, won + lost)
    units = np.array([view.y for view in views.values()])
    if golden.cluster:
        by_cluster = defaultdict(list)
        for prompt, view in views.items():
            by_cluster[golden.cluster[prompt]].append(view.y)
        units = np.array([fmean(ys) for ys in by_cluster.values()])
        book.put(COUNT, clusters=len(units))
        won, lost = (sum(_sign(unit) == side for unit in units) for side in (1, -1))
    p = float(stats.binomtest(won, won + lost).pvalue)
    book.put(SIGN, sign__p=p)
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
        card(book, judge, verdicts, longer, golden.cluster)
    power(book, units)
    accounting(book, verdicts, views)
    slices(book, views, golden.tags)
    leaks(book, views, golden.texts, a, b)
    people(book, labels, views)
    return book.numbers, p


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


def ratings(golden: Evaluation) -> Numbers:
    """Log-strengths of mean 0: one outcome per prompt, pair and order; ties as Davidson 1970.

    The orders of a prompt weigh 1 together. Without any order this is the model of evalica's
    `newman`, whose v is half of Davidson's nu.
    """
    book = NumberTable()
    outcomes = _outcomes(golden)
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


def _outcomes(golden: Evaluation) -> list[Outcome]:
    outcomes: list[Outcome] = []
    by_pair: dict[tuple[str, str], dict[str, dict[str | None, dict[str, list[float]]]]] = (
        defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    )
    for v in golden.verdicts:
        if v.y is not None and v.judge not in golden.people:
            by_pair[v.a, v.b][v.prompt][v.first][v.judge].append(v.y)
    for models, by_prompt in by_pair.items():
        for by_order in by_prompt.values():
            for first, by_judge in by_order.items():
                y = fmean(fmean(ys) for ys in by_judge.values())
                outcomes.append((models, first, _sign(y), 1 / len(by_order)))
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
    """Pair -> numbers, and `all` -> the numbers of all models together."""
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
        numbers["all"] = ratings(golden)
    return numbers


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
