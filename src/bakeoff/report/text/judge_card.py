"""The judge card as text: biases, agreement and failures of the judges of a pair of models."""

from collections.abc import Callable, Sequence

from bakeoff.records import Agreement, JudgeCard, NullCheck, PairSummary
from bakeoff.report.text.verdict_line import outcome_label
from bakeoff.stats.results import NO_INTERVAL, ControlledRate, Estimate

_OUTCOMES = {
    "better": "model 1 is better",
    "worse": "model 2 is better",
    "equivalent": "no difference",
}


def percent(share: float | None) -> str:
    """A share between 0 and 1 as `72.0%`; None is `not known`."""
    return "not known" if share is None else f"{100 * share:.1f}%"


def interval(estimate: Estimate | None) -> str:
    """A share with its 95 % interval, as `72.0% [95%: 60.1 to 81.3]`; None is `not known`."""
    if estimate is None:
        return "not known"
    if estimate.method == NO_INTERVAL:
        return f"{100 * estimate.estimate:.1f}% [no interval: too few]"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.estimate:.1f}% [{100 * estimate.level:.3g}%: {low:.1f} to {high:.1f}]"


def agreement_line(agreement: Agreement) -> str:
    """The agreement of raters: the share of equal verdicts and each known coefficient."""
    names = {
        "Cohen's kappa": agreement.cohen,
        "Fleiss' kappa": agreement.fleiss,
        "AC1": agreement.ac1,
        "alpha": agreement.alpha,
    }
    coefficients = ", ".join(f"{name} {e.estimate:.2f}" for name, e in names.items() if e)
    raters = " and ".join(agreement.raters)
    if len(agreement.raters) > 2:
        raters = f"{len(agreement.raters)} raters ({agreement.raters[0]}, ...)"
    return f"Agreement of {raters}: {percent(agreement.share)}" + (
        f"; {coefficients}" if coefficients else ""
    )


def judge_card_lines(
    pair: PairSummary, checks: Sequence[NullCheck], *, members: bool = True
) -> list[str]:
    """Biases, agreement, null checks and failures of the judge, or of a panel.

    With `members` it has the lines of each single judge, too.
    """
    lines = _bias_lines(pair)
    for card in pair.judges if members else ():
        lines += (
            [_quality(card), _price(card)] if len(pair.judges) == 1 else _panel_member_lines(card)
        )
    lines += [agreement_line(agreement) for agreement in pair.agreement]
    lines += [line for check in checks for line in _null_check_lines(check)]
    counts = pair.accounting
    lines.append(
        f"Verdicts: {counts.asked} asked = {counts.judged} judged + {counts.failed} failed"
    )
    if counts.failed and counts.worst_case:
        low, high = counts.worst_case
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.failed_by_kind.items())
        lines.append(
            f"Had all that failed ({kinds}) gone one way: {100 * low:.1f} to {100 * high:.1f}%"
            + _worst_case_interval(pair)
        )
    return lines


def _worst_case_interval(pair: PairSummary) -> str:
    interval = pair.accounting.worst_case_interval
    return "" if interval is None else f" [95%: {100 * interval[0]:.1f} to {100 * interval[1]:.1f}]"


def people_lines(pair: PairSummary) -> list[str]:
    """The win rate by the votes of people, their agreement, and the win rate corrected by them."""
    people = pair.people
    if people is None:
        return []
    lines = [
        f"{', '.join(people.voters)} on {people.prompts} prompts, model 1: "
        f"{interval(people.win_rate)}"
    ]
    if people.judge_agreement:
        lines.append(agreement_line(people.judge_agreement))
    if people.voter_agreement:
        lines.append(agreement_line(people.voter_agreement))
    if people.corrected:
        decides = "which decides" if people.decides else "too few labels to decide"
        lines.append(
            f"Win rate corrected by people: {interval(people.corrected.value)}, "
            f"{people.corrected.value.method}; {decides}"
        )
        lines.append(_more_labels(people.labels_needed))
    else:
        lines.append(
            "Win rate corrected by people: none, it needs labels of some prompts that were drawn "
            "at random"
        )
    return lines


def _more_labels(more: int | None) -> str:
    if more is None:
        return "More labels of these prompts would not settle it: more prompts might"
    return f"About {more} more labels would settle it" if more else "More labels are not needed"


