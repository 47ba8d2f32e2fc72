"""Tokens, cost and time as text: the estimate of a run, and what finished work took."""

from collections.abc import Iterable, Sequence

from bakeoff.records import Plan, Results, StageUsage
from bakeoff.report.text.summary import Sections

_WORDS = {"completion": ("completes", "completions"), "judgment": ("judges", "verdicts")}


def plan_sections(plan: Plan) -> Sections:
    """One section: a line for each model and judge, the total, and the assumptions."""
    lines = [_plan_line(row) for row in plan.usage]
    title = f"What {plan.prompts} prompts would take"
    assumed = [f"Assumed: {note}" for note in plan.notes]
    return {title: [*lines, f"Together: {_total(plan)}", *_detectable(plan), *assumed]}


def _detectable(plan: Plan) -> list[str]:
    """What the run can tell from 50 %; empty if that is not known."""
    if plan.detectable is None:
        return []
    low, high = (100 * share for share in plan.detectable)
    return [
        f"It tells a win rate below about {low:.0f} % or above about {high:.0f} % from 50 %, in 4 "
        f"of 5 runs: {_count(plan.prompts, 'prompt')} without ties (a tie tells less)"
    ]


def _plan_line(row: StageUsage) -> str:
    verb, outcomes = _WORDS[row.stage]
    parts = [_count(row.requests, "request")] if row.requests else ["nothing is left to ask"]
    if row.input_tokens is not None and row.output_tokens is not None:
        parts.append(f"{row.input_tokens:,} tokens read, {row.output_tokens:,} written")
    if row.requests:
        parts.append(_price(row.cost, row.max_cost))
    if row.seconds:
        parts.append(_time(row.seconds))
    if row.stored:
        parts.append(f"{row.stored:,} {outcomes} are in the store")
    return f"{row.participant} {verb}: {', '.join(parts)}"


def _total(plan: Plan) -> str:
    requests = sum(row.requests for row in plan.usage)
    parts = [_count(requests, "request"), _price(plan.cost, plan.max_cost)]
    if plan.cost is None:
        known = [row.cost for row in plan.usage if row.cost is not None]
        parts[-1] = f"no price is known for {', '.join(plan.unpriced)}"
        if any(known):
            parts.append(f"{dollar_text(sum(known))} for the others")
    if plan.seconds:
        parts.append(_time(plan.seconds))
    return ", ".join(parts)


def _price(cost: float | None, max_cost: float | None) -> str:
    if cost is None:
        return "no price is known"
    if not cost and not max_cost:
        return "nothing to pay"
    upper = "" if max_cost is None else f", at most {dollar_text(max_cost)}"
    return f"about {dollar_text(cost)}{upper}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} minutes" if minutes < 90 else f"about {minutes / 60:.1f} hours"


def cost_lines(results: Results) -> list[str]:
    """The usage of all outcomes, including earlier runs, and the requests of the last run.

    Empty if no usage is known.
    """
    lines = usage_lines(results.summary.usage)
    return lines + run_lines(results.run_usage) if lines else []


def usage_lines(usage: Iterable[StageUsage]) -> list[str]:
    """One line for each model and judge whose output tokens are known."""
    return [_usage_line(row) for row in usage if row.output_tokens is not None]


def _usage_line(row: StageUsage) -> str:
    tokens = [] if row.input_tokens is None else [f"{row.input_tokens:,} tokens read"]
    if row.cached_tokens:
        tokens[-1] += f" ({row.cached_tokens:,} of them cached)"
    tokens.append(f"{row.output_tokens:,} {'' if tokens else 'tokens '}written")
    failed = f" and {row.failed:,} failed" if row.failed else ""
    cost = "no price is known" if row.cost is None else dollar_text(row.cost)
    outcomes = f"{row.outcomes:,} {_WORDS[row.stage][1]}"
    return f"{row.participant}: {outcomes}{failed}, {', '.join(tokens)}, {cost}"


def run_lines(usage: Sequence[StageUsage]) -> list[str]:
    """One line on the requests of a run; empty if it made none."""
    if not any(row.requests or row.stored for row in usage):
        return []
    parts = []
    if requests := sum(row.requests for row in usage):
        retries = sum(row.retries for row in usage)
        repeated = f", {retries:,} of them again" if retries else ""
        parts.append(f"{_count(requests, 'request')}{repeated}")
    if unanswered := sum(row.unanswered for row in usage):
        parts.append(f"{unanswered:,} without a reply (they may be billed all the same)")
    if stored := sum(row.stored for row in usage):
        parts.append(f"{stored:,} outcomes from the store, which cost nothing")
    paid = [row.cost for row in usage if row.cost]
    return [f"Made by {', '.join(parts)}" + (f", {dollar_text(sum(paid))} paid" if paid else "")]


def dollar_text(cost: float) -> str:
    """An amount of US dollars with two digits, or four if it is below $0.1."""
    if cost >= 0.1 or cost == 0:
        return f"${cost:,.2f}"
    return f"${cost:.4f}" if cost >= 0.0001 else "less than $0.0001"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)
