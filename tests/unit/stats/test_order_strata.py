"""Means whose orders of presentation are balanced, and the predictability of the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.stats.order_strata import (
    A_FIRST,
    B_FIRST,
    BOTH,
    OrderRows,
    balanced_rate,
    balanced_weights,
    order_predictability,
)
from bakeoff.stats.results import NO_INTERVAL
from tests.marks import examples


def rows(values, order, unit=None, judge=None, weights=None) -> OrderRows:  # type: ignore[no-untyped-def]
    n = len(values)
    return OrderRows(
        np.asarray(values, dtype=float),
        np.arange(n) if unit is None else np.asarray(unit),
        np.zeros(n, dtype=int) if judge is None else np.asarray(judge),
        np.asarray(order),
        np.ones(n) if weights is None else np.asarray(weights, dtype=float),
    )


two_orders = st.tuples(st.integers(15, 60), st.integers(15, 60), st.integers(0, 40)).flatmap(
    lambda counts: st.tuples(
        st.just(np.repeat([A_FIRST, B_FIRST, BOTH], counts)),
        st.lists(
            st.sampled_from([0.0, 0.5, 1.0, 0.25]), min_size=sum(counts), max_size=sum(counts)
        ),
    )
)


@examples(60)
@given(two_orders)
def test_each_order_has_half_the_weight_of_the_single_orders(drawn) -> None:  # type: ignore[no-untyped-def]
    order, values = drawn
    y = np.array(values)
    tested = balanced_rate(rows(y, order))
    single = (y[order == A_FIRST].mean() + y[order == B_FIRST].mean()) / 2
    both = y[order == BOTH]
    share = len(both) / len(y)
    expected = single if not len(both) else share * both.mean() + (1 - share) * single
    assert tested.rate.estimate == pytest.approx(expected)
    assert 0 <= tested.rate.low <= tested.rate.estimate <= tested.rate.high <= 1
    assert (tested.test.p < 0.05) == (not tested.rate.low <= 0.5 <= tested.rate.high)


@examples(40)
@given(two_orders)
def test_swapping_the_models_mirrors_the_rate(drawn) -> None:  # type: ignore[no-untyped-def]
    order, values = drawn
    swapped = np.select([order == A_FIRST, order == B_FIRST], [B_FIRST, A_FIRST], BOTH)
    ours = balanced_rate(rows(values, order))
    theirs = balanced_rate(rows(1 - np.array(values), swapped))
    assert theirs.rate.estimate == pytest.approx(1 - ours.rate.estimate)
    assert theirs.rate.low == pytest.approx(1 - ours.rate.high)
    assert theirs.test.p == pytest.approx(ours.test.p)


def test_an_order_effect_does_not_widen_the_interval() -> None:
    """The effect moves the means of the orders, not the residuals within them."""
    order = np.repeat([A_FIRST, B_FIRST], [30, 120])
    y = np.concatenate((np.repeat([1.0, 0.0], [24, 6]), np.repeat([1.0, 0.0], [24, 96])))
    tested = balanced_rate(rows(y, order))
    assert tested.rate.estimate == pytest.approx(0.5)
    assert tested.rate.se == pytest.approx(0.045, abs=0.004)  # half of sqrt(.16/30 + .16/120)
    assert tested.test.p > 0.9


def test_judges_are_balanced_separately() -> None:
    """One judge saw a first on most prompts, the other saw b first; each prefers the first."""
    judge = np.repeat([0, 1], 80)
    order = np.concatenate(
        (np.repeat([A_FIRST, B_FIRST], [60, 20]), np.repeat([A_FIRST, B_FIRST], [20, 60]))
    )
    weights = balanced_weights(judge, order, np.ones(160))
    for code in (0, 1):
        for one_order in (A_FIRST, B_FIRST):
            assert weights[(judge == code) & (order == one_order)].sum() == pytest.approx(0.25)
    unit = np.tile(np.arange(80), 2)
    tested = balanced_rate(rows((order == A_FIRST).astype(float), order, unit, judge))
    assert tested.rate.estimate == pytest.approx(0.5)
    assert tested.rate.n == 80


def test_copies_of_a_unit_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(3)
    order = rng.permutation(np.repeat([A_FIRST, B_FIRST], 40))
    y = rng.choice([0.0, 1.0], 80)
    once = balanced_rate(rows(y, order, np.arange(80)))
    thrice = balanced_rate(rows(np.tile(y, 3), np.tile(order, 3), np.tile(np.arange(80), 3)))
    assert thrice.rate.estimate == pytest.approx(once.rate.estimate)
    assert thrice.rate.se == pytest.approx(once.rate.se)
    assert thrice.rate.n == once.rate.n == 80


def test_a_single_order_raises_and_few_units_have_no_interval() -> None:
    with pytest.raises(ValueError, match="one order only"):
        balanced_rate(rows([1.0, 0.0], [A_FIRST, A_FIRST]))
    order = np.tile([A_FIRST, B_FIRST], 20)
    few = balanced_rate(rows(np.ones(40), order, np.arange(40) % 9))
    assert (few.rate.method, few.rate.low, few.rate.high, few.test.p) == (NO_INTERVAL, 0, 1, 1)


# Seeds are fixed: 0.05 + 3 standard errors of 400 runs are 8.3 %.
@pytest.mark.long
@pytest.mark.parametrize("counts", [(15, 15, 0), (15, 135, 0), (60, 140, 0), (40, 40, 80)])
@pytest.mark.parametrize("effect", [0.0, 0.2, 0.45])
def test_equal_models_rarely_differ(counts: tuple[int, int, int], effect: float) -> None:
    rng = np.random.default_rng(1)
    order = np.repeat([A_FIRST, B_FIRST, BOTH], counts)
    chance = np.select([order == A_FIRST, order == B_FIRST], [0.5 + effect, 0.5 - effect], 0.5)
    rejections = sum(
        balanced_rate(rows((rng.random(len(order)) < chance).astype(float), order)).test.p < 0.05
        for _ in range(400)
    )
    assert rejections <= 0.083 * 400


def sequence(n: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.arange(n, dtype=float)[:, None]


NO_TAGS = np.zeros((200, 0), dtype=bool)
PREDICTABLE = {
    "first half": np.arange(200) < 100,
    "last quarter": np.arange(200) >= 150,
    "blocks of ten": np.arange(200) // 10 % 2 == 0,
}


@pytest.mark.parametrize("name", PREDICTABLE)
def test_blocks_of_one_order_are_predictable(name: str) -> None:
    assert order_predictability(PREDICTABLE[name], sequence(200), NO_TAGS) <= 0.01


def test_an_alternating_order_is_balanced_at_every_position() -> None:
    assert order_predictability(np.arange(200) % 2 == 0, sequence(200), NO_TAGS) > 0.1


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_random_order_is_rarely_predictable(share: float) -> None:
    rng = np.random.default_rng(5)
    tags = rng.random((200, 6)) < 0.2
    p = [order_predictability(rng.random(200) < share, sequence(200), tags) for _ in range(100)]
    assert sum(value <= 0.01 for value in p) <= 4


def test_an_order_that_follows_a_tag_is_predictable() -> None:
    rng = np.random.default_rng(6)
    tags = rng.random((200, 5)) < 0.2
    a_first = np.where(tags[:, 2], rng.random(200) < 0.95, rng.random(200) < 0.5)
    assert order_predictability(a_first, sequence(200), tags) <= 0.01
    assert order_predictability(~a_first, sequence(200), tags) == order_predictability(
        a_first, sequence(200), tags
    )


def test_a_single_order_is_not_tested() -> None:
    assert order_predictability(np.ones(40, dtype=bool), sequence(40), NO_TAGS[:40]) == 1
