"""Where several models stand, from all their pairs at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bakeoff.analysis.aggregate import folded, opinions, sides_of, stands_for
from bakeoff.analysis.columns import Codes, Values
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import CLUSTER_TAG, Rating, RatingModel
from bakeoff.stats.ranks import letters, rank_intervals
from bakeoff.stats.ratings import Mask, Outcomes, bradley_terry
from bakeoff.stats.results import Ratings

RARE = 0.1  # of the verdicts: with less in the other order its effect is not told from strengths
_UNKNOWN = 2  # the order that is none; 0 is a shown first, 1 is b


class Duels(NamedTuple):
    """What the prompts say of one pair: a row per prompt and order in which it was judged.

    `unit` is an index into the names of the units, `values` is for a.
    """

    unit: Codes
    order: Codes
    values: Values
    weights: Values


def ratings_of(
    models: Sequence[str], trials: Sequence[Trial]
) -> tuple[list[Rating], RatingModel | None]:
    """The strongest first, and what was fitted; none where fewer than three models were compared.

    One outcome (won, tied, lost) per prompt, pair and order: repeats, completions and judges
    averaged, then its side. They weigh 1 together for each prompt and pair, so what was judged in
    both orders does not count twice against what was judged in one. Ties are Davidson's where there
    are any. What being shown first is worth is fitted where orders are recorded and both occur; a
    verdict without an order takes part without one. The bootstrap draws prompts, or clusters of
    them, each with all its pairs and orders.
    """
    if len(models) < 3 or not any(len(trial.folded) for trial in trials):
        return [], None
    outcomes = outcomes_of(models, trials)
    ordered = _told_apart(outcomes, len(models))
    ties = bool((outcomes.values == 0.5).any())
    found = bradley_terry(outcomes, len(models), ties=ties, order=ordered)
    better = np.zeros((len(models), len(models)), dtype=np.bool_)
    better[tuple(np.array(found.better, dtype=np.intp).reshape(-1, 2).T)] = True
    ranked = sorted(
        range(len(models)), key=lambda m: (-round(found.strengths[m].estimate, 9), models[m])
    )
    ranks, groups = rank_intervals(better), letters(better, ranked)
    standings = [
        Rating(model=models[m], strength=found.strengths[m], ranks=ranks[m], group=groups[m])
        for m in ranked
    ]
    return standings, _fitted(found, outcomes, trials, ordered=ordered)


def outcomes_of(models: Sequence[str], trials: Sequence[Trial]) -> Outcomes:
    """What was said of all pairs, of which at least one was judged. Left is who was shown first, or
    the first of the pair where that is not known.
    """
    row = {model: index for index, model in enumerate(models)}
    names = sorted({unit for trial in trials for unit in trial.units})
    code = {unit: number for number, unit in enumerate(names)}
    found = [_duels(trial, code) for trial in trials]
    counts = [len(duels.unit) for duels in found]
    a = np.repeat([row[trial.a] for trial in trials], counts)
    b = np.repeat([row[trial.b] for trial in trials], counts)
    unit, order, values, weights = (np.concatenate(part) for part in zip(*found, strict=True))
    turned = order == 1
    return Outcomes(
        np.where(turned, b, a),
        np.where(turned, a, b),
        np.where(turned, 1 - values, values),
        unit,
        weights,
        order != _UNKNOWN,
    )


def _duels(trial: Trial, code: dict[str, int]) -> Duels:
    columns = trial.columns
    order = np.where(columns.recorded, np.where(columns.a_first, 0, 1), _UNKNOWN)
    # Each order of a prompt is folded as if it were a prompt of its own.
    apart = replace(columns, prompt=columns.prompt * 3 + order)
    one = folded(opinions(apart).each, trial.terms.panel)
    prompt = np.searchsorted(trial.folded.prompt, one.prompt // 3)
    units = np.array([code[unit] for unit in trial.units], dtype=np.intp)
    return Duels(
        unit=units[prompt],
        order=one.prompt % 3,
        values=stands_for(sides_of(one.preference)),
        weights=1 / np.bincount(prompt)[prompt],
    )


def _told_apart(outcomes: Outcomes, items: int) -> bool:
    """Whether enough pairs were seen in both orders to tell the order from the strengths."""
    rows = _placed(outcomes)
    shown = np.zeros((items, items))
    np.add.at(shown, (outcomes.left[rows], outcomes.right[rows]), outcomes.counts[rows])
    return bool(np.minimum(shown, shown.T).sum() / 2 >= RARE * shown.sum() > 0)


def _placed(outcomes: Outcomes) -> Mask:
    none = np.zeros(len(outcomes.values), dtype=np.bool_)
    return none if outcomes.placed is None else outcomes.placed


def _fitted(
    found: Ratings, outcomes: Outcomes, trials: Sequence[Trial], *, ordered: bool
) -> RatingModel:
    units = {unit for trial in trials for unit in trial.units}
    prompts = {trial.ids[prompt] for trial in trials for prompt in trial.folded.prompt.tolist()}
    clusters = any(unit.startswith(CLUSTER_TAG) for unit in units)
    over = "clusters of prompts" if clusters else "prompts"
    varied = [one.method for one in found.strengths if one.low < one.high]
    how = f"{min(varied)} over {over}" if varied else found.strengths[0].method
    return RatingModel(
        method=f"{found.method}{_order(outcomes, ordered=ordered)}; {how}",
        prompts=len(prompts),
        clusters=len(units) if clusters else None,
        tie_parameter=found.tie,
        first_advantage=found.first,
        components=len(found.groups),
    )


def _order(outcomes: Outcomes, *, ordered: bool) -> str:
    """What the method says of the order of showing."""
    share = float(np.average(_placed(outcomes), weights=outcomes.counts))
    if not ordered:
        return ", without the order of showing: both orders are too rare" if share else ""
    if share < 1:
        return f", with the order of showing, which {100 * share:.0f}% of the verdicts record"
    return ", with the order of showing"
