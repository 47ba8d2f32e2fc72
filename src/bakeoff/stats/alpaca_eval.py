"""AlpacaEval 2's length-controlled win rate, reproduced exactly; comparable with its leaderboard.

It needs inputs that only AlpacaEval publishes: a difficulty of every prompt, fitted over all models
of the leaderboard, and the rows of two gamed baselines. See `bias.length_effect` otherwise.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.special import expit

from bakeoff.stats.arrays import Codes, Values

GRID = np.logspace(-4, 4, 10)  # candidates for c
_FOLDS = 5
_GAMED_WEIGHT = 0.2  # of all gamed rows together, relative to the model's own rows


@dataclass(frozen=True)
class LengthControlledWinRate:
    """A win rate at equal length, from 0 to 1, and its fit.

    `weights` are those of length, difficulty and model; `c` is the inverse strength of the
    penalty. The "standard error" that AlpacaEval publishes is that of the fitted probabilities, not
    of the win rate: use `bootstrap_se`.
    """

    win_rate: float
    weights: tuple[float, float, float]
    c: float


@dataclass(frozen=True)
class AlpacaEvalInputs:
    """The rows of one fit. Preferences for the model over the baseline are from 0 to 1.

    `length_differences` are baseline minus model, in characters; `difficulty` has a value per
    prompt; the gamed rows, one for each prompt and each gamed baseline, hold length differences
    divided by their standard deviation, preferences and the index of the prompt.
    """

    preferences: Values
    length_differences: Values
    difficulty: Values
    gamed_lengths: Values
    gamed_preferences: Values
    gamed_prompts: Codes


def length_controlled_win_rate(
    inputs: AlpacaEvalInputs, c: float | None = None
) -> LengthControlledWinRate:
    """AlpacaEval 2's length-controlled win rate (Dubois et al. 2024, arXiv 2404.04475).

    A logistic regression with an L1 penalty on tanh of the standardized length difference, the
    difficulty and the model, without an intercept; the win rate is the mean prediction with the
    length set to 0. `c` is cross-validated over prompts, as AlpacaEval does, unless given.

    Raises ValueError for fewer than 5 prompts if `c` is not given.
    """
    x, y, w, prompts = _design_matrix(inputs)
    if c is None and len(inputs.preferences) < _FOLDS:
        raise ValueError(f"fewer than {_FOLDS} prompts cannot be cross-validated: give c")
    if c is None:
        c = _cross_validated_c(x, y, w, prompts)
    beta = _fit(x, y, w, c)
    rate = _rate_at_equal_length(beta, inputs.difficulty)
    return LengthControlledWinRate(rate, tuple(beta.tolist()), c)


def bootstrap_se(
    inputs: AlpacaEvalInputs, c: float, *, resamples: int = 200, seed: int = 0
) -> float:
    """The standard error of the win rate, refitting on prompts drawn with replacement."""
    x, y, w, prompts = _design_matrix(inputs)
    start = _fit(x, y, w, c)
    rng = np.random.default_rng(seed)
    n = len(inputs.preferences)
    rates = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        beta = _fit(x, y, w * counts[prompts], c, start)
        rates.append(_rate_at_equal_length(beta, np.repeat(inputs.difficulty, counts)))
    return float(np.std(rates, ddof=1))


def _rate_at_equal_length(beta: Values, difficulty: Values) -> float:
    return float(expit(beta[1] * difficulty + beta[2]).mean())


def _design_matrix(inputs: AlpacaEvalInputs) -> tuple[Values, Values, Values, Codes]:
    """Features, targets, weights and prompt indices of all rows, the gamed ones last."""
    n, gamed = len(inputs.preferences), len(inputs.gamed_preferences)
    sd = float(inputs.length_differences.std(ddof=1)) if n > 1 else 0.0
    # A model compared with itself has length differences of sd 0.
    lengths = np.tanh(inputs.length_differences / (sd or 1.0))
    own = np.stack((lengths, inputs.difficulty, np.ones(n)), axis=1)
    prompts = inputs.gamed_prompts
    gamed_columns = (np.tanh(inputs.gamed_lengths), inputs.difficulty[prompts], np.zeros(gamed))
    x = np.concatenate((own, np.stack(gamed_columns, axis=1)))
    y = np.concatenate((inputs.preferences, inputs.gamed_preferences))
    weight = _GAMED_WEIGHT * n / max(1, gamed)
    return x, y, np.repeat((1.0, weight), (n, gamed)), np.concatenate((np.arange(n), prompts))


def _fit(x: Values, y: Values, w: Values, c: float, start: Values | None = None) -> Values:
    """min sum w log loss + |beta|_1 / c, with beta as two non-negative parts: a smooth problem."""
    k, n = x.shape[1], float(w.sum())

    def loss(parts: Values) -> tuple[float, Values]:
        eta = x @ (parts[:k] - parts[k:])
        value = float(w @ (np.logaddexp(0, eta) - y * eta)) + float(parts.sum()) / c
        slope = x.T @ (w * (expit(eta) - y))
        return value / n, np.concatenate((slope + 1 / c, 1 / c - slope)) / n

    beta = np.zeros(k) if start is None else start

    def search(parts: Values) -> OptimizeResult:
        return minimize(
            loss,
            parts,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * (2 * k),
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
        )

    best = search(np.concatenate((np.maximum(beta, 0), np.maximum(-beta, 0))))
    # Where the minimum is flat a search stops early; restarting it discards the old curvature.
    while (restarted := search(best.x)).fun < best.fun:
        best = restarted
    fitted: Values = best.x[:k] - best.x[k:]
    return fitted


def _cross_validated_c(x: Values, y: Values, w: Values, prompts: Codes) -> float:
    """The c of `GRID` with the least log loss on left-out prompts, summed over the folds."""
    folds = prompts % _FOLDS
    losses = np.zeros(len(GRID))
    for fold in range(_FOLDS):
        train, test = folds != fold, folds == fold
        for i, c in enumerate(GRID):
            eta = x[test] @ _fit(x[train], y[train], w[train], c)
            loss = np.logaddexp(0, eta) - y[test] * eta
            losses[i] += float(np.average(loss, weights=w[test]))
    return float(GRID[losses.argmin()])
