"""The card of each judge of a pair: what it says alone, how it came to that, what it costs.

Knows one pair of models at a time; how the panel decides is elsewhere.
"""

from collections.abc import Sequence

import numpy as np

from bakeoff.analysis.bias import longer_of, order_of
from bakeoff.analysis.columns import Columns, Values, dense, joint
from bakeoff.analysis.pair_data import Trial
from bakeoff.analysis.panel import between, repeats_of
from bakeoff.analysis.verdict import outcome_of
from bakeoff.records import Failure, JudgeCard
from bakeoff.stats.intervals import proportion
from bakeoff.stats.results import Estimate


def cards_of(trial: Trial, rate: Estimate, lengths: Values) -> list[JudgeCard]:
    """A card for each judge that judged anything; `rate` is the panel's win rate, `lengths` are how
    much longer a is on each prompt.
    """
    cards = [_card(trial, judge, lengths, rate) for judge in trial.judges]
    return cards if len(cards) == 1 else [_in_panel(card, trial) for card in cards]


def _card(trial: Trial, judge: str, lengths: Values, rate: Estimate) -> JudgeCard:
    alone, columns = trial.alone_of(judge), trial.columns.of(judge)
    own = trial.rate(alone)
    longer = longer_of(alone, lengths)
    return JudgeCard(
        judge=judge,
        win_rate=own,
        outcome=outcome_of(own, trial.margin / 100),
        **_counts(columns, [failure for failure in trial.failures if failure.participant == judge]),
        consistency=proportion(int(alone.told.sum()), len(alone.told)),
        first_wins=order_of(columns).pick_first,
        longer_wins=longer.more_wins if longer else None,
        repeat_agreement=repeats_of(trial, judge),
        human_agreement=between(trial, {judge: alone, "people": trial.voted})
        if trial.labels
        else None,
        opposes_panel=(own.estimate - 0.5) * (rate.estimate - 0.5) < 0,
        snapshots=trial.snapshots.get(judge, ()),
        cost=_cost(columns),
    )


def _in_panel(card: JudgeCard, trial: Trial) -> JudgeCard:
    """The card with what only several judges can tell."""
    others = trial.without(card.judge)
    without = trial.rate(others)
    raters = {card.judge: trial.alone_of(card.judge), "the others": others}
    return card.model_copy(
        update={
            "panel_agreement": between(trial, raters),
            "win_rate_without": without,
            "outcome_without": outcome_of(without, trial.margin / 100),
        }
    )


def _counts(columns: Columns, failures: Sequence[Failure]) -> dict[str, int]:
    return {
        "asked": len(columns) + len(failures),
        "judged": len(columns),
        "failed": len(failures),
        "unreadable": sum(failure.kind == "verdict" for failure in failures),
        "refused": sum(failure.kind == "refused" for failure in failures),
        "retried": int(columns.mended.sum()),
        "scored": int(columns.scored.sum()),
        "contradicted": int(columns.odd.sum()),
        "truncated": int(columns.shortened.sum()),
    }


def _cost(columns: Columns) -> float | None:
    if np.isnan(columns.cost).any():
        return None
    pairs = len(np.unique(joint(columns.prompt, dense(columns.sample))))
    return float(100 * sum(columns.cost.tolist()) / pairs)
