import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from bakeoff.stats.bias import (
    Codes,
    Mask,
    Values,
    feature_bias,
    leak_effect,
    order_effect,
)
from bakeoff.stats.intervals import proportion, t_interval, win_rate
from bakeoff.stats.results import OrderEffect
from tests.unit.stats.checks import close, mirrored, negated, same, sound

Verdicts = tuple[Values, Codes, Mask]


@st.composite
def verdicts(draw: st.DrawFn) -> Verdicts:
    """Single verdicts of any design: both orders, one, at random, repeats, or a mixture."""
    verdict = st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 12), st.booleans())
    drawn = draw(st.lists(verdict, min_size=1, max_size=50))
    if draw(st.booleans()):  # every prompt in both orders
        drawn = [(value, i // 2, i % 2 == 0) for i, (value, *_) in enumerate(drawn)]
    values, prompts, first = zip(*drawn, strict=True)
    return np.array(values), np.array(prompts), np.array(first)


def both_orders(first: list[float], second: list[float]) -> Verdicts:
    n = len(first)
    order = np.repeat([True, False], n)
    return np.array(first + second), np.tile(np.arange(n), 2), order


def estimates(effect: OrderEffect):
    return effect.effect, effect.pick_first, effect.balanced


# The place.


@given(verdicts())
def test_swapping_the_models_mirrors_the_win_rate_and_keeps_the_order_effect(
    drawn: Verdicts,
) -> None:
    values, prompts, first = drawn
    original, swapped = order_effect(*drawn), order_effect(1 - values, prompts, ~first)
    assert sound(original)
    assert original.identified == swapped.identified
    assert original.shown_first == pytest.approx(1 - swapped.shown_first)
    assert (original.first_twice, original.second_twice, original.p) == (
        swapped.first_twice,
        swapped.second_twice,
        swapped.p,
    )
    for name, relation in (("effect", same), ("pick_first", same), ("balanced", mirrored)):
        ours, theirs = getattr(original, name), getattr(swapped, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or relation(ours, theirs), name


@given(verdicts())
def test_a_judge_with_the_opposite_bias_has_the_opposite_effect(drawn: Verdicts) -> None:
    values, prompts, first = drawn
    original, opposite = order_effect(*drawn), order_effect(values, prompts, ~first)
    assert (original.first_twice, original.second_twice) == (
        opposite.second_twice,
        opposite.first_twice,
    )
    for name, relation in (("effect", negated), ("pick_first", mirrored), ("balanced", same)):
        ours, theirs = getattr(original, name), getattr(opposite, name)
        assert ours is None or relation(ours, theirs), name


@given(verdicts(), st.integers(0, 10**6))
def test_neither_the_order_of_verdicts_nor_the_names_of_prompts_matter(
    drawn: Verdicts, seed: int
) -> None:
    values, prompts, first = drawn
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(values))
    names = rng.permutation(60)
    original = order_effect(*drawn)
    other = order_effect(values[places], names[prompts][places], first[places])
    assert (original.identified, original.first_twice, original.p) == (
        other.identified,
        other.first_twice,
        other.p,
    )
    for ours, theirs in zip(estimates(original), estimates(other), strict=True):
        assert ours is None or same(ours, theirs)


@given(verdicts())
def test_repeating_all_verdicts_changes_no_estimate(drawn: Verdicts) -> None:
    original = order_effect(*drawn)
    repeated = order_effect(*(np.concatenate((part, part)) for part in drawn))
    if original.identified == "both orders":
        assert (original.first_twice, original.second_twice) == (
            repeated.first_twice,
            repeated.second_twice,
        )
    assert original.identified == repeated.identified
    for name in ("effect", "balanced"):
        ours, theirs = getattr(original, name), getattr(repeated, name)
        assert ours is None or same(ours, theirs), name


@given(st.integers(2, 60))
def test_a_judge_that_always_picks_first_gives_half_and_is_never_consistent(n: int) -> None:
    result = order_effect(*both_orders([1.0] * n, [0.0] * n))
    assert result.identified == "both orders"
    assert (result.first_twice, result.second_twice) == (n, 0)
    effect, pick_first, balanced = estimates(result)
    assert effect.estimate == pick_first.estimate == 1
    assert balanced.estimate == 0.5
    assert result.p == pytest.approx(min(1, 2 * 0.5**n))


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=40))
def test_a_judge_without_position_bias_has_no_effect(values: list[float]) -> None:
    result = order_effect(*both_orders(values, values))
    effect, pick_first, balanced = estimates(result)
    assert (effect.estimate, effect.low, effect.high) == (0, 0, 0)
    assert (result.first_twice, result.second_twice, result.p) == (0, 0, 1)
    assert balanced == win_rate(np.array(values))
    assert (pick_first is None) == (set(values) == {0.5})
    assert pick_first is None or pick_first.estimate == 0.5
    assert result.shown_first == 0.5


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 2), min_size=2, max_size=40))
def test_both_orders_are_paired_by_prompt(pairs: list[tuple[float, float]]) -> None:
    first, second = (list(side) for side in zip(*pairs, strict=True))
    result = order_effect(*both_orders(first, second))
    assert same(result.effect, t_interval(np.array(first) - np.array(second)))
    assert same(result.balanced, win_rate((np.array(first) + np.array(second)) / 2))


