"""The verdict on a pair: the outcome of its interval, unless a check withholds or weakens it."""

from dataclasses import replace
from typing import NamedTuple

from bakeoff.analysis.checks import WEAKENING, WITHOUT_JUDGES, run_checks
from bakeoff.analysis.findings import CheckInput, Finding, interval_outcome, unit_count
from bakeoff.analysis.pair_data import PairData
from bakeoff.analysis.sample_checks import MIN_PROMPTS
from bakeoff.records import Outcome, PairSummary
from bakeoff.stats.power import MAX_ADVISED
from bakeoff.stats.results import Estimate


class VerdictDecision(NamedTuple):
    """The outcome, a sentence that states it, and the findings of the checks."""

    outcome: Outcome
    sentence: str
    reasons: tuple[Finding, ...] = ()
    """The findings that withhold or weaken the verdict."""
    overridden: tuple[Finding, ...] = ()
    """The findings about judges, if people decide: labels correct any judge."""


def decide(pair: PairSummary, data: PairData) -> VerdictDecision:
    """The verdict on a pair, from its statistics and the checks."""
    if pair.win_rate is None:
        return VerdictDecision("not enough data", "Not enough data: nothing was judged")
    outcome = interval_outcome(pair.win_rate, pair.margin / 100)
    findings, overridden = run_checks(CheckInput(pair, data, outcome)), []
    if pair.judges_win_rate:
        overridden = [finding for finding in findings if finding.kind not in WITHOUT_JUDGES]
    reasons = tuple(finding for finding in findings if finding not in overridden)
    withholding = [reason for reason in reasons if reason.kind not in WEAKENING]
    if withholding:
        sentence = "Verdict withheld: " + "; ".join(reason.message for reason in withholding)
        return VerdictDecision("withheld", sentence, reasons, tuple(overridden))
    if reasons:
        sentence = _not_enough_data(pair, pair.win_rate, outcome, reasons, data.look)
        return VerdictDecision("not enough data", sentence, reasons, tuple(overridden))
    sentence = _sentence(pair, pair.win_rate, outcome, data.look)
    return VerdictDecision(outcome, sentence, overridden=tuple(overridden))


def _sentence(pair: PairSummary, rate: Estimate, outcome: Outcome, look: str | None) -> str:
    interval = _interval(rate, look)
    if outcome in ("better", "worse"):
        better, worse = (pair.a, pair.b) if outcome == "better" else (pair.b, pair.a)
        share, distance = rate.estimate, max(rate.high - 0.5, 0.5 - rate.low)
        if outcome == "worse":
            share = 1 - share
            interval = _interval(replace(rate, low=1 - rate.high, high=1 - rate.low), look)
        within = distance < pair.margin / 100
        small = f", by less than the margin of {pair.margin:g} points" if within else ""
        people = ""
        if pair.judges_win_rate and pair.people:
            people = f", corrected by {pair.people.prompts} labels of people"
        wins = f"it wins {100 * share:.1f} %{people} ({interval})"
        return f"{better} is better than {worse}: {wins}{small}"
    if outcome == "equivalent":
        if pair.ties == pair.prompts:
            return f"No difference: every one of {pair.prompts} prompts is a tie ({interval})"
        return f"No difference: the win rate is within {pair.margin:g} points of 50 % ({interval})"
    return _not_enough_data(pair, rate, outcome, (), look)


def _interval(rate: Estimate, look: str | None) -> str:
    label = f", {look}" if look else ""
    return (
        f"{100 * rate.level:.3g} % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %{label}"
    )


def _not_enough_data(
    pair: PairSummary,
    rate: Estimate,
    outcome: Outcome,
    reasons: tuple[Finding, ...],
    look: str | None,
) -> str:
    reason = "; ".join(reason.message for reason in reasons) or (
        f"the win rate may be on either side of 50 % ({_interval(rate, look)})"
    )
    if pair.judges_win_rate:
        return f"Not enough data: {reason}{_labels_advice(pair)}"
    more = pair.power.more if pair.power else None
    missing = max(0, MIN_PROMPTS - unit_count(pair))
    if outcome in ("better", "worse"):
        advice = f"; at least {_count(missing)} are missing" if missing else ""
    elif more is None:
        advice = f"; too close to tell apart: it would take more than {MAX_ADVISED:,} prompts"
    else:
        advice = f"; about {_count(max(1, missing, more))} would settle it"
    return f"Not enough data: {reason}{advice}"


def _count(prompts: int) -> str:
    return "1 more prompt" if prompts == 1 else f"{prompts:,} more prompts"


def _labels_advice(pair: PairSummary) -> str:
    needed = pair.people.labels_needed if pair.people else None
    return f"; about {needed:,} more labels would settle it" if needed else ""
