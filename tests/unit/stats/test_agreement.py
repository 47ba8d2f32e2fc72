import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats import inter_rater

from bakeoff.stats.agreement import (
    Level,
    Values,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
)
from tests.marks import examples, long
from tests.unit.stats.checks import same, sound

LEVELS: list[Level] = ["nominal", "ordinal", "interval"]
COEFFICIENTS = [cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha]
few = examples(15)


@st.composite
def ratings(draw: st.DrawFn, most_raters: int = 4, missing: float = 0.0) -> Values:
    n, m, k = draw(st.integers(2, 25)), draw(st.integers(2, most_raters)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    truth, noise = rng.integers(0, k, (n, 1)), rng.integers(0, k, (n, m))
    values = np.where(rng.random((n, m)) < 0.5, truth, noise).astype(float)
    values[rng.random((n, m)) < missing] = np.nan
    return values


def agreeing(n: int, accuracy: float, seed: int) -> Values:
    """Two raters of two equally common categories: kappa, AC1 and alpha are 2 accuracy - 1."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    return np.stack((truth, np.where(rng.random(n) < accuracy, truth, 1 - truth)), 1).astype(float)


# Oracles.


@few
@given(ratings(most_raters=2))
def test_cohens_kappa_equals_sklearns(pair: Values) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    kappa = cohen_kappa(pair)
    if len(np.unique(pair)) == 1:
        assert kappa is None
    else:
        theirs = metrics.cohen_kappa_score(*pair.T.astype(int))
        assert kappa.estimate == pytest.approx(theirs, abs=1e-9)


@few
@given(ratings())
def test_fleiss_kappa_equals_statsmodels(rated: Values) -> None:
    assume(len(np.unique(rated)) > 1)
    table, _ = inter_rater.aggregate_raters(rated.astype(int))
    assert fleiss_kappa(rated).estimate == pytest.approx(inter_rater.fleiss_kappa(table), abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@few
@given(rated=ratings(missing=0.25))
def test_alpha_equals_the_krippendorff_package_with_missing_ratings(
    rated: Values, level: Level
) -> None:
    paired = rated[(~np.isnan(rated)).sum(axis=1) >= 2]
    assume(len(np.unique(paired[~np.isnan(paired)])) > 1)
    alpha = krippendorff_alpha(rated, level)
    theirs = krippendorff.alpha(reliability_data=rated.T, level_of_measurement=level)
    assert alpha.estimate == pytest.approx(theirs, abs=1e-9)


def test_alpha_of_krippendorffs_example() -> None:
    """Krippendorff 2011, "Computing Krippendorff's alpha-reliability": C."""
    nan = np.nan
    rated = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    ).T
    known = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849}
    for level, alpha in known.items():
        assert krippendorff_alpha(rated, level).estimate == pytest.approx(alpha, abs=1e-3)


@few
@given(ratings(most_raters=2))
def test_ac1_of_two_raters_and_two_categories_equals_gwets_formula(pair: Values) -> None:
    binary = np.minimum(pair, 1)
    assume(len(np.unique(binary)) == 2)
    share = binary.mean()
    chance = 2 * share * (1 - share)
    observed = (binary[:, 0] == binary[:, 1]).mean()
    theirs = (observed - chance) / (1 - chance)
    assert gwet_ac1(binary).estimate == pytest.approx(theirs, abs=1e-9)


# Properties of all of them.


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
@few
@given(rated=ratings(missing=0.1), seed=st.integers(0, 10**6))
def test_neither_raters_nor_names_nor_the_order_of_prompts_matter(
    rated: Values, seed: int, coefficient
) -> None:
    rng = np.random.default_rng(seed)
    two = rated[:, :2] if coefficient is cohen_kappa else rated
    names = rng.permutation(4).astype(float)
    other = np.where(np.isnan(two), np.nan, names[np.nan_to_num(two).astype(int)])
    other = other[rng.permutation(len(other))][:, ::-1]
    original, renamed = coefficient(two), coefficient(other)
    assert (original is None) == (renamed is None)
    if original is not None:
        assert sound(original)
        assert renamed.estimate == pytest.approx(original.estimate, abs=1e-9)
        assert original.estimate <= 1 + 1e-9


@few
@given(ratings(missing=0.1))
def test_alpha_does_not_depend_on_the_interval_scale_or_on_monotone_scales_of_ranks(
    rated: Values,
) -> None:
    pairs = [
        (krippendorff_alpha(rated, "interval"), krippendorff_alpha(10 - 3 * rated, "interval")),
        (krippendorff_alpha(rated, "ordinal"), krippendorff_alpha(np.exp(rated), "ordinal")),
    ]
    for first, second in pairs:
        assert (first is None) == (second is None)
        assert first is None or same(first, second, within=1e-6)


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_perfect_agreement_is_1_and_guessing_about_0(coefficient) -> None:
    verdicts = np.random.default_rng(3).integers(0, 3, (400, 1)).astype(float)
    perfect = coefficient(np.repeat(verdicts, 2, axis=1))
    assert perfect.estimate == pytest.approx(1)
    assert perfect.low == pytest.approx(1)
    guessed = coefficient(np.random.default_rng(4).integers(0, 3, (400, 2)).astype(float))
    assert guessed.low < 0 < guessed.high
    assert guessed.high - guessed.low < 0.25


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_with_two_raters_incomplete_prompts_are_ignored(coefficient) -> None:
    rated = agreeing(60, 0.8, 5)
    holes = np.concatenate((rated, [[1, np.nan], [np.nan, 0], [np.nan, np.nan]]))
    assert coefficient(holes) == coefficient(rated)
    codes = np.arange(63) // 2
    assert coefficient(holes, clusters=codes) == coefficient(rated, clusters=codes[:60])


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_the_interval_is_over_clusters_where_they_are_given(coefficient) -> None:
    rated = agreeing(50, 0.8, 6)
    copies = np.repeat(rated, 4, axis=0)
    once, alone = coefficient(rated), coefficient(copies)
    together = coefficient(copies, clusters=np.repeat(np.arange(50), 4))
    assert (once.n, together.n, alone.n) == (50, 50, 200)
    # Alpha corrects for the number of ratings, of which there are four times as many.
    assert same(once, together, within=0.01 if coefficient is krippendorff_alpha else 1e-9)
    assert alone.high - alone.low < 0.6 * (together.high - together.low)


@pytest.mark.slow
@pytest.mark.parametrize("coefficient", [*COEFFICIENTS[:1], *long(COEFFICIENTS[1:])])
def test_95_percent_intervals_of_agreement_cover(coefficient) -> None:
    intervals = [coefficient(agreeing(80, 0.8, seed)) for seed in range(250)]
    assert np.mean([interval.low <= 0.6 <= interval.high for interval in intervals]) >= 0.91


# Too little to tell.


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
@pytest.mark.parametrize(
    "rated",
    [np.zeros((0, 2)), np.zeros((5, 1)), np.zeros((5, 0)), np.full((5, 2), np.nan)],
    ids=["no prompts", "one rater", "no raters", "nothing rated"],
)
def test_without_two_ratings_of_a_prompt_the_result_is_none(coefficient, rated: Values) -> None:
    assert coefficient(rated) is None
    assert coefficient(rated, clusters=np.arange(len(rated))) is None


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_one_prompt_has_no_interval(coefficient) -> None:
    result = coefficient(np.array([[1.0, 0.0]]))
    assert sound(result)
    assert result.method == "one unit: no interval"


def test_a_single_category_leaves_only_ac1() -> None:
    unanimous = np.ones((20, 3))
    assert cohen_kappa(unanimous[:, :2]) is None
    assert fleiss_kappa(unanimous) is None
    assert krippendorff_alpha(unanimous) is None
    assert gwet_ac1(unanimous).estimate == 1


def test_a_rare_category_has_a_finite_interval() -> None:
    rated = np.ones((30, 2))
    rated[0] = 0
    for coefficient in COEFFICIENTS:
        assert sound(coefficient(rated))
        assert coefficient(rated).estimate == pytest.approx(1)


# Numbers known from elsewhere.