@pytest.mark.parametrize("seed", range(4))
def test_a_random_order_has_welchs_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, first = rng.random(80) ** 2, rng.random(80) < 0.3
    result = order_effect(values, np.arange(80), first)
    assert result.identified == "random order"
    assert result.shown_first == first.mean()
    x, y = values[first], values[~first]
    low, high = stats.ttest_ind(x, y, equal_var=False).confidence_interval()
    assert close(result.effect, x.mean() - y.mean(), low, high)
    middle = (x.mean() + y.mean()) / 2
    assert close(result.balanced, middle, *(middle + np.array([-1, 1]) * (high - low) / 4))
    assert result.balanced.se == pytest.approx(result.effect.se / 2)


def test_few_prompts_in_both_orders_among_many_count_as_a_random_order() -> None:
    values, prompts, first = both_orders([1.0, 0.0], [1.0, 0.0])
    more = np.arange(2, 20)
    result = order_effect(
        np.append(values, more % 2), np.append(prompts, more), np.append(first, more > 8)
    )
    assert result.identified == "random order"
    assert result.effect.n == 22


@pytest.mark.parametrize(("twice", "once"), [(1, 0), (3, 2), (2, 2), (2, 3), (1, 20)])
def test_half_of_the_prompts_in_both_orders_identify_a_paired_effect(twice: int, once: int) -> None:
    values, prompts, first = both_orders([1.0] * twice, [0.0] * twice)
    more = np.arange(twice, twice + once)
    result = order_effect(
        np.append(values, np.ones(once)), np.append(prompts, more), np.append(first, more > twice)
    )
    assert (result.identified == "both orders") == (twice >= once)
    assert result.effect is None or result.effect.n == (
        twice if twice >= once else 2 * twice + once
    )


@pytest.mark.parametrize("shown_first", [0, 1])
def test_one_fixed_order_identifies_no_effect(shown_first: int) -> None:
    result = order_effect(np.ones(30), np.arange(30), np.full(30, shown_first == 1))
    assert result == OrderEffect("one order", shown_first)


def test_no_verdicts_have_no_order() -> None:
    none = np.array([])
    assert order_effect(none, none.astype(int), none.astype(bool)) == OrderEffect("not recorded")


def test_one_prompt_on_a_side_has_no_spread_to_compare() -> None:
    result = order_effect(np.array([1.0, 0.0, 0.0]), np.arange(3), np.array([True, False, False]))
    assert result.identified == "random order"
    assert (result.effect, result.balanced) == (None, None)
    assert result.pick_first.estimate == 1


def test_a_random_order_without_spread_has_an_interval_of_width_0() -> None:
    result = order_effect(np.array([1.0, 1, 0, 0]), np.arange(4), np.array([1, 1, 0, 0]) > 0)
    assert (result.effect.low, result.effect.high, result.effect.se) == (1, 1, 0)
    assert result.balanced.estimate == 0.5


def test_ties_alone_have_no_pick_first() -> None:
    result = order_effect(*both_orders([0.5] * 9, [0.5] * 9))
    assert result.pick_first is None
    assert result.p == 1


