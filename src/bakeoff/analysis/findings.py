"""A finding of a check, and the input of the checks of a pair."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Flag, Outcome, PairSummary
from bakeoff.stats.results import Estimate


class Finding(NamedTuple):
    """A problem of a pair that a check found; the fields are those of `Flag`."""

    kind: str
    value: float
    message: str
    action: str

    def to_flag(self, about: str) -> Flag:
        """The finding as a record about a model or a pair."""
        return Flag(about=about, **self._asdict())


class CheckInput(NamedTuple):
    """The statistics and the data of a pair; `outcome` is that of its interval alone."""

    pair: PairSummary
    data: PairData
    outcome: Outcome


VerdictCheck = Callable[[CheckInput], Iterator[Finding]]


def unit_count(pair: PairSummary) -> int:
    """The number of units that decide: clusters of prompts if there are any, else prompts."""
    return pair.win_rate.n if pair.win_rate else 0


def is_against(outcome: Outcome, towards_a: float) -> bool:
    """Whether a difference with this sign contradicts the outcome."""
    return (outcome == "better" and towards_a < 0) or (outcome == "worse" and towards_a > 0)


def interval_outcome(rate: Estimate, margin: float) -> Outcome:
    """The outcome of the interval alone, compared with 0.5 and with the margin, a share.

    Returns `better`, `worse`, `equivalent` or `not enough data`.
    """
    low, high = rate.low, rate.high
    if low > 0.5:
        return "better"
    if high < 0.5:
        return "worse"
    return "equivalent" if 0.5 - margin <= low and high <= 0.5 + margin else "not enough data"
