"""The summary of a pair of models as titled sections of text, in the order of the guide."""

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
from bakeoff.report.text.judge_card import interval, judge_card_lines, people_lines
from bakeoff.report.text.verdict_line import verdict_lines
from bakeoff.stats.results import NO_INTERVAL

Sections = dict[str, list[str]]  # title to lines, in the order of showing

_MAX_SLICES = 12


def pair_sections(
    pair: PairSummary,
    judges: Sequence[str],
    models: Sequence[ModelSummary],
    checks: Sequence[NullCheck] = (),
) -> Sections:
    """The sections of one pair; a section without lines is omitted.

    `models` are those whose flags are shown, `checks` the null checks of the judge card.
    """
    sections: Sections = {
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
        "Judge card": judge_card_lines(pair, checks),
        "People": people_lines(pair),
        "What it can show": _power(pair),
        "By tag": [_slice(row) for row in pair.slices[:_MAX_SLICES]]
        + [f"and {len(pair.slices) - _MAX_SLICES} more in results.json"]
        * (len(pair.slices) > _MAX_SLICES),
        "Red flags": [
            _flag(flag) for flag in (*pair.flags, *(f for model in models for f in model.flags))
        ],
        "Overall winner": verdict_lines(pair),
    }
    return {title: lines for title, lines in sections.items() if lines}


def rating_lines(summary: Summary) -> list[str]:
    """One line per model with its strength (log-odds), the strongest first, then `rating_notes`.

    A single line with the reason if the ranking is withheld.
    """
    if summary.ratings_withheld:
        return [summary.ratings_withheld]
    lines = []
    for place, rating in enumerate(summary.ratings, 1):
        value = rating.strength
        low, high = (round(edge, 2) + 0.0 for edge in (value.low, value.high))  # no -0.00
        span = "no interval" if value.low == value.high else f"95%: {low:+.2f} to {high:+.2f}"
        rank = (
            f", {rank_text(rating)}, group {rating.group}" if rating.ranks and rating.group else ""
        )
        lines.append(
            f"{place}. {rating.model}: {round(value.estimate, 2) + 0.0:+.2f} [{span}]{rank}, "
            f"wins {100 / (1 + exp(-value.estimate)):.1f}%"
        )
    model = summary.rating_model
    without_ties = ", ties aside" if model and model.tie_parameter is not None else ""
    return [
        *lines,
        f"So much a model wins against one at 0{without_ties}",
        *rating_notes(summary),
    ]


def baseline_lines(summary: Summary) -> list[str]:
    """One line per difference of two models over a common baseline."""
    lines = []
    for row in summary.baseline_differences:
        value = row.difference
        span = f"{100 * value.low:+.1f} to {100 * value.high:+.1f}"
        span = "no interval: too few" if value.method == NO_INTERVAL else f"95%: {span}"
        lines.append(
            f"{row.a} minus {row.b}, over {row.baseline}: {100 * value.estimate:+.1f} points "
            f"[{span}], n = {row.prompts:,}, adjusted {p_value(row.holm_p)}: {row.outcome}"
        )
    return lines


def rank_text(rating: Rating) -> str:
    """The ranks that a model may have: `rank 2`, `rank 1 to 3`."""
    low, high = rating.ranks or (1, 1)
    return f"rank {low}" if low == high else f"rank {low} to {high}"


def rating_notes(summary: Summary) -> list[str]:
    """How to read the ratings, and the fitted share of ties and advantage of the first position.

    The reason if the ranking is withheld; empty with two models.
    """
    model = summary.rating_model
    if model is None:
        return [summary.ratings_withheld] if summary.ratings_withheld else []
    lines = [
        "Two models that share a letter are not surely different; ranks and letters hold for all "
        "models together at 95%",
    ]
    if model.components > 1:
        lines.append(
            f"The wins fall into {model.components} parts that never lost to, or never met, each "
            "other: how far apart those are nobody can tell, a ridge holds them, and between "
            "them ranks count the prompts won"
        )
    over = f"{model.prompts:,} prompts"
    if model.clusters:
        over += f" in {model.clusters:,} clusters"
    return [*lines, *_equal_models(model), f"{model.method} ({over})"]


