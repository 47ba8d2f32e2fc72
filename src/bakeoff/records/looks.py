"""Looks at a comparison: finished runs of the same two models and judges, and planned looks."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Self

from pydantic import Field

from bakeoff.records.pair_summary import Outcome
from bakeoff.records.record import Record

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


class PairRecord(Record):
    """A record about two models; their order has no meaning."""

    a: str
    b: str

    def is_about(self, a: str, b: str) -> bool:
        """Return whether the record is about these two models, in either order."""
        return {self.a, self.b} == {a, b}


class Look(PairRecord):
    """A finished run that reported a verdict on two models, made before a run on other prompts."""

    prompts: int = Field(ge=1)
    """Prompts with a verdict."""
    outcome: Outcome
    """The outcome for `a`."""
    time: str
    """When it was reported: ISO 8601, UTC."""


class PlannedLook(PairRecord):
    """The planned look (`--looks`) with which the comparison of two models ended."""

    number: int = Field(ge=1)
    """From 1."""
    looks: int = Field(ge=2)
    """How many looks were planned."""
    alpha: float = Field(gt=0, lt=1)
    """Nominal level of this look (O'Brien-Fleming): the interval has the level 1 - alpha."""


class JudgeDrift(Record):
    """Stored pairs that a judge judged again, as a later run used it beside stored verdicts.

    Each pair has a stored verdict and, if any winner changed, two new ones. Without drift each of
    the three is equally often the one that names another winner than the other two.
    """

    judge: str
    pairs: int = Field(ge=1)
    """Stored pairs that were judged again."""
    changed: int = Field(ge=0)
    """Those where the first new verdict names another winner."""
    mean_change: float = Field(ge=0, le=1)
    """Mean absolute change of the preference, from the stored to the first new verdict."""
    decisive: int = Field(default=0, ge=0)
    """Pairs where exactly one of the three verdicts names another winner than the other two."""
    stored_differs: int = Field(default=0, ge=0)
    """Those of `decisive` where it is the stored verdict: a third of them by chance."""
    p: float = Field(ge=0, le=1)
    """Exact one-sided binomial test of `stored_differs`."""
    snapshots: tuple[str, ...] = ()
    """Model names that the server returned with the stored verdicts."""
    new_snapshots: tuple[str, ...] = ()
    """Model names that the server returned with the new verdicts."""


class Design(Record):
    """The compared pairs, and whether the sample size depended on earlier verdicts."""

    baseline: str | None = None
    """The model that every other model is compared with; None if all pairs are compared."""
    sequential: bool = False
    """The number of prompts of a pair depended on its verdicts; intervals account for that."""
    looks: tuple[Look, ...] = ()
    """Earlier looks at the pairs, oldest first. A pair with one is decided by the confidence
    sequence from the first prompt."""
    planned: tuple[PlannedLook, ...] = ()
    """The planned look with which each pair ended; empty without `--looks`."""
    drifts: tuple[JudgeDrift, ...] = ()
    """Checks of judges whose verdicts are of several runs."""

    def pairs(self, models: Sequence[str]) -> list[tuple[str, str]]:
        """Return the compared pairs, each in the order of `models`."""
        pairs = list(combinations(models, 2))
        return [pair for pair in pairs if self.baseline in pair or self.baseline is None]

    def for_pair(self, a: str, b: str) -> Self:
        """Return the design of one pair: sequential if there were earlier looks at it."""
        looks = tuple(look for look in self.looks if look.is_about(a, b))
        planned = tuple(look for look in self.planned if look.is_about(a, b))
        sequential = self.sequential or bool(looks)
        return self.model_copy(
            update={"sequential": sequential, "looks": looks, "planned": planned}
        )

    def alpha(self, pairs: int) -> float:
        """Return the error rate of the interval of a pair, one of `pairs`, in a `for_pair` design.

        0.05; of a sequential design 0.05 / `pairs`, as p-values that are adjusted at the end are
        not valid with early stopping; of a planned look its nominal level.
        """
        if self.sequential:
            return 0.05 / pairs
        return self.planned[0].alpha if self.planned else 0.05

    def label(self, a: str, b: str) -> str | None:
        """Return the look at a pair in words, such as `second look`; None for the first one."""
        design = self.for_pair(a, b)
        if design.looks:
            return f"{ordinal(len(design.looks) + 1)} look"
        if design.planned:
            return f"planned look {design.planned[0].number} of {design.planned[0].looks}"
        return None


def ordinal(number: int) -> str:
    """Return `first` for 1, `second` for 2, and so on; from 10 on `10th`, `21st`."""
    if 1 <= number <= len(_ORDINALS):
        return _ORDINALS[number - 1]
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 // 10 != 1 else 0, "th")
    return f"{number}{suffix}"


def merged_design(designs: Iterable[Design]) -> Design:
    """Return the design of several results that are read as one evaluation."""
    parts = list(designs)
    baselines = {design.baseline for design in parts}
    looks = dict.fromkeys(look for design in parts for look in design.looks)
    planned = dict.fromkeys(look for design in parts for look in design.planned)
    drifts = dict.fromkeys(drift for design in parts for drift in design.drifts)
    return Design(
        baseline=baselines.pop() if len(baselines) == 1 else None,
        sequential=any(design.sequential for design in parts),
        looks=tuple(sorted(looks, key=lambda look: look.time)),
        planned=tuple(planned),
        drifts=tuple(drifts),
    )
