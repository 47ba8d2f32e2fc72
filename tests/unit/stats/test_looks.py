import numpy as np
import pytest
from scipy.stats import norm

from bakeoff.stats.looks import obrien_fleming

# Constants C of Jennison and Turnbull (2000), table 2.3: |z| >= C sqrt(K/k) at look k of K.
PUBLISHED = {
    0.05: {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040},
    0.01: {1: 2.576, 2: 2.580, 3: 2.595, 4: 2.609, 5: 2.621},
    0.10: {1: 1.645, 2: 1.678, 3: 1.710, 4: 1.733, 5: 1.751},
}


@pytest.mark.parametrize("alpha", PUBLISHED)
@pytest.mark.parametrize("looks", range(1, 6))
def test_the_boundaries_are_the_published_ones(alpha: float, looks: int) -> None:
    constant = PUBLISHED[alpha][looks]
    critical = norm.isf(np.array(obrien_fleming(looks, alpha)) / 2)
    expected = constant * np.sqrt(looks / np.arange(1, looks + 1))
    # Rounding of the published constant, by at most half of the last digit.
    assert critical == pytest.approx(expected, rel=6e-4)


@pytest.mark.parametrize("looks", [2, 3, 5])
def test_some_look_rejects_with_the_declared_probability(looks: int) -> None:
    alphas = np.array(obrien_fleming(looks))
    sums = np.random.default_rng(5).normal(size=(400_000, looks)).cumsum(axis=1)
    z = np.abs(sums) / np.sqrt(np.arange(1, looks + 1))
    rejected = (2 * norm.sf(z) < alphas).any(axis=1).mean()
    assert rejected == pytest.approx(0.05, abs=0.0015)


@pytest.mark.parametrize("looks", [2, 4, 8])
def test_early_looks_spend_little(looks: int) -> None:
    alphas = obrien_fleming(looks)
    assert alphas == sorted(alphas)
    assert sum(alphas) > 0.05 > alphas[-1] > 0.03
    assert alphas[0] < 0.006


@pytest.mark.parametrize(("looks", "alpha"), [(0, 0.05), (3, 0.0), (3, 1.0)])
def test_no_looks_and_no_error_rate_raise(looks: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="at least one look"):
        obrien_fleming(looks, alpha)
