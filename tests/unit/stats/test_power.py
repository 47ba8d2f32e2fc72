import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from bakeoff.stats.detectable_rates import detectable_rates, sequential_factor
from bakeoff.stats.power import (
    Codes,
    OrderVariances,
    Values,
    detectable_effect,
    difference_sd,
    power_analysis,
    prompts_for_equivalence,
    prompts_needed,
    same_verdict_probability,
    second_order_may_matter,
    variance_components,
    z_sum,
)
from bakeoff.stats.sequential import SequentialTest
from tests.unit.stats.checks import sound, values_of_any_kind

powers = st.sampled_from([0.5, 0.8, 0.95])


# Before: how many prompts an effect needs.


@given(st.integers(1, 999_000), st.floats(1e-3, 10), powers)
def test_the_effect_that_n_prompts_detect_needs_n_prompts(n: int, sd: float, power: float) -> None:
    effect = detectable_effect(sd / n**0.5, power)
    assert prompts_needed(sd, effect, power) == n


@given(st.floats(0.01, 1), st.floats(0.01, 0.5), powers)
def test_the_needed_number_is_minimal(sd: float, effect: float, power: float) -> None:
    n = prompts_needed(sd, effect, power)
    assert n is not None

    def power_with(prompts: int) -> float:
        return float(norm.sf(norm.ppf(0.975) - effect * prompts**0.5 / sd))

    assert power_with(n) >= power - 1e-9
    assert n == 1 or power_with(n - 1) < power
    assert prompts_needed(sd, -effect, power) == n


@given(st.floats(0, 10))
def test_no_or_a_tiny_effect_gives_none(sd: float) -> None:
    assert prompts_needed(sd, 0.0) is None
    assert prompts_needed(1.0, 1e-3) is None


def test_an_effect_without_variance_needs_one_prompt() -> None:
    assert prompts_needed(0.0, 0.1) == 1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 9))
def test_more_completions_leave_the_spread_of_the_prompts(
    omega: float, first: float, second: float, times: int
) -> None:
    many = difference_sd(omega, (first, second), (times, times))
    assert many == pytest.approx((omega + (first + second) / times) ** 0.5)
    assert omega**0.5 <= many + 1e-12
    assert difference_sd(omega) == pytest.approx(omega**0.5)


def test_each_variance_has_its_number_of_samples() -> None:
    with pytest.raises(ValueError, match="shorter"):
        difference_sd(1.0, (1.0, 2.0), (1,))


# After: what these prompts could show.


@given(values_of_any_kind, st.sampled_from([0.0, 0.05, 0.2, 0.5]))
def test_swapping_the_models_changes_no_power(values: Values, margin: float) -> None:
    values = np.round(values, 3)
    original, swapped = power_analysis(values, margin), power_analysis(1 - values, margin)
    assert sound(original)
    assert original.detectable == pytest.approx(swapped.detectable)
    assert (original.needed is None) == (swapped.needed is None)
    assert original.needed is None or original.needed == pytest.approx(
        swapped.needed, rel=1e-6, abs=1
    )
    assert original.method == swapped.method


@given(values_of_any_kind, st.sampled_from([0.0, 0.05, 0.2]))
def test_more_is_needed_minus_present(values: Values, margin: float) -> None:
    power = power_analysis(values, margin)
    assert power.detectable > 0
    if power.needed is None:
        assert power.more is None
    else:
        assert power.more == max(0, power.needed - len(values))


@given(st.integers(2, 60), st.integers(2, 60))
def test_a_clear_difference_needs_no_more_and_a_detectable_one_needs_n(
    wins: int, losses: int
) -> None:
    values = np.repeat([1.0, 0.0], (wins, losses))
    power = power_analysis(values, margin=0.0)
    away = abs(values.mean() - 0.5)
    assume(abs(away - power.detectable) > 1e-9)
    assert (power.more == 0) == (away > power.detectable)


@pytest.mark.parametrize("more", [0.55, 0.45])
def test_a_mean_on_the_edge_of_the_margin_counts_as_outside_on_both_sides(more: float) -> None:
    power = power_analysis(
        np.repeat([1.0, 0.0], (round(100 * more), round(100 - 100 * more))), 0.05
    )
    assert power.method.endswith("to tell it from 50 %")
    assert power.needed == pytest.approx(7.849 * 0.25 / 0.05**2, rel=0.02)