def _control_lines(controls: ControlledRate | None) -> list[str]:
    """The win rate at equal length and style, and what these add to that of model 1."""
    if controls is None:
        return []
    if controls.without_overlap:
        names = " and ".join(controls.without_overlap)
        return [f"Model 1 at equal length and style: not identifiable: no overlap in {names}"]
    if controls.rate is None:
        return []
    added = ", ".join(
        f"{effect.name} {100 * effect.explained.estimate:+.1f}" for effect in controls.effects
    )
    return [
        f"Model 1 at equal length and style: {interval(controls.rate)}",
        f"Points that these add to model 1: {added}",
    ]


def _bias_lines(pair: PairSummary) -> list[str]:
    order = pair.order
    lines = []
    if pair.consistency is not None:
        lines.append(
            f"Same winner in both orders: {percent(pair.consistency)}; "
            f"opposite winners: {percent(pair.flipped)}"
        )
    lines += [
        f"Opposite winners where scores differ by {row.low:g} to {row.high:g}: "
        f"{percent(row.flipped.estimate)} (n = {row.flipped.n})"
        for row in pair.flip_rates
    ]
    if order.identified == "order-free":
        lines.append("Each completion was judged alone: there is no order")
    elif order.pick_first is None:
        lines.append(f"The completion shown first won: not identifiable ({order.identified})")
    else:
        lines.append(f"The completion shown first won: {interval(order.pick_first)}")
    if pair.length and pair.length.more_wins:
        lines.append(f"The longer completion won: {interval(pair.length.more_wins)}")
    if pair.markdown and pair.markdown.more_wins:
        lines.append(f"The one with more markdown won: {interval(pair.markdown.more_wins)}")
    lines += _control_lines(pair.controls)
    leaks = pair.thinking
    if leaks and leaks.rate_only_a and leaks.rate_only_b:
        lines.append(
            f"Model 1 where only it shows thinking: {percent(leaks.rate_only_a.estimate)} "
            f"(n = {leaks.only_a}), where only model 2 does: "
            f"{percent(leaks.rate_only_b.estimate)} (n = {leaks.only_b})"
        )
    return lines


def _panel_member_lines(card: JudgeCard) -> list[str]:
    biases = [
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
        f"{card.judge} alone: {interval(card.win_rate)}: {_outcome(card.outcome)}{against}",
        *([f"{card.judge}: {', '.join(filter(None, biases))}"] if any(biases) else []),
        f"{card.judge}: {_quality(card)}; {_price(card)}",
    ]
    if card.win_rate_without and card.outcome_without:
        lines.append(
            f"Without {card.judge}: {interval(card.win_rate_without)}: "
            f"{_outcome(card.outcome_without)}"
        )
    return lines


def _quality(card: JudgeCard) -> str:
    against = f"Winner against its own scores: {_fraction(card.contradicted, card.scored)}"
    parts = [against] if card.scored else []
    parts.append(f"{'u' if parts else 'U'}nreadable: {_fraction(card.unreadable, card.asked)}")
    parts += [f"read when asked again: {card.retried}"] if card.retried else []
    parts.append(f"refused: {card.refused}")
    parts += [f"completions shortened: {card.truncated}"] if card.truncated else []
    return ", ".join(parts)


def _price(card: JudgeCard) -> str:
    if card.cost is None:
        return "Cost: no price is known"
    return f"Cost: {card.cost:.2f} US dollars for 100 pairs"


def _null_check_lines(check: NullCheck) -> list[str]:
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


def _outcome(outcome: str) -> str:
    return _OUTCOMES.get(outcome, outcome)


def _fraction(count: int, total: int) -> str:
    return f"{count} of {total}"


def panel_table(pair: PairSummary) -> list[tuple[str, list[str]]]:
    """The judges of a panel side by side: rows of a title and one cell per judge of `pair.judges`.

    A value that a judge does not have is an empty cell; a row of empty cells is omitted. Empty for
    a single judge.
    """
    if len(pair.judges) < 2:
        return []
    rows = [(title, [cell(card) for card in pair.judges]) for title, cell in _PANEL_ROWS.items()]
    return [row for row in rows if any(row[1])]


def _rest_of_panel(card: JudgeCard) -> str:
    if card.win_rate_without is None or card.outcome_without is None:
        return ""
    return f"{interval(card.win_rate_without)}: {outcome_label(card.outcome_without).lower()}"


def _share(estimate: Estimate | None) -> str:
    return percent(estimate.estimate) if estimate else ""


_PANEL_ROWS: dict[str, Callable[[JudgeCard], str]] = {
    "Win rate of model 1": lambda card: interval(card.win_rate),
    "Alone it would say": lambda card: (
        outcome_label(card.outcome).lower() + ", against the panel" * card.opposes_panel
    ),
    "The panel without it": _rest_of_panel,
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
