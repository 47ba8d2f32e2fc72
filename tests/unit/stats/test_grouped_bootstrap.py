"""The grouped bootstrap agrees with a bootstrap of single prompts."""

from collections.abc import Callable

import numpy as np
import pytest

from bakeoff.stats.intervals import bca, grouped_bca
from bakeoff.stats.results import Estimate
from tests.unit.stats.checks import close, same, sound

Values = np.ndarray
VALUES = np.array([0.0, 0.1, 0.5, 0.5, 1.0])  # by kind of prompt


def mean_of(values: Values) -> Callable[[Values], Values]:
    return lambda counts: ((counts @ values) / counts.sum(-1))[..., None]


def random_kinds(n: int, kinds: int = len(VALUES), seed: int = 0) -> Values:
    return np.random.default_rng(seed).integers(0, kinds, n)


def bca_of_values(values: Values, clusters: Values | None = None) -> Estimate:
    return bca(mean_of(values), len(values), clusters)[0]


@pytest.mark.parametrize("n", [2, 40, 1_000])
def test_up_to_1000_prompts_the_grouped_bootstrap_equals_bca(n: int) -> None:
    kinds = random_kinds(n)
    result = grouped_bca(mean_of(VALUES), kinds)[0]
    assert same(result, bca_of_values(VALUES[kinds]))
    assert (result.method, result.n) == ("BCa bootstrap", n)
    assert sound(result)


def test_up_to_1000_clusters_the_grouped_bootstrap_equals_bca() -> None:
    kinds, clusters = random_kinds(300), random_kinds(300, 50, seed=1)
    result = grouped_bca(mean_of(VALUES), kinds, clusters)[0]
    assert same(result, bca_of_values(VALUES[kinds], clusters))
    assert result.n == 50


def test_many_kinds_are_drawn_unit_by_unit() -> None:
    values = np.random.default_rng(2).random(1_500)
    result = grouped_bca(mean_of(values), np.arange(1_500))[0]
    assert same(result, bca_of_values(values), within=1e-11)
    assert result.method == "percentile bootstrap"


@pytest.mark.parametrize("n", [1_001, 30_000])
def test_few_kinds_give_the_same_interval_up_to_simulation_error(n: int) -> None:
    kinds = random_kinds(n)
    result, single = grouped_bca(mean_of(VALUES), kinds)[0], bca_of_values(VALUES[kinds])
    assert close(result, single.estimate, single.low, single.high, 0.1 * (single.high - single.low))
    assert result.se == pytest.approx(single.se, rel=0.06)
    assert (result.method, result.n) == (single.method, n)
    assert result == grouped_bca(mean_of(VALUES), kinds)[0]
    assert sound(result)


@pytest.mark.parametrize("kinds", [5, 500])
def test_clusters_of_unequal_size_give_the_same_interval(kinds: int) -> None:
    """Clusters hold copies of one kind, so there are fewer units than prompts."""
    clusters = np.repeat(np.arange(1_200), random_kinds(1_200, 4, seed=3) + 1)
    values = np.random.default_rng(4).random(kinds)
    prompt_kinds = random_kinds(1_200, kinds, seed=5)[clusters]
    result, single = (
        grouped_bca(mean_of(values), prompt_kinds, clusters)[0],
        bca_of_values(values[prompt_kinds], clusters),
    )
    assert close(result, single.estimate, single.low, single.high, 0.1 * (single.high - single.low))
    assert result.n == 1_200
    alone = bca_of_values(values[prompt_kinds])
    assert alone.high - alone.low < 0.8 * (result.high - result.low)


def test_several_values_each_have_their_interval() -> None:
    kinds = random_kinds(20_000)

    def both(counts: Values) -> Values:
        share = counts / counts.sum(-1, keepdims=True)
        return np.stack((share @ VALUES, share[..., 0]), axis=-1)

    mean, share = grouped_bca(both, kinds)
    assert mean.estimate == pytest.approx(VALUES[kinds].mean())
    assert share.estimate == pytest.approx((kinds == 0).mean())
    assert share.high - share.low == pytest.approx(2 * 1.96 * np.sqrt(0.16 / 20_000), rel=0.1)
