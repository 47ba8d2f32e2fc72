import itertools

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from bakeoff.stats.arrays import Values
from bakeoff.stats.tests import holm, mcnemar, romano_wolf, sign_flip_test, sign_test
from tests.marks import examples
from tests.unit.stats.checks import sound

counts = st.integers(0, 200)
p_values = st.lists(st.floats(0, 1), max_size=12)
integer_differences = st.lists(st.integers(-6, 6), max_size=9).map(np.array)


def matrix(rows: int, columns: int, seed: int, missing: float = 0.0) -> Values:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3, 1, (rows, columns))
    values[rng.random(values.shape) < missing] = np.nan
    return values


# Sign test and McNemar.


@given(counts, counts)
def test_the_sign_test_is_the_binomial_tail_on_both_sides(wins: int, losses: int) -> None:
    tested = sign_test(wins, losses)
    smaller = stats.binom.cdf(min(wins, losses), wins + losses, 0.5)
    assert tested.p == pytest.approx(min(1, 2 * smaller))
    assert tested.n == wins + losses
    assert sound(tested)


@given(counts, counts)
def test_swapping_the_models_changes_no_count_test(wins: int, losses: int) -> None:
    assert sign_test(wins, losses) == sign_test(losses, wins)
    assert mcnemar(wins, losses) == mcnemar(losses, wins)


@given(counts | st.integers(0, 15), counts | st.integers(0, 15), st.integers(0, 50))
@example(12, 13, 0)
@example(11, 13, 0)
def test_mcnemar_equals_statsmodels(b: int, c: int, agreeing: int) -> None:
    assume(b != c)  # at b = c statsmodels squares a negative corrected difference
    exact = b + c < 25
    theirs = statsmodels_mcnemar([[agreeing, b], [c, agreeing]], exact=exact, correction=True)
    tested = mcnemar(b, c)
    assert tested.p == pytest.approx(theirs.pvalue, abs=1e-12)
    assert ("exact" in tested.method) == exact


@given(counts)
def test_equal_wins_and_losses_have_p_1(n: int) -> None:
    assert sign_test(n, n).p == 1
    assert mcnemar(n, n).p == 1


# Sign flips.


def brute_force(differences: Values) -> float:
    """The share of all 2^n sign vectors with a sum as far from 0; exact, as all are integers."""
    signs = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(row, differences, strict=True))) for row in signs]
    return float(np.mean(np.array(sums) >= abs(differences.sum())))


@given(integer_differences)
def test_few_differences_are_enumerated(differences: np.ndarray) -> None:
    tested = sign_flip_test(differences.astype(float))
    assert tested.p == pytest.approx(brute_force(differences.astype(int)))
    assert tested.n == len(differences)
    assert sound(tested)


@examples(20)
@given(st.lists(st.floats(-10, 10), max_size=40).map(np.array))
def test_swapping_the_models_changes_no_sign_flip_test(differences: Values) -> None:
    assert sign_flip_test(differences) == sign_flip_test(-differences)
    assert sound(sign_flip_test(differences))


@pytest.mark.parametrize("seed", range(4))
def test_random_flips_of_many_differences_agree_with_the_t_test(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.15, 1, 80)
    tested = sign_flip_test(differences)
    assert tested.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    assert tested.method == "sign-flip permutation"
    assert tested == sign_flip_test(differences)


@pytest.mark.parametrize("n", [10, 16, 17, 40, 2_000])
def test_the_smallest_p_is_that_of_two_of_all_flips(n: int) -> None:
    assert sign_flip_test(np.full(n, 3.0)).p == pytest.approx(max(1e-15, 2.0 ** (1 - n)), rel=1e-2)


@given(
    st.lists(st.sampled_from([-3.0, -1.0, 0.0, 1.0, 2.0]), min_size=17, max_size=60)
    | st.lists(st.sampled_from([-0.5, -0.25, 0.25, 0.5]), min_size=17, max_size=60)
)
def test_many_differences_on_a_grid_have_the_exact_distribution(differences: list[float]) -> None:
    """By adding one difference after the other."""
    numbers = [round(4 * abs(difference)) for difference in differences]
    masses = {0: 1.0}
    for number in numbers:
        added: dict[int, float] = {}
        for total, mass in masses.items():
            for flipped in (total - number, total + number):
                added[flipped] = added.get(flipped, 0.0) + mass / 2
        masses = added
    observed = abs(round(4 * sum(differences)))
    expected = sum(mass for total, mass in masses.items() if abs(total) >= observed)
    assert sign_flip_test(np.array(differences)).p == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_sizes_that_are_on_no_grid_are_close_to_random_flips(seed: int) -> None:
    rng = np.random.default_rng(seed)
    differences = rng.standard_t(3, size=25) + 0.3
    signs = rng.choice((-1.0, 1.0), (200_000, 25))
    extreme = np.abs(signs @ differences) >= abs(differences.sum())
    assert sign_flip_test(differences).p == pytest.approx(extreme.mean(), abs=0.01)


def test_a_single_huge_difference_decides_nothing() -> None:
    differences = np.concatenate(([1e6], np.random.default_rng(1).normal(0.5, 0.1, 99)))
    assert sign_flip_test(differences).p > 0.4


@pytest.mark.parametrize("differences", [[], [2.5], [0.0], [0.0] * 30])
def test_no_differences_one_difference_and_zeros_have_p_1(differences: list[float]) -> None:
    assert sign_flip_test(np.array(differences)).p == 1


def very_many(values: str, n: int, mean: float) -> Values:
    rng = np.random.default_rng(n)
    if values == "coarse":
        return rng.choice([-0.2, -0.1, 0.0, 0.1, 0.2], n) + 0.1 * (rng.random(n) < 10 * mean)
    return rng.normal(mean, 0.15, n)