@pytest.mark.parametrize("wins", [500, 510, 520])
def test_equivalence_needs_the_whole_interval_within_the_margin(wins: int) -> None:
    values = np.repeat([1.0, 0.0], (wins, 1_000 - wins))
    power = power_analysis(values, 0.05)
    assert power.method.endswith("within the margin")
    assert power.needed is not None
    rng = np.random.default_rng(1)
    se = values.std(ddof=1) / power.needed**0.5
    means = rng.normal(wins / 1_000, se, 20_000)
    fits = (means + 1.96 * se < 0.55) & (means - 1.96 * se > 0.45)
    assert fits.mean() == pytest.approx(0.8, abs=0.015)


def test_the_advised_number_is_the_smaller_of_the_two_ways_to_settle() -> None:
    """At 54.5 %, equivalence within 5 points would need about 78,000 prompts."""
    values = np.repeat([1.0, 0.0], (109, 91))
    power = power_analysis(values, 0.05)
    assert power.needed == pytest.approx(963, abs=8)
    assert power.method == "80 % power, to tell it from 50 %"
    assert prompts_for_equivalence(values.std(ddof=1), 0.045, 0.05) > 70_000
    assert power_analysis(values, 0.05, anytime=0.05).needed == pytest.approx(1_670, abs=20)


@given(values_of_any_kind, st.sampled_from([0.0, 0.05, 0.2]))
def test_a_wider_margin_never_needs_more_prompts(values: Values, margin: float) -> None:
    narrow, wide = power_analysis(values, margin), power_analysis(values, margin + 0.05)
    assert narrow.needed is None or (wide.needed is not None and wide.needed <= narrow.needed)


def test_models_that_need_more_than_20000_prompts_are_too_close_to_tell_apart() -> None:
    close, closer = (np.repeat([1.0, 0.0], (5_000 + k, 5_000 - k)) for k in (100, 98))
    assert power_analysis(close, 0.0).needed == pytest.approx(19_620, abs=20)
    assert power_analysis(closer, 0.0).needed is None
    assert power_analysis(close, 0.0, anytime=0.05).needed is None
    assert power_analysis(close, 0.05).needed is not None  # equivalent within the margin


def test_no_values_have_no_power_analysis() -> None:
    with pytest.raises(ValueError, match="no values"):
        power_analysis(np.array([]), 0.05)


# Before a run: which win rates n prompts can tell from 50 %.


def test_50_prompts_tell_about_30_and_70_percent() -> None:
    rates = detectable_rates(50)
    assert rates == pytest.approx((0.296, 0.704), abs=5e-4)


