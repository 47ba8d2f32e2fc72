"""The win rate at equal covariates: its estimate, its interval and the decision made of it."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.controls import Covariate, controlled_rate, covariates_may_decide
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.results import ControlledRate
from tests.marks import long
from tests.unit.stats.checks import mirrored, negated, same, sound

Rng = np.random.Generator


def covariates(*differences: Values) -> list[Covariate]:
    """Covariates in the forms of length."""
    return [
        Covariate(
            f"c{n}",
            (np.sign(d), np.tanh(d / max(1e-9, np.sqrt((d**2).mean())))),
            overlap=(d,),
        )
        for n, d in enumerate(differences)
    ]


def rounded(rng: Rng, p: Values, ties: float = 0.2) -> Values:
    """Verdicts with these probabilities of a win."""
    values = (rng.random(len(p)) < p).astype(np.float64)
    return np.where(rng.random(len(p)) < ties, 0.5, values)


@pytest.mark.parametrize("seed", range(4))
def test_the_estimate_is_that_of_a_logistic_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1, (300, 2))
    y = rounded(rng, expit(0.4 + x @ [0.5, -0.3]))
    result = controlled_rate(y, [Covariate("a", (x[:, 0],)), Covariate("b", (x[:, 1],))])
    design = np.column_stack((np.ones(300), x))
    theirs = sm.GLM(y, design, family=sm.families.Binomial()).fit(cov_type="HC1")
    assert result.rate is not None
    assert result.rate.estimate == pytest.approx(expit(theirs.params[0]), abs=1e-4)
    p = result.rate.estimate
    assert result.rate.se >= p * (1 - p) * theirs.bse[0] * (1 - 1e-4)
    assert result.rate.se == pytest.approx(p * (1 - p) * theirs.bse[0], rel=0.1)


@given(st.integers(0, 10**6), st.integers(20, 120))
def test_swapping_the_models_mirrors_the_rate_and_negates_what_is_explained(
    seed: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(0.5, 1, (2, n))
    y = rounded(rng, expit(d[0]))
    ours, theirs = (
        controlled_rate(v, covariates(*(sign * d))) for v, sign in ((y, 1.0), (1 - y, -1.0))
    )
    assert ours.without_overlap == theirs.without_overlap
    assert (ours.rate is None) == (theirs.rate is None)
    if ours.rate is not None:
        assert mirrored(ours.rate, theirs.rate, within=1e-6)
        assert negated(ours.explained, theirs.explained, within=1e-6)
        assert ours.imbalance == pytest.approx(theirs.imbalance)
    assert covariates_may_decide(ours, better=True) == covariates_may_decide(theirs, better=False)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 0.5, 1.0]),
            st.sampled_from([0.0, 1.0, -1.0, -1e9, 1e6]) | st.integers(-3, 3).map(float),
            st.integers(0, 30),
        ),
        min_size=20,
        max_size=80,
    )
)
def test_any_data_give_sound_numbers(rows: list[tuple[float, float, int]]) -> None:
    y, d, clusters = (np.array(column) for column in zip(*rows, strict=True))
    scaled = np.tanh(d / np.sqrt((d**2).mean())) if d.any() else d
    columns = [Covariate("a", (np.sign(d), scaled, d)), Covariate("b", (d + 1, y))]
    for codes in (None, clusters):
        assert sound(controlled_rate(y, columns, codes))


def test_the_order_and_the_scale_of_prompts_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    d, order = rng.normal(0.2, 1, 90), rng.permutation(90)
    y = rounded(rng, expit(d))
    original = controlled_rate(y, covariates(d))
    shuffled = controlled_rate(y[order], covariates(1000 * d[order]))
    assert same(original.rate, shuffled.rate)
    assert same(original.explained, shuffled.explained)


def test_clusters_are_the_units() -> None:
    rng = np.random.default_rng(6)
    d = rng.normal(0, 1, 60)
    y = rounded(rng, np.full(60, 0.6))
    once = controlled_rate(y, covariates(d))
    copies: Codes = np.repeat(np.arange(60), 4)
    together = controlled_rate(y[copies], covariates(d[copies]), copies)
    alone = controlled_rate(y[copies], covariates(d[copies]))
    assert together.rate.n == 60
    assert together.rate.se == pytest.approx(once.rate.se, rel=0.03)
    assert alone.rate.se == pytest.approx(once.rate.se / 2, rel=0.03)


@pytest.mark.parametrize(
    ("differences", "overlap"),
    [
        (np.linspace(600, 3000, 100), False),
        (np.r_[np.linspace(-50, -10, 4), np.linspace(10, 900, 96)], False),
        (np.r_[np.linspace(-50, -10, 5), np.linspace(10, 900, 95)], True),
        (np.r_[np.zeros(60), np.ones(40)], True),
        (-np.linspace(600, 3000, 100), False),
        (np.zeros(100), True),
    ],
)
def test_overlap_is_needed_on_both_sides(differences: Values, overlap: bool) -> None:
    result = controlled_rate(np.arange(100) % 3 / 2, covariates(differences))
    assert result.without_overlap == (() if overlap else ("c0",))
    assert result.rate is None or overlap
    assert overlap or covariates_may_decide(result, better=True)


def test_too_little_gives_no_rate() -> None:
    assert controlled_rate(np.ones(40), covariates(np.arange(40) - 20.0)) == ControlledRate(None)
    few = np.arange(19) % 2 * 1.0
    assert controlled_rate(few, covariates(np.arange(19.0))) == ControlledRate(None)
    clusters = np.arange(100) % 19
    values = np.arange(100) % 2 * 1.0
    assert controlled_rate(values, covariates(values - 0.5), clusters) == ControlledRate(None)
    assert controlled_rate(values, []) == ControlledRate(None)


@pytest.mark.parametrize("ties", [0.0, 0.3])
@pytest.mark.parametrize("longer", [0.55, 0.7, 0.9])
def test_a_judge_that_takes_the_longer_text_shows_nothing(longer: float, ties: float) -> None:
    rng = np.random.default_rng(11)
    d = np.where(rng.random(400) < longer, 1, -1) * rng.exponential(300, 400)
    y = np.where(rng.random(400) < ties, 0.5, (d > 0) * 1.0)
    result = controlled_rate(y, covariates(d))
    assert result.rate.low < 0.5 < result.rate.high
    if win_rate(y).low > 0.5:
        assert covariates_may_decide(result, better=True)
        assert result.explained.estimate == pytest.approx(y.mean() - 0.5, abs=0.06)
    assert not covariates_may_decide(ControlledRate(None), better=True)


def test_a_masked_difference_is_not_shown_to_be_within_a_margin() -> None:
    rng = np.random.default_rng(13)
    d = rng.normal(0.5, 1, 1500)
    y = rounded(rng, expit(0.9 * d - 0.4))
    result = controlled_rate(y, covariates(d))
    assert 0.45 < win_rate(y).low < win_rate(y).high < 0.55
    assert covariates_may_decide(result, better=True, bound=0.45)
    assert not covariates_may_decide(result, better=False, bound=0.55)
    fair = controlled_rate(rounded(rng, np.full(1500, 0.5)), covariates(d))
    assert not covariates_may_decide(fair, better=True, bound=0.45)
    assert not covariates_may_decide(fair, better=False, bound=0.55)


def test_a_real_advantage_remains_beside_a_preference_for_length() -> None:
    rng = np.random.default_rng(12)
    d = rng.normal(0.5, 1, 800)
    y = rounded(rng, expit(1.2 + 0.7 * d))
    result = controlled_rate(y, covariates(d))
    assert result.rate.low < expit(1.2) * 0.8 + 0.1 < result.rate.high
    assert result.explained.low > 0
    assert not covariates_may_decide(result, better=True)


def _false_verdicts(rng: Rng, runs: int, n: int, shift: float, follows: float) -> float:
    """The share of runs with a verdict, of equal models and a judge that follows length."""
    verdicts = 0
    for _ in range(runs):
        d = rng.normal(shift, 1, n)
        y = rounded(rng, 0.5 + 0.5 * follows * np.sign(d))
        rate = win_rate(y)
        if rate.low > 0.5 or rate.high < 0.5:
            result = controlled_rate(y, covariates(d))
            verdicts += not covariates_may_decide(result, better=rate.low > 0.5)
    return verdicts / runs


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "follows"), [(0.2, 1.0), (0.6, 0.2), (1.0, 0.3), (1.5, 0.6)])
@pytest.mark.parametrize("n", [50, *long([200, 800])])
def test_a_length_judge_seldom_makes_a_verdict(n: int, shift: float, follows: float) -> None:
    runs = 600
    rate = _false_verdicts(np.random.default_rng(n), runs, n, shift, follows)
    assert rate <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 200, *long([800])])
@pytest.mark.parametrize("rate", [0.56, 0.62, 0.70])
def test_a_fair_judge_loses_few_verdicts(n: int, rate: float) -> None:
    rng, runs, lost = np.random.default_rng(n), 600, 0
    for _ in range(runs):
        y = rounded(rng, np.full(n, (rate - 0.1) / 0.8))
        if win_rate(y).low > 0.5:
            result = controlled_rate(y, covariates(*rng.normal(0, 1, (2, n))))
            lost += covariates_may_decide(result, better=True)
    assert lost / runs <= 0.04
