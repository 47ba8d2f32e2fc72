"""A simulated evaluation with its truth, and the measurement of a class of them."""

import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Summary
from harness.evaluation_texts import Generator
from harness.evidence_draft import EvidenceDraft
from harness.false_statements import Truth, contradicts_itself, false_statements


class Knobs(NamedTuple):
    """How much is planted."""

    bias: float = 1.0
    """Multiplies the size of the bias; 0 plants none."""
    difference: float = 0.0
    """Points of win rate by which the model that the bias harms is truly better."""

    @property
    def rate(self) -> float:
        """The true win rate of the model that the bias favors."""
        return 0.5 - self.difference / 100


class Case(NamedTuple):
    """One evaluation."""

    evidence: Evidence | None
    """None: the importer refused the file, so there is no statement."""
    truth: Truth
    variant: str = ""
    """The construction within its class."""
    other_order: Evidence | None = None
    """The same file with its lines in another order, which must not change a number."""


class Result(NamedTuple):
    """What the summary of one case states."""

    variant: str
    false: frozenset[str]
    """Kinds of false statements."""
    contradiction: bool
    """A pair's interval and its test disagree."""
    outcome: str
    """Outcome of the first pair, or `refused`."""
    reasons: tuple[str, ...]
    """Kinds of findings against its verdict."""
    lost: bool
    """The true winner of the first pair is not named."""
    seconds: float
    """Of `summarize`."""
    more: int | None = None
    """The number of further prompts that the power analysis advises."""


_UNITS = {
    "false": "a false statement",
    "lost": "the true winner is not named",
    "contradictions": "the interval contradicts its test",
}

Builder = Callable[[Generator, Knobs], Case]


class VerdictClass(NamedTuple):
    """A class of evaluations: what could make a verdict false, or withhold a true one."""

    name: str
    build: Builder | None
    measures: str = "false"
    """`false`: the share of false statements; `lost`: that of true winners not named;
    `contradictions`: that of intervals that contradict their test."""
    play: Callable[[Generator, Knobs], Result] | None = None
    """Makes several looks instead of one."""

    @property
    def unit(self) -> str:
        """What `is_bad` counts, in words."""
        return _UNITS[self.measures]

    def is_bad(self, result: Result) -> bool:
        """Whether the result is what the class measures."""
        if self.measures == "lost":
            return result.lost
        if self.measures == "contradictions":
            return result.contradiction
        return bool(result.false)

    def measure(self, number: int, knobs: Knobs) -> Result:
        """The result of the case with this number, which is its seed."""
        rng = np.random.default_rng((_seed(self.name), number))
        if self.build is None:
            assert self.play is not None
            return self.play(rng, knobs)
        return result_of(self.build(rng, knobs))


def _seed(name: str) -> int:
    return zlib.crc32(name.encode())


def result_of(case: Case) -> Result:
    """Summarize one case and compare with the truth."""
    if case.evidence is None:
        return Result(case.variant, frozenset(), False, "refused", (), True, 0.0)
    started = time.perf_counter()
    summary = summarize(case.evidence)
    seconds = time.perf_counter() - started
    if not summary.pairs:
        return Result(case.variant, frozenset(), False, "no pair", (), True, seconds)
    false = false_statements(summary, case.truth)
    if case.other_order is not None and _rates(summarize(case.other_order)) != _rates(summary):
        false |= {"line order"}
    pair = summary.pairs[0]
    rate = case.truth.rate(pair.a, pair.b)
    winner = "better" if rate > 0.5 else "worse"
    return Result(
        variant=case.variant,
        false=false,
        contradiction=any(map(contradicts_itself, summary.pairs)),
        outcome=pair.outcome,
        reasons=tuple(reason.kind for reason in pair.reasons),
        lost=pair.outcome != winner,
        seconds=seconds,
        more=pair.power.more if pair.power else None,
    )


def _rates(summary: Summary) -> dict[frozenset[str], list[float]]:
    """The win rate and its bounds of each pair, as of the first model by name."""
    rates = {}
    for pair in summary.pairs:
        if pair.win_rate is not None:
            row = [pair.win_rate.estimate, pair.win_rate.low, pair.win_rate.high]
            swapped = [1 - row[0], 1 - row[2], 1 - row[1]]
            rates[frozenset((pair.a, pair.b))] = np.round(
                row if pair.a < pair.b else swapped, 9
            ).tolist()
    return rates


def pair_truth(draft: EvidenceDraft, rate: float) -> Truth:
    """The truth that the first model of the draft wins at this rate against the second."""
    half = (rate - 0.5) / 2
    return Truth({draft.a: half, draft.b: -half})


def equal_truth(draft: EvidenceDraft) -> Truth:
    """The truth that all models of the draft are equal."""
    return Truth(dict.fromkeys(draft.models, 0.0))


def size(rng: Generator, low: int = 40, high: int = 180) -> int:
    """A number of prompts, log-uniform."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def pick(rng: Generator, *options: str) -> str:
    """One of the variants, uniformly."""
    return options[int(rng.integers(len(options)))]
