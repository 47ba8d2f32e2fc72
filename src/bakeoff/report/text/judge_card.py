"""The judge card as lines of text: how far the numbers beside it can be trusted."""

from collections.abc import Sequence

from bakeoff.records import Agreement, JudgeCard, NullCheck, PairSummary
from bakeoff.stats.results import Estimate

_SAID = {"better": "model 1 is better", "worse": "model 2 is better", "equivalent": "no difference"}


def percent(share: float | None) -> str:
    """A share as `72.0%`."""
    return "not known" if share is None else f"{100 * share:.1f}%"


def interval(estimate: Estimate | None) -> str:
    """A share with its 95 % interval."""
    if estimate is None:
        return "not known"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.estimate:.1f}% [95%: {low:.1f} to {high:.1f}]"


def agreement_line(agreement: Agreement) -> str:
    """How far the raters agree: the share, and each coefficient that is known."""
    names = {
        "Cohen's kappa": agreement.cohen,
        "Fleiss' kappa": agreement.fleiss,
        "AC1": agreement.ac1,
        "alpha": agreement.alpha,
    }
    shown = ", ".join(f"{name} {e.estimate:.2f}" for name, e in names.items() if e)
    who = " and ".join(agreement.raters)
    if len(agreement.raters) > 2:
        who = f"{len(agreement.raters)} raters ({agreement.raters[0]}, ...)"
    return f"Agreement of {who}: {percent(agreement.share)}" + (f"; {shown}" if shown else "")


def trust(pair: PairSummary, checks: Sequence[NullCheck]) -> list[str]:
    """What is known of the judge, or of the panel and of each judge in it."""
    lines = _leanings(pair)
    for card in pair.judges:
        lines += _alone(card) if len(pair.judges) == 1 else _member(card)
    lines += [agreement_line(agreement) for agreement in pair.agreement]
    lines += [line for check in checks for line in _null(check)]
    asked = pair.accounting
    lines.append(f"Verdicts: {asked.asked} asked = {asked.judged} judged + {asked.failed} failed")
    if asked.failed and asked.worst_case:
        low, high = asked.worst_case
        kinds = ", ".join(f"{count} {kind}" for kind, count in asked.failed_by_kind.items())
        lines.append(
            f"Had all that failed ({kinds}) gone one way: {100 * low:.1f} to {100 * high:.1f}%"
        )
    return lines


def people(pair: PairSummary) -> list[str]:
    """What people say, and the win rate that their labels correct."""
    found = pair.people
    if found is None:
        return []
    lines = [
        f"{', '.join(found.voters)} on {found.prompts} prompts, model 1: {interval(found.win_rate)}"
    ]
    if found.judge_agreement:
        lines.append(agreement_line(found.judge_agreement))
    if found.voter_agreement:
        lines.append(agreement_line(found.voter_agreement))
    if found.corrected:
        lines.append(f"Win rate corrected by people: {interval(found.corrected.value)}, PPI++")
        lines.append(_labels(found.labels_needed))
    else:
        lines.append(
            "Win rate corrected by people: none, it needs labels of some prompts that were drawn "
            "at random"
        )
    return lines


def _labels(more: int | None) -> str:
    if more is None:
        return "More labels of these prompts would not settle it: more prompts might"
    return f"About {more} more labels would settle it" if more else "More labels are not needed"


def _leanings(pair: PairSummary) -> list[str]:
    order = pair.order
    lines = []
    if pair.consistency is not None:
        lines.append(
            f"Same winner in both orders: {percent(pair.consistency)}; "
            f"opposite winners: {percent(pair.flipped)}"
        )
    if order.identified == "order-free":
        lines.append("Each completion was judged alone: there is no order")
    elif order.pick_first is None:
        lines.append(f"The completion shown first won: not identifiable ({order.identified})")
    else:
        lines.append(f"The completion shown first won: {interval(order.pick_first)}")
    if pair.length and pair.length.tilt.more_wins:
        lines.append(f"The longer completion won: {interval(pair.length.tilt.more_wins)}")
        if pair.length.controlled:
            lines.append(f"Model 1 at equal length: {interval(pair.length.controlled)}")
    if pair.markdown and pair.markdown.more_wins:
        lines.append(f"The one with more markdown won: {interval(pair.markdown.more_wins)}")
    leaks = pair.thinking
    if leaks and leaks.rate_only_a and leaks.rate_only_b:
        lines.append(
            f"Model 1 where only it shows thinking: {percent(leaks.rate_only_a.estimate)} "
            f"(n = {leaks.only_a}), where only model 2 does: "
            f"{percent(leaks.rate_only_b.estimate)} (n = {leaks.only_b})"
        )
    return lines


def _alone(card: JudgeCard) -> list[str]:
    return [_troubles(card), _price(card)]


def _member(card: JudgeCard) -> list[str]:
    """A judge of a panel."""
    told = [
        f"same winner in both orders {percent(card.consistency.estimate)}"
        if card.consistency
        else "",
        f"shown first won {percent(card.first_wins.estimate)}" if card.first_wins else "",
        f"longer won {percent(card.longer_wins.estimate)}" if card.longer_wins else "",
        f"agrees with the others {percent(card.panel_agreement.share)}"
        if card.panel_agreement
        else "",
        f"with people {percent(card.human_agreement.share)}" if card.human_agreement else "",
    ]
    against = ", against the panel" * card.opposes_panel
    lines = [
        f"{card.judge} alone: {interval(card.win_rate)}: {_said(card.outcome)}{against}",
        *([f"{card.judge}: {', '.join(filter(None, told))}"] if any(told) else []),
        f"{card.judge}: {_troubles(card)}; {_price(card)}",
    ]
    if card.win_rate_without and card.outcome_without:
        lines.append(
            f"Without {card.judge}: {interval(card.win_rate_without)}: "
            f"{_said(card.outcome_without)}"
        )
    return lines


def _troubles(card: JudgeCard) -> str:
    against = f"Winner against its own scores: {_of(card.contradicted, card.scored)}"
    parts = [against] if card.scored else []  # without scores there is nothing to be at odds with
    parts.append(f"{'u' if parts else 'U'}nreadable: {_of(card.unreadable, card.asked)}")
    parts += [f"read when asked again: {card.retried}"] if card.retried else []
    parts.append(f"refused: {card.refused}")
    parts += [f"completions shortened: {card.truncated}"] if card.truncated else []
    return ", ".join(parts)


def _price(card: JudgeCard) -> str:
    if card.cost is None:
        return "Cost: no price is known"
    return f"Cost: {card.cost:.2f} US dollars for 100 pairs"


def _null(check: NullCheck) -> list[str]:
    low, high = (100 * edge for edge in check.band)
    inside = check.band[0] <= check.win_rate.estimate <= check.band[1]
    lines = [
        f"Null check of {check.judge}: of two completions by {check.model} ({check.prompts} "
        f"prompts) the first draw won {percent(check.win_rate.estimate)}; a fair judge stays "
        f"within {low:.1f} to {high:.1f}%: {'it does' if inside else 'IT DOES NOT'}"
    ]
    if check.decided is not None:
        lines.append(
            f"Null check of {check.judge}: it named one of the two in both orders for "
            f"{percent(check.decided)}"
        )
    if check.first_wins:
        lines.append(f"Null check of {check.judge}: shown first won {interval(check.first_wins)}")
    return lines


def _said(outcome: str) -> str:
    return _SAID.get(outcome, outcome)


def _of(count: int, total: int) -> str:
    return f"{count} of {total}"
