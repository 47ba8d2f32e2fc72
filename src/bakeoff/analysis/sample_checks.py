"""Checks of the sample and the design: numbers of prompts and pairs, order, failures."""

from collections.abc import Iterator
from dataclasses import replace

from bakeoff.analysis.deciding_rate import deciding_rate
from bakeoff.analysis.findings import (
    CheckInput,
    Finding,
    VerdictCheck,
    interval_outcome,
    unit_count,
)
from bakeoff.analysis.order_design import MIN_PER_ORDER, SingleOrders

MIN_PROMPTS = 20  # or clusters of prompts
MAX_FAILED = 0.02  # of the requested verdicts
MAX_FLIPPED = 0.5  # of the prompts judged in both orders
MAX_UNKNOWN_ORDER = 0.1  # of the verdicts, without a recorded order


def _few_prompts(inputs: CheckInput) -> Iterator[Finding]:
    if unit_count(inputs.pair) < MIN_PROMPTS:
        what = "clusters of prompts" if inputs.pair.clusters else "prompts"
        decide = "were judged" if inputs.pair.deciding_prompts == inputs.pair.prompts else "decide"
        yield Finding(
            "few prompts",
            unit_count(inputs.pair),
            f"{unit_count(inputs.pair)} {what} {decide}, {MIN_PROMPTS} are the least",
            "judge more prompts with --limit",
        )


def _many_comparisons(inputs: CheckInput) -> Iterator[Finding]:
    p = inputs.pair.holm_p
    if inputs.outcome in ("better", "worse") and p is not None and p > 0.05:
        yield Finding(
            "many comparisons",
            p,
            f"with so many pairs compared this may be chance (Holm's p is {p:.2g})",
            "judge more prompts, or compare fewer models",
        )


def _unknown_order(inputs: CheckInput) -> Iterator[Finding]:
    """Too many verdicts do not record their order, or they would change the outcome."""
    design, data = inputs.data.order_design, inputs.data
    share, total = design.unknown_share, len(design.table)
    if not share or (share <= MAX_UNKNOWN_ORDER and not design.identified):
        return
    count = round(share * total)
    subject = f"{count} of {total} verdicts do not record" if share < 1 else "no verdict records"
    message = f"{subject} which completion the judge saw first"
    if share <= MAX_UNKNOWN_ORDER:
        everything = replace(design, assume_known=True)
        rate = deciding_rate(everything, data.inference).rate
        if interval_outcome(rate, data.margin / 100) == inputs.outcome:
            return
        message = f"{message}, and would change the outcome"
    yield Finding(
        "order not recorded",
        share,
        f"{message}: a preference for a position cannot be told from quality",
        "judge each pair in both orders",
    )


def _single_orders(inputs: CheckInput) -> Iterator[Finding]:
    """No judge saw enough prompts in both orders."""
    design, action = inputs.data.order_design, "judge each pair in both orders"
    if design.identified or design.unknown_share == 1:
        return
    if design.selected:
        judges = " and ".join(design.table.judges[code] for code in design.selected)
        yield Finding(
            "second order selected",
            len(design.selected),
            f"{judges} judged the second order where the first one had another outcome than "
            "elsewhere: the prompts in both orders are a selection",
            action,
        )
        return
    models = (inputs.pair.a, inputs.pair.b)
    yield from (single_order_finding(single, models, action) for single in design.singles)


def single_order_finding(single: SingleOrders, models: tuple[str, str], action: str) -> Finding:
    """Why the prompts that a judge saw in one order do not decide."""
    counts, judge = (single.a_first, single.b_first), single.judge
    prompts = sum(counts)
    if min(counts) == 0:
        first = models[counts.index(prompts)]
        message = f"{judge} always saw {first} first ({prompts} prompts)"
        return Finding("one order", float(first == models[0]), message, action)
    if min(counts) < MIN_PER_ORDER:
        shares = " and ".join(
            f"{m} first on {n} prompts" for m, n in zip(models, counts, strict=True)
        )
        message = f"{judge} saw {shares}, and each order needs {MIN_PER_ORDER}"
        return Finding("order not balanced", counts[0] / prompts, message, action)
    message = (
        f"the order in which {judge} saw the completions can be predicted from the tags or the "
        f"position of the prompts, or the lengths of the completions (p = {single.p:.2g})"
    )
    return Finding(
        "order predictable", single.p, message, "draw the order of each prompt at random"
    )


def _position_decides(inputs: CheckInput) -> Iterator[Finding]:
    order = inputs.pair.order
    effect = abs(order.effect.estimate) if order.effect else 0.0
    if order.identified == "random order" and effect > MAX_FLIPPED:
        yield Finding(
            "order effect",
            effect,
            f"being shown first moves the win rate by {100 * effect:.0f} points",
            "take another judge: this one follows the place",
        )


def _counts_against_mean(inputs: CheckInput) -> Iterator[Finding]:
    """More prompts are won by the model with the lower mean preference."""
    rate, share = inputs.pair.win_rate, inputs.pair.winner_share
    if inputs.outcome not in ("better", "worse") or rate is None or share is None:
        return
    if counts_disagree(share, rate.estimate):
        ahead, behind = (
            (inputs.pair.a, inputs.pair.b) if share > 0.5 else (inputs.pair.b, inputs.pair.a)
        )
        yield Finding(
            "counts disagree",
            share,
            f"{ahead} wins more prompts, but {behind} has the higher mean preference: a few "
            "prompts with strong preferences make the mean",
            "read these prompts; add a judge that decides between win, tie and loss",
        )


def counts_disagree(winner_share: float, mean: float) -> bool:
    """Whether the counts of winners and the mean preference are on opposite sides of 0.5."""
    return (round(winner_share, 9) - 0.5) * (round(mean, 9) - 0.5) < 0


def _failed_verdicts(inputs: CheckInput) -> Iterator[Finding]:
    counts = inputs.pair.accounting
    action = "read the messages; a run that is started again asks only for what failed"
    share = counts.failed / counts.asked
    if share > MAX_FAILED:
        message = f"{counts.failed} of {counts.asked} verdicts failed ({100 * share:.1f} %)"
        yield Finding("failures", share, message, action)
    interval = inputs.pair.accounting.worst_case_interval
    low, high = interval or (0.5, 0.5)
    margin = inputs.pair.margin / 100
    undecided = {
        "better": low <= 0.5,
        "worse": high >= 0.5,
        "equivalent": low < 0.5 - margin or high > 0.5 + margin,
    }
    if interval and undecided.get(inputs.outcome):
        message = (
            "with all prompts, whatever the failed verdicts and completions would have been, the "
            f"win rate may be between {100 * low:.1f} and {100 * high:.1f} %"
        )
        yield Finding("failures decide", share, message, action)


SAMPLE_CHECKS: tuple[VerdictCheck, ...] = (
    _few_prompts,
    _many_comparisons,
    _unknown_order,
    _single_orders,
    _position_decides,
    _counts_against_mean,
    _failed_verdicts,
)
