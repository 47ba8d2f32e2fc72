from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import expit

from bakeoff.stats.alpaca_eval import (
    GRID,
    AlpacaEvalInputs,
    Values,
    bootstrap_se,
    length_controlled_win_rate,
)
from tests.marks import examples

NONE = np.array([])


def inputs(n: int, seed: int, *, gamed: bool = True) -> AlpacaEvalInputs:
    """Preferences that depend on length, difficulty and the model, with noise."""
    rng = np.random.default_rng(seed)
    lengths, difficulty = rng.normal(100, 400, n).round(), rng.normal(0, 1, n)
    liked = -1.5 * np.tanh(lengths / lengths.std(ddof=1)) + 0.7 * difficulty + 0.5
    others = 2 * n if gamed else 0
    return AlpacaEvalInputs(
        preferences=np.clip(expit(liked) + rng.normal(0, 0.2, n), 0, 1),
        length_differences=lengths,
        difficulty=difficulty,
        gamed_lengths=rng.normal(0, 1, others),
        gamed_preferences=rng.random(others),
        gamed_prompts=np.tile(np.arange(n), 2)[:others],
    )


def own_rows(rows: AlpacaEvalInputs) -> AlpacaEvalInputs:
    return replace(rows, gamed_lengths=NONE, gamed_preferences=NONE, gamed_prompts=NONE.astype(int))


def rows_of(rows: AlpacaEvalInputs) -> tuple[Values, Values, Values, Values]:
    """Features, soft labels, weights and prompts, from AlpacaEval's description."""
    n, gamed = len(rows.preferences), len(rows.gamed_preferences)
    z = np.tanh(rows.length_differences / rows.length_differences.std(ddof=1))
    prompts = np.append(np.arange(n), rows.gamed_prompts)
    features = np.column_stack(
        (
            np.append(z, np.tanh(rows.gamed_lengths)),
            rows.difficulty[prompts],
            np.append(np.ones(n), np.zeros(gamed)),
        )
    )
    weights = np.append(np.ones(n), np.full(gamed, 0.1))
    return features, np.append(rows.preferences, rows.gamed_preferences), weights, prompts


def liblinear(x: Values, y: Values, w: Values, c: float) -> Values:
    """The weights of scikit-learn's fit, with every soft label as two weighted rows."""
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression(
        C=c, l1_ratio=1, solver="liblinear", fit_intercept=False, tol=1e-9, max_iter=100_000
    )
    labels = np.repeat([1, 0], len(y))
    model.fit(np.tile(x, (2, 1)), labels, np.append(w * y, w * (1 - y)))
    return model.coef_[0]


@pytest.mark.parametrize("c", [0.01, 0.36, 2.78, 1e4])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_fit_is_that_of_liblinear_with_an_l1_penalty(seed: int, c: float) -> None:
    rows = inputs(150, seed)
    x, y, w, _ = rows_of(rows)
    theirs = liblinear(x, y, w, c)
    result = length_controlled_win_rate(rows, c)
    assert result.weights == pytest.approx(theirs.tolist(), abs=1e-3)
    rate = expit(theirs[2] + theirs[1] * rows.difficulty).mean()
    assert result.win_rate == pytest.approx(rate, abs=1e-4)
    assert result.c == c


def test_c_is_the_best_of_a_grouped_cross_validation() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    rows = inputs(40, 3)
    x, y, w, prompts = rows_of(rows)
    losses = np.zeros(len(GRID))
    for kept, out in selection.GroupKFold(5).split(x, groups=prompts):
        for i, c in enumerate(GRID):
            eta = x[out] @ liblinear(x[kept], y[kept], w[kept], c)
            loss = np.logaddexp(0, eta) - y[out] * eta
            losses[i] += np.average(loss, weights=w[out]) / 5
    result = length_controlled_win_rate(rows)
    assert result.c in GRID
    assert losses[list(GRID).index(result.c)] == pytest.approx(losses.min(), abs=1e-5)
    assert losses.max() > losses.min() + 0.01


@examples(10)
@given(st.integers(0, 10**6), st.sampled_from(GRID[3:].tolist()))
@example(123339, 10_000.0)
def test_swapping_the_models_mirrors_the_rate_without_gamed_rows(seed: int, c: float) -> None:
    original = inputs(60, seed, gamed=False)
    other = replace(
        original,
        preferences=1 - original.preferences,
        length_differences=-original.length_differences,
    )
    ours, theirs = (length_controlled_win_rate(side, c) for side in (original, other))
    assert ours.win_rate == pytest.approx(1 - theirs.win_rate, abs=1e-6)
    length, difficulty, model = theirs.weights
    assert ours.weights == pytest.approx((length, -difficulty, -model), abs=1e-5)


@pytest.mark.parametrize("c", [None, 2.78])
def test_a_model_against_itself_has_rate_one_half(c: float | None) -> None:
    rows = replace(inputs(40, 5), preferences=np.full(40, 0.5), length_differences=np.zeros(40))
    for rows_ in (rows, own_rows(rows)):
        result = length_controlled_win_rate(rows_, c)
        assert result.win_rate == pytest.approx(0.5, abs=0.01)


def test_equal_lengths_and_difficulties_leave_the_win_rate_and_its_standard_error() -> None:
    preferences = np.random.default_rng(6).random(120)
    rows = AlpacaEvalInputs(preferences, np.zeros(120), np.zeros(120), NONE, NONE, NONE.astype(int))
    result = length_controlled_win_rate(rows, 100.0)
    assert result.win_rate == pytest.approx(preferences.mean(), abs=1e-3)
    se = bootstrap_se(rows, 100.0)
    assert se == pytest.approx(preferences.std() / 120**0.5, rel=0.15)


def test_the_bootstrap_is_seeded() -> None:
    rows = inputs(40, 7)
    first, repeated, second = (bootstrap_se(rows, 2.78, resamples=20, seed=s) for s in (1, 1, 2))
    assert first == repeated != second
    assert 0 < first < 0.2


def test_too_few_prompts_need_a_given_penalty() -> None:
    few = inputs(4, 8)
    with pytest.raises(ValueError, match="fewer than 5 prompts cannot be cross-validated"):
        length_controlled_win_rate(few)
    assert 0 < length_controlled_win_rate(few, 1.0).win_rate < 1
    assert length_controlled_win_rate(inputs(5, 8)).c in GRID


def test_one_prompt_can_be_fitted() -> None:
    single = AlpacaEvalInputs(
        np.ones(1), np.full(1, 30.0), np.zeros(1), NONE, NONE, NONE.astype(int)
    )
    assert length_controlled_win_rate(single, 100.0).win_rate > 0.9


def test_wins_alone_stay_below_1() -> None:
    result = length_controlled_win_rate(replace(inputs(30, 9), preferences=np.ones(30)), 10.0)
    assert 0.9 < result.win_rate < 1
