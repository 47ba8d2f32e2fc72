"""The win rate at equal length and style: a logistic regression on differences of the completions.

Values are preferences for a, from 0 to 1. Columns are differences of a minus b, which change their
sign when the models are swapped; 0 means that the completions are equal in this respect.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.distributions import two_sided_quantile
from bakeoff.stats.results import ControlledRate, CovariateEffect, Estimate

MIN_UNITS = 20
"""With fewer prompts, or clusters of them, no regression is fitted."""
UNITS_PER_COLUMN = 10
"""With fewer prompts, or clusters, for each column, the last columns are left out."""
MIN_OVERLAP = 5
"""Prompts on which a has no more, and on which b has no more, of a covariate."""
MIN_OVERLAP_SHARE = 0.05
"""The same as a share of the prompts."""

_RIDGE = 1e-3  # keeps the fit of separated data finite; negligible otherwise
_MAX_STEPS = 50
_ROUNDING = 1e-9
# Where the interval at equal length and style contains 50 %, the covariates may decide. In a fair
# comparison, too, it contains 50 % at times, because it is wider. So the verdict is withheld only
# if the covariates explain a part of the advantage, beyond as many standard errors as this line
# says for their imbalance: the standard error of that part, relative to that of the win rate. By
# simulation of normal estimates, a judge that follows length by any amount gives a false verdict in
# at most 5 %, and a fair one loses 2 % of the verdicts at imbalance 0.3, 6 % at 0.5.
_IMBALANCES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3, 2.0)
_MIN_EVIDENCE = (1.645, 1.3, 1.1, 0.9, 0.72, 0.58, 0.35, 0.1, -0.6)


class Covariate(NamedTuple):
    """A property of completions that a judge may follow instead of quality."""

    name: str
    columns: Sequence[Values]
    """Differences of a minus b in several forms, the most important first."""
    overlap: Sequence[Values] = ()
    """Differences of a minus b. The win rate at equal covariates is defined only if each model has
    no more than the other on some prompts, in each of them."""


class _Design(NamedTuple):
    """The columns of the regression, divided by their root mean squares."""

    columns: Values
    """Of shape (n, k)."""
    covariate: Codes
    """The index of the covariate of each column."""


def controlled_rate(
    values: Values, covariates: Sequence[Covariate], clusters: Codes | None = None
) -> ControlledRate:
    """The win rate of a at equal covariates: sigmoid(alpha) of logit E[y] = alpha + x beta.

    Its standard error is the larger of that by the sandwich estimator, clustered where `clusters`
    holds a code per prompt, and that of the fitted model with the dispersion of the values, which
    stays honest where a covariate predicts every verdict. `rate` is None without overlap, with
    fewer than 20 units, and where all values or all columns are constant.
    """
    unit = np.arange(len(values)) if clusters is None else clusters
    unit = np.unique(unit, return_inverse=True)[1]
    units = int(unit.max(initial=-1)) + 1
    if units < MIN_UNITS:
        return ControlledRate(None)
    missing = tuple(c.name for c in covariates if not all(map(_overlaps, c.overlap)))
    design = _design(covariates, units)
    if missing or not design.columns.size or np.ptp(values) <= _ROUNDING:
        return ControlledRate(None, missing)
    explained, imbalance, effects = _explained(values, design, unit, covariates)
    rate = _rate_at_zero(values, design.columns, unit)
    return ControlledRate(rate, missing, explained, imbalance, effects)


def covariates_may_decide(controls: ControlledRate, better: bool, bound: float = 0.5) -> bool:
    """Whether a win rate of a above `bound`, or below it if not `better`, may be that of the
    covariates alone.

    True without overlap, and if the interval at equal covariates contains the bound or lies on its
    other side, unless nothing suggests that the covariates explain a part of the distance.
    """
    if controls.without_overlap:
        return True
    rate, explained = controls.rate, controls.explained
    if rate is None or explained is None or (rate.low > bound if better else rate.high < bound):
        return False
    evidence = explained.estimate / max(explained.se or 0.0, _ROUNDING)
    needed = np.interp(controls.imbalance, _IMBALANCES, _MIN_EVIDENCE)
    return bool((evidence if better else -evidence) > needed)


def _overlaps(differences: Values) -> bool:
    needed = max(MIN_OVERLAP, MIN_OVERLAP_SHARE * len(differences))
    return bool(min((differences <= 0).sum(), (differences >= 0).sum()) >= needed)


def _design(covariates: Sequence[Covariate], units: int) -> _Design:
    """The columns that vary, in turn the next of each covariate, as many as the units allow."""
    longest = max((len(c.columns) for c in covariates), default=0)
    ordered = [
        (index, covariate.columns[place])
        for place in range(longest)
        for index, covariate in enumerate(covariates)
        if place < len(covariate.columns) and np.ptp(covariate.columns[place]) > 0
    ][: max(1, units // UNITS_PER_COLUMN)]
    if not ordered:
        return _Design(np.empty((0, 0)), np.empty(0, dtype=np.intp))
    columns = np.stack([column for _, column in ordered], axis=1)
    columns = columns / np.sqrt((columns**2).mean(axis=0))
    return _Design(columns, np.array([index for index, _ in ordered], dtype=np.intp))


def _explained(
    values: Values, design: _Design, unit: Codes, covariates: Sequence[Covariate]
) -> tuple[Estimate, float, tuple[CovariateEffect, ...]]:
    """What the covariates add to the win rate by a linear regression, and their imbalance."""
    n, means = len(values), design.columns.mean(axis=0)
    centred = design.columns - means
    inverse = np.linalg.pinv(centred.T @ centred, hermitian=True)
    slopes = inverse @ (centred.T @ (values - values.mean()))
    degrees = n - 1 - int(np.linalg.matrix_rank(centred))
    residuals = values - values.mean() - centred @ slopes

    def effect(of: Values) -> Estimate:
        scores = np.bincount(unit, weights=(centred @ (inverse @ (of * means))) * residuals)
        se = math.sqrt(float(scores @ scores) * n / max(1, degrees))
        value = float(slopes @ (of * means))
        half = two_sided_quantile(degrees=max(1, min(degrees, len(scores) - 1))) * se
        return Estimate(value, value - half, value + half, "linear regression", len(scores), se)

    effects = tuple(
        CovariateEffect(covariate.name, effect((design.covariate == index).astype(np.float64)))
        for index, covariate in enumerate(covariates)
        if (design.covariate == index).any()
    )
    imbalance = math.sqrt(n * float(means @ inverse @ means))
    return effect(np.ones(len(means))), imbalance, effects


def _rate_at_zero(values: Values, columns: Values, unit: Codes) -> Estimate:
    x = np.column_stack((np.ones(len(values)), columns))
    beta, inverse = _fit_logistic(x, values)
    n, k = x.shape
    units = int(unit.max()) + 1
    scores = x * (values - expit(x @ beta))[:, None]
    sums = np.stack([np.bincount(unit, weights=column) for column in scores.T], axis=1)
    degrees = max(1, min(n - k, units - 1))
    correction = n / max(1, n - k) * (units / (units - 1) if units < n else 1.0)
    sandwich = float(((sums @ inverse[0]) ** 2).sum()) * correction
    residuals = np.bincount(unit, weights=values - values.mean())
    mean = float(values.mean())
    dispersion = float(residuals @ residuals) / (n * mean * (1 - mean))
    se = math.sqrt(max(sandwich, dispersion * inverse[0, 0] * correction))
    half = two_sided_quantile(degrees=degrees) * se
    rate, low, high = (float(expit(beta[0] + side)) for side in (0.0, -half, half))
    return Estimate(rate, low, high, "logistic regression", units, rate * (1 - rate) * se)


def _fit_logistic(x: Values, y: Values) -> tuple[Values, Values]:
    """The coefficients, by Newton's method, and the inverse of the information matrix."""
    beta = np.zeros(x.shape[1])
    penalty = np.full(x.shape[1], _RIDGE)
    for _ in range(_MAX_STEPS):
        p = expit(x @ beta)
        gradient = x.T @ (y - p) - penalty * beta
        information = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        if np.abs(gradient).max() < 1e-9 * len(y):
            break
        step = np.linalg.solve(information, gradient)
        # Far from the maximum a full step may overshoot; a bounded one still converges.
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
    return beta, np.asarray(np.linalg.inv(information), dtype=np.float64)
