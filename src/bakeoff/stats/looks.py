"""Group-sequential designs: a planned number of looks that share one error rate."""

import math

import numpy as np
from scipy import stats
from scipy.optimize import brentq

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(120)  # enough for 1e-9 up to 20 looks


def obrien_fleming(looks: int, alpha: float = 0.05) -> list[float]:
    """The two-sided nominal alpha of each of K equally spaced looks (O'Brien and Fleming 1979).

    At look k of K, the critical value is |z| = C sqrt(K/k), with C such that some look rejects
    with probability alpha if there is no difference (2.004 for three looks at 0.05). The interval
    to print at a look has level 1 - its nominal alpha. A run that stops there keeps the error rate
    alpha over all looks.

    Raises ValueError for fewer than one look or an alpha outside of (0, 1).
    """
    if looks < 1 or not 0 < alpha < 1:
        raise ValueError("needs at least one look, and an alpha between 0 and 1")
    most = float(stats.norm.isf(alpha / (2 * looks))) + 1  # Bonferroni, for the last look alone
    constant = float(
        brentq(lambda c: _crossing_probability(c, looks) - alpha, 1e-6, most, xtol=1e-10)
    )
    values = [constant * math.sqrt(looks / look) for look in range(1, looks + 1)]
    return [2 * float(stats.norm.sf(value)) for value in values]


def _crossing_probability(constant: float, looks: int) -> float:
    """The probability that a random walk with unit normal steps leaves (-b, b) within K steps.

    b = C sqrt(K): in sums of k steps, the boundary C sqrt(K/k) of the standardized sum is constant.
    The density of the walks that stayed inside is integrated step by step (Armitage et al. 1969).
    """
    bound = constant * math.sqrt(looks)
    points, weights = bound * _NODES, bound * _NODE_WEIGHTS
    density = stats.norm.pdf(points)
    steps = stats.norm.pdf(points[:, None] - points[None, :])
    for _ in range(looks - 1):
        density = steps @ (weights * density)
    return 1 - float(weights @ density)
