"""Result types of the statistical functions: frozen dataclasses of plain numbers.

`n` counts the units of inference: prompts, or clusters of prompts where those were given. No number
is NaN: what cannot be estimated is None. The module does not import numpy, so that records can use
these types without loading it.
"""

from dataclasses import dataclass
from typing import Literal

Identified = Literal["both orders", "random order", "one order", "not recorded", "order-free"]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval, over `n` units; `se` is its standard error."""

    estimate: float
    low: float
    high: float
    method: str
    n: int
    se: float | None = None


@dataclass(frozen=True)
class SignificanceResult:
    """A two-sided p-value for the hypothesis of no difference, over `n` units."""

    p: float
    method: str
    n: int


@dataclass(frozen=True)
class OrderEffect:
    """The effect of the order of presentation on verdicts, where the design identifies it.

    `effect` is a's win rate when shown first minus its win rate when shown second; `pick_first` is
    the share of decisive verdicts for the completion shown first; `balanced` is a's win rate with
    both orders weighted equally. `first_twice` counts the prompts where both orders picked the
    completion shown first, `second_twice` those where both picked the second; `p` is the exact sign
    test between these two counts.
    """

    identified: Identified
    shown_first: float | None = None
    effect: Estimate | None = None
    pick_first: Estimate | None = None
    balanced: Estimate | None = None
    first_twice: int = 0
    second_twice: int = 0
    p: float | None = None


@dataclass(frozen=True)
class FeatureBias:
    """The association of winning with having more of a feature (length, markdown).

    `more_wins` is the share of decisive prompts won by the side with more of it; `spearman` is the
    rank correlation of the preference with the difference.
    """

    n: int
    more_wins: Estimate | None = None
    spearman: float | None = None


@dataclass(frozen=True)
class LengthEffect:
    """The bias towards length, and the win rate at equal length.

    `slope` is in logits per standard deviation of the length difference, transformed by tanh;
    `controlled` is not comparable with AlpacaEval's leaderboard.
    """

    bias: FeatureBias
    controlled: Estimate | None = None
    slope: Estimate | None = None


@dataclass(frozen=True)
class LeakEffect:
    """a's win rate on the prompts where only a, and where only b, leaks (such as thinking tags)."""

    only_a: int
    only_b: int
    both: int
    rate_only_a: Estimate | None = None
    rate_only_b: Estimate | None = None


@dataclass(frozen=True)
class Power:
    """Power of a comparison with this many units. Effects are differences from 0.5, as shares.

    `detectable` is the smallest effect found with 80 % power; `needed` is the number of units that
    the present estimate needs for the same, `more` how many of them are missing.
    """

    detectable: float
    needed: int | None
    more: int | None
    method: str


@dataclass(frozen=True)
class VarianceComponents:
    """Variance of one verdict by source; None where the design does not identify the source.

    `prompts`, `generations`, `orders` and `repeats` are the (average) numbers of units per level;
    `advice` names what reduces the standard error most for the same number of verdicts.
    """

    prompt: float | None
    generation: float | None
    order: float | None
    repeat: float | None
    prompts: int
    generations: float
    orders: float
    repeats: float
    advice: str


@dataclass(frozen=True)
class EProcess:
    """An e-process: valid at every look and at any stopping time.

    `log_e` is the natural logarithm of the e-value after each unit; `stopped` the first unit
    (from 1) after which e >= 1/alpha; `p` the anytime p-value; `low` and `high` the confidence
    sequence for the share of decisive units won, at the last look.
    """

    log_e: tuple[float, ...]
    stopped: int | None
    p: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class CalibratedRate:
    """A rate corrected by human labels. `weight` is PPI++'s lambda, the weight of the judge."""

    value: Estimate
    labelled: int
    unlabelled: int
    weight: float | None = None


@dataclass(frozen=True)
class BradleyTerryFit:
    """Log-strengths of the items (mean 0), in the order of the items.

    `tie` is Davidson's nu, `first` the log-odds that being shown first adds; None where not
    fitted. `groups` are the strongly connected components of the win graph: with more than one, no
    maximum likelihood estimate exists, and only the ridge relates strengths of different groups.
    `better` holds (i, j) where i is significantly stronger than j, at a familywise level of 95 %.
    """

    strengths: tuple[Estimate, ...]
    tie: float | None
    first: float | None
    groups: tuple[tuple[int, ...], ...]
    method: str
    better: tuple[tuple[int, int], ...] = ()
