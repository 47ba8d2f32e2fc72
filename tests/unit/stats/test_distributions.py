"""Quantiles, p-values and ranks equal those of `scipy.stats`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bakeoff.stats.distributions import (
    average_ranks,
    binomial_p,
    t_test_p,
    two_sided_quantile,
    welch_degrees,
)

LEVELS = st.floats(0.5, 0.9999)
DEGREES = st.floats(1, 1e6)


@given(level=LEVELS, degrees=DEGREES)
def test_a_two_sided_quantile_is_that_of_students_t(level: float, degrees: float) -> None:
    expected = stats.t.ppf((1 + level) / 2, degrees)
    assert two_sided_quantile(level, degrees) == pytest.approx(expected, rel=1e-9)


@given(level=LEVELS)
def test_without_degrees_of_freedom_a_quantile_is_that_of_the_normal_distribution(
    level: float,
) -> None:
    assert two_sided_quantile(level) == pytest.approx(stats.norm.ppf((1 + level) / 2), rel=1e-12)
    assert two_sided_quantile() == pytest.approx(1.959963984540054)


@given(t=st.floats(-30, 30), degrees=DEGREES)
def test_a_p_value_counts_both_tails(t: float, degrees: float) -> None:
    assert t_test_p(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-8)


@given(
    samples=st.tuples(*[st.lists(st.floats(0, 1), min_size=2, max_size=9)] * 2).filter(
        lambda samples: any(np.var(sample) > 1e-6 for sample in samples)
    )
)
def test_t_and_degrees_give_the_p_value_of_welchs_test(
    samples: tuple[list[float], list[float]],
) -> None:
    x, y = map(np.array, samples)
    variances = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    t = (x.mean() - y.mean()) / math.sqrt(sum(variances))
    expected = stats.ttest_ind(x, y, equal_var=False).pvalue
    assert t_test_p(t, welch_degrees(variances, (len(x), len(y)))) == pytest.approx(
        expected, rel=1e-6
    )


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_a_binomial_p_value_is_exact(n: int, share: float) -> None:
    wins = round(share * n)
    assert binomial_p(wins, n) == pytest.approx(stats.binomtest(wins, n).pvalue, rel=1e-9)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.5]), min_size=1, max_size=50))
def test_equal_values_have_the_mean_of_their_ranks(values: list[float]) -> None:
    assert average_ranks(np.array(values)).tolist() == stats.rankdata(values).tolist()
