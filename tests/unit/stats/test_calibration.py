import math

import numpy as np
import ppi_py
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from bakeoff.stats.calibration import (
    Values,
    corrected_rate,
    labels_decide,
    labels_needed,
    lee_interval,
    ppi_plus_plus,
    rogan_gladen,
)
from bakeoff.stats.intervals import score_interval, score_rate
from tests.unit.stats.checks import close, mirrored, sound

shares = st.floats(0, 1)
samples = st.tuples(st.integers(2, 60), st.integers(1, 200), shares, st.integers(0, 10**6))


def random_labels(n: int, more: int, quality: float, seed: int) -> tuple[Values, Values, Values]:
    """Labels of n prompts, and the values of a lenient judge for them and for others."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([0.0, 0.5, 1.0], n + more, p=[0.4, 0.1, 0.5])
    judged = np.where(rng.random(n + more) < quality, truth, rng.random(n + more) < 0.9)
    return truth[:n], judged[:n], judged[n:]


# Labels of people beside a judge.


@given(samples)
def test_ppi_equals_the_authors_package(sample: tuple[int, int, float, int]) -> None:
    labels, judged, more = random_labels(*sample)
    assume(np.ptp(np.concatenate((judged, more))) > 0)
    result = ppi_plus_plus(labels, judged, more)
    low, high = ppi_py.ppi_mean_ci(labels, judged, more, alpha=0.05)
    estimate = ppi_py.ppi_mean_pointestimate(labels, judged, more)
    assert close(result.value, *np.ravel((estimate, low, high)), within=1e-7)
    assert (result.labeled, result.unlabeled) == (len(labels), len(more))


@given(samples)
def test_swapping_the_models_mirrors_the_corrected_rate(
    sample: tuple[int, int, float, int],
) -> None:
    parts = random_labels(*sample)
    original, swapped = ppi_plus_plus(*parts), ppi_plus_plus(*(1 - part for part in parts))
    assert sound(original)
    assert mirrored(original.value, swapped.value)
    assert original.weight == pytest.approx(swapped.weight)
    assert 0 <= original.weight <= 1


@given(samples, st.sampled_from(["constant", "opposite"]))
def test_an_uninformative_judge_has_weight_0(
    sample: tuple[int, int, float, int], kind: str
) -> None:
    labels, _, more = random_labels(*sample)
    judged = {"constant": np.full(len(labels), 0.3), "opposite": 1 - labels}[kind]
    rest = {"constant": np.full(len(more), 0.3), "opposite": 1 - more}[kind]
    result = ppi_plus_plus(labels, judged, rest)
    assert result.weight == 0
    half = norm.ppf(0.975) * labels.std() / len(labels) ** 0.5
    assert close(result.value, labels.mean(), labels.mean() - half, labels.mean() + half)


def test_a_good_judge_narrows_the_interval() -> None:
    labels, judged, more = random_labels(100, 2_000, 0.95, 3)
    result = ppi_plus_plus(labels, judged, more)
    alone = labels.std() / 10
    assert result.weight > 0.7
    assert result.value.se < 0.6 * alone


@pytest.mark.parametrize("estimator", [ppi_plus_plus, corrected_rate])
@pytest.mark.parametrize(("n", "more"), [(0, 5), (1, 5), (5, 0)])
def test_too_few_labels_are_no_calibration(estimator, n: int, more: int) -> None:
    with pytest.raises(ValueError, match="two labeled values and an unlabeled one"):
        estimator(np.zeros(n), np.zeros(n), np.zeros(more))


# The form for few labels.


@given(samples)
def test_few_labels_trust_the_judge_less_than_published(
    sample: tuple[int, int, float, int],
) -> None:
    labels, judged, more = random_labels(*sample)
    result, published = corrected_rate(labels, judged, more), ppi_plus_plus(labels, judged, more)
    n = len(labels)
    assert sound(result.value)
    assert result.published == published.value
    assert result.labels_only == score_rate(labels)
    assert (result.labeled, result.unlabeled) == (n, len(more))
    assert result.weight == pytest.approx((published.weight or 0) * (n - 2) / (n + 2))
    value = result.weight * more.mean() + (labels - result.weight * judged).mean()
    variance = result.weight**2 * more.var() / len(more)
    variance += (labels - result.weight * judged).var(ddof=1) / n
    assert result.value.se == pytest.approx(variance**0.5)
    bounds = score_interval(min(1, max(0, value)), n * variance, n, n - 1)
    assert (result.value.low, result.value.high) == pytest.approx(bounds)
    assert 0 <= result.value.low <= result.value.high <= 1


@given(samples | st.tuples(st.integers(100, 150), st.integers(1, 200), shares, st.integers(0, 99)))
def test_swapping_the_models_mirrors_the_rate_for_few_labels(
    sample: tuple[int, int, float, int],
) -> None:
    parts = random_labels(*sample)
    original, swapped = corrected_rate(*parts), corrected_rate(*(1 - part for part in parts))
    assert mirrored(original.value, swapped.value, within=1e-7)
    assert original.weight == pytest.approx(swapped.weight, abs=1e-7)
    assert original.value.method == swapped.value.method


def test_unanimous_labels_have_an_interval_of_positive_width() -> None:
    result = corrected_rate(np.ones(10), np.ones(10), np.ones(200))
    assert result.published is not None
    assert result.published.high == result.published.low
    assert result.value.low < 0.8


def test_ten_labels_widen_the_published_interval_and_a_thousand_do_not() -> None:
    few, many = (corrected_rate(*random_labels(n, 5 * n, 0.9, 4)) for n in (10, 1_000))
    widths = [
        (r.value.high - r.value.low) / (r.published.high - r.published.low) for r in (few, many)
    ]
    assert widths[0] > 1.15
    assert widths[1] == pytest.approx(1, abs=0.03)


def judged_in_three_classes(n: int, more: int, seed: int) -> tuple[Values, Values, Values]:
    """A judge whose ties are mostly losses: the mean label is not linear in its values."""
    rng = np.random.default_rng(seed)
    judged = rng.choice([0.0, 0.5, 1.0], n + more, p=[0.3, 0.4, 0.3])
    chance = np.select([judged == 0, judged == 0.5], [0.15, 0.1], 0.9)
    labels = (rng.random(n + more) < chance).astype(float)
    return labels[:n], judged[:n], judged[n:]


def test_the_efficient_form_is_narrower_where_labels_are_not_linear_in_the_judge() -> None:
    narrower = []
    for seed in range(200):
        parts = judged_in_three_classes(200, 2_000, seed)
        efficient, linear = corrected_rate(*parts), ppi_plus_plus(*parts)
        assert efficient.value.method == "efficient influence function"
        narrower.append((efficient.value.se or 0) / (linear.value.se or 1))
    assert np.mean(narrower) < 0.97
    assert corrected_rate(*judged_in_three_classes(99, 500, 1)).value.method.startswith("PPI++")


def test_a_judge_of_two_values_has_no_other_efficient_form() -> None:
    labels, judged, more = random_labels(150, 500, 0.8, 2)
    two = corrected_rate(labels, np.round(judged + 0.01), np.round(more + 0.01))
    assert two.value.method.startswith("PPI++")


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 20, 30, 50])
def test_few_labels_cover_for_any_judge(n: int) -> None:
    for quality in (0.0, 0.5, 0.9, 1.0):
        results = [corrected_rate(*random_labels(n, 300, quality, seed)) for seed in range(1_500)]
        for kind in ("value", "labels_only"):
            rates = [getattr(result, kind) for result in results]
            assert np.mean([rate.low <= 0.55 <= rate.high for rate in rates]) >= 0.92, quality
        mean = np.mean([result.value.estimate for result in results])
        assert mean == pytest.approx(0.55, abs=0.2 / n + 0.004)  # the weight is fitted


@pytest.mark.slow
def test_the_efficient_form_covers() -> None:
    truth = 0.3 * 0.15 + 0.4 * 0.1 + 0.3 * 0.9
    rates = [
        corrected_rate(*judged_in_three_classes(100, 600, seed)).value for seed in range(1_500)
    ]
    assert np.mean([rate.low <= truth <= rate.high for rate in rates]) >= 0.92
    assert np.mean([rate.estimate for rate in rates]) == pytest.approx(truth, abs=0.004)


@pytest.mark.parametrize(
    ("wins", "ties", "losses", "enough"),
    [
        (15, 0, 15, True),
        (14, 5, 15, False),
        (15, 0, 14, False),
        (40, 30, 15, True),
        (60, 9, 2, False),
    ],
)
def test_labels_decide_from_30_with_15_in_the_rarer_class(
    wins: int, ties: int, losses: int, enough: bool
) -> None:
    assert labels_decide(np.repeat([1.0, 0.5, 0.0], [wins, ties, losses])) == enough


# Sensitivity and specificity: diagnostics.


@given(shares, shares, shares)
def test_rogan_gladen_recovers_the_rate(
    truth: float, sensitivity: float, specificity: float
) -> None:
    judged_rate = sensitivity * truth + (1 - specificity) * (1 - truth)
    result = rogan_gladen(judged_rate, sensitivity, specificity)
    if sensitivity + specificity - 1 <= 1e-12:
        assert result is None
    elif sensitivity + specificity - 1 > 1e-3:
        assert result == pytest.approx(truth, abs=1e-9)


def test_lee_interval_of_the_authors_example() -> None:
    """The example in the README of UW-Madison-Lee-Lab/LLM-judge-reporting."""
    result = lee_interval(0.4, 1_000, (0.7, 200), (0.9, 200))
    assert close(result.value, 0.1667, 0.0564, 0.2627, within=5e-5)
    assert (result.labeled, result.unlabeled, result.weight) == (400, 1_000, None)


@given(
    shares,
    st.integers(1, 500),
    st.tuples(shares, st.integers(0, 99)),
    st.tuples(shares, st.integers(0, 99)),
)
def test_lee_interval_is_within_0_and_1_mirrored_and_none_without_a_judge_better_than_chance(
    rate: float, n: int, negatives: tuple[float, int], positives: tuple[float, int]
) -> None:
    interval = lee_interval(rate, n, negatives, positives)
    other = lee_interval(1 - rate, n, positives, negatives)
    power = negatives[0] + positives[0] - 1
    assume(abs(power) > 1e-6)
    assert (interval is None) == (other is None)
    if power < 0:
        assert interval is None
    if interval is not None:
        assert sound(interval)
        assert 0 <= interval.value.low <= interval.value.high <= 1
        assert mirrored(interval.value, other.value, within=1e-6)


@pytest.mark.slow
def test_lee_interval_covers_if_error_rates_are_equal_on_both_sets() -> None:
    rng = np.random.default_rng(61)
    truth, sensitivity, specificity = 0.3, 0.85, 0.75
    judged_rate = sensitivity * truth + (1 - specificity) * (1 - truth)
    hits = 0
    for _ in range(2_000):
        rate = rng.binomial(400, judged_rate) / 400
        right = rng.binomial(150, [specificity, sensitivity]) / 150
        value = lee_interval(rate, 400, (right[0], 150), (right[1], 150)).value
        hits += value.low <= truth <= value.high
    assert hits / 2_000 >= 0.93


# How many labels.


@given(samples, st.floats(0.02, 0.5))
def test_the_number_of_labels_is_minimal(sample: tuple[int, int, float, int], away: float) -> None:
    labels, judged, more = random_labels(*sample)
    total = len(labels) + len(more)
    needed = labels_needed(labels, judged, total, away)
    spread = np.append(labels, (0.0, 1.0)).var(ddof=1)
    varied = np.ptp(labels) > 0 and np.ptp(judged) > 0
    rho = np.corrcoef(labels, judged)[0, 1] if varied else 0.0

    def power_error(n: int) -> float:  # the effective number of labels, in the authors' form
        effective = n / (1 - rho**2 * (total - n) / total)
        return 2.8016 * math.sqrt(spread / effective)

    if needed is None:
        assert power_error(total) > away * 0.999
        return
    assert 1 <= needed <= total
    assert power_error(needed) <= away * 1.001
    assert needed == 1 or power_error(needed - 1) > away * 0.999


def test_a_judge_that_agrees_with_people_saves_labels() -> None:
    rng = np.random.default_rng(5)
    labels = rng.choice([0.0, 1.0], 100)
    blind = labels_needed(labels, np.full(100, 0.5), 5000, 0.05)
    sharp = labels_needed(labels, labels * 0.8 + 0.1, 5000, 0.05)
    assert blind is not None
    assert sharp is not None
    assert sharp < blind / 2


@given(samples, st.floats(0.02, 0.5))
def test_the_number_of_labels_is_the_same_for_both_models(
    sample: tuple[int, int, float, int], away: float
) -> None:
    labels, judged, more = random_labels(*sample)
    total = len(labels) + len(more)
    labels_for_a = labels_needed(labels, judged, total, away)
    other = labels_needed(1 - labels, 1 - judged, total, away)
    assert (labels_for_a is None) == (other is None)
    assert labels_for_a is None or other is None or abs(labels_for_a - other) <= 1
