"""The verdict: what the interval allows to say, unless a gate forbids it; and the sentence."""

from bakeoff.analysis.checks import FEWEST, WEAKENS, Case, reasons, units
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import Flag, Outcome, PairSummary
from bakeoff.stats.results import Estimate


def decide(pair: PairSummary, trial: Trial) -> PairSummary:
    """The pair with its outcome, the sentence that says it, and the reasons against more."""
    if pair.win_rate is None:
        return pair.model_copy(update={"verdict": "Not enough data: nothing was judged"})
    plain = outcome_of(pair.win_rate, pair.margin / 100)
    why = reasons(Case(pair, trial, plain))
    hard = [reason for reason in why if reason.kind not in WEAKENS]
    outcome: Outcome = "withheld" if hard else "not enough data" if why else plain
    flags = tuple(Flag(about=trial.name, **reason._asdict()) for reason in why)
    told = pair.model_copy(update={"outcome": outcome, "reasons": flags})
    if hard:
        sentence = "Verdict withheld: " + "; ".join(reason.message for reason in hard)
    else:
        sentence = _sentence(told, pair.win_rate, plain)
    return told.model_copy(update={"verdict": sentence})


def outcome_of(rate: Estimate, margin: float) -> Outcome:
    """What the interval says by itself, against a half and the margin (a share)."""
    low, high = rate.low, rate.high
    if low > 0.5:
        return "better"
    if high < 0.5:
        return "worse"
    return "equivalent" if 0.5 - margin <= low and high <= 0.5 + margin else "not enough data"


def _sentence(pair: PairSummary, rate: Estimate, plain: Outcome) -> str:
    interval = f"95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %"
    if pair.outcome in ("better", "worse"):
        better, worse = (pair.a, pair.b) if pair.outcome == "better" else (pair.b, pair.a)
        share, edge = rate.estimate, max(rate.high - 0.5, 0.5 - rate.low)
        if pair.outcome == "worse":
            share = 1 - share
            interval = f"95 % interval {100 * (1 - rate.high):.1f} to {100 * (1 - rate.low):.1f} %"
        small = f", by less than the margin of {pair.margin:g} points" * (edge < pair.margin / 100)
        return f"{better} is better than {worse}: it wins {100 * share:.1f} % ({interval}){small}"
    if pair.outcome == "equivalent":
        if pair.ties == pair.prompts:
            return f"No difference: every one of {pair.prompts} prompts is a tie ({interval})"
        return f"No difference: the win rate is within {pair.margin:g} points of 50 % ({interval})"
    return f"Not enough data: {_lacking(pair, plain, interval)}"


def _lacking(pair: PairSummary, plain: Outcome, interval: str) -> str:
    soft = "; ".join(reason.message for reason in pair.reasons)
    why = soft or f"the win rate may be on either side of 50 % ({interval})"
    more = pair.power.more if pair.power else None
    few = max(0, FEWEST - units(pair))
    if plain in ("better", "worse"):
        return f"{why}; about {few} more prompts are the least" if few else why
    if more is None:
        return f"{why}; no number of prompts that one could judge would settle it"
    return f"{why}; about {max(1, few, more):,} more prompts would settle it"
