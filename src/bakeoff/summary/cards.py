"""The card of each judge of a pair: what it says alone, how it came to that, what it costs.

Knows one pair of models at a time; how the panel decides is elsewhere.
"""

from collections.abc import Sequence

from bakeoff.records import Comparison, Failure, JudgeCard, Judgment
from bakeoff.stats.intervals import proportion, win_rate
from bakeoff.stats.results import Estimate
from bakeoff.summary.leanings import longer_of, order_of
from bakeoff.summary.panel import between, repeats_of
from bakeoff.summary.trial import Trial
from bakeoff.summary.verdict import outcome_of


def cards_of(trial: Trial, rate: Estimate) -> list[JudgeCard]:
    """A card for each judge that judged anything; `rate` is the panel's win rate."""
    margin = trial.margin / 100
    found = []
    for judge in sorted(trial.judges):
        alone = trial.of_judges([judge])
        own = win_rate(alone.values, alone.clusters)
        longer = longer_of(alone)
        card = JudgeCard(
            judge=judge,
            win_rate=own,
            outcome=outcome_of(own, margin),
            **_counts(alone.judgments, alone.failures),
            consistency=_consistency(alone.comparisons),
            first_wins=order_of(alone).pick_first,
            longer_wins=longer.more_wins if longer else None,
            repeats=repeats_of(trial, judge),
            people=between(trial, {judge: alone.comparisons, "people": trial.labelled})
            if trial.labels
            else None,
            against=(own.estimate - 0.5) * (rate.estimate - 0.5) < 0,
            snapshots=snapshots(alone.judgments),
            cost=_cost(alone.judgments),
        )
        found.append(card if len(trial.judges) == 1 else _in_panel(card, trial, alone))
    return found


def snapshots(judgments: Sequence[Judgment]) -> tuple[str, ...]:
    """The names under which a judge's server answered."""
    return tuple(sorted({j.verdict.snapshot for j in judgments if j.verdict.snapshot}))


def _in_panel(card: JudgeCard, trial: Trial, alone: Trial) -> JudgeCard:
    """The card with what only several judges can tell."""
    others = trial.of_judges(set(trial.judges) - {card.judge})
    without = win_rate(others.values, others.clusters)
    return card.model_copy(
        update={
            "others": between(
                trial, {card.judge: alone.comparisons, "the others": others.comparisons}
            ),
            "without": without,
            "outcome_without": outcome_of(without, trial.margin / 100),
        }
    )


def _counts(judgments: Sequence[Judgment], failures: Sequence[Failure]) -> dict[str, int]:
    verdicts = [judgment.verdict for judgment in judgments]
    return {
        "asked": len(judgments) + len(failures),
        "judged": len(judgments),
        "failed": len(failures),
        "unreadable": sum(failure.kind == "verdict" for failure in failures),
        "refused": sum(failure.kind == "refused" for failure in failures),
        "mended": sum(verdict.mended == "unreadable" for verdict in verdicts),
        "scored": sum(verdict.scores is not None for verdict in verdicts),
        "contradicted": sum(verdict.against_scores for verdict in verdicts),
        "shortened": sum(verdict.kept is not None for verdict in verdicts),
    }


def _consistency(comparisons: Sequence[Comparison]) -> Estimate | None:
    told = [c.consistent for c in comparisons if c.consistent is not None]
    return proportion(sum(told), len(told))


def _cost(judgments: Sequence[Judgment]) -> float | None:
    costs = [j.verdict.cost for j in judgments if j.verdict.cost is not None]
    if len(costs) < len(judgments):
        return None
    return 100 * sum(costs) / len({(j.prompt_id, j.sample) for j in judgments})
