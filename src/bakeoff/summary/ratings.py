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
    units = [unit for trial in trials for unit in trial.units]
    code = {unit: number for number, unit in enumerate(sorted(set(units)))}
    counts = [len(trial.folded) for trial in trials]
    outcomes = Outcomes(
        np.repeat([row[trial.a] for trial in trials], counts),
        np.repeat([row[trial.b] for trial in trials], counts),
        np.concatenate([trial.values for trial in trials]),
        np.array([code[unit] for unit in units], dtype=np.intp),
    )
    found = bradley_terry(outcomes, len(models)).strengths
    standings = [Standing(model=model, strength=found[row[model]]) for model in models]
    return sorted(standings, key=lambda one: -one.strength.estimate)
