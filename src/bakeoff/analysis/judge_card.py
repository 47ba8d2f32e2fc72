"""The card of each judge of a pair: its own win rate, its reliability and its cost."""

from collections.abc import Sequence

import numpy as np

from bakeoff.analysis.agreement import rater_agreement, repeat_agreement
from bakeoff.analysis.bias import longer_wins, order_bias
from bakeoff.analysis.deciding_rate import deciding_rate
from bakeoff.analysis.findings import interval_outcome
from bakeoff.analysis.judgment_table import JudgmentTable, dense_codes, joint_codes
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Failure, JudgeCard
from bakeoff.stats.arrays import Values
from bakeoff.stats.intervals import proportion
from bakeoff.stats.results import Estimate


def judge_cards(data: PairData, panel_rate: Estimate, lengths: Values) -> list[JudgeCard]:
    """A card for each judge with any judgment.

    `panel_rate` is the win rate of all judges together, `lengths` the result of
    `length_differences`.
    """
    return [_card(data, judge, lengths, panel_rate) for judge in data.judges]


def _card(data: PairData, judge: str, lengths: Values, panel_rate: Estimate) -> JudgeCard:
    table, judgments = data.table_of(judge), data.judgment_table.for_judge(judge)
    rate, margin = _rate(data, judgments), data.margin / 100
    longer = longer_wins(table, lengths)
    consistency = table.known_consistency
    panel = len(data.judges) > 1
    others = data.table_without(judge) if panel else table
    other_judgments = data.judgment_table.take(
        data.judgment_table.judge != data.judges.index(judge)
    )
    without = _rate(data, other_judgments) if panel else None
    return JudgeCard(
        judge=judge,
        win_rate=rate,
        outcome=interval_outcome(rate, margin),
        **_counts(
            judgments, [failure for failure in data.failures if failure.participant == judge]
        ),
        consistency=proportion(int(consistency.sum()), len(consistency)),
        first_wins=order_bias(judgments).pick_first,
        longer_wins=longer.more_wins if longer else None,
        repeat_agreement=repeat_agreement(data, judge),
        panel_agreement=rater_agreement(data, {judge: table, "the others": others})
        if panel
        else None,
        human_agreement=rater_agreement(data, {judge: table, "people": data.people_table})
        if data.labels
        else None,
        opposes_panel=(rate.estimate - 0.5) * (panel_rate.estimate - 0.5) < 0,
        win_rate_without=without,
        outcome_without=interval_outcome(without, margin) if without else None,
        snapshots=data.snapshots.get(judge, ()),
        cost=_cost_per_100_pairs(judgments),
    )


def _rate(data: PairData, judgments: JudgmentTable) -> Estimate:
    """The deciding win rate of some of the judges."""
    return deciding_rate(data.order_design_of(judgments), data.inference).rate


def _counts(judgments: JudgmentTable, failures: Sequence[Failure]) -> dict[str, int]:
    return {
        "asked": len(judgments) + len(failures),
        "judged": len(judgments),
        "failed": len(failures),
        "unreadable": sum(failure.kind == "verdict" for failure in failures),
        "refused": sum(failure.kind == "refused" for failure in failures),
        "retried": int(judgments.retried.sum()),
        "scored": int(judgments.scored.sum()),
        "contradicted": int(judgments.contradictory.sum()),
        "truncated": int(judgments.shortened.sum()),
    }


def _cost_per_100_pairs(judgments: JudgmentTable) -> float | None:
    if np.isnan(judgments.cost).any():
        return None
    pairs = len(np.unique(joint_codes(judgments.prompt, dense_codes(judgments.sample))))
    return float(100 * sum(judgments.cost.tolist()) / pairs)
