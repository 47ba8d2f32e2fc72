"""Two runs side by side: what changed, and which numbers may be compared after that. Pure.

A number is refused where something differs that it depends on, other than the one model that is
being tried: then the difference would say nothing about that model.
"""

from typing import NamedTuple

from bakeoff.analysis.pair_data import PairData, pair_data_of
from bakeoff.records import Results
from bakeoff.stats.results import Estimate
from bakeoff.web.viewer.incompatibilities import Twins, refusals
from bakeoff.web.viewer.numbers import Number, of_pair, of_runs
from bakeoff.web.viewer.settings_diff import Shared, Topic, asked, topics

FEWEST = 8  # units below which the spread of the differences is not known well enough


class Paired(NamedTuple):
    """The change of a win rate on the prompts that both runs share: other - one, prompt by prompt.

    `interval` is False where there are too few prompts, or all changed alike; `refused` says why
    the change is not told.
    """

    prompts: int
    change: Estimate | None
    interval: bool
    refused: tuple[str, ...]


class Duel(NamedTuple):
    """Two models of one run, and who has their places in the other run.

    Everything is told of the first model of `one`: of `other`, the first name has its place.
    """

    one: tuple[str, str]
    other: tuple[str, str]
    paired: Paired
    numbers: tuple[Number, ...]

    @property
    def moved(self) -> str:
        """Where names differ: who was taken to stand in for whom, as a sentence."""
        told = [
            f"{b} stands in for {a}" for a, b in zip(self.one, self.other, strict=True) if a != b
        ]
        return " and ".join(told)


class Differences(NamedTuple):
    """What changed from one run to another, and the numbers of both. `runs` are of whole runs."""

    topics: tuple[Topic, ...]
    prompts: Shared
    duels: tuple[Duel, ...]
    runs: tuple[Number, ...]


def differences(one: Results, other: Results) -> Differences:
    """What changed from `one` to `other`; every difference is other - one.

    Models and judges are matched by name, and where one (or each of two) is left on either side,
    by place.
    """
    twins = Twins.of(one, other)
    ours, theirs = pair_data_of(one), pair_data_of(other)
    found = []
    for (a, b), pair_data in ours.items():
        its = (twins.models.get(a, ""), twins.models.get(b, ""))
        counterpart = theirs.get(its) or theirs.get((its[1], its[0]))
        if counterpart:
            found.append(_duel(twins, its, pair_data, counterpart))
    return Differences(
        topics=topics(one, other, twins.models, twins.judges),
        prompts=twins.prompts,
        duels=tuple(found),
        runs=of_runs(one, other),
    )


def _duel(twins: Twins, its: tuple[str, str], ours: PairData, theirs: PairData) -> Duel:
    names = (ours.a, ours.b)
    refused = refusals(twins, names, its)
    return Duel(
        one=names,
        other=its,
        paired=_paired(twins, its, ours, theirs)
        if not refused.judged
        else Paired(0, None, interval=False, refused=refused.judged),
        numbers=of_pair(twins.one, twins.other, names, its, refused),
    )


def _paired(twins: Twins, its: tuple[str, str], ours: PairData, theirs: PairData) -> Paired:
    """The mean over shared prompts of how the preference for the first model changed."""
    import numpy as np

    from bakeoff.stats.intervals import cluster_means, t_interval

    before = _preferences(twins.one, ours, ours.a)
    after = _preferences(twins.other, theirs, its[0])
    keys = sorted(before.keys() & after.keys())
    if not keys:
        why = "no prompt was judged in both runs"
        return Paired(0, None, interval=False, refused=(why,))
    values = np.array([after[key][0] - before[key][0] for key in keys])
    units = [f"{before[key][1]}\0{after[key][1]}" for key in keys]
    codes = np.unique(units, return_inverse=True)[1]
    values = np.round(cluster_means(values, codes), 12)
    spread = len(values) >= FEWEST and bool(np.ptp(values) > 0)
    return Paired(len(keys), t_interval(values), interval=spread, refused=())


def _preferences(results: Results, pair_data: PairData, model: str) -> dict[str, tuple[float, str]]:
    """The preference for a model and the unit of each prompt that was judged, by what it asks."""
    found = {
        comparison.prompt_id: (float(value if pair_data.a == model else 1 - value), unit)
        for comparison, value, unit in zip(
            pair_data.comparisons, pair_data.preferences, pair_data.units, strict=True
        )
    }
    return {key: found[name] for key, name in asked(results.prompts).items() if name in found}
