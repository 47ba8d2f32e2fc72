"""What work would take and what it took, in tokens, money and time, as lines. Knows no terminal."""

from collections.abc import Iterable, Sequence

from bakeoff.records import Plan, Results, StageUsage
from bakeoff.report.text.summary import Blocks

_DOES = {"completion": ("completes", "completions"), "judgment": ("judges", "verdicts")}


def estimated(found: Plan) -> Blocks:
    """A line for each model and judge, the sum, and what was assumed."""
    lines = [_expense(expense) for expense in found.usage]
    what = f"What {found.prompts} prompts would take"
    assumed = [f"Assumed: {note}" for note in found.notes]
    return {what: [*lines, f"Together: {_together(found)}", *assumed]}


def _expense(it: StageUsage) -> str:
    does, things = _DOES[it.stage]
    parts = [_count(it.requests, "request")] if it.requests else ["nothing is left to ask"]
    if it.input_tokens is not None and it.output_tokens is not None:
        parts.append(f"{it.input_tokens:,} tokens read, {it.output_tokens:,} written")
    if it.requests:
        parts.append(_price(it.cost, it.max_cost))
    if it.seconds:
        parts.append(_time(it.seconds))
    if it.stored:
        parts.append(f"{it.stored:,} {things} are in the store")
    return f"{it.participant} {does}: {', '.join(parts)}"


def _together(found: Plan) -> str:
    requests = sum(expense.requests for expense in found.usage)
    parts = [_count(requests, "request"), _price(found.cost, found.max_cost)]
    if found.cost is None:
        known = [one.cost for one in found.usage if one.cost is not None]
        parts[-1] = f"no price is known for {', '.join(found.unpriced)}"
        if any(known):
            parts.append(f"{dollars(sum(known))} for the others")
    if found.seconds:
        parts.append(_time(found.seconds))
    return ", ".join(parts)


def _price(cost: float | None, dearest: float | None) -> str:
    if cost is None:
        return "no price is known"
    if not cost and not dearest:
        return "nothing to pay"
    most = "" if dearest is None else f", at most {dollars(dearest)}"
    return f"about {dollars(cost)}{most}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} minutes" if minutes < 90 else f"about {minutes / 60:.1f} hours"


def took(results: Results) -> list[str]:
    """What the outcomes took, whenever they were asked for, and what the run that made the results
    asked for.
    """
    lines = told(results.summary.usage)
    return lines + run_took(results.run_usage) if lines else []


def told(spent: Iterable[StageUsage]) -> list[str]:
    """A line for each model and judge of which it is known what it wrote."""
    return [_spent(one) for one in spent if one.output_tokens is not None]


def _spent(it: StageUsage) -> str:
    tokens = [] if it.input_tokens is None else [f"{it.input_tokens:,} tokens read"]
    if it.cached_tokens:
        tokens[-1] += f" ({it.cached_tokens:,} of them cached)"
    tokens.append(f"{it.output_tokens:,} {'' if tokens else 'tokens '}written")
    failed = f" and {it.failed:,} failed" if it.failed else ""
    cost = "no price is known" if it.cost is None else dollars(it.cost)
    outcomes = f"{it.outcomes:,} {_DOES[it.stage][1]}{failed}"
    return f"{it.participant}: {outcomes}, {', '.join(tokens)}, {cost}"


def run_took(asked: Sequence[StageUsage]) -> list[str]:
    """What one run asked for, in a line; none where it did not ask."""
    if not any(one.requests or one.stored for one in asked):
        return []
    parts = []
    if requests := sum(one.requests for one in asked):
        again = sum(one.retries for one in asked)
        made_again = f", {again:,} of them again" if again else ""
        parts.append(f"{_count(requests, 'request')}{made_again}")
    if unanswered := sum(one.unanswered for one in asked):
        parts.append(f"{unanswered:,} without a reply (they may be billed all the same)")
    if kept := sum(one.stored for one in asked):
        parts.append(f"{kept:,} outcomes from the store, which cost nothing")
    paid = [one.cost for one in asked if one.cost]
    return [f"Made by {', '.join(parts)}" + (f", {dollars(sum(paid))} paid" if paid else "")]


def dollars(cost: float) -> str:
    """US dollars: cents, and more digits where it is less than one of them."""
    if cost >= 0.1 or cost == 0:
        return f"${cost:,.2f}"
    return f"${cost:.4f}" if cost >= 0.0001 else "less than $0.0001"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)
