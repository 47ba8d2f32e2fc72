"""The summary of a pair as titled lines of text, in the guide's shape. Knows no terminal."""

from collections.abc import Sequence
from math import cosh, exp

from bakeoff.records import (
    Flag,
    ModelSummary,
    NullCheck,
    PairSummary,
    Rating,
    RatingModel,
    ScoreStats,
    Slice,
    Summary,
)
from bakeoff.report.text.judge_card import interval, people, trust

Blocks = dict[str, list[str]]

_SLICES = 12


def blocks(
    pair: PairSummary,
    judges: Sequence[str],
    models: Sequence[ModelSummary],
    checks: Sequence[NullCheck] = (),
) -> Blocks:
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
        "Judge card": trust(pair, checks),
        "People": people(pair),
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


def ratings(summary: Summary) -> list[str]:
    """Where each of several models stands, the strongest first, and what the fit says beside it."""
    lines = []
    for place, one in enumerate(summary.ratings, 1):
        value = one.strength
        low, high = (round(edge, 2) + 0.0 for edge in (value.low, value.high))  # no -0.00
        span = "no interval" if value.low == value.high else f"95%: {low:+.2f} to {high:+.2f}"
        stands = f", {ranks(one)}, group {one.group}" if one.ranks and one.group else ""
        lines.append(
            f"{place}. {one.model}: {round(value.estimate, 2) + 0.0:+.2f} [{span}]{stands}, "
            f"wins {100 / (1 + exp(-value.estimate)):.1f}%"
        )
    fitted = summary.rating_model
    to_daemon_thread = ", ties aside" if fitted and fitted.tie_parameter is not None else ""
    return [
        *lines,
        f"So much a model wins against one at 0{to_daemon_thread}",
        *rating_notes(summary),
    ]


def ranks(one: Rating) -> str:
    """The ranks that a model may have: `rank 2`, `rank 1 to 3`."""
    low, high = one.ranks or (1, 1)
    return f"rank {low}" if low == high else f"rank {low} to {high}"


def rating_notes(summary: Summary) -> list[str]:
    """How ratings are to be read, and what the fit says of ties and of the order of showing."""
    fitted = summary.rating_model
    if fitted is None:
        return []
    lines = [
        "Two models that share a letter are not surely different; ranks and letters hold for all "
        "models together at 95%",
    ]
    if fitted.components > 1:
        lines.append(
            f"The wins fall into {fitted.components} parts that never lost to, or never met, each "
            "other: how far apart those are nobody can tell, a ridge holds them, and between "
            "them ranks count the prompts won"
        )
    over = f"{fitted.prompts:,} prompts"
    if fitted.clusters:
        over += f" in {fitted.clusters:,} clusters"
    return [*lines, *_of_equals(fitted), f"{fitted.method} ({over})"]


def _of_equals(fitted: RatingModel) -> list[str]:
    """What the judges make of two models that are equally strong."""
    lines, decided = [], ""
    if fitted.tie_parameter is not None:
        share = (
            100
            * fitted.tie_parameter
            / (2 * cosh((fitted.first_advantage or 0) / 2) + fitted.tie_parameter)
        )
        lines.append(f"Two equal models tie on {share:.1f}% of the prompts")
        decided = " and do not tie"
    if fitted.first_advantage is not None:
        share = 100 / (1 + exp(-fitted.first_advantage))
        lines.append(f"Where two are equal{decided}, the one shown first wins {share:.1f}%")
    return lines


def _win_rates(pair: PairSummary) -> list[str]:
    lines = [
        f"Model 1: {_share(pair.wins, pair.prompts)} ({pair.wins} wins)",
        f"Model 2: {_share(pair.losses, pair.prompts)} ({pair.losses} wins)",
        f"Ties: {_share(pair.ties, pair.prompts)} ({pair.ties})",
        f"Model 1, ties half, over prompts: {interval(pair.win_rate)}"
        + (f", {pair.win_rate.method}" if pair.win_rate else ""),
    ]
    if pair.decisive_win_rate and pair.sign_test:
        adjusted = "" if pair.holm_p is None else f", Holm over all pairs {p_value(pair.holm_p)}"
        lines.append(
            f"Model 1, prompts that are no tie: {interval(pair.decisive_win_rate)}, "
            f"{pair.sign_test.method} {p_value(pair.sign_test.p)}{adjusted}"
        )
    return lines


def _scores(pair: PairSummary) -> list[str]:
    found = pair.score_difference
    if found is None:
        return []
    value, test = found.value, found.test.method.removeprefix("sign-flip ").partition(",")[0]
    name = "permutation test" if test == "permutation" else test
    return [
        f"Average difference: {value.estimate:+.3f} ± {found.sd:.3f} "
        f"[95%: {value.low:+.3f} to {value.high:+.3f}], {name} {p_value(found.test.p)}",
        f"Model 1 better {pair.scored_better} times, worse {pair.scored_worse}, "
        f"equal {pair.scored_equal}",
    ]


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
        f"adjusted {p_value(row.adjusted_p)}: {told}"
    )


def _flag(flag: Flag) -> str:
    about = "" if flag.about in flag.message or " against " in flag.about else f"{flag.about}: "
    return f"{about}{flag.message}: {flag.action}"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}%" if total else "-"


def _spread(spread: ScoreStats | None) -> str:
    return f"{spread.mean:.3f} ± {spread.sd:.3f}" if spread else "-"


def p_value(p: float) -> str:
    """A p-value as it is read: `p = 0.042`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
