"""Imbens and Manski's interval for a number between two estimated bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from bakeoff.stats.partial_identification import bounded_interval

shares = st.floats(0, 1)
errors = st.floats(1e-4, 0.2)


@given(shares, shares, errors, errors)
def test_the_critical_value_solves_the_equation(
    x: float, y: float, low_se: float, high_se: float
) -> None:
    low, high = sorted((x, y))
    bounds = bounded_interval(low, high, low_se, high_se)
    c = (low - bounds[0]) / low_se
    assert (bounds[1] - high) / high_se == pytest.approx(c, abs=1e-6)
    width = (high - low) / max(low_se, high_se)
    assert norm.cdf(c + width) - norm.cdf(-c) == pytest.approx(0.95, abs=1e-6)
    assert 1.6448 < c < 1.9601


def test_equal_bounds_have_the_two_sided_interval_and_distant_ones_the_one_sided() -> None:
    assert bounded_interval(0.5, 0.5, 0.1, 0.1) == pytest.approx((0.304, 0.696), abs=1e-3)
    assert bounded_interval(0.2, 0.8, 0.01, 0.02) == pytest.approx((0.18355, 0.8329), abs=1e-4)


def test_without_standard_errors_the_interval_is_the_bounds() -> None:
    assert bounded_interval(0.4, 0.6, 0.0, 0.0) == (0.4, 0.6)


def test_bounds_in_the_wrong_order_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"0.6 is above the upper bound 0.4"):
        bounded_interval(0.6, 0.4, 0.1, 0.1)


@pytest.mark.parametrize("missing", [0.0, 0.01, 0.2])
def test_the_interval_covers_a_number_at_either_bound(missing: float) -> None:
    rng = np.random.default_rng(7)
    n, p, runs = 400, 0.6, 4000
    lost = rng.binomial(n, missing, runs)
    won = rng.binomial(n - lost, p)
    lows, highs = won / n, (won + lost) / n
    for truth in (p * (1 - missing), p * (1 - missing) + missing):
        covered = [
            bounds[0] <= truth <= bounds[1]
            for low, high in zip(lows.tolist(), highs.tolist(), strict=True)
            for bounds in [
                bounded_interval(low, high, *(float(np.sqrt(m * (1 - m) / n)) for m in (low, high)))
            ]
        ]
        assert np.mean(covered) > 0.94
