"""A verdict in the words around it: what it is called, and what would change it."""

import math
from bisect import bisect_left

import numpy as np

from bakeoff.records import Outcome, PairSummary
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.results import Estimate

_CALLED: dict[Outcome, str] = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "No difference",
    "not enough data": "Not enough data",
    "withheld": "Withheld",
}


def standing(outcome: Outcome) -> str:
    """An outcome in a word or three."""
    return _CALLED[outcome]


def would_change(pair: PairSummary) -> list[str]:
    """What it would take to another verdict: what to do where there is none, and how much would
    have to be otherwise where there is one.
    """
    if pair.win_rate is None:
        return ["Judge some prompts."]
    lines = list(dict.fromkeys(_sentence(reason.action) for reason in pair.reasons))
    if pair.outcome in ("better", "worse"):
        lines += _undone(pair)
    elif pair.outcome == "equivalent":
        width = 100 * max(pair.win_rate.high - 0.5, 0.5 - pair.win_rate.low)
        lines.append(f"A margin below {width:.1f} points would leave it open.")
    elif pair.outcome == "not enough data" and not lines:
        lines += _lacking(pair)
    return lines


def _undone(pair: PairSummary) -> list[str]:
    rate = pair.win_rate
    if rate is None:
        return []
    turned = _turned(pair, rate)
    winner = pair.a if pair.outcome == "better" else pair.b
    won = "One prompt" if turned == 1 else f"About {turned:,} of the prompts"
    lines = [f"{won} that it won, decided against {winner}, would undo it."]
    hangs = [c.judge for c in pair.judges if c.outcome_without not in (None, pair.outcome)]
    lines += [f"Without {judge} it would not be said." for judge in hangs]
    return lines


def _turned(pair: PairSummary, rate: Estimate) -> int:
    """How many prompts, decided the other way, bring 50 % into the interval: exactly where all
    prompts are won, lost or tied; about, with the present width, where they are averages.
    """
    counts = (pair.wins, pair.losses) if pair.outcome == "better" else (pair.losses, pair.wins)
    edge = max(rate.low - 0.5, 0.5 - rate.high)
    whole = (counts[0] + pair.ties / 2) / pair.prompts

    def low(turned: int) -> float:
        left = (counts[0] - turned, pair.ties, counts[1] + turned)
        return win_rate(np.repeat([1.0, 0.5, 0.0], left)).low

    def undone(turned: int) -> bool:
        return low(turned) <= 0.5

    plain = abs(whole - max(rate.estimate, 1 - rate.estimate)) < 1e-9
    if pair.clusters or not plain or abs(low(0) - 0.5 - edge) > 1e-9:  # an interval of another kind
        return math.floor(edge * pair.prompts) + 1

    return bisect_left(range(counts[0] + 1), True, key=undone)


def _lacking(pair: PairSummary) -> list[str]:
    more = pair.power.more if pair.power else None
    if more is None:
        return ["No number of prompts that one could judge would settle it: the two are too close."]
    return [f"About {more:,} more prompts would settle it, if the win rate stays as it is."]


def _sentence(action: str) -> str:
    return f"{action[0].upper()}{action[1:]}." if action else action
