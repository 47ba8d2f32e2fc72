"""Group-sequential levels against published constants, and the errors of repeated looks."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from bakeoff.stats.looks import MAX_LOOKS, crossing_probability, obrien_fleming
from bakeoff.stats.sequential import anytime_test, confidence_sequence_at
from bakeoff.stats.tests import sign_test
from tests.marks import long

# Jennison and Turnbull (2000), table 2.3: the boundary at the last look for K looks.
PUBLISHED = {
    0.05: {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040},
    0.01: {1: 2.576, 2: 2.580, 3: 2.595, 4: 2.609, 5: 2.621},
}


@pytest.mark.parametrize("alpha", PUBLISHED)
@pytest.mark.parametrize("looks", range(1, MAX_LOOKS + 1))
def test_boundaries_equal_published_constants(looks: int, alpha: float) -> None:
    levels = obrien_fleming(looks, alpha)
    assert len(levels) == looks
    constant = PUBLISHED[alpha][looks]
    boundaries = norm.isf(np.array(levels) / 2)
    expected = constant * np.sqrt(looks / np.arange(1, looks + 1))
    assert boundaries == pytest.approx(expected, abs=0.0006 * np.sqrt(looks))


def test_nominal_levels_of_three_looks() -> None:
    assert obrien_fleming(3) == pytest.approx((0.0005, 0.0141, 0.0451), abs=5e-5)


def test_two_looks_agree_with_the_bivariate_normal_distribution() -> None:
    first, last = norm.isf(np.array(obrien_fleming(2, 0.03)) / 2)
    both = multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    inside = both.cdf([first, last], lower_limit=[-first, -last])
    assert 1 - inside == pytest.approx(0.03, abs=1e-5)


def test_levels_grow_and_the_crossing_probability_is_alpha() -> None:
    for alpha in (0.2, 0.05, 0.05 / 45):
        levels = obrien_fleming(5, alpha)
        assert list(levels) == sorted(levels)
        assert crossing_probability(5, norm.isf(levels[-1] / 2)) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize(("looks", "alpha"), [(0, 0.05), (6, 0.05), (2, 0.0), (2, 1.0)])
def test_invalid_designs_are_an_error(looks: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="has to be"):
        obrien_fleming(looks, alpha)


LOOKS = (50, 150, 400, 1000)


@pytest.mark.parametrize("runs", [600, *long([4000])])
def test_following_the_advice_four_times_names_a_winner_in_5_percent_of_runs(runs: int) -> None:
    """The first look is the exact sign test, each later one the confidence sequence."""
    values = np.random.default_rng(18).integers(0, 2, (runs, LOOKS[-1])).astype(np.float64)
    by_procedure = by_exact_tests = 0
    for row in values:
        wins = [int(row[:look].sum()) for look in LOOKS]
        exact = [sign_test(w, n - w).p < 0.05 for w, n in zip(wins, LOOKS, strict=True)]
        later = [anytime_test(row[:look]).p < 0.05 for look in LOOKS[1:]]
        by_procedure += exact[0] or any(later)
        by_exact_tests += any(exact)
    tolerance = 2 * (0.055 * 0.945 / runs) ** 0.5
    assert by_procedure / runs <= 0.055 + (tolerance if runs < 4000 else 0)
    assert by_exact_tests / runs > 0.10


@pytest.mark.parametrize("runs", [2000, *long([20000])])
@pytest.mark.parametrize("looks", [2, 5])
def test_planned_looks_keep_the_error_rate(looks: int, runs: int) -> None:
    prompts = 100 * np.arange(1, looks + 1)
    values = np.random.default_rng(looks).integers(0, 2, (runs, prompts[-1]))
    wins = values.cumsum(axis=1)[:, prompts - 1]
    rejected = np.zeros(runs, dtype=bool)
    for look, (n, level) in enumerate(zip(prompts, obrien_fleming(looks), strict=True)):
        p = {w: sign_test(int(w), int(n - w)).p for w in np.unique(wins[:, look])}
        rejected |= np.array([p[w] < level for w in wins[:, look]])
    assert rejected.mean() <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5
    assert rejected.mean() > 0.03


def test_the_confidence_sequence_at_a_look_does_not_depend_on_the_order_of_the_prompts() -> None:
    rng = np.random.default_rng(3)
    values = rng.choice([0.0, 0.25, 0.5, 1.0], 80)
    expected = confidence_sequence_at(values, [80])
    for _ in range(3):
        bounds = confidence_sequence_at(rng.permutation(values), [80])
        assert np.concatenate(bounds) == pytest.approx(np.concatenate(expected), abs=1e-12)
