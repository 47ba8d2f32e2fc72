"""The grouped bootstrap agrees with a bootstrap of single prompts."""

from collections.abc import Callable

import numpy as np
import pytest

from bakeoff.stats.intervals import bca, grouped_bca
from bakeoff.stats.results import Estimate
from tests.unit.stats.helpers import close, same, sound

Values = np.ndarray
VALUES = np.array([0.0, 0.1, 0.5, 0.5, 1.0])  # what the prompts of each kind have


def mean_of(values: Values) -> Callable[[Values], Values]:
    return lambda counts: ((counts @ values) / counts.sum(-1))[..., None]


def random_kinds(n: int, kinds: int = len(VALUES), seed: int = 0) -> Values:
    return np.random.default_rng(seed).integers(0, kinds, n)


def bca_of_values(values: Values, clusters: Values | None = None) -> Estimate:
    return bca(mean_of(values), len(values), clusters)[0]


@pytest.mark.parametrize("n", [2, 40, 1_000])
def test_up_to_1000_prompts_it_equals_bca(n: int) -> None:
    kinds = random_kinds(n)
    found = grouped_bca(mean_of(VALUES), kinds)[0]
    assert same(found, bca_of_values(VALUES[kinds]))
    assert (found.method, found.n) == ("BCa bootstrap", n)
    assert sound(found)


def test_up_to_1000_clusters_it_equals_bca() -> None:
    kinds, clusters = random_kinds(300), random_kinds(300, 50, seed=1)
    found = grouped_bca(mean_of(VALUES), kinds, clusters)[0]
    assert same(found, bca_of_values(VALUES[kinds], clusters))
    assert found.n == 50


def test_many_kinds_are_drawn_unit_by_unit() -> None:
    values = np.random.default_rng(2).random(1_500)
    found = grouped_bca(mean_of(values), np.arange(1_500))[0]
    assert same(found, bca_of_values(values), within=1e-11)
    assert found.method == "percentile bootstrap"


@pytest.mark.parametrize("n", [1_001, 30_000])
def test_few_kinds_give_the_same_interval_up_to_simulation_error(n: int) -> None:
    kinds = random_kinds(n)
    found, single = grouped_bca(mean_of(VALUES), kinds)[0], bca_of_values(VALUES[kinds])
    assert close(found, single.estimate, single.low, single.high, 0.1 * (single.high - single.low))
    assert found.se == pytest.approx(single.se, rel=0.06)
    assert (found.method, found.n) == (single.method, n)
    assert found == grouped_bca(mean_of(VALUES), kinds)[0]
    assert sound(found)


@pytest.mark.parametrize("kinds", [5, 500])
def test_clusters_of_unequal_size_give_the_same_interval(kinds: int) -> None:
    """Clusters hold copies of one kind, so there are fewer units than prompts."""
    clusters = np.repeat(np.arange(1_200), random_kinds(1_200, 4, seed=3) + 1)
    values = np.random.default_rng(4).random(kinds)
    of = random_kinds(1_200, kinds, seed=5)[clusters]
    found, single = (
        grouped_bca(mean_of(values), of, clusters)[0],
        bca_of_values(values[of], clusters),
    )
    assert close(found, single.estimate, single.low, single.high, 0.1 * (single.high - single.low))
    assert found.n == 1_200
    alone = bca_of_values(values[of])
    assert alone.high - alone.low < 0.8 * (found.high - found.low)


def test_several_values_each_have_their_interval() -> None:
    kinds = random_kinds(20_000)

    def both(counts: Values) -> Values:
        share = counts / counts.sum(-1, keepdims=True)
        return np.stack((share @ VALUES, share[..., 0]), axis=-1)

    mean, share = grouped_bca(both, kinds)
    assert mean.estimate == pytest.approx(VALUES[kinds].mean())
    assert share.estimate == pytest.approx((kinds == 0).mean())
    assert share.high - share.low == pytest.approx(2 * 1.96 * np.sqrt(0.16 / 20_000), rel=0.1)
