"""The verdict line of a pair, the label of its outcome, and what would change the verdict.

`analysis/verdict.py` decides the verdict and words its sentence.
"""

from bakeoff.records import Outcome, PairSummary

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
    """The verdict line, what would overturn it, and what to do about each reason against it."""
    actions = dict.fromkeys(reason.action for reason in pair.reasons)
    return [
        pair.verdict,
        *sensitivity_lines(pair),
        *(f"What to do: {action}" for action in actions),
    ]


def sensitivity_lines(pair: PairSummary) -> list[str]:
    """A sentence on the bias of the judges, and the number of prompts, that overturn a verdict."""
    sensitivity = pair.sensitivity
    if sensitivity is None:
        return []
    winner = {"better": pair.a, "worse": pair.b}.get(pair.outcome, "either model")
    judges = "The judge" if len(pair.judges) == 1 else "The judges"
    bias = f"{judges} would have to favor {winner} by {100 * sensitivity.bias:.1f} points"
    if pair.judges_win_rate:
        bias = f"The labels would have to be wrong by {100 * sensitivity.bias:.1f} points"
    count = sensitivity.prompts
    prompts = "" if count is None else f", or {count:,} prompts be decided the other way"
    if count == 1:
        prompts = ", or 1 prompt be decided the other way"
    return [f"{bias}{prompts}, to overturn this"]


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
    lines = [f"{line}." for line in sensitivity_lines(pair)]
    decisive = [c.judge for c in pair.judges if c.outcome_without not in (None, pair.outcome)]
    lines += [f"Without {judge} it would not be said." for judge in decisive]
    return lines


def _missing_prompts(pair: PairSummary) -> list[str]:
    more = pair.power.more if pair.power else None
    if more is None:
        return ["The models are too close to tell apart: it would take more than 20,000 prompts."]
    return [f"About {more:,} more prompts would settle it, if the win rate stays as it is."]


def _sentence(action: str) -> str:
    return f"{action[0].upper()}{action[1:]}." if action else action