@pytest.mark.parametrize("values", ["coarse", "fine"])
@pytest.mark.parametrize("n", [1_001, 20_000])
@pytest.mark.parametrize("mean", [0.0, 0.001, 0.004])
def test_equal_differences_are_flipped_together(values: str, n: int, mean: float) -> None:
    differences = very_many(values, n, mean)
    tested = sign_flip_test(differences)
    t_interval = stats.ttest_1samp(differences, 0).pvalue
    assert tested.p == pytest.approx(max(t_interval, 1e-4), abs=0.03 * (t_interval > 1e-3) + 1e-3)
    assert (tested.method, tested.n) == ("sign-flip permutation", n)
    assert tested == sign_flip_test(-differences)
    assert tested == sign_flip_test(differences)


@pytest.mark.parametrize("size", [1.0, 1 / 3])
def test_flips_that_keep_the_sum_count_as_extreme_with_many_differences(size: float) -> None:
    differences = np.zeros(1_500)
    differences[7] = size
    assert sign_flip_test(differences).p == pytest.approx(1, abs=0.03)
    differences[8] = size  # both positive, both negative, or one of each
    assert sign_flip_test(differences).p == pytest.approx(0.5, abs=0.03)
    differences[9] = -2 * size
    assert sign_flip_test(differences).p == pytest.approx(1, abs=0.03)


# Holm.


@examples(6)  # statsmodels runs the garbage collector in every call
@given(p_values)
def test_holm_equals_statsmodels(ps: list[float]) -> None:
    theirs = multipletests(ps, method="holm")[1] if ps else []
    assert holm(ps) == pytest.approx(list(theirs))


@given(p_values)
def test_holm_lowers_no_p_value_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    for i, j in itertools.combinations(range(len(ps)), 2):
        if ps[i] < ps[j]:
            assert adjusted[i] <= adjusted[j]


@given(p_values, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_of_tests(ps: list[float], rng) -> None:
    places = list(range(len(ps)))
    rng.shuffle(places)
    assert holm([ps[i] for i in places]) == [holm(ps)[i] for i in places]


# Romano and Wolf.


@pytest.mark.parametrize("n", [4, 9, 16])
def test_a_single_comparison_is_the_sign_flip_test(n: int) -> None:
    differences = matrix(n, 1, seed=n)
    assert romano_wolf(differences) == pytest.approx([sign_flip_test(differences[:, 0]).p])


@examples(25)
@given(st.sampled_from([3, 8, 12, 20]), st.integers(1, 5), st.integers(0, 10**6), st.floats(0, 0.5))
def test_an_adjusted_p_is_no_smaller_than_the_unadjusted_one(
    n: int, m: int, seed: int, missing: float
) -> None:
    differences = matrix(n, m, seed, missing)
    adjusted = romano_wolf(differences)
    alone = [romano_wolf(differences[:, [j]])[0] for j in range(m)]
    assert all(p <= q <= 1 for p, q in zip(alone, adjusted, strict=True))
    assert sound(adjusted)
    assert adjusted == romano_wolf(-differences) == romano_wolf(differences)


@examples(25)
@given(st.integers(1, 11), st.integers(1, 5), st.integers(0, 10**6))
def test_comparisons_of_equal_distribution_have_at_most_holms_p(n: int, m: int, seed: int) -> None:
    """Wins and losses alone, all flips enumerated: each mean has the same distribution."""
    differences = np.random.default_rng(seed).choice([-1.0, 1.0], (n, m), p=[0.3, 0.7])
    alone = [romano_wolf(differences[:, [j]])[0] for j in range(m)]
    for adjusted, most in zip(romano_wolf(differences), holm(alone), strict=True):
        assert adjusted <= most + 1e-12


@examples(25)
@given(st.sampled_from([6, 10, 20]), st.integers(2, 6), st.integers(0, 10**6))
def test_a_clearer_difference_never_has_the_larger_adjusted_p(n: int, m: int, seed: int) -> None:
    differences = matrix(n, m, seed)
    clear = np.abs(differences.sum(axis=0)) / np.sqrt((differences**2).sum(axis=0))
    adjusted = np.array(romano_wolf(differences))[np.argsort(-clear)]
    assert (np.diff(adjusted) >= 0).all()


@pytest.mark.parametrize("n", [12, 30])
def test_copies_of_a_comparison_do_not_raise_p(n: int) -> None:
    differences = matrix(n, 1, seed=3)
    alone = romano_wolf(differences)
    assert romano_wolf(np.repeat(differences, 6, axis=1)) == pytest.approx(alone * 6)


def test_a_missing_prompt_counts_as_zero() -> None:
    differences = matrix(12, 3, seed=5, missing=0.3)
    assert np.isnan(differences).any()
    assert romano_wolf(differences) == romano_wolf(np.nan_to_num(differences))


@pytest.mark.parametrize("empty", [np.zeros((0, 3)), np.zeros((5, 3)), np.full((5, 3), np.nan)])
def test_comparisons_without_any_difference_have_p_1(empty: Values) -> None:
    assert romano_wolf(empty) == [1, 1, 1]


def test_no_comparisons_have_no_p_values() -> None:
    assert romano_wolf(np.zeros((5, 0))) == []
    assert holm([]) == []


@pytest.mark.slow
def test_a_family_of_true_nulls_is_rarely_rejected() -> None:
    """The familywise error rate of five correlated comparisons is about 5 %."""
    rng = np.random.default_rng(23)
    runs = 1_000
    rejected = 0
    for _ in range(runs):
        common = rng.normal(size=(12, 1))
        rejected += min(romano_wolf(common + rng.normal(size=(12, 5)))) <= 0.05
    assert 0.025 < rejected / runs < 0.07


# Numbers known from elsewhere.
