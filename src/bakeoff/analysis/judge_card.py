"""The card of each judge of a pair: its own win rate, its reliability and its cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bakeoff.analysis.aggregate import PromptTable
from bakeoff.analysis.agreement import rater_agreement, repeat_agreement
from bakeoff.analysis.bias import longer_wins, order_bias
from bakeoff.analysis.deciding_rate import deciding_rate
from bakeoff.analysis.findings import interval_outcome
from bakeoff.analysis.judgment_table import JudgmentTable, dense_codes, joint_codes
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Failure, JudgeCard
from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.intervals import proportion
from bakeoff.stats.results import Estimate


def judge_cards(data: PairData) -> list[JudgeCard]:
    """A card for each judge with any judgment: its win rate and its counts."""
    return [_card(data, judge) for judge in data.judges]


def complete_cards(data: PairData, cards: Sequence[JudgeCard]) -> list[JudgeCard]:
    """The cards with the reliability and the cost of each judge, and the panel without it."""
    lengths = np.full(len(data.prompt_ids), np.nan)
    texts = data.text_differences
    lengths[data.prompt_table.prompt[texts.rows]] = texts.characters
    return [_complete(data, card, lengths) for card in cards]


def _card(data: PairData, judge: str) -> JudgeCard:
    code = data.judges.index(judge)
    rate = _rate(data, np.array([code]))
    failures = [failure for failure in data.failures if failure.participant == judge]
    return JudgeCard(
        judge=judge,
        win_rate=rate,
        outcome=interval_outcome(rate, data.margin / 100),
        **_counts(data.judgment_table.for_judge(judge), failures),
    )


def _complete(data: PairData, card: JudgeCard, lengths: Values) -> JudgeCard:
    """The card with all fields; `lengths` are differences by index into the prompt ids."""
    judge = card.judge
    table, judgments = data.table_of(judge), data.judgment_table.for_judge(judge)
    longer, consistency = longer_wins(table, lengths), table.known_consistency
    return card.model_copy(
        update={
            "consistency": proportion(int(consistency.sum()), len(consistency)),
            "first_wins": order_bias(judgments).pick_first,
            "longer_wins": longer.more_wins if longer else None,
            "repeat_agreement": repeat_agreement(data, judge),
            "human_agreement": rater_agreement(data, {judge: table, "people": data.people_table})
            if data.labels
            else None,
            "opposes_panel": (card.win_rate.estimate - 0.5) * (data.deciding.rate.estimate - 0.5)
            < 0,
            "snapshots": data.snapshots.get(judge, ()),
            "cost": _cost_per_100_pairs(judgments),
            **(_against_others(data, judge, table) if len(data.judges) > 1 else {}),
        }
    )


def _against_others(data: PairData, judge: str, table: PromptTable) -> dict[str, Any]:
    """The fields of a card that compare the judge with the other ones."""
    without = _rate(data, np.delete(np.arange(len(data.judges)), data.judges.index(judge)))
    return {
        "panel_agreement": rater_agreement(
            data, {judge: table, "the others": data.table_without(judge)}
        ),
        "win_rate_without": without,
        "outcome_without": interval_outcome(without, data.margin / 100),
    }


def _rate(data: PairData, judges: Codes) -> Estimate:
    """The deciding win rate of some of the judges."""
    return deciding_rate(data.order_design.of_judges(judges), data.inference).rate


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
