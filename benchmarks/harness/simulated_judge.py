"""Preferences of a simulated judge with a known true win rate and known biases."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Values = NDArray[np.float64]


class Judge(NamedTuple):
    """A judge that perceives the difference of two completions with noise and biases.

    The differences of the prompts are normal with sd 1 around the one that gives `rate`.
    """

    rate: float = 0.5
    """The true win rate of a: the mean over both orders without `follows` and `lift`."""
    ties: float = 0.2
    """The share of verdicts that are ties between equal models."""
    noise: float = 0.6
    """The sd of the noise of one verdict."""
    follows: float = 0.0
    """The share of verdicts that name the completion shown first; below 0: the second one."""
    graded: bool = False
    """Whether verdicts are probabilities instead of wins, ties and losses."""

    @property
    def _tie_width(self) -> float:
        return float(ndtri(0.5 + self.ties / 2)) * math.hypot(1, self.noise)

    def _mean(self) -> float:
        sd, edge = math.hypot(1, self.noise), self._tie_width
        if self.rate == 0.5:
            return 0.0

        def gap(mean: float) -> float:
            return float(ndtr((mean + edge) / sd) + ndtr((mean - edge) / sd)) / 2 - self.rate

        return float(brentq(gap, -9, 9))

    def differences(self, rng: np.random.Generator, n: int) -> Values:
        """The true differences of n independent prompts."""
        return np.asarray(rng.normal(self._mean(), 1, n))

    def clustered_differences(
        self, rng: np.random.Generator, codes: NDArray[np.intp], correlation: float
    ) -> Values:
        """The true differences of prompts whose `codes` are equal for equal clusters."""
        common = rng.normal(0, math.sqrt(correlation), int(codes.max()) + 1)[codes]
        own = rng.normal(self._mean(), math.sqrt(1 - correlation), len(codes))
        return np.asarray(common + own)

    def verdicts(
        self, rng: np.random.Generator, perceived: Values, a_first: NDArray[np.bool_] | bool
    ) -> Values:
        """The preference for a of one verdict per difference, biases included."""
        n = len(perceived)
        noisy = perceived + rng.normal(0, self.noise, n)
        if self.graded:
            value = np.round(ndtr(2 * noisy), 3)
        else:
            value = np.where(np.abs(noisy) < self._tie_width, 0.5, noisy > 0)
        shown = np.broadcast_to(np.asarray(a_first), (n,))
        habit = shown if self.follows > 0 else ~shown
        return np.asarray(np.where(rng.random(n) < abs(self.follows), habit, value), dtype=float)
