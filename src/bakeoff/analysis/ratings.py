"""Ratings of several models, fitted to all their pairs at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.aggregate import (
    aggregate_by_judge,
    aggregate_by_prompt,
    side_values,
    sides_of,
)
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import CLUSTER_TAG, Rating, RatingModel
from bakeoff.stats.arrays import Codes, Mask, Values
from bakeoff.stats.ranks import letter_display, rank_intervals
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry
from bakeoff.stats.results import BradleyTerryFit

# Share of verdicts with the rarer order of their pair; with less, no order effect is fitted.
MIN_MINORITY_SHARE = 0.1
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


def fit_ratings(
    models: Sequence[str], pairs: Sequence[PairData]
) -> tuple[list[Rating], RatingModel | None]:
    """The ratings, the strongest model first, and the fitted model.

    Returns no ratings and None for fewer than three models, or without judgments.

    There is one outcome (won, tied, lost) per prompt, pair and order: the side of the mean over
    repeats, completions and judges. The weights of the outcomes of a prompt and pair sum to 1, so
    that prompts judged in both orders do not count twice. If there are ties, the model is
    Davidson's. The effect of being shown first is fitted if orders are recorded and both occur;
    verdicts without an order do not contribute to it. The bootstrap draws prompts, or clusters of
    them, with all their pairs and orders.
    """
    if len(models) < 3 or not any(len(data.prompt_table) for data in pairs):
        return [], None
    outcomes = pairwise_outcomes(models, pairs)
    ordered = _identifies_order(outcomes, len(models))
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
    return ratings, _rating_model(fit, outcomes, pairs, ordered=ordered)


def pairwise_outcomes(models: Sequence[str], pairs: Sequence[PairData]) -> PairwiseOutcomes:
    """The outcomes of all pairs; at least one pair has to have a judgment.

    Left is the model shown first, or the first of the pair if the order is unknown.
    """
    index = {model: number for number, model in enumerate(models)}
    names = sorted({unit for data in pairs for unit in data.units})
    unit_codes = {unit: code for code, unit in enumerate(names)}
    by_pair = [_pair_outcomes(data, unit_codes) for data in pairs]
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


def _pair_outcomes(data: PairData, unit_codes: dict[str, int]) -> _PairOutcomes:
    table = data.judgment_table
    order = np.where(table.recorded, np.where(table.a_first, 0, 1), _UNKNOWN)
    # Each order of a prompt is aggregated as a prompt of its own.
    split = replace(table, prompt=table.prompt * 3 + order)
    by_order = aggregate_by_prompt(aggregate_by_judge(split).rows, data.config.panel)
    row = np.searchsorted(data.prompt_table.prompt, by_order.prompt // 3)
    units = np.array([unit_codes[unit] for unit in data.units], dtype=np.intp)
    return _PairOutcomes(
        unit=units[row],
        order=by_order.prompt % 3,
        values=side_values(sides_of(by_order.preference)),
        weights=1 / np.bincount(row)[row],
    )


def _identifies_order(outcomes: PairwiseOutcomes, items: int) -> bool:
    """Whether enough pairs were judged in both orders to separate their effect from strengths."""
    known = _order_known(outcomes)
    shown = np.zeros((items, items))
    np.add.at(shown, (outcomes.left[known], outcomes.right[known]), outcomes.counts[known])
    return bool(np.minimum(shown, shown.T).sum() / 2 >= MIN_MINORITY_SHARE * shown.sum() > 0)


def _order_known(outcomes: PairwiseOutcomes) -> Mask:
    none = np.zeros(len(outcomes.values), dtype=np.bool_)
    return none if outcomes.order_known is None else outcomes.order_known


def _rating_model(
    fit: BradleyTerryFit, outcomes: PairwiseOutcomes, pairs: Sequence[PairData], *, ordered: bool
) -> RatingModel:
    units = {unit for data in pairs for unit in data.units}
    prompts = {data.prompt_ids[row] for data in pairs for row in data.prompt_table.prompt.tolist()}
    clusters = any(unit.startswith(CLUSTER_TAG) for unit in units)
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
        return ", without the order of showing: both orders are too rare" if share else ""
    if share < 1:
        return f", with the order of showing, which {100 * share:.0f}% of the verdicts record"
    return ", with the order of showing"
