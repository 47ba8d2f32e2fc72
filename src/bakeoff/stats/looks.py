"""Planned interim looks: the nominal significance levels of a group-sequential design."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

MAX_LOOKS = 5  # more looks save little: `--stop early` looks after every prompt

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)  # error below 1e-10 for 5 looks
_MAX_BOUNDARY = 12.0  # in standard deviations at the last look


@cache
def obrien_fleming(looks: int, alpha: float = 0.05) -> tuple[float, ...]:
    """Return the nominal two-sided level of each of equally spaced looks (O'Brien-Fleming 1979).

    A test at look k with level `result[k - 1]`, which stops at the first rejection, rejects a true
    hypothesis with probability `alpha`. The boundary of the z statistic at look k of K is
    C sqrt(K / k); C is found by numerical integration. With 1 look the level is `alpha`. Raises
    ValueError if `looks` is not from 1 to 5, or `alpha` not between 0 and 1.
    """
    if not 1 <= looks <= MAX_LOOKS:
        raise ValueError(f"looks has to be from 1 to {MAX_LOOKS}, not {looks}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha has to be between 0 and 1, not {alpha}")
    if looks == 1:
        return (alpha,)
    constant = float(
        brentq(lambda c: crossing_probability(looks, c) - alpha, 1e-3, _MAX_BOUNDARY, xtol=1e-10)
    )
    return tuple(
        float(2 * ndtr(-constant * math.sqrt(looks / look))) for look in range(1, looks + 1)
    )


def crossing_probability(looks: int, constant: float) -> float:
    """Return the probability that a random walk leaves (-constant, constant) at some look.

    The walk has `looks` independent normal steps of variance 1 / looks: the z statistic at look k
    times sqrt(k / looks), without a difference (Armitage, McPherson and Rowe 1969).
    """
    points = constant * _NODES
    weights = constant * _WEIGHTS
    step = 1 / math.sqrt(looks)
    density: NDArray[np.float64] = _normal_density(points / step) / step
    transition = _normal_density((points[:, None] - points[None, :]) / step) / step * weights
    for _ in range(looks - 1):
        density = transition @ density
    return 1 - float(weights @ density)


def _normal_density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
