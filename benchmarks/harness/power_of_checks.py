"""Verdicts with and without the checks, on evaluations without any bias."""

import time
import zlib
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.summarize import summarize
from bakeoff.analysis.verdict import interval_outcome
from harness.evidence_draft import EvidenceDraft
from harness.simulated_judge import Judge

SIZES, RATES = (50, 200, 800), (0.56, 0.62, 0.7)
TIES = 0.2


class Decision(NamedTuple):
    """The outcomes for the better model of one evaluation."""

    alone: str
    """Of the interval alone."""
    verdict: str
    """With all checks."""
    reasons: tuple[str, ...]
    seconds: float
    """Of `summarize`."""


def decide_case(n: int, rate: float, number: int) -> Decision:
    """The decisions on one evaluation: both orders, similar completions, 20 % ties."""
    rng = np.random.default_rng((zlib.crc32(b"power"), n, round(100 * rate), number))
    draft = EvidenceDraft(rng)
    draft.add_prompts(n)
    draft.add_similar_completions()
    judge = Judge(rate, ties=TIES)
    differences = judge.differences(rng, n)
    for side in (True, False):
        draft.add_judgments(judge.verdicts(rng, differences, side), side)
    evidence = draft.evidence()
    started = time.perf_counter()
    pair = summarize(evidence).pairs[0]
    seconds = time.perf_counter() - started
    assert pair.win_rate is not None
    outcomes: list[str] = [interval_outcome(pair.win_rate, pair.margin / 100), pair.outcome]
    if pair.a != draft.a:
        swapped = {"better": "worse", "worse": "better"}
        outcomes = [swapped.get(outcome, outcome) for outcome in outcomes]
    reasons = tuple(reason.kind for reason in pair.reasons)
    return Decision(outcomes[0], outcomes[1], reasons, seconds)
