"""Checks of the sample and the design: numbers of prompts and pairs, order, failures."""

from collections.abc import Iterator

from bakeoff.analysis.findings import CheckInput, Finding, VerdictCheck, unit_count

MIN_PROMPTS = 20  # or clusters of prompts
MAX_FAILED = 0.02  # of the requested verdicts
MAX_FLIPPED = 0.5  # of the prompts judged in both orders
FIRST_SHARE_RANGE = (0.25, 0.75)  # of the verdicts with a shown first, in a random order


def _few_prompts(inputs: CheckInput) -> Iterator[Finding]:
    if unit_count(inputs.pair) < MIN_PROMPTS:
        what = "clusters of prompts" if inputs.pair.clusters else "prompts"
        yield Finding(
            "few prompts",
            unit_count(inputs.pair),
            f"{unit_count(inputs.pair)} {what} were judged, {MIN_PROMPTS} are the least",
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


def _order_design(inputs: CheckInput) -> Iterator[Finding]:
    if (inputs.data.judgment_table.preference == 0.5).all():
        return  # no order effect makes every verdict a tie
    order, action = inputs.pair.order, "judge each pair in both orders"
    shown = order.shown_first
    if order.identified == "not recorded":
        message = "nothing says which completion the judge saw first, so a habit cannot be told"
        yield Finding("order not recorded", 0.0, message, action)
    elif shown is not None and order.identified == "one order":
        first = inputs.pair.a if shown == 1 else inputs.pair.b
        message = f"{first} was always shown first ({inputs.pair.accounting.judged} verdicts)"
        yield Finding("one order", shown, message, action)
    elif shown is not None and not FIRST_SHARE_RANGE[0] <= shown <= FIRST_SHARE_RANGE[1]:
        message = f"{inputs.pair.a} was shown first in {100 * shown:.0f} % of the verdicts"
        yield Finding("order not balanced", shown, message, action)
    effect = abs(order.effect.estimate) if order.effect else 0.0
    if order.identified == "random order" and effect > MAX_FLIPPED:
        message = f"being shown first moves the win rate by {100 * effect:.0f} points"
        yield Finding(
            "order effect", effect, message, "take another judge: this one follows the place"
        )


def _failed_verdicts(inputs: CheckInput) -> Iterator[Finding]:
    counts = inputs.pair.accounting
    action = "read the messages; a run that is started again asks only for what failed"
    share = counts.failed / counts.asked
    if share > MAX_FAILED:
        message = f"{counts.failed} of {counts.asked} verdicts failed ({100 * share:.1f} %)"
        yield Finding("failures", share, message, action)
    low, high = counts.worst_case or (0.5, 0.5)
    margin = inputs.pair.margin / 100
    undecided = {
        "better": low <= 0.5,
        "worse": high >= 0.5,
        "equivalent": low < 0.5 - margin or high > 0.5 + margin,
    }
    if counts.failed and undecided.get(inputs.outcome):
        message = f"the failures could put the win rate between {100 * low:.1f} and "
        yield Finding("failures decide", share, f"{message}{100 * high:.1f} %", action)


SAMPLE_CHECKS: tuple[VerdictCheck, ...] = (
    _few_prompts,
    _many_comparisons,
    _order_design,
    _failed_verdicts,
)