@pytest.mark.slow
def test_the_interval_of_the_effect_covers() -> None:
    rng = np.random.default_rng(53)
    runs, n = 2_000, 60
    for design in ("both", "random"):
        hits = 0
        for _ in range(runs):
            quality = rng.random(n)  # the chance to win, whatever the place
            first = rng.random(n) < 0.2 + 0.6 * quality
            second = rng.random(n) < 0.6 * quality
            if design == "both":
                result = order_effect(*both_orders((first * 1.0).tolist(), (second * 1.0).tolist()))
            else:
                place = rng.random(n) < 0.5
                result = order_effect(np.where(place, first, second) * 1.0, np.arange(n), place)
            hits += result.effect.low <= 0.2 <= result.effect.high
        assert hits / runs >= 0.92, design


# What goes with winning.


@given(st.lists(st.tuples(st.sampled_from([0, 0.2, 0.5, 1]), st.integers(-3, 3)), max_size=40))
def test_swapping_the_models_changes_no_feature_bias(pairs: list[tuple[float, int]]) -> None:
    values, differences = (np.array([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    original, swapped = feature_bias(values, differences), feature_bias(1 - values, -differences)
    assert sound(original)
    assert original.n == len(pairs)
    assert original.more_wins == swapped.more_wins
    assert original.spearman == pytest.approx(swapped.spearman)


@given(st.integers(3, 40), st.integers(0, 10**6))
def test_spearman_equals_scipys_and_is_1_for_a_judge_of_length(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    differences = rng.normal(0, 500, n)
    by_length = feature_bias(expit(differences / 300), differences)
    assert by_length.spearman == pytest.approx(1)
    assert by_length.more_wins == proportion(n, n)
    values = rng.random(n)
    theirs = stats.spearmanr(values, differences).statistic
    assert feature_bias(values, differences).spearman == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("values", "differences", "expected"),
    [
        ([], [], 0),
        ([1.0], [5.0], 1),
        ([0.5] * 5, [1.0, 2, 3, 4, 5], 0),
        ([1.0, 0, 1], [0.0, 0, 0], 0),
        ([1.0, 1, 1], [1.0, 2, 3], 3),
    ],
)
def test_constant_values_have_no_correlation(
    values: list[float], differences: list[float], expected: int
) -> None:
    result = feature_bias(np.array(values), np.array(differences))
    assert result.spearman is None
    assert (result.more_wins.n if result.more_wins else 0) == expected


# Length.


def judged(n: int, seed: int, alpha: float, beta: float, shift: float = 0.0) -> Verdicts:
    """Verdicts of a judge that prefers length by `beta`, and a by `alpha`."""
    rng = np.random.default_rng(seed)
    differences = rng.normal(shift, 400, n).round()
    p = expit(alpha + beta * np.tanh(differences / differences.std(ddof=1)))
    return (rng.random(n) < p).astype(float), differences, p


@given(st.lists(st.tuples(st.sampled_from([0, 0.5, 1.0]), st.booleans(), st.booleans())))
def test_leak_effect_is_the_win_rate_if_only_one_side_leaks(
    drawn: list[tuple[float, bool, bool]],
) -> None:
    values = np.array([value for value, *_ in drawn], dtype=float)
    a, b = (np.array([row[i] for row in drawn], dtype=bool) for i in (1, 2))
    original, swapped = leak_effect(values, a, b), leak_effect(1 - values, b, a)
    assert sound(original)
    clean = int((~a & ~b).sum())
    assert original.only_a + original.only_b + original.both + clean == len(drawn)
    assert (original.only_a, original.only_b, original.both) == (
        swapped.only_b,
        swapped.only_a,
        swapped.both,
    )
    for ours, theirs, n in (
        (original.rate_only_a, swapped.rate_only_b, original.only_a),
        (original.rate_only_b, swapped.rate_only_a, original.only_b),
    ):
        assert (ours is None) == (theirs is None) == (n == 0)
        assert ours is None or (mirrored(ours, theirs) and ours.n == n)


def test_a_judge_that_punishes_leaks_lowers_the_rate_of_the_leaking_side() -> None:
    a, b = np.repeat([True, False], 20), np.repeat([False, True], 20)
    result = leak_effect(b.astype(float), a, b)
    assert (result.rate_only_a.estimate, result.rate_only_b.estimate) == (0, 1)
    assert result.rate_only_a.high < result.rate_only_b.low
