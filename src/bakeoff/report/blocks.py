"""The summary of a pair as titled lines of text, in the guide's shape. Knows no terminal."""

from collections.abc import Sequence

from bakeoff.records import Agreement, Flag, ModelSummary, PairSummary, Slice, Spread
from bakeoff.stats.results import Estimate

Blocks = dict[str, list[str]]

_SLICES = 12


def blocks(pair: PairSummary, judges: Sequence[str], models: Sequence[ModelSummary]) -> Blocks:
    """Title to lines, in the order of showing; a block without lines is left out."""
    found: Blocks = {
        "Model Comparison Summary": [
            f"Model 1: {pair.a}",
            f"Model 2: {pair.b}",
            f"Judge Model: {', '.join(judges)}",
            f"Total Comparisons: {pair.prompts}"
            + (f" in {pair.clusters} clusters" if pair.clusters else ""),
        ],
        "Win Rates": _win_rates(pair),
        "Average Scores (0-1)": [
            f"Model 1: {_spread(pair.scores_a)}",
            f"Model 2: {_spread(pair.scores_b)}",
        ]
        if pair.score_difference
        else ["none: this judge says which is better, not how good"],
        "Score Analysis": _scores(pair),
        "Judge": _judge(pair),
        "What it can show": _power(pair),
        "By tag": [_slice(row) for row in pair.slices[:_SLICES]]
        + [f"and {len(pair.slices) - _SLICES} more in results.json"] * (len(pair.slices) > _SLICES),
        "Red flags": [
            _flag(flag) for flag in (*pair.flags, *(f for model in models for f in model.flags))
        ],
        "Overall winner": [
            pair.verdict,
            *(f"What to do: {action}" for action in dict.fromkeys(r.action for r in pair.reasons)),
        ],
    }
    return {title: lines for title, lines in found.items() if lines}


def percent(share: float | None) -> str:
    """A share as `72.0%`."""
    return "not known" if share is None else f"{100 * share:.1f}%"


def interval(estimate: Estimate | None) -> str:
    """A share with its 95 % interval."""
    if estimate is None:
        return "not known"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.estimate:.1f}% [95%: {low:.1f} to {high:.1f}]"


def _win_rates(pair: PairSummary) -> list[str]:
    lines = [
        f"Model 1: {_share(pair.wins, pair.prompts)} ({pair.wins} wins)",
        f"Model 2: {_share(pair.losses, pair.prompts)} ({pair.losses} wins)",
        f"Ties: {_share(pair.ties, pair.prompts)} ({pair.ties})",
        f"Model 1, ties half, over prompts: {interval(pair.win_rate)}"
        + (f", {pair.win_rate.method}" if pair.win_rate else ""),
    ]
    if pair.decisive and pair.sign:
        adjusted = "" if pair.holm_p is None else f", Holm over all pairs {_p(pair.holm_p)}"
        lines.append(
            f"Model 1, prompts that are no tie: {interval(pair.decisive)}, "
            f"{pair.sign.method} {_p(pair.sign.p)}{adjusted}"
        )
    return lines


def _scores(pair: PairSummary) -> list[str]:
    found = pair.score_difference
    if found is None:
        return []
    value = found.value
    return [
        f"Average difference: {value.estimate:+.3f} ± {found.sd:.3f} "
        f"[95%: {value.low:+.3f} to {value.high:+.3f}], permutation test {_p(found.test.p)}",
        f"Model 1 better {pair.scored_better} times, worse {pair.scored_worse}, "
        f"equal {pair.scored_equal}",
    ]


def _judge(pair: PairSummary) -> list[str]:
    asked, order = pair.accounting, pair.order
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
    if len(pair.judges) > 1:
        lines += [f"{judge.judge} alone: {interval(judge.win_rate)}" for judge in pair.judges]
    lines += [_agreement(agreement) for agreement in pair.agreement]
    lines.append(f"Verdicts: {asked.asked} asked = {asked.judged} judged + {asked.failed} failed")
    if asked.failed and asked.worst_case:
        low, high = asked.worst_case
        kinds = ", ".join(f"{count} {kind}" for kind, count in asked.failed_by_kind.items())
        lines.append(
            f"Had all that failed ({kinds}) gone one way: {100 * low:.1f} to {100 * high:.1f}%"
        )
    return lines


def _agreement(agreement: Agreement) -> str:
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


def _power(pair: PairSummary) -> list[str]:
    if pair.power is None:
        return []
    units = "clusters" if pair.clusters else "prompts"
    lines = [
        f"{pair.clusters or pair.prompts} {units} find a difference of "
        f"{100 * pair.power.detectable:.1f} points from 50% in 4 of 5 trials"
    ]
    if pair.variance:
        lines.append(pair.variance.advice[0].upper() + pair.variance.advice[1:])
    return lines


def _slice(row: Slice) -> str:
    told = row.outcome or "no verdict"
    return (
        f"{row.tag}: {interval(row.win_rate)}, n = {row.prompts}, "
        f"adjusted {_p(row.adjusted_p)}: {told}"
    )


def _flag(flag: Flag) -> str:
    about = "" if flag.about in flag.message or " against " in flag.about else f"{flag.about}: "
    return f"{about}{flag.message}: {flag.action}"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}%" if total else "-"


def _spread(spread: Spread | None) -> str:
    return f"{spread.mean:.3f} ± {spread.sd:.3f}" if spread else "-"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
