import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.stats import tests as significance
from bakeoff.stats.arrays import Values
from bakeoff.stats.sensitivity import overturning_bias, overturning_flips
from tests.marks import examples


@pytest.mark.parametrize(
    ("low", "high", "bias"), [(0.53, 0.7, 0.03), (0.2, 0.46, 0.04), (0.45, 0.6, 0), (0.5, 0.6, 0)]
)
def test_the_bias_that_overturns_is_the_distance_from_one_half(
    low: float, high: float, bias: float
) -> None:
    assert overturning_bias(low, high) == pytest.approx(bias)


def test_33_of_50_wins_are_overturned_by_a_single_prompt() -> None:
    """32 of 50 have p = 0.065 (exact sign test)."""
    assert overturning_flips(np.repeat([1.0, 0.0], [33, 17])) == 1
    assert overturning_flips(np.repeat([0.0, 1.0], [38, 12])) == 6
    assert overturning_flips(np.repeat([1.0, 0.0], [32, 18])) is None


@examples(30)
@given(st.integers(0, 10**6), st.sampled_from(["verdicts", "graded"]))
def test_the_number_of_flips_is_minimal_and_the_same_for_both_models(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(15, 80))
    values: Values = rng.random(n) ** 0.5
    if kind == "verdicts":
        values = rng.choice([1.0, 0.5, 0.0], n, p=[0.6, 0.2, 0.2])
    flips = overturning_flips(values)
    assert flips == overturning_flips(1 - values)
    winner = -values if values.mean() > 0.5 else values
    order = np.argsort(winner, kind="stable")

    def p_after(count: int) -> float:
        changed = values.copy()
        changed[order[:count]] = 1 - changed[order[:count]]
        return significance.tested_win_rate(changed).test.p

    if flips is None:
        assert p_after(0) >= 0.05
    else:
        assert p_after(flips) >= 1 - 0.95
        assert p_after(flips - 1) < 0.05


def test_flips_count_clusters_as_units() -> None:
    values, clusters = np.repeat([1.0, 0.0], [60, 20]), np.arange(80) // 4
    alone, together = overturning_flips(values), overturning_flips(values, clusters)
    assert alone is not None
    assert together is not None
    assert together < alone