def _equal_models(model: RatingModel) -> list[str]:
    """The fitted verdicts on two models of equal strength."""
    lines, decided = [], ""
    if model.tie_parameter is not None:
        share = (
            100
            * model.tie_parameter
            / (2 * cosh((model.first_advantage or 0) / 2) + model.tie_parameter)
        )
        lines.append(f"Two equal models tie on {share:.1f}% of the prompts")
        decided = " and do not tie"
    if model.first_advantage is not None:
        share = 100 / (1 + exp(-model.first_advantage))
        lines.append(f"Where two are equal{decided}, the one shown first wins {share:.1f}%")
    return lines


def _win_rates(pair: PairSummary) -> list[str]:
    lines = [_deciding_rate(pair)] if pair.win_rate else []
    lines += [
        f"Model 1: {_share(pair.wins, pair.prompts)} ({pair.wins} wins)",
        f"Model 2: {_share(pair.losses, pair.prompts)} ({pair.losses} wins)",
        f"Ties: {_share(pair.ties, pair.prompts)} ({pair.ties})"
        + (f", {pair.identical} with identical completions" if pair.identical else "")
        + (f"; {pair.both_bad} verdicts say that both are bad" if pair.both_bad else ""),
    ]
    if pair.decisive_win_rate:
        lines.append(f"Model 1, prompts that are no tie: {interval(pair.decisive_win_rate)}")
    if pair.judges_win_rate:
        lines.append(f"Model 1, by the judges alone: {interval(pair.judges_win_rate)}")
    if pair.other_judges:
        lines.append(f"Model 1, for other judges like these: {interval(pair.other_judges)}")
    if pair.published and pair.published_differs:
        lines.append(
            f"Model 1, as published elsewhere: {interval(pair.published)}; {pair.published_differs}"
        )
    return lines


def _deciding_rate(pair: PairSummary) -> str:
    """The win rate that decides, with its method, its number of prompts and its p-value."""
    parts = [f"Model 1, ties half, over prompts: {interval(pair.win_rate)}"]
    has_interval = pair.win_rate is not None and pair.win_rate.method != NO_INTERVAL
    parts += [pair.win_rate.method] if pair.win_rate and has_interval else []
    if pair.deciding_prompts != pair.prompts:
        parts.append(f"{pair.deciding_prompts} prompts decide")
    if pair.test and has_interval:
        parts.append(f"{pair.test.method} {p_value(pair.test.p)}")
    if pair.holm_p is not None:
        parts.append(f"Holm over all pairs {p_value(pair.holm_p)}")
    return ", ".join(parts)


def _scores(pair: PairSummary) -> list[str]:
    difference = pair.score_difference
    if difference is None:
        return []
    value, test = (
        difference.value,
        difference.test.method.removeprefix("sign-flip ").partition(",")[0],
    )
    name = "permutation test" if test == "permutation" else test
    return [
        f"Average difference: {value.estimate:+.3f} ± {difference.sd:.3f} "
        f"[95%: {value.low:+.3f} to {value.high:+.3f}], {name} {p_value(difference.test.p)}",
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
    outcome = row.outcome or "no verdict"
    expected = "" if row.shrunken is None else f", expect {100 * row.shrunken:.1f}%"
    return (
        f"{row.tag}: {interval(row.win_rate)}, n = {row.prompts}{expected}, "
        f"adjusted {p_value(row.adjusted_p)}: {outcome}"
    )


def _flag(flag: Flag) -> str:
    about = "" if flag.about in flag.message or " against " in flag.about else f"{flag.about}: "
    return f"{about}{flag.message}: {flag.action}"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}%" if total else "-"


def _spread(spread: ScoreStats | None) -> str:
    return f"{spread.mean:.3f} ± {spread.sd:.3f}" if spread else "-"


def p_value(p: float) -> str:
    """A p-value as `p = 0.042` or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
