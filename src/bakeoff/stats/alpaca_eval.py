"""AlpacaEval's own length-controlled win rate, exactly; comparable with its leaderboard.

It needs what AlpacaEval's authors have: a difficulty of every prompt, from a fit over all models of
the leaderboard, and the rows of two gamed baselines. For anything else see `bias.length_effect`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.special import expit

Values = NDArray[np.float64]

GRID = np.logspace(-4, 4, 10)
_FOLDS = 5
_GAMED_WEIGHT = 0.2  # of all gamed rows together, beside 1 for the model's own rows


@dataclass(frozen=True)
class LengthControlled:
    """A win rate at equal length, from 0 to 1, and the fit that it comes from.

    `weights` are those of length, difficulty and model; `c` is the inverse strength of the
    penalty. The published "standard error" is that of the fitted probabilities, not of the win
    rate: use `bootstrapped_se`.
    """

    win_rate: float
    weights: tuple[float, float, float]
    c: float


@dataclass(frozen=True)
class Inputs:
    """The rows of one fit. Preferences for the model over the baseline are from 0 to 1.

    `length_differences` are baseline minus model, in characters; `difficulty` is given per prompt;
    the gamed rows, one for each prompt and each gamed baseline, have length differences divided by
    their standard deviation, preferences and the index of the prompt.
    """

    preferences: Values
    length_differences: Values
    difficulty: Values
    gamed_lengths: Values
    gamed_preferences: Values
    gamed_prompts: NDArray[np.intp]


def alpaca_eval_length_controlled(inputs: Inputs, c: float | None = None) -> LengthControlled:
    """AlpacaEval 2's length-controlled win rate (Dubois et al. 2024, arXiv 2404.04475).

    A logistic regression with an L1 penalty on tanh of the standardised length difference, the
    difficulty and the model, without an intercept; the win rate is the mean prediction with the
    length set to 0. `c` is cross-validated over prompts, as AlpacaEval does, unless given.
    """
    x, y, w, prompts = _design(inputs)
    if c is None and len(inputs.preferences) < _FOLDS:
        raise ValueError(f"fewer than {_FOLDS} prompts cannot be cross-validated: give c")
    if c is None:
        c = _cross_validated(x, y, w, prompts)
    beta = _fit(x, y, w, c)
    return LengthControlled(_at_equal_length(beta, inputs.difficulty), tuple(beta.tolist()), c)


def bootstrapped_se(inputs: Inputs, c: float, *, resamples: int = 200, seed: int = 0) -> float:
    """The standard error of the win rate: the whole fit again on prompts drawn with replacement."""
    x, y, w, prompts = _design(inputs)
    start = _fit(x, y, w, c)
    rng = np.random.default_rng(seed)
    n = len(inputs.preferences)
    rates = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        beta = _fit(x, y, w * counts[prompts], c, start)
        rates.append(_at_equal_length(beta, np.repeat(inputs.difficulty, counts)))
    return float(np.std(rates, ddof=1))


def _at_equal_length(beta: Values, difficulty: Values) -> float:
    return float(expit(beta[1] * difficulty + beta[2]).mean())


def _design(inputs: Inputs) -> tuple[Values, Values, Values, NDArray[np.intp]]:
    n, gamed = len(inputs.preferences), len(inputs.gamed_preferences)
    sd = float(inputs.length_differences.std(ddof=1)) if n > 1 else 0.0
    # A model against itself has no differences of length to divide.
    lengths = np.tanh(inputs.length_differences / (sd or 1.0))
    own = np.stack((lengths, inputs.difficulty, np.ones(n)), axis=1)
    at = inputs.gamed_prompts
    theirs = (np.tanh(inputs.gamed_lengths), inputs.difficulty[at], np.zeros(gamed))
    x = np.concatenate((own, np.stack(theirs, axis=1)))
    y = np.concatenate((inputs.preferences, inputs.gamed_preferences))
    weight = _GAMED_WEIGHT * n / max(1, gamed)
    return x, y, np.repeat((1.0, weight), (n, gamed)), np.concatenate((np.arange(n), at))


def _fit(x: Values, y: Values, w: Values, c: float, start: Values | None = None) -> Values:
    """min sum w log loss + |beta|_1 / C, as two non-negative halves of beta: a smooth problem."""
    k, n = x.shape[1], float(w.sum())

    def loss(halves: Values) -> tuple[float, Values]:
        eta = x @ (halves[:k] - halves[k:])
        value = float(w @ (np.logaddexp(0, eta) - y * eta)) + float(halves.sum()) / c
        slope = x.T @ (w * (expit(eta) - y))
        return value / n, np.concatenate((slope + 1 / c, 1 / c - slope)) / n

    beta = np.zeros(k) if start is None else start
    halves = np.concatenate((np.maximum(beta, 0), np.maximum(-beta, 0)))

    def search(halves: Values) -> OptimizeResult:
        return minimize(
            loss,
            halves,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * (2 * k),
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
        )

    found = search(halves)
    # Where the minimum is flat a search gives up before it; a new one has forgotten the old slopes.
    while (again := search(found.x)).fun < found.fun:
        found = again
    fitted: Values = found.x[:k] - found.x[k:]
    return fitted


def _cross_validated(x: Values, y: Values, w: Values, prompts: NDArray[np.intp]) -> float:
    """The c of the grid with the least log loss on prompts that were left out, fold by fold."""
    folds = prompts % _FOLDS
    losses = np.zeros(len(GRID))
    for fold in range(_FOLDS):
        kept, out = folds != fold, folds == fold
        for i, c in enumerate(GRID):
            eta = x[out] @ _fit(x[kept], y[kept], w[kept], c)
            losses[i] += float(np.average(np.logaddexp(0, eta) - y[out] * eta, weights=w[out]))
    return float(GRID[losses.argmin()])
