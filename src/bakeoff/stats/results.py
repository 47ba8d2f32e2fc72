"""What the functions of this package return: frozen, and each says how it was obtained.

Knows no numpy, so that a record may hold one without loading it. `n` counts the units of inference:
prompts, or clusters of prompts where those were given. Nothing here is ever NaN: what cannot be
estimated is None.
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
class Tested:
    """A two-sided p-value of the hypothesis that there is no difference, over `n` units."""

    p: float
    method: str
    n: int


@dataclass(frozen=True)
class OrderEffect:
    """What the place of a completion does to the verdict, where the design lets one see it.

    `effect` is a's win rate when shown first minus its win rate when shown second; `pick_first` is
    the share of decisive verdicts for the completion shown first; `balanced` is a's win rate with
    both places weighing the same. `first_twice` counts the prompts where both orders picked the
    first place, `second_twice` the second, `p` is their exact sign test.
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
class Tilt:
    """Whether having more of something (length, markdown) goes with winning.

    `more_wins` is the share of decisive prompts won by the side with more of it; `spearman` is the
    rank correlation of the preference with the difference.
    """

    n: int
    more_wins: Estimate | None = None
    spearman: float | None = None


@dataclass(frozen=True)
class LengthEffect:
    """The tilt towards length, and the win rate that is left at equal length.

    `slope` is in logits per standard deviation of the length difference, squeezed by tanh;
    `controlled` is not comparable with AlpacaEval's leaderboard.
    """

    tilt: Tilt
    controlled: Estimate | None = None
    slope: Estimate | None = None


@dataclass(frozen=True)
class Exposure:
    """a's win rate on the prompts where only a, and where only b, has some blemish."""

    only_a: int
    only_b: int
    both: int
    rate_only_a: Estimate | None = None
    rate_only_b: Estimate | None = None


@dataclass(frozen=True)
class Power:
    """What this many units can show. Effects are differences from a half, as shares.

    `detectable` is the smallest effect found in 80 of 100 such trials; `needed` the units that
    the present estimate needs for the same, `more` those that are lacking.
    """

    detectable: float
    needed: int | None
    more: int | None
    method: str


@dataclass(frozen=True)
class VarianceSplit:
    """Variance of one verdict by where it comes from; None where the design cannot tell.

    `prompts`, `generations`, `orders` and `repeats` are how many of each there are (on average);
    `advice` says what lowers the standard error most for the same number of verdicts.
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
class Sequence:
    """A look at an e-process: valid however often one looks, and whenever one stops.

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
class Calibrated:
    """A rate corrected by human labels. `weight` is PPI++'s lambda: how far the judge is used."""

    value: Estimate
    labelled: int
    unlabelled: int
    weight: float | None = None


@dataclass(frozen=True)
class Ratings:
    """Log-strengths of the items (mean 0), in the order of the items.

    `tie` is Davidson's nu, `first` the log-odds that being shown first adds; None where not
    fitted. `groups` are the strongly connected parts of the win graph: with more than one, no
    maximum likelihood estimate exists, and strengths of different groups rest on the ridge alone.
    `better` holds (i, j) where i is surely stronger than j, at 95 % for all of them together.
    """

    strengths: tuple[Estimate, ...]
    tie: float | None
    first: float | None
    groups: tuple[tuple[int, ...], ...]
    method: str
    better: tuple[tuple[int, int], ...] = ()
