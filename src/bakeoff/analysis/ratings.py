"""Ratings of several models, fitted to all their pairs at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

from bakeoff.analysis.aggregate import (
    aggregate_by_judge,
    aggregate_by_prompt,
    side_values,
    sides_of,
)
from bakeoff.analysis.checks import WEAKENING
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary, Rating, RatingModel
from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.ranks import letter_display, rank_intervals
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry
from bakeoff.stats.results import BradleyTerryFit
from bakeoff.stats.tests import sign_test

_MAX_COUNT_EXCESS = 0.05  # of the share of winners over the mean preference
_UNKNOWN = 2  # code of an unrecorded order; 0 is a shown first, 1 is b


class _PairOutcomes(NamedTuple):
    """The outcomes of one pair of models, a row per prompt and presentation order."""

    unit: Codes
    """Index of the prompt or cluster, the unit of resampling."""
    order: Codes
    """0 if a was shown first, 1 if b was, else `_UNKNOWN`."""
    values: Values
    """1 if a won, 0 if b won, 0.5 for a tie."""
    weights: Values


class Ranking(NamedTuple):
    """The ratings of the models, the strongest first, or the reason why there are none."""

    ratings: list[Rating]
    model: RatingModel | None = None
    withheld: str = ""
    """A sentence; empty if there are ratings, or fewer than three models."""
    published: "Ranking | None" = None
    """The ratings from all judged pairs, without ranks, if some verdicts are withheld."""


def rank_models(models: Sequence[str], pairs: Sequence[tuple[PairSummary, PairData]]) -> Ranking:
    """The ratings of three models or more, from the pairs whose verdict is not withheld.

    The ranking is withheld if these pairs connect fewer of the models than all judged pairs do:
    models would be compared through pairs that allow no conclusion, or not at all.
    """
    judged = [(pair, data) for pair, data in pairs if len(data.prompt_table)]
    if len(models) < 3 or not judged:
        return Ranking([])
    reasons = {(pair.a, pair.b): _reason(pair) for pair, _ in judged}
    passing = [data for pair, data in judged if not reasons[pair.a, pair.b]]
    everything = [data for _, data in judged]
    if len(passing) == len(judged):
        return _fit(models, passing)
    published = _without_ranks(_fit(models, everything, everything=True))
    if _components(models, passing) > _components(models, everything):
        kinds = Counter(filter(None, reasons.values()))
        text = ", ".join(f"{kind} in {count}" for kind, count in kinds.most_common())
        return Ranking(
            [],
            withheld=f"Ranking withheld: {kinds.total()} of {len(judged)} pairs allow no "
            f"conclusion ({text})",
            published=published,
        )
    return _fit(models, passing)._replace(published=published)


def _reason(pair: PairSummary) -> str:
    """Why a pair says nothing about ranks, as the kind of a finding; empty if it does.

    Ratings count winners. Where significantly more prompts are won by a model whose mean preference
    does not show it better, counts mislead.
    """
    if pair.outcome == "withheld":
        return next(reason.kind for reason in pair.reasons if reason.kind not in WEAKENING)
    rate, share = pair.win_rate, pair.winner_share
    if rate is None or share is None or abs(share - rate.estimate) < _MAX_COUNT_EXCESS:
        return ""
    by_counts = "better" if pair.wins > pair.losses else "worse"
    significant = sign_test(pair.wins, pair.losses).p < 0.05
    return "counts disagree" if significant and pair.outcome != by_counts else ""


def _without_ranks(ranking: Ranking) -> Ranking:
    ratings = [row.model_copy(update={"ranks": None, "group": None}) for row in ranking.ratings]
    return ranking._replace(ratings=ratings)


def _components(models: Sequence[str], pairs: Sequence[PairData]) -> int:
    """The number of groups of models that the pairs connect."""
    index = {model: number for number, model in enumerate(models)}
    edges = np.zeros((len(models), len(models)), dtype=np.bool_)
    for data in pairs:
        edges[index[data.a], index[data.b]] = True
    return int(connected_components(edges, directed=False)[0])


def _fit(models: Sequence[str], pairs: Sequence[PairData], *, everything: bool = False) -> Ranking:
    """The ratings from the judgments of these pairs that decide, or from `everything`.

    There is one outcome (won, tied, lost) per prompt, pair and order: the side of the mean over
    repeats, completions and judges. The weights of the outcomes of a prompt and pair sum to 1, so
    that prompts judged in both orders do not count twice; prompts judged in one order are weighted
    so that both orders of a pair count equally. If there are ties, the model is Davidson's. The
    effect of being shown first is fitted if orders are recorded and both occur; verdicts without
    an order do not contribute to it. The bootstrap draws prompts, or clusters of them, with all
    their pairs and orders.
    """
    outcomes = pairwise_outcomes(models, pairs, everything=everything)
    ordered = _identifies_order(outcomes)
    ties = bool((outcomes.values == 0.5).any())
    fit = bradley_terry(outcomes, len(models), ties=ties, order=ordered)
    better = np.zeros((len(models), len(models)), dtype=np.bool_)
    better[tuple(np.array(fit.better, dtype=np.intp).reshape(-1, 2).T)] = True
    ranked = sorted(
        range(len(models)), key=lambda m: (-round(fit.strengths[m].estimate, 9), models[m])
    )
    ranks, groups = rank_intervals(better), letter_display(better, ranked)
    ratings = [
        Rating(model=models[m], strength=fit.strengths[m], ranks=ranks[m], group=groups[m])
        for m in ranked
    ]
    return Ranking(ratings, _rating_model(fit, outcomes, pairs, ordered=ordered))


def pairwise_outcomes(
    models: Sequence[str], pairs: Sequence[PairData], *, everything: bool = False
) -> PairwiseOutcomes:
    """The outcomes of all pairs; at least one pair has to have a judgment.

    With `everything`, judgments whose order allows no conclusion are included.

    Left is the model shown first, or the first of the pair if the order is unknown.
    """
    index = {model: number for number, model in enumerate(models)}
    names = sorted({unit for data in pairs for unit in data.units})
    unit_codes = {unit: code for code, unit in enumerate(names)}
    by_pair = [_pair_outcomes(data, unit_codes, everything=everything) for data in pairs]
    counts = [len(outcomes.unit) for outcomes in by_pair]
    a = np.repeat([index[data.a] for data in pairs], counts)
    b = np.repeat([index[data.b] for data in pairs], counts)
    unit, order, values, weights = map(np.concatenate, zip(*by_pair, strict=True))
    swapped = order == 1
    return PairwiseOutcomes(
        np.where(swapped, b, a),
        np.where(swapped, a, b),
        np.where(swapped, 1 - values, values),
        unit,
        weights,
        order != _UNKNOWN,
    )


def _pair_outcomes(
    data: PairData, unit_codes: dict[str, int], *, everything: bool
) -> _PairOutcomes:
    table = data.judgment_table if everything else data.order_design.deciding_judgments
    order = np.where(table.recorded, np.where(table.a_first, 0, 1), _UNKNOWN)
    # Each order of a prompt is aggregated as a prompt of its own.
    split = replace(table, prompt=table.prompt * 3 + order)
    by_order = aggregate_by_prompt(aggregate_by_judge(split).rows, data.config.panel)
    row = np.searchsorted(data.prompt_table.prompt, by_order.prompt // 3)
    units = np.array([unit_codes[unit] for unit in data.units], dtype=np.intp)
    counts = np.bincount(row)
    return _PairOutcomes(
        unit=units[row],
        order=by_order.prompt % 3,
        values=side_values(sides_of(by_order.preference)),
        weights=_balanced_weights(by_order.prompt % 3, counts[row]),
    )


def _balanced_weights(order: Codes, orders_of_prompt: Codes) -> Values:
    """1 / orders of the prompt, rescaled so that prompts in one order count equally per order."""
    weights = 1 / orders_of_prompt
    single = (orders_of_prompt == 1) & (order != _UNKNOWN)
    counts = [int((single & (order == code)).sum()) for code in (0, 1)]
    if min(counts):
        for code, count in enumerate(counts):
            weights[single & (order == code)] = sum(counts) / 2 / count
    return np.asarray(weights, dtype=np.float64)


def _identifies_order(outcomes: PairwiseOutcomes) -> bool:
    """Whether some pair was judged in both orders, which separates their effect from strengths."""
    known = _order_known(outcomes)
    orders = set(zip(outcomes.left[known].tolist(), outcomes.right[known].tolist(), strict=True))
    return any((right, left) in orders for left, right in orders)


def _order_known(outcomes: PairwiseOutcomes) -> Mask:
    none = np.zeros(len(outcomes.values), dtype=np.bool_)
    return none if outcomes.order_known is None else outcomes.order_known


def _rating_model(
    fit: BradleyTerryFit, outcomes: PairwiseOutcomes, pairs: Sequence[PairData], *, ordered: bool
) -> RatingModel:
    units = {unit for data in pairs for unit in data.units}
    prompts = {data.prompt_ids[row] for data in pairs for row in data.prompt_table.prompt.tolist()}
    clusters = any(data.clusters is not None for data in pairs)
    over = "clusters of prompts" if clusters else "prompts"
    methods = [strength.method for strength in fit.strengths if strength.low < strength.high]
    interval = f"{min(methods)} over {over}" if methods else fit.strengths[0].method
    return RatingModel(
        method=f"{fit.method}{_order_note(outcomes, ordered=ordered)}; {interval}",
        prompts=len(prompts),
        clusters=len(units) if clusters else None,
        tie_parameter=fit.tie_parameter,
        first_advantage=fit.first_advantage,
        components=len(fit.components),
    )


def _order_note(outcomes: PairwiseOutcomes, *, ordered: bool) -> str:
    """The part of the method about the order of presentation."""
    share = float(np.average(_order_known(outcomes), weights=outcomes.counts))
    if not ordered:
        return ", without the order of presentation: no pair has both orders" if share else ""
    if share < 1:
        return f", with the order of presentation, which {100 * share:.0f}% of the verdicts record"
    return ", with the order of presentation"
