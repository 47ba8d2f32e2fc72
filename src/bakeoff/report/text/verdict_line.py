"""The verdict line of a pair, the label of its outcome, and what would change the verdict.

`analysis/verdict.py` decides the verdict and words its sentence.
"""

import math
from bisect import bisect_left

from bakeoff.records import Outcome, PairSummary
from bakeoff.stats.results import Estimate

_LABELS: dict[Outcome, str] = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "No difference",
    "not enough data": "Not enough data",
    "withheld": "Withheld",
}


def outcome_label(outcome: Outcome) -> str:
    """The outcome as a label of one to three words."""
    return _LABELS[outcome]


def verdict_lines(pair: PairSummary) -> list[str]:
    """The verdict line, followed by what to do about each reason that withholds a verdict."""
    actions = dict.fromkeys(reason.action for reason in pair.reasons)
    return [pair.verdict, *(f"What to do: {action}" for action in actions)]


def what_would_change(pair: PairSummary) -> list[str]:
    """Sentences on what would change the verdict.

    Without a verdict they say what to do; with one, how many prompts or which judge decides it.
    """
    if pair.win_rate is None:
        return ["Judge some prompts."]
    lines = list(dict.fromkeys(_sentence(reason.action) for reason in pair.reasons))
    if pair.outcome in ("better", "worse"):
        lines += _overturned_by(pair)
    elif pair.outcome == "equivalent":
        width = 100 * max(pair.win_rate.high - 0.5, 0.5 - pair.win_rate.low)
        lines.append(f"A margin below {width:.1f} points would leave it open.")
    elif pair.outcome == "not enough data" and not lines:
        lines += _missing_prompts(pair)
    return lines


def _overturned_by(pair: PairSummary) -> list[str]:
    rate = pair.win_rate
    if rate is None:
        return []
    flips = _flips_to_overturn(pair, rate)
    winner = pair.a if pair.outcome == "better" else pair.b
    count = "One prompt" if flips == 1 else f"About {flips:,} of the prompts"
    lines = [f"{count} that it won, decided against {winner}, would undo it."]
    decisive = [c.judge for c in pair.judges if c.outcome_without not in (None, pair.outcome)]
    lines += [f"Without {judge} it would not be said." for judge in decisive]
    return lines


def _flips_to_overturn(pair: PairSummary, rate: Estimate) -> int:
    """The number of won prompts that, if lost, bring 50 % into the interval.

    Exact if every prompt is won, lost or tied; if prompts are averages, an estimate that keeps the
    width of the interval.
    """
    import numpy as np  # late: slow to import, and most commands compute no interval

    from bakeoff.stats.intervals import win_rate

    counts = (pair.wins, pair.losses) if pair.outcome == "better" else (pair.losses, pair.wins)
    edge = max(rate.low - 0.5, 0.5 - rate.high)
    share = (counts[0] + pair.ties / 2) / pair.prompts

    def low(flips: int) -> float:
        outcomes = (counts[0] - flips, pair.ties, counts[1] + flips)
        return win_rate(np.repeat([1.0, 0.5, 0.0], outcomes)).low

    def overturns(flips: int) -> bool:
        return low(flips) <= 0.5

    whole_prompts = abs(share - max(rate.estimate, 1 - rate.estimate)) < 1e-9
    other_method = abs(low(0) - 0.5 - edge) > 1e-9
    if pair.clusters or not whole_prompts or other_method:
        return math.floor(edge * pair.prompts) + 1

    return bisect_left(range(counts[0] + 1), True, key=overturns)


def _missing_prompts(pair: PairSummary) -> list[str]:
    more = pair.power.more if pair.power else None
    if more is None:
        return ["No number of prompts that one could judge would settle it: the two are too close."]
    return [f"About {more:,} more prompts would settle it, if the win rate stays as it is."]


def _sentence(action: str) -> str:
    return f"{action[0].upper()}{action[1:]}." if action else action
