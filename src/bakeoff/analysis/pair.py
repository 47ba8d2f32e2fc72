"""The statistics of one pair of models, before its verdict."""

import math
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter

import numpy as np

from bakeoff.analysis.aggregate import (
    rounded_preferences,
    side_values,
)
from bakeoff.analysis.agreement import judge_agreements, variance_components
from bakeoff.analysis.bias import (
    length_and_style_controls,
    length_bias,
    markdown_bias,
    order_bias,
    thinking_leaks,
)
from bakeoff.analysis.deciding_rate import WeightedRows
from bakeoff.analysis.flip_rates import flip_rates
from bakeoff.analysis.judge_card import complete_cards, judge_cards
from bakeoff.analysis.judgment_table import POINTWISE, UNKNOWN
from bakeoff.analysis.pair_data import PairData, is_cluster_tag
from bakeoff.analysis.people import summarize_people
from bakeoff.analysis.published_rate import published_rate
from bakeoff.analysis.score_statistics import score_statistics
from bakeoff.records import Accounting, Counts, PairSummary
from bakeoff.stats.order_strata import BOTH
from bakeoff.stats.panels import between_judge_interval
from bakeoff.stats.partial_identification import bounded_interval
from bakeoff.stats.power import power_of_mean
from bakeoff.stats.results import Estimate, Power
from bakeoff.stats.sequential import (
    sign_confidence_sequence,
)
from bakeoff.stats.tests import tested_win_rate

_Z = 1.959964  # of a two-sided 95 % interval


def summarize_pair(data: PairData) -> PairSummary:
    """The statistics of a pair, without verdict, reasons, slices and flags.

    See `PairSummary.with_verdict` and `with_holm_p` for what is added later.
    """
    checked = summarize_for_checks(data)
    if checked.win_rate is None:
        return checked
    known_consistency = data.prompt_table.known_consistency
    return checked.model_copy(
        update={
            "decisive_win_rate": _decisive_share(data),
            **published_rate(data)._asdict(),
            "identical": len(data.identical_prompts),
            "both_bad": sum(map(attrgetter("verdict.both_bad"), data.judgments)),
            "repeated": _repeated_prompts(data),
            "consistency": float(known_consistency.mean()) if len(known_consistency) else None,
            "length": length_bias(data),
            "markdown": markdown_bias(data),
            "thinking": thinking_leaks(data),
            "judges": tuple(complete_cards(data, checked.judges)),
            "other_judges": _other_judges(data),
            "flip_rates": tuple(flip_rates(data)),
            "agreement": tuple(judge_agreements(data)),
            "power": _power(data, checked.win_rate),
            "variance": variance_components(data),
        }
    )


def summarize_for_checks(data: PairData) -> PairSummary:
    """The statistics of a pair that its checks read; other fields have their defaults.

    The cards of the judges have their win rates and counts only.
    """
    table = data.prompt_table
    wins, losses = data.wins_and_losses
    order = order_bias(data.judgment_table)
    if not len(table):
        return PairSummary(
            a=data.a,
            b=data.b,
            prompts=0,
            wins=0,
            losses=0,
            ties=0,
            order=order,
            accounting=verdict_accounting(data),
            margin=data.margin,
            outcome="not enough data",
            verdict="",
        )
    deciding, people = data.deciding, summarize_people(data)
    rate, test = deciding.rate, deciding.test
    if people and people.decides and people.corrected and people.test:
        rate, test = people.corrected.value, people.test
    scores, judged_twice = score_statistics(data), len(table.known_consistency)
    return PairSummary(
        a=data.a,
        b=data.b,
        prompts=len(table),
        clusters=len(np.unique(data.clusters)) if data.clusters is not None else None,
        wins=wins,
        losses=losses,
        ties=len(table) - wins - losses,
        win_rate=rate,
        deciding_prompts=deciding.prompts,
        test=test,
        winner_share=deciding.rows.winner_share,
        scores_a=scores.a,
        scores_b=scores.b,
        score_difference=scores.difference,
        scored_better=scores.better,
        scored_worse=scores.worse,
        scored_equal=scores.equal,
        flipped=float(table.flipped.sum() / judged_twice) if judged_twice else None,
        order=order,
        controls=length_and_style_controls(data),
        judges=tuple(judge_cards(data)),
        people=people,
        judges_win_rate=deciding.rate if rate is not deciding.rate else None,
        accounting=_with_interval(verdict_accounting(data, deciding.rows), deciding.rate),
        margin=data.margin,
        outcome="not enough data",
        verdict="",
    )


def _repeated_prompts(data: PairData) -> int:
    """The number of judged prompts in a cluster without a cluster tag of their own."""
    return sum(
        prompt_id in data.clusters_by_prompt and not any(map(is_cluster_tag, data.tags(prompt_id)))
        for prompt_id in data.prompt_ids
    )


def _power(data: PairData, rate: Estimate) -> Power | None:
    """The power of the win rate that decides; more prompts are another look at the pair."""
    if rate.n < 2 or rate.se is None:
        return None
    alpha = data.config.alpha if data.config.design.sequential else None
    sd, margin = rate.se * math.sqrt(rate.n), data.margin / 100
    later = 0.05 / data.config.pairs
    return power_of_mean(rate.estimate, sd, rate.n, margin, anytime=alpha, later=later)


