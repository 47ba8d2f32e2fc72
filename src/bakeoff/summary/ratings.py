"""Where several models stand, from all their pairs at once."""

from collections.abc import Sequence

import numpy as np

from bakeoff.records import Standing
from bakeoff.stats.bradley_terry import Outcomes, bradley_terry
from bakeoff.summary.trial import Trial


def ratings_of(models: Sequence[str], trials: Sequence[Trial]) -> list[Standing]:
    """The strongest first; none where fewer than three models were compared.

    One outcome per prompt and pair: its preference, orders and judges averaged. The bootstrap draws
    prompts, or clusters of them, each with all its pairs.
    """
    if len(models) < 3 or not any(len(trial.folded) for trial in trials):
        return []
    row = {model: index for index, model in enumerate(models)}
    rows = [
        (row[trial.a], row[trial.b], value, unit)
        for trial in trials
        for value, unit in zip(trial.values.tolist(), trial.units, strict=True)
    ]
    left, right, values, units = zip(*rows, strict=True)
    outcomes = Outcomes(
        np.array(left, dtype=np.intp),
        np.array(right, dtype=np.intp),
        np.array(values, dtype=np.float64),
        np.unique(units, return_inverse=True)[1],
    )
    found = bradley_terry(outcomes, len(models)).strengths
    standings = [Standing(model=model, strength=found[row[model]]) for model in models]
    return sorted(standings, key=lambda one: -one.strength.estimate)
