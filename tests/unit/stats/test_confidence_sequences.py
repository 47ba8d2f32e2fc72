"""Confidence sequences of means, p-values at any look, and stopping."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from bakeoff.analysis.verdict import interval_outcome
from bakeoff.stats.sequential import (
    CONCENTRATION,
    SequentialTest,
    Values,
    anytime_test,
    confidence_sequence_at,
    log_e_value,
    mean_confidence_sequence,
)
from tests.marks import examples
from tests.unit.stats.checks import mirrored, same, singles, sound, values_of_any_kind

alphas = st.sampled_from([0.001, 0.025, 0.05, 0.3])
simultaneous_margins = st.sampled_from([0.0, 0.05, 0.2, 0.5])

# Exact for polynomials of degree 239 or less.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(120)
_BELIEFS = (_NODES + 1) / 2
_DENSITY = stats.beta.pdf(_BELIEFS, CONCENTRATION, CONCENTRATION) * _WEIGHTS / 2


def log_wealth(values: Values, m: float) -> float:
    """The log of the wealth against the mean m, by its definition: the integral over beliefs p of
    Beta(5, 5) times the product over values y of y p/m + (1-y)(1-p)/(1-m).
    """
    wealth = np.ones_like(_BELIEFS)
    for y in values:
        wealth *= y * _BELIEFS / m + (1 - y) * (1 - _BELIEFS) / (1 - m)
    return math.log(_DENSITY @ wealth)


def log_wealth_at_each_look(values: Values, m: float) -> Values:
    """`log_wealth` after each value."""
    gains = np.log(np.outer(values, _BELIEFS / m) + np.outer(1 - values, (1 - _BELIEFS) / (1 - m)))
    log_wealths: Values = np.logaddexp.reduce(np.log(_DENSITY) + gains.cumsum(axis=0), axis=1)
    return log_wealths


def first_decision(
    values: Values, margin: float = 0.05, alpha: float = 0.05
) -> tuple[int, str] | None:
    """The number of values after which `SequentialTest` decides, and its decision."""
    looks = SequentialTest(margin, alpha)
    for count, value in enumerate(values.tolist(), 1):
        looks.add(value)
        if looks.decision:
            return count, looks.decision
    return None


# The interval.


@examples(60)
@given(values_of_any_kind, alphas)
def test_bounds_are_the_means_with_wealth_1_over_alpha(values: Values, alpha: float) -> None:
    result, enough = mean_confidence_sequence(values, alpha), -math.log(alpha)
    exact = np.allclose(values * 100, np.round(values * 100), rtol=0, atol=1e-9)
    for end, edge in ((result.low, 1e-9), (result.high, 1 - 1e-9)):
        if not exact:  # the computed wealth is slightly lower, never higher
            assert end in (0, 1) or log_wealth(values, end) >= enough - 2e-3
        elif end in (0, 1):  # the wealth is too small even at the edge
            assert log_wealth(values, edge) <= enough + 1e-3
        elif 1e-6 < end < 1 - 1e-6:  # too steep to compare near 0 and 1
            assert log_wealth(values, end) == pytest.approx(enough, abs=2e-3)


@examples(60)
@given(values_of_any_kind, alphas)
def test_the_sequence_is_the_set_of_means_not_excluded(values: Values, alpha: float) -> None:
    result, enough = mean_confidence_sequence(values, alpha), -math.log(alpha)
    for m in np.linspace(0.01, 0.99, 50).tolist():
        wealth = log_wealth(values, m)
        if abs(wealth - enough) > 2e-3:
            assert (result.low < m < result.high) == (wealth < enough), m


@examples(60)
@given(values_of_any_kind, alphas)
def test_the_sequence_contains_the_mean_and_is_sound(values: Values, alpha: float) -> None:
    result = mean_confidence_sequence(values, alpha)
    assert sound(result)
    assert 0 <= result.low <= values.mean() + 1e-12
    assert values.mean() - 1e-12 <= result.high <= 1
    assert result.estimate == pytest.approx(values.mean(), abs=1e-12)
    assert result.low < result.high
    assert result.n == len(values)
    assert "confidence sequence" in result.method


@examples(60)
@given(values_of_any_kind, alphas)
def test_swapping_the_models_mirrors_the_sequence(values: Values, alpha: float) -> None:
    values = np.round(values, 6)
    assert mirrored(
        mean_confidence_sequence(values, alpha), mean_confidence_sequence(1 - values, alpha), 1e-6
    )


@examples(30)
@given(values_of_any_kind)
def test_a_smaller_alpha_widens_the_sequence(values: Values) -> None:
    each = [mean_confidence_sequence(values, alpha) for alpha in (0.3, 0.05, 0.025, 0.001)]
    for narrow, wide in itertools.pairwise(each):
        assert wide.low <= narrow.low + 1e-9
        assert narrow.high <= wide.high + 1e-9


@given(values_of_any_kind, st.randoms(use_true_random=False))
def test_the_order_of_values_does_not_change_the_last_look(
    values: Values, rng: np.random.Generator
) -> None:
    shuffled = values.tolist()
    rng.shuffle(shuffled)
    assert same(
        mean_confidence_sequence(values), mean_confidence_sequence(np.array(shuffled)), 1e-9
    )
    looks = [SequentialTest(0.05), SequentialTest(0.05)]
    for look, each in zip(looks, (values.tolist(), shuffled), strict=True):
        for value in each:
            look.add(value)
    assume(_clear(values, 0.05, 0.05))
    assert looks[0].decision == looks[1].decision


@examples(20)
@given(values_of_any_kind, alphas)
def test_each_look_uses_the_values_so_far(values: Values, alpha: float) -> None:
    places = sorted({1, (len(values) + 1) // 2, len(values)})
    lows, highs = confidence_sequence_at(values, places, alpha)
    assert len(lows) == len(highs) == len(places)
    for place, low, high in zip(places, lows, highs, strict=True):
        alone = mean_confidence_sequence(values[:place], alpha)
        assert (low, high) == pytest.approx((alone.low, alone.high), abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 1e-12, 1 - 1e-12, 0.3])
@pytest.mark.parametrize("count", [1, 20, 3_000])
def test_equal_values_have_a_sound_sequence(value: float, count: int) -> None:
    result = mean_confidence_sequence(np.full(count, value))
    assert sound(result)
    assert result.low <= value <= result.high
    assert result.low == 0 or value > 1e-6
    assert result.high == 1 or value < 1 - 1e-6
    if count == 3_000:
        assert result.high - result.low < 0.06


def test_more_of_the_same_values_narrow_the_sequence() -> None:
    widths = []
    for times in (1, 2, 5, 20):
        result = mean_confidence_sequence(np.tile([1.0, 0.5, 0.0, 1.0, 0.75, 0.25, 1.0], times))
        widths.append(result.high - result.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 2


# The test of one half.


@given(singles, alphas)
def test_the_sequence_of_wins_ties_and_losses_equals_the_sign_e_process(
    values: Values, alpha: float
) -> None:
    log_e = float(log_e_value(np.sum(values == 1), np.sum(values == 0)))
    result = anytime_test(values)
    assert result.p == pytest.approx(min(1.0, math.exp(-log_e)), rel=1e-3)
    assert result.n == len(values)
    looks = SequentialTest(0.05, alpha)
    for value in values.tolist():
        looks.add(value)
    assume(abs(log_e + math.log(alpha)) > 1e-3)
    assert (looks.decision == "different") == (log_e >= -math.log(alpha))


@pytest.mark.parametrize(("wins", "losses"), [(2_090, 1_910), (5_075, 4_925), (60, 440)])
def test_the_sequence_of_many_values_equals_the_sign_e_process(wins: int, losses: int) -> None:
    """The grid of beliefs is fine enough for a very concentrated posterior."""
    result = anytime_test(np.repeat([1.0, 0.0], (wins, losses)))
    log_e = float(log_e_value(np.array(wins), np.array(losses)))
    assert math.log(result.p) == pytest.approx(min(0.0, -log_e), abs=0.1)


@given(values_of_any_kind)
def test_p_is_1_over_wealth(values: Values) -> None:
    p = anytime_test(values).p
    assert p == pytest.approx(min(1.0, math.exp(-log_wealth(values, 0.5))), rel=1e-3)
    assert anytime_test(1 - values).p == pytest.approx(p, rel=1e-6)
    assert sound(anytime_test(values))


@given(values_of_any_kind, alphas)
def test_p_is_below_alpha_exactly_if_the_sequence_excludes_half(
    values: Values, alpha: float
) -> None:
    p, result = anytime_test(values).p, mean_confidence_sequence(values, alpha)
    assume(abs(p - alpha) > 1e-6 * alpha)
    assert (p <= alpha) == (result.low > 0.5 or result.high < 0.5)


def test_p_is_1_without_values_and_for_ties() -> None:
    assert anytime_test(np.array([])).p == 1
    assert anytime_test(np.array([])).n == 0
    assert anytime_test(np.full(40, 0.5)).p == pytest.approx(1)


# When to stop.


def _clear(values: Values, margin: float, alpha: float) -> bool:
    """Whether rounding cannot change a decision: no mean that it checks is close to a bound."""
    means = {m for m in (0.5, 0.5 - margin, 0.5 + margin) if 0 < m < 1}
    return all(abs(log_wealth(values, m) + math.log(alpha)) > 1e-3 for m in means)


@examples(25)
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=40)
    | st.lists(st.floats(0, 1), min_size=1, max_size=25)
    | st.integers(1, 300).map(lambda n: [0.5] * n),
    simultaneous_margins,
    alphas,
)
def test_the_sequential_test_agrees_with_the_interval_at_every_look(
    values: list[float], margin: float, alpha: float
) -> None:
    looks = SequentialTest(margin, alpha)
    for count, value in enumerate(values, 1):
        looks.add(value)
        if count % 20 and count != len(values) and len(values) > 60:
            continue
        values_ = np.array(values[:count])
        if not _clear(values_, margin, alpha):
            continue
        outcome = interval_outcome(mean_confidence_sequence(values_, alpha), margin)
        different = {"better": "different", "worse": "different", "not enough data": None}
        assert looks.decision == different.get(outcome, outcome), (count, outcome)


@pytest.mark.parametrize(("margin", "decision"), [(0.0, None), (0.05, "equivalent")])
def test_ties_alone_are_equivalent_for_positive_margins_only(
    margin: float, decision: str | None
) -> None:
    looks = SequentialTest(margin)
    decisions = []
    for _ in range(3_000):
        looks.add(0.5)
        decisions.append(looks.decision)
    assert decisions[-1] == decision
    assert decisions[:20] == [None] * 20
    assert "different" not in decisions


def test_with_margin_50_everything_not_different_is_equivalent() -> None:
    looks = SequentialTest(0.5)
    assert looks.decision == "equivalent"
    for _ in range(40):
        looks.add(1.0)
    assert looks.decision == "different"


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_wins_alone_decide_soon_and_later_with_a_smaller_alpha(value: float, alpha: float) -> None:
    counts = np.arange(40)
    known = log_e_value(counts, np.zeros_like(counts)) >= -math.log(alpha)
    assert first_decision(np.full(40, value), 0.05, alpha) == (known.argmax(), "different")


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
@pytest.mark.parametrize("seed", range(3))
def test_different_is_decided_at_the_first_look_that_excludes_half(seed: int, alpha: float) -> None:
    values = np.random.default_rng(seed).choice([0.0, 0.25, 1.0, 1.0, 1.0], 200)
    out = log_wealth_at_each_look(values, 0.5) >= -math.log(alpha)
    assert out.any()
    assert first_decision(values, 0.0, alpha) == (out.argmax() + 1, "different")


@pytest.mark.parametrize(("margin", "alpha"), [(0.2, 0.05), (0.2, 0.005), (0.15, 0.05)])
def test_equivalent_is_decided_at_the_first_look_that_excludes_all_outside(
    margin: float, alpha: float
) -> None:
    values = np.random.default_rng(7).choice([0.25, 0.5, 0.5, 0.75], 150)
    low, high = (log_wealth_at_each_look(values, 0.5 + side) for side in (-margin, margin))
    out = np.minimum(low, high) >= -math.log(alpha)
    assert out.any()
    assert first_decision(values, margin, alpha) == (out.argmax() + 1, "equivalent")


def test_a_decision_may_be_withdrawn_at_a_later_look() -> None:
    """The decision describes the present look, and a later look may withdraw it."""
    looks = SequentialTest(0.05)
    for value in [1.0] * 12:
        looks.add(value)
    assert looks.decision == "different"
    for value in [0.0] * 12:
        looks.add(value)
    assert looks.decision is None


# How often it errs.


KINDS = {
    "wins and losses": (0.5, lambda rng, shape: rng.choice([0.0, 1.0], shape)),
    "half ties": (0.5, lambda rng, shape: rng.choice([0.0, 0.5, 0.5, 1.0], shape)),
    "both orders": (0.4375, lambda rng, shape: rng.choice([0.0, 0.25, 0.5, 1.0], shape)),
    "in degrees": (0.6, lambda rng, shape: rng.beta(0.6, 0.4, shape)),
    "a rare loss": (0.95, lambda rng, shape: rng.choice([0.0] + [1.0] * 19, shape)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_is_missed_at_any_of_200_looks_in_less_than_5_percent_of_the_runs(
    kind: str,
) -> None:
    truth, draw = KINDS[kind]
    runs = draw(np.random.default_rng(53), (400, 200))
    paths = np.array([log_wealth_at_each_look(run, truth) for run in runs])
    over = paths.max(axis=1) > math.log(20)
    print(f"{kind}: {over.mean():.4f}")
    assert 0 < over.mean() < 0.05
    for run in [*np.flatnonzero(over)[:2], *np.flatnonzero(~over)[:2]]:
        look = int(paths[run].argmax()) + 1
        lows, highs = confidence_sequence_at(runs[run], [look])
        assert ((lows > truth) | (highs < truth))[0] == over[run]


@pytest.mark.slow
def test_stopping_at_a_decision_has_an_error_rate_below_5_percent() -> None:
    runs = np.random.default_rng(59).choice([0.0, 0.25, 0.5, 0.75, 1.0], (120, 80))
    decisions = [first_decision(run) for run in runs]
    wrong = np.mean([decision is not None and decision[1] == "different" for decision in decisions])
    print(f"{wrong:.4f}")
    assert wrong < 0.05


# Real preferences.
