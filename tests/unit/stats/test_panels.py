import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.stats.arrays import Values
from bakeoff.stats.intervals import cluster_moments, win_rate
from bakeoff.stats.panels import between_judge_interval, shrunken_rates
from tests.unit.stats.checks import mirrored, sound


def panel(rng: np.random.Generator, n: int, judges: int, between: float) -> Values:
    """Wins and losses whose probability depends on the prompt and on the judge."""
    shares = 0.55 + rng.normal(0, 0.1, (n, 1)) + rng.normal(0, between, judges)
    return (rng.random((n, judges)) < shares).astype(float)


# The variance between judges.


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_judges_that_are_a_sample_widen_the_interval(seed: int, judges: int) -> None:
    preferences = panel(np.random.default_rng(seed), 60, judges, 0.2)
    result = between_judge_interval(preferences)
    assert result is not None
    assert sound(result.rate)
    these = win_rate(preferences.mean(axis=1))
    assert result.rate.estimate == pytest.approx(these.estimate)
    assert result.rate.se >= these.se - 1e-12
    if result.between_judges > 0.05:
        assert result.rate.low < these.low
        assert these.high < result.rate.high
    swapped = between_judge_interval(1 - preferences)
    assert swapped is not None
    assert mirrored(result.rate, swapped.rate, within=1e-9)


def test_the_spread_of_judges_is_estimated_without_the_error_of_prompts() -> None:
    rng = np.random.default_rng(7)
    for between in (0.0, 0.15):
        variances = [
            between_judge_interval(panel(rng, 100, 8, between)).between_judges ** 2
            for _ in range(300)
        ]
        assert np.mean(variances) == pytest.approx(between**2, abs=0.0025)


@pytest.mark.slow
@pytest.mark.parametrize("judges", [2, 3, 5])
def test_the_interval_covers_the_rate_of_all_judges(judges: int) -> None:
    rng = np.random.default_rng(11)
    results = [between_judge_interval(panel(rng, 80, judges, 0.1)) for _ in range(1_000)]
    assert np.mean([r.rate.low <= 0.55 <= r.rate.high for r in results]) >= 0.92


def test_clusters_of_prompts_are_the_units() -> None:
    rng = np.random.default_rng(2)
    preferences = np.repeat(panel(rng, 30, 3, 0.1), 4, axis=0)
    together = between_judge_interval(preferences, np.repeat(np.arange(30), 4))
    once = between_judge_interval(preferences[::4])
    assert together is not None
    assert once is not None
    assert together.rate.n == 30
    assert together.rate.low == pytest.approx(once.rate.low)
    assert together.between_judges == pytest.approx(once.between_judges)


@pytest.mark.parametrize(("n", "judges"), [(60, 1), (14, 3)])
def test_one_judge_and_few_prompts_tell_nothing_of_other_judges(n: int, judges: int) -> None:
    assert between_judge_interval(panel(np.random.default_rng(1), n, judges, 0.1)) is None
    few = panel(np.random.default_rng(1), 60, 3, 0.1)
    assert between_judge_interval(few, np.arange(60) % 9) is None


def test_prompts_without_a_verdict_of_each_judge_do_not_count() -> None:
    preferences = panel(np.random.default_rng(1), 40, 3, 0.1)
    missing = np.vstack((preferences, [[np.nan, 1.0, 1.0]] * 5))
    assert between_judge_interval(missing) == between_judge_interval(preferences)


def test_unanimous_judges_have_no_spread() -> None:
    result = between_judge_interval(np.ones((20, 3)))
    assert result is not None
    assert result.between_judges == 0
    assert result.rate.high == 1


# Slices.


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.5)), min_size=1, max_size=12))
def test_a_slice_is_moved_towards_the_common_mean(slices: list[tuple[float, float]]) -> None:
    rates, ses = zip(*slices, strict=True)
    shrunken = shrunken_rates(rates, ses)
    assert min(rates) - 1e-9 <= shrunken.overall <= max(rates) + 1e-9
    for raw, se, moved, moved_se in zip(rates, ses, shrunken.rates, shrunken.ses, strict=True):
        assert min(raw, shrunken.overall) - 1e-9 <= moved <= max(raw, shrunken.overall) + 1e-9
        assert 0 < moved_se <= se + 1e-9
    swapped = shrunken_rates([1 - rate for rate in rates], ses)
    assert [1 - rate for rate in swapped.rates] == pytest.approx(shrunken.rates, abs=1e-6)


def test_a_few_prompts_of_a_tag_are_moved_the_furthest() -> None:
    """5 of 6 wins on travel, and large slices that differ."""
    travel = cluster_moments(np.repeat([1.0, 0.0], [5, 1]), None).smoothed_se
    shrunken = shrunken_rates([5 / 6, 0.62, 0.45, 0.54], [travel, 0.03, 0.03, 0.03])
    moved = np.abs(np.array(shrunken.rates) - [5 / 6, 0.62, 0.45, 0.54])
    assert moved[0] > 0.15
    assert max(moved[1:]) < 0.03


def test_the_variance_between_slices_is_dersimonian_and_lairds() -> None:
    x, se = np.array([0.1, 0.3, 0.5, 0.9]), np.array([0.1, 0.1, 0.2, 0.1])
    w = se**-2.0
    q = (w * (x - (w @ x) / w.sum()) ** 2).sum()
    expected = (q - 3) / (w.sum() - (w**2).sum() / w.sum())
    assert shrunken_rates(x, se).between == pytest.approx(expected**0.5)


def test_equal_slices_have_one_rate() -> None:
    shrunken = shrunken_rates([0.5, 0.55, 0.52], [0.1, 0.1, 0.2])
    assert shrunken.between == 0
    assert shrunken.rates == pytest.approx([shrunken.overall] * 3)


@pytest.mark.parametrize(("rates", "ses"), [([], []), ([0.5], [0.0])])
def test_no_slices_and_standard_errors_of_0_raise(rates: list[float], ses: list[float]) -> None:
    with pytest.raises(ValueError, match="positive standard errors"):
        shrunken_rates(rates, ses)


@pytest.mark.slow
def test_shrunken_slices_are_closer_to_the_truth() -> None:
    rng = np.random.default_rng(3)
    raw_error = moved_error = 0.0
    for _ in range(300):
        truth = np.clip(rng.normal(0.55, 0.05, 10), 0, 1)
        sizes = rng.integers(5, 60, 10)
        samples = [(rng.random(n) < p).astype(float) for n, p in zip(sizes, truth, strict=True)]
        rates = [sample.mean() for sample in samples]
        ses = [cluster_moments(sample, None).smoothed_se for sample in samples]
        raw_error += float(((rates - truth) ** 2).sum())
        moved_error += float(((np.array(shrunken_rates(rates, ses).rates) - truth) ** 2).sum())
    assert moved_error < 0.6 * raw_error