def _decisive_share(data: PairData) -> Estimate | None:
    """The share of decisive prompts that a won; None without decisive prompts."""
    wins, losses = data.wins_and_losses
    n, alpha = wins + losses, data.config.alpha
    if not n:
        return None
    if data.config.design.sequential:
        low, high = sign_confidence_sequence(wins, losses, alpha)
        return Estimate(wins / n, low, high, "confidence sequence, beta mixture", n)
    decisive = data.prompt_table.side != 0
    clusters = None if data.clusters is None else data.clusters[decisive]
    values = side_values(data.prompt_table.side[decisive])
    return tested_win_rate(values, clusters, 1 - alpha).rate


def _other_judges(data: PairData) -> Estimate | None:
    """The win rate if the judges are a sample of judges like them."""
    design = data.order_design
    if len(data.judges) < 2 or data.config.design.sequential or (design.order != BOTH).any():
        return None
    rows = data.judge_table.rows
    index = np.searchsorted(data.prompt_table.prompt, rows.prompt)
    preferences = np.full((len(data.prompt_table), len(data.judges)), np.nan)
    preferences[index, data.judge_table.judge] = rounded_preferences(rows)
    between = between_judge_interval(preferences, data.clusters, 1 - data.config.alpha)
    return between.rate if between else None


def verdict_accounting(data: PairData, rows: WeightedRows | None = None) -> Accounting:
    """The numbers of requested, obtained and failed verdicts, in total and by judge and order.

    `rows` are those of the deciding win rate; without them no worst case is known, unless nothing
    was judged.
    """
    table, failures = data.judgment_table, data.failures
    worst_case = (0.0, 1.0) if not len(table) else _worst_case(data, rows) if rows else None
    counts = np.bincount(table.judge, minlength=len(table.judges)).tolist()
    by_judge = dict(zip(table.judges, counts, strict=True))
    return Accounting(
        asked=len(table) + len(failures),
        judged=len(table),
        failed=len(failures),
        failed_by_kind=dict(sorted(Counter(failure.kind for failure in failures).items())),
        by_judge=_counts_by_key(by_judge, [failure.participant for failure in failures]),
        by_order=_counts_by_key(
            _judgments_by_order(data), [f"{failure.first} first" for failure in failures]
        ),
        worst_case=worst_case,
    )


def _with_interval(counts: Accounting, rate: Estimate) -> Accounting:
    """The counts with the interval of the worst case.

    The distances of `rate` from the bounds of its interval are the standard errors of the bounds.
    """
    low, high = counts.worst_case or (0.5, 0.5)
    if high - low < 1e-9:
        return counts
    errors = (rate.estimate - rate.low) / _Z, (rate.high - rate.estimate) / _Z
    interval = bounded_interval(low, high, *errors)
    bounds = max(0.0, interval[0]), min(1.0, interval[1])
    return counts.model_copy(update={"worst_case_interval": bounds})


def _counts_by_key(judged: dict[str, int], failures: Iterable[str]) -> dict[str, Counts]:
    """The counts by key; `failures` has the key of each failure."""
    failed = Counter(failures)
    return {
        key: Counts(
            asked=judged.get(key, 0) + failed[key], judged=judged.get(key, 0), failed=failed[key]
        )
        for key in sorted(judged.keys() | failed.keys())
    }


def _judgments_by_order(data: PairData) -> dict[str, int]:
    """The number of judgments of each order that occurs."""
    table = data.judgment_table
    masks = {
        f"{data.a} first": table.recorded & table.a_first,
        f"{data.b} first": table.recorded & ~table.a_first,
        "judged apart": table.presented == POINTWISE,
        "order not recorded": table.presented == UNKNOWN,
    }
    return {key: int(mask.sum()) for key, mask in masks.items() if mask.any()}


def _worst_case(data: PairData, rows: WeightedRows) -> tuple[float, float]:
    """The win rate if every failed verdict were a loss of a, and if every one were a win.

    A prompt whose verdicts all failed counts like one that decides, and so does one that a model
    failed to complete: completions may fail where a model is weak.
    """
    failed = Counter(failure.prompt_id for failure in data.failures)
    failed_counts = np.array([failed[prompt_id] for prompt_id in data.prompt_ids])
    judged = np.bincount(data.judgment_table.prompt, minlength=len(data.prompt_ids))
    lost = (failed_counts / np.maximum(1, failed_counts + judged))[rows.prompt]
    decided = {data.prompt_ids[prompt] for prompt in np.unique(rows.prompt).tolist()}
    incomplete = data.incomplete - set(data.prompt_ids)
    share = len(decided) / len(decided | failed.keys() | incomplete)  # of those that decide
    won = share * math.fsum(rows.weight * rows.preference * (1 - lost))
    undecided = share * math.fsum(rows.weight * lost) + 1 - share
    return max(0.0, won), min(1.0, won + undecided)
