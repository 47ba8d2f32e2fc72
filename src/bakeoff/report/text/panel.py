"""The judges of a panel side by side: what each says alone, and how far it can be trusted."""

from collections.abc import Callable

from bakeoff.records import JudgeCard, PairSummary
from bakeoff.report.text.judge_card import interval, percent
from bakeoff.report.text.verdict import standing
from bakeoff.stats.results import Estimate

_Cell = Callable[[JudgeCard], str]


def panel(pair: PairSummary) -> list[tuple[str, list[str]]]:
    """What is told, and what of each judge, in the order of `pair.judges`; of one judge nothing.

    What is known of no judge is left out; what is not known of one is empty.
    """
    if len(pair.judges) < 2:
        return []
    rows = [(about, [cell(card) for card in pair.judges]) for about, cell in _ROWS.items()]
    return [row for row in rows if any(row[1])]


def _without(card: JudgeCard) -> str:
    if card.win_rate_without is None or card.outcome_without is None:
        return ""
    return f"{interval(card.win_rate_without)}: {standing(card.outcome_without).lower()}"


def _share(estimate: Estimate | None) -> str:
    return percent(estimate.estimate) if estimate else ""


_ROWS: dict[str, _Cell] = {
    "Win rate of model 1": lambda card: interval(card.win_rate),
    "Alone it would say": lambda card: (
        standing(card.outcome).lower() + ", against the panel" * card.opposes_panel
    ),
    "The panel without it": _without,
    "Same winner in both orders": lambda card: _share(card.consistency),
    "The completion shown first won": lambda card: _share(card.first_wins),
    "The longer completion won": lambda card: _share(card.longer_wins),
    "Agrees with the other judges": lambda card: (
        percent(card.panel_agreement.share) if card.panel_agreement else ""
    ),
    "Agrees with people": lambda card: (
        percent(card.human_agreement.share) if card.human_agreement else ""
    ),
    "Winner against its own scores": lambda card: (
        f"{card.contradicted} of {card.scored}" if card.scored else ""
    ),
    "Unreadable": lambda card: f"{card.unreadable} of {card.asked}",
    "Refused": lambda card: f"{card.refused} of {card.asked}",
    "Completions shortened": lambda card: f"{card.truncated} of {card.judged}",
    "Snapshots": lambda card: ", ".join(card.snapshots),
    "US dollars for 100 pairs": lambda card: "" if card.cost is None else f"{card.cost:.2f}",
}