@pytest.mark.parametrize("n", [20, 50, 200, 805])
def test_the_detectable_rates_have_the_power_of_the_exact_sign_test(n: int) -> None:
    rates = detectable_rates(n)
    assert rates is not None
    significant = [k for k in range(n // 2, n + 1) if binomtest(k, n).pvalue < 0.05]
    assert binom.sf(significant[0] - 1, n, rates[1]) == pytest.approx(0.8)
    assert rates[0] == pytest.approx(1 - rates[1])


@given(st.integers(60, 5_000), st.floats(0, 0.8))
def test_ties_and_early_stopping_change_what_can_be_told(n: int, ties: float) -> None:
    plain, tied = detectable_rates(n), detectable_rates(n, ties)
    stopped = detectable_rates(n, ties, factor=sequential_factor(0.05))
    assert plain is not None
    assert tied is not None
    assert tied[1] <= plain[1] + 0.02  # ties narrow the interval, and leave fewer wins
    assert stopped is None or stopped[1] > tied[1] - 0.02


def test_detectable_rates_agree_with_the_advised_number() -> None:
    rates = detectable_rates(963)
    assert rates is not None
    assert rates[1] == pytest.approx(0.545, abs=0.001)


@pytest.mark.parametrize(("n", "ties"), [(0, 0.0), (5, 0.0), (20, 0.9), (20, 1.0)])
def test_too_few_decisive_prompts_tell_nothing(n: int, ties: float) -> None:
    assert detectable_rates(n, ties) is None


@pytest.mark.parametrize("values", [[1.0], [0.5], [0.0] * 40, [0.5] * 40])
def test_a_unanimous_sample_has_a_positive_sd(values: list[float]) -> None:
    power = power_analysis(np.array(values), 0.05)
    assert sound(power)
    assert power.detectable > 0.5 / (len(values) + 2)
    assert power.needed is not None


def test_all_ties_with_margin_0_give_none() -> None:
    assert power_analysis(np.full(20, 0.5), 0.0).needed is None


# Power of runs that are tested, and may end, after each prompt.


@given(values_of_any_kind, st.sampled_from([0.0, 0.05, 0.2]))
def test_optional_stopping_needs_more_and_a_smaller_alpha_more_still(
    values: Values, margin: float
) -> None:
    fixed = power_analysis(values, margin)
    looked = [power_analysis(values, margin, anytime=alpha) for alpha in (0.05, 0.025, 0.05 / 45)]
    assert all(sound(analysis) for analysis in looked)
    detectable_ = [fixed.detectable, *(analysis.detectable for analysis in looked)]
    assert detectable_ == sorted(detectable_)
    assert detectable_[0] < detectable_[1] < detectable_[-1]
    if fixed.needed is None:
        assert all(analysis.needed is None and analysis.more is None for analysis in looked)
        return
    needed = [fixed.needed, *(analysis.needed or 0 for analysis in looked)]
    assert needed == sorted(needed)
    assert all(analysis.more == max(0, (analysis.needed or 0) - len(values)) for analysis in looked)


@given(values_of_any_kind, st.sampled_from([0.0, 0.05]), st.sampled_from([0.05, 0.01]))
def test_anytime_power_needs_more_prompts_by_the_squared_ratio_of_detectable_effects(
    values: Values, margin: float, alpha: float
) -> None:
    fixed, looked = power_analysis(values, margin), power_analysis(values, margin, anytime=alpha)
    dearer = (looked.detectable / fixed.detectable) ** 2
    assert 1 < dearer < 4
    assert looked.method == f"{fixed.method}, at any look"
    if fixed.needed is not None:
        assert looked.needed == pytest.approx(dearer * fixed.needed, abs=1.0001)


@given(values_of_any_kind, st.sampled_from([0.05, 0.01]))
def test_swapping_the_models_changes_no_power_at_any_look(values: Values, alpha: float) -> None:
    values = np.round(values, 3)
    original, swapped = (power_analysis(each, 0.05, anytime=alpha) for each in (values, 1 - values))
    assert original.detectable == pytest.approx(swapped.detectable)
    assert original.needed is None or original.needed == pytest.approx(
        swapped.needed, rel=1e-6, abs=2
    )


def test_the_sequential_factor_grows_linearly_with_log_alpha() -> None:
    factors = [sequential_factor(0.05 / 2**halvings) for halvings in range(7)]
    assert factors[0] == pytest.approx(1.73, abs=0.005)
    assert np.diff(factors) == pytest.approx(0.36 * math.log(2))
    # For a fixed number alpha costs too, but less: the squared sum of z over that at 0.05.
    fixed = [(z_sum(1 - 0.05 / 2**halvings) / z_sum()) ** 2 for halvings in range(7)]
    assert all(np.diff(factors) > np.diff(fixed))


@pytest.mark.slow
@pytest.mark.parametrize(("share", "alpha"), [(0.35, 0.05), (0.7, 0.05), (0.6, 0.05), (0.4, 0.01)])
def test_the_needed_number_gives_the_power_with_optional_stopping(
    share: float, alpha: float
) -> None:
    """80 of 100 runs decide by then; benchmarks/stopping.py covers more true effects."""
    wins = round(40 * share)
    power = power_analysis(np.repeat([1.0, 0.0], (wins, 40 - wins)), 0.05, anytime=alpha)
    assert power.needed is not None
    rng = np.random.default_rng(61)
    runs = (rng.random((400, power.needed)) < share).astype(float)
    sure = np.mean([_sure(run, alpha) for run in runs])
    print(f"{share} at {alpha}: {sure:.3f} with {power.needed} prompts")
    assert 0.74 < sure < 0.86


def _sure(values: Values, alpha: float) -> bool:
    looks = SequentialTest(0.05, alpha)
    for value in values.tolist():
        looks.add(value)
        if looks.decision == "different":
            return True
    return False


# Whether the second order of the next prompts can change the verdict.

# Orders that agree, and orders whose mean has little variance.
COIN, CANCELLED = OrderVariances(0.25, 0.25), OrderVariances(0.25, 0.01)
Z = float(norm.ppf(0.975))
spreads = st.builds(OrderVariances, st.floats(0, 0.25), st.floats(0, 0.25))


def wins(won: int, lost: int, tied: int = 0) -> Values:
    return np.repeat([1.0, 0.0, 0.5], (won, lost, tied))


@given(
    values_of_any_kind.filter(lambda values: len(values) > 1),
    spreads,
    st.integers(1, 500),
    st.sampled_from([0.0, 0.05, 0.2]),
)
def test_swapping_the_models_does_not_change_whether_the_second_order_matters(
    values: Values, spread: OrderVariances, left: int, margin: float
) -> None:
    values, total = np.round(values, 3), len(values) + left
    same = [same_verdict_probability(v, spread, total, margin, Z) for v in (values, 1 - values)]
    assert same[0] == pytest.approx(same[1], abs=1e-6)
    assert 0 <= same[0] <= 1 + 1e-9
    answer = second_order_may_matter(values, spread, total, margin, Z)
    assert type(answer) is bool
    assert answer == (same[0] < 0.95)


@given(st.integers(0, 300), st.floats(0, 0.2), st.floats(0, 0.05))
def test_more_disagreement_of_the_orders_lowers_the_same_verdict_probability(
    ties: int, both: float, more: float
) -> None:
    values = wins(36, 28, ties)
    total = 2 * len(values)
    agree, disagree = (
        same_verdict_probability(values, OrderVariances(both + extra, both), total, 0.0, Z)
        for extra in (more, more + 0.1)
    )
    assert disagree <= agree + 1e-6


@pytest.mark.parametrize("spread", [COIN, CANCELLED])
@pytest.mark.parametrize(
    ("values", "total"),
    [
        (wins(80, 20), 120),  # better
        (wins(20, 80), 1_000),  # worse
        (wins(52, 48), 104),  # not enough data, whatever the last four verdicts are
        (wins(50, 50, 400), 510),  # equivalent
    ],
)
def test_a_nearly_decided_verdict_needs_no_second_order(
    values: Values, total: int, spread: OrderVariances
) -> None:
    assert not second_order_may_matter(values, spread, total, 0.05, Z)


@pytest.mark.parametrize(("values", "total"), [(wins(58, 42), 200), (wins(30, 18), 100)])
def test_an_open_verdict_needs_the_second_order_if_orders_disagree(
    values: Values, total: int
) -> None:
    for side in (values, 1 - values):
        assert second_order_may_matter(side, CANCELLED, total, 0.05, Z)
    often = np.tile(values, 20)
    assert not second_order_may_matter(often, COIN, 20 * total, 0.05, Z)


def test_the_second_order_is_needed_if_only_both_orders_decide() -> None:
    """Both orders give "equivalent", and one order gives "not enough data", almost surely."""
    values = wins(10, 10, 140)
    for each, matters in ((0.005, 0.005), False), ((0.25, 0.25), False), ((0.25, 0.005), True):
        assert second_order_may_matter(values, OrderVariances(*each), 220, 0.04, Z) == matters


def test_orders_that_agreed_so_far_may_disagree() -> None:
    few, many = wins(15, 9), wins(1_500, 900)
    assert same_verdict_probability(few, COIN, 48, 0.05, Z) < 0.96
    assert same_verdict_probability(many, COIN, 4_800, 0.05, Z) > 0.99


@pytest.mark.parametrize(
    ("values", "spread", "total", "margin"),
    [
        (wins(30, 18), OrderVariances(0.25, 0.15), 100, 0.05),
        (wins(20, 22, 60), OrderVariances(0.2, 0.04), 300, 0.05),
        (wins(3, 2, 60), OrderVariances(0.0, 0.0), 400, 0.03),
        (wins(30, 45), OrderVariances(0.2, 0.1), 80, 0.2),
        (wins(12, 12), OrderVariances(0.25, 0.25), 1_000, 0.05),
        (wins(50, 50, 300), OrderVariances(0.1, 0.06), 700, 0.05),
    ],
)
def test_the_same_verdict_probability_agrees_with_a_simulation(
    values: Values, spread: OrderVariances, total: int, margin: float
) -> None:
    rng, runs = np.random.default_rng(62), 400_000
    n, left = len(values), total - len(values)
    now, both = max(float(values.var(ddof=1)), 0.25 / n), max(spread.both_orders, 0.25 / n)
    extra = max(spread.one_order - spread.both_orders, 0.25 / n)
    truth = rng.normal(values.mean(), (now / n) ** 0.5, runs)
    in_both = rng.normal(truth, (both / left) ** 0.5)
    in_one = in_both + rng.normal(0, (extra / left) ** 0.5, runs)
    outcomes = []
    for to_come, each in ((in_both, both), (in_one, both + extra)):
        mean = (values.sum() + left * to_come) / total
        half = Z * (n * now + left * each) ** 0.5 / total
        low, high = mean - half, mean + half
        inside = (low >= 0.5 - margin) & (high <= 0.5 + margin)
        outcomes.append(np.select((low > 0.5, high < 0.5, inside), (0, 1, 2), 3))
    expected_ = same_verdict_probability(values, spread, total, margin, Z)
    assert (outcomes[0] == outcomes[1]).mean() == pytest.approx(expected_, abs=0.01)


def test_a_larger_z_leaves_more_open() -> None:
    assert not second_order_may_matter(wins(75, 45), CANCELLED, 160, 0.05, Z)
    assert second_order_may_matter(wins(75, 45), CANCELLED, 160, 0.05, 3.0)


# Where the noise comes from.


def design(n: int, g: int, o: int, r: int) -> tuple[Codes, Codes, Codes, Codes]:
    grid = np.indices((n, g, o, r)).reshape(4, -1)
    return grid[0], grid[1], grid[2], grid[3]


def simulated(
    rng: np.random.Generator, shape: tuple[int, int, int, int], variances: tuple[float, ...]
) -> Values:
    """Random effects of prompts, generations, orders and repeats, and a common order effect."""
    values = np.zeros(shape) + np.linspace(-0.2, 0.2, shape[2])[:, None]
    for level, variance in enumerate(variances):
        size = shape[: level + 1] + (1,) * (3 - level)
        values += rng.normal(0, variance**0.5, size)
    return values.ravel()


@pytest.mark.parametrize(
    "variances", [(0.05, 0.03, 0.02, 0.04), (0.1, 0.0, 0.0, 0.01), (0.0, 0.02, 0.0, 0.0)]
)
def test_known_variance_components_are_recovered(variances: tuple[float, ...]) -> None:
    shape = (5_000, 3, 2, 2)
    values = simulated(np.random.default_rng(31), shape, variances)
    split = variance_components(values, *design(*shape))
    components = (split.prompt, split.generation, split.order, split.repeat)
    assert components == pytest.approx(variances, rel=0.1, abs=1e-3)
    assert (split.prompts, split.generations, split.orders, split.repeats) == shape


@given(
    st.tuples(st.integers(2, 8), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)),
    st.integers(0, 10**6),
)
def test_the_components_add_up_to_the_variance_of_the_prompts_means(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    values = simulated(np.random.default_rng(seed), shape, (0.2, 0.1, 0.1, 0.1))
    split = variance_components(values, *design(*shape))
    assert sound(split)
    n, g, o, r = shape
    parts = (split.prompt, split.generation, split.order, split.repeat)
    assert [part is None for part in parts] == [size == 1 for size in shape]
    assume(split.prompt != 0)  # else a component was set to 0, and the sum is larger
    assume(split.generation != 0 and split.order != 0)
    prompt, generation, order, repeat = (part or 0.0 for part in parts)
    total = prompt + generation / g + order / (g * o) + repeat / (g * o * r)
    assert total == pytest.approx(values.reshape(n, -1).mean(axis=1).var(ddof=1))


@given(
    st.lists(st.tuples(st.floats(0, 1), *[st.integers(0, 2)] * 4), min_size=1, max_size=40),
    st.integers(0, 10**6),
)
def test_neither_names_nor_the_order_of_verdicts_matter(
    verdicts: list[tuple[float, int, int, int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([verdict[0] for verdict in verdicts])
    codes = [np.array([verdict[i] for verdict in verdicts]) for i in range(1, 5)]
    shuffled = rng.permutation(len(values))
    renamed = [rng.permutation(50)[code][shuffled] for code in codes]
    original, reordered = (
        variance_components(values, *codes),
        variance_components(values[shuffled], *renamed),
    )
    for name in ("prompt", "generation", "order", "repeat"):
        assert getattr(original, name) == pytest.approx(getattr(reordered, name), abs=1e-9), name
    assert (original.prompts, original.repeats) == (reordered.prompts, reordered.repeats)
    assert sound(original)


@given(st.integers(0, 10**6))
def test_swapping_the_models_changes_no_component(seed: int) -> None:
    shape = (6, 2, 2, 2)
    values = np.random.default_rng(seed).choice([0.0, 0.5, 1.0], shape).ravel()
    original, swapped = (variance_components(v, *design(*shape)) for v in (values, 1 - values))
    assert (original.prompt, original.generation, original.order, original.repeat) == pytest.approx(
        (swapped.prompt, swapped.generation, swapped.order, swapped.repeat), abs=1e-12
    )


def test_a_level_without_repetition_has_component_none() -> None:
    values = np.random.default_rng(4).random(40)
    split = variance_components(values, *design(20, 1, 2, 1))
    assert split.generation is None
    assert split.repeat is None
    assert split.prompt is not None
    assert split.order is not None


ADVICE = {
    "prompts": ((50, 2, 2, 2), (0.2, 0.01, 0.0, 0.01), "71 % with more prompts, "),
    "completions": (
        (200, 2, 2, 2),
        (0.0, 0.2, 0.0, 0.01),
        "71 % with more prompts, 7",
    ),
    "order": ((50, 2, 1, 2), (0.2, 0.01, 0.0, 0.01), "judge the second order"),
    "neither": ((50, 1, 2, 1), (0.2, 0.0, 0.1, 0.0), "buy more prompts; "),
    "one prompt": ((1, 2, 2, 2), (0.2, 0.1, 0.1, 0.1), "one prompt tells nothing"),
    "nothing": ((5, 2, 2, 2), (0.0, 0.0, 0.0, 0.0), "nothing varies"),
}


@pytest.mark.parametrize(("shape", "variances", "start"), ADVICE.values(), ids=ADVICE)
def test_the_advice_names_the_change_that_lowers_the_standard_error_most(
    shape: tuple[int, int, int, int], variances: tuple[float, ...], start: str
) -> None:
    values = simulated(np.random.default_rng(6), shape, variances)
    advice = variance_components(values, *design(*shape)).advice
    assert advice.removeprefix("for twice the verdicts the standard error falls to ").startswith(
        start
    )


def test_doubling_the_prompts_lowers_the_standard_error_most() -> None:
    values = simulated(np.random.default_rng(6), (60, 2, 2, 2), (0.2, 0.1, 0.1, 0.1))
    advice = variance_components(values, *design(60, 2, 2, 2)).advice
    places = [
        advice.index(f"% with {change}") for change in ("more prompts", "new compl", "repeats")
    ]
    assert places == sorted(places)
    assert " 71 % with more prompts" in advice


def test_no_verdicts_raise() -> None:
    none = np.array([], dtype=int)
    with pytest.raises(ValueError, match="no values"):
        variance_components(np.array([]), none, none, none, none)


def test_prompts_for_equivalence_use_the_nearer_edge_of_the_margin() -> None:
    z, beta_half = (float(norm.ppf(level)) for level in (0.975, 0.9))
    assert prompts_for_equivalence(0.5, 0.0, 0.05) == math.ceil(
        (z + beta_half) ** 2 * 0.25 / 0.05**2
    )
    assert prompts_for_equivalence(0.5, 0.03, 0.05) == prompts_needed(0.5, 0.02)
    assert prompts_for_equivalence(0.5, 0.0499, 0.05) is None
