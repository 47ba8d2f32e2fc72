"""Result types of the statistical functions: frozen dataclasses of plain numbers.

`n` counts the units of inference: prompts, or clusters of prompts where those were given. No number
is NaN: what cannot be estimated is None. The module does not import numpy, so that records can use
these types without loading it.
"""

from dataclasses import dataclass
from typing import Literal

OrderDesign = Literal["both orders", "random order", "one order", "not recorded", "order-free"]

NO_INTERVAL = "too few for an interval"
"""`method` of an estimate from too few units; its interval is [0, 1]."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its confidence interval, of 95 % unless `level` differs.

    With early stopping, the pairs of a run share the error rate of 5 %, which makes intervals
    wider. The interval is a point where the data have no variation; `method` says so.
    """

    estimate: float
    low: float
    high: float
    method: str
    """Method of the interval."""
    n: int
    """Units of inference."""
    se: float | None = None
    """Standard error; None if the method has none."""
    level: float = 0.95
    """Confidence level of the interval; that of a planned look is higher."""


@dataclass(frozen=True)
class SignificanceResult:
    """The result of a significance test of no difference."""

    p: float
    """Two-sided p-value."""
    method: str
    n: int
    """Units of inference."""


@dataclass(frozen=True)
class TestedRate:
    """A win rate and its test of no difference, from one procedure.

    `test.p` is below 1 - level if and only if 0.5 lies strictly outside the interval of `rate`.
    """

    __test__ = False  # not a test case of pytest

    rate: Estimate
    test: SignificanceResult


@dataclass(frozen=True)
class TestedDifference:
    """A difference of two win rates, from -1 to 1, and its test of no difference.

    `test.p` is below 1 - level if and only if 0 lies strictly outside the interval.
    """

    __test__ = False  # not a test case of pytest

    difference: Estimate
    test: SignificanceResult


@dataclass(frozen=True)
class OrderEffect:
    """The effect of the order of presentation on verdicts, where the design identifies it."""

    identified: OrderDesign
    """The part of the design that identifies the effect, or the reason why none does."""
    shown_first: float | None = None
    """Share of the verdicts in which a was shown first."""
    effect: Estimate | None = None
    """Win rate of a when shown first minus its win rate when shown second."""
    pick_first: Estimate | None = None
    """Share of decisive verdicts for the completion shown first."""
    balanced: Estimate | None = None
    """Win rate of a with both orders weighted equally."""
    first_twice: int = 0
    """Prompts where both orders picked the completion shown first."""
    second_twice: int = 0
    """Prompts where both orders picked the completion shown second."""
    p: float | None = None
    """Exact sign test of `first_twice` against `second_twice`."""


@dataclass(frozen=True)
class FeatureBias:
    """The association of winning with having more of a feature (length, markdown)."""

    n: int
    """Prompts."""
    more_wins: Estimate | None = None
    """Share of decisive prompts won by the completion with more of the feature."""
    spearman: float | None = None
    """Rank correlation of the preference with the difference of the feature."""


@dataclass(frozen=True)
class CovariateEffect:
    """What a property of the completions, such as their length, adds to the win rate of a."""

    name: str
    explained: Estimate
    """Difference of win rates, -1 to 1: the mean difference of the property times its slope."""


@dataclass(frozen=True)
class ControlledRate:
    """The win rate of a where both completions have the same length and style."""

    rate: Estimate | None
    """From 0 to 1; None if the data do not tell. Not comparable with AlpacaEval's leaderboard."""
    without_overlap: tuple[str, ...] = ()
    """Properties of which the completions of one model have more for nearly all prompts."""
    explained: Estimate | None = None
    """What all properties together add to the win rate of a, -1 to 1."""
    imbalance: float = 0.0
    """Standard error of `explained` where the judge follows no property, relative to that of the
    win rate. It is 0 if the models differ in no property on average."""
    effects: tuple[CovariateEffect, ...] = ()
    """The parts of `explained`, by property."""


@dataclass(frozen=True)
class LeakEffect:
    """The win rate of a where completions leak text that a judge should not see (thinking tags).

    Counts are numbers of prompts.
    """

    only_a: int
    only_b: int
    both: int
    rate_only_a: Estimate | None = None
    """Win rate of a on the prompts where only its completion leaks."""
    rate_only_b: Estimate | None = None
    """Win rate of a on the prompts where only the completion of b leaks."""


@dataclass(frozen=True)
class Power:
    """Power of a comparison with this many units; effects are differences from 0.5, as shares."""

    detectable: float
    """Smallest effect that is found with 80 % power."""
    needed: int | None
    """Units that settle the question with 80 % power if the present estimate is the true value;
    None above 20,000, where two models are too close to tell apart."""
    more: int | None
    """Units of `needed` that are missing."""
    method: str


@dataclass(frozen=True)
class VarianceComponents:
    """Variance of one verdict by source; None where the design does not identify the source."""

    prompt: float | None
    generation: float | None
    order: float | None
    repeat: float | None
    prompts: int
    generations: float
    """Completions per prompt, on average."""
    orders: float
    """Orders per completion, on average."""
    repeats: float
    """Repeats per order, on average."""
    advice: str
    """What reduces the standard error most for the same number of verdicts."""


@dataclass(frozen=True)
class EProcess:
    """An e-process: valid at every look and at any stopping time."""

    log_e: tuple[float, ...]
    """Natural logarithm of the e-value after each unit."""
    stopped: int | None
    """First unit, from 1, after which e >= 1/alpha."""
    p: float
    """Anytime p-value."""
    low: float
    """Lower bound, at the last look, of the confidence sequence for the share of decisive units
    won."""
    high: float
    method: str


@dataclass(frozen=True)
class CalibratedRate:
    """A rate corrected by human labels."""

    value: Estimate
    labeled: int
    """Units with a label."""
    unlabeled: int
    weight: float | None = None
    """PPI++'s lambda: the weight of the judge, 0 to 1."""
    published: Estimate | None = None
    """PPI++ as published, without the correction for few labels; it may be too narrow."""
    labels_only: Estimate | None = None
    """The mean label with its interval, without the judge."""


@dataclass(frozen=True)
class BradleyTerryFit:
    """A fitted Bradley-Terry model of items numbered from 0."""

    strengths: tuple[Estimate, ...]
    """Log-strength of each item; their mean is 0."""
    tie_parameter: float | None
    """Davidson's nu; None if ties were not fitted."""
    first_advantage: float | None
    """Log-odds that being shown first adds; None if not fitted."""
    components: tuple[tuple[int, ...], ...]
    """Strongly connected components of the win graph. With more than one, no maximum likelihood
    estimate exists, and only the ridge relates strengths of different components."""
    method: str
    better: tuple[tuple[int, int], ...] = ()
    """Each (i, j) where i is significantly stronger than j, at a familywise level of 95 %."""
