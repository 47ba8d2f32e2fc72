"""Compare two runs: the paired change of each win rate, numbers side by side, changed settings."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from bakeoff.analysis.pair_data import Trial, trials_of
from bakeoff.records import ModelSummary, PairSummary, Results
from bakeoff.stats.results import Estimate
from bakeoff.web.viewer.incompatibilities import (
    Incompatibilities,
    ModelNames,
    Reasons,
    RunPair,
    incompatibilities,
)
from bakeoff.web.viewer.run_cards import known_cost
from bakeoff.web.viewer.settings_diff import (
    ChangeGroup,
    PromptOverlap,
    prompt_ids_by_content,
    renamed,
    setting_changes,
)

MIN_UNITS = 8  # of inference for an interval

Unit = Literal["share", "score", "count", "length", "dollars", "seconds"]


class ComparedNumber(NamedTuple):
    """A number of both runs; None if a run does not have it. Shares and scores are 0 to 1."""

    label: str
    before: float | None
    after: float | None
    unit: Unit
    incompatible: Reasons = ()

    @property
    def difference(self) -> float | None:
        """`after` - `before`; None if they are incompatible or one is None."""
        if self.incompatible or self.before is None or self.after is None:
            return None
        return self.after - self.before


class PairedChange(NamedTuple):
    """Mean change of the preference for a model over the prompts that both runs judged."""

    prompts: int
    change: Estimate | None
    has_interval: bool
    """False with fewer than MIN_UNITS units, or if all changes are equal."""
    incompatible: Reasons


class PairDiff(NamedTuple):
    """A pair of models in both runs; all numbers are those of the first model."""

    before: ModelNames
    after: ModelNames
    """The models in the same roles in the run after."""
    paired: PairedChange
    numbers: tuple[ComparedNumber, ...]

    @property
    def substitutions(self) -> str:
        """Which model replaces which, as a sentence; empty if the names are equal."""
        names = zip(self.before, self.after, strict=True)
        return " and ".join(f"{new} stands in for {old}" for old, new in names if old != new)


class RunDiff(NamedTuple):
    """The differences between two runs."""

    groups: tuple[ChangeGroup, ...]
    prompts: PromptOverlap
    pairs: tuple[PairDiff, ...]
    totals: tuple[ComparedNumber, ...]
    """Numbers of the whole runs."""


def compare_runs(before: Results, after: Results) -> RunDiff:
    """Return what changed from one run to another; every difference is `after` - `before`."""
    runs = RunPair.of(before, after)
    trials = trials_of(after)
    pairs = []
    for names, trial in trials_of(before).items():
        a, b = (runs.models.get(name, "") for name in names)
        counterpart = trials.get((a, b)) or trials.get((b, a))
        if counterpart:
            pairs.append(_pair_diff(runs, names, (a, b), trial, counterpart))
    return RunDiff(
        setting_changes(before, after, runs.models, runs.judges),
        runs.prompts,
        tuple(pairs),
        _run_numbers(runs),
    )


def _pair_diff(
    runs: RunPair, before: ModelNames, after: ModelNames, old: Trial, new: Trial
) -> PairDiff:
    reasons = incompatibilities(runs, before, after)
    if reasons.verdicts:
        paired = PairedChange(0, None, has_interval=False, incompatible=reasons.verdicts)
    else:
        paired = _paired_change(
            _preferences(runs.before, old, before[0]), _preferences(runs.after, new, after[0])
        )
    return PairDiff(before, after, paired, _pair_numbers(runs, before, after, reasons))


def _paired_change(
    before: dict[str, tuple[float, str]], after: dict[str, tuple[float, str]]
) -> PairedChange:
    """Return the mean change over shared prompts, with prompts of one cluster averaged first."""
    import numpy as np

    from bakeoff.stats.intervals import cluster_means, student

    keys = sorted(before.keys() & after.keys())
    if not keys:
        reason = "no prompt was judged in both runs"
        return PairedChange(0, None, has_interval=False, incompatible=(reason,))
    changes = np.array([after[key][0] - before[key][0] for key in keys])
    units = [f"{before[key][1]}\0{after[key][1]}" for key in keys]
    means = cluster_means(changes, np.unique(units, return_inverse=True)[1])
    means = np.round(means, 12)
    varies = len(means) >= MIN_UNITS and bool(np.ptp(means) > 0)
    return PairedChange(len(keys), student(means), has_interval=varies, incompatible=())


def _preferences(results: Results, trial: Trial, model: str) -> dict[str, tuple[float, str]]:
    """Return the preference for a model and the unit of inference, by content of the prompt."""
    rows = zip(trial.comparisons, trial.values, trial.units, strict=True)
    by_id = {
        comparison.prompt_id: (float(value if trial.a == model else 1 - value), unit)
        for comparison, value, unit in rows
    }
    keys = prompt_ids_by_content(results.prompts)
    return {key: by_id[prompt_id] for key, prompt_id in keys.items() if prompt_id in by_id}


_Row = tuple[str, Unit, Reasons]


def _numbers(
    rows: Iterable[_Row], before: Iterable[float | None], after: Iterable[float | None]
) -> tuple[ComparedNumber, ...]:
    """Return the numbers that at least one run has."""
    return tuple(
        ComparedNumber(label, old, new, unit, reasons)
        for (label, unit, reasons), old, new in zip(rows, before, after, strict=True)
        if (old, new) != (None, None)
    )


def _run_numbers(runs: RunPair) -> tuple[ComparedNumber, ...]:
    rows: list[_Row] = [
        ("Prompts", "count", ()),
        ("Judgments", "count", ()),
        ("Failures", "count", ()),
        ("Known cost", "dollars", ()),
        ("Time", "seconds", ()),
    ]
    return _numbers(rows, *map(_run_values, runs.both))


def _run_values(results: Results) -> list[float | None]:
    seconds = results.environment.get("seconds")
    return [
        len(results.prompts),
        len(results.judgments),
        len(results.failures),
        cost_of(results),
        float(seconds) if isinstance(seconds, int | float) else None,
    ]


def cost_of(results: Results) -> float | None:
    """Return US dollars for all outcomes with a known price; None if no price is known."""
    return known_cost(
        *(row.completion.cost for row in results.completions),
        *(row.verdict.cost for row in results.judgments),
    )


def _pair_numbers(
    runs: RunPair, before: ModelNames, after: ModelNames, reasons: Incompatibilities
) -> tuple[ComparedNumber, ...]:
    names = list(zip(before, after, strict=True))
    a, b = (renamed(*both) for both in names)
    rows: list[_Row] = [
        ("Prompts judged", "count", ()),
        (f"Win rate of {a}", "share", reasons.means),
        (f"Win rate of {a} without ties", "share", reasons.aggregates),
        ("Ties", "share", reasons.aggregates),
        (f"Mean score of {a}", "score", reasons.means),
        (f"Mean score of {b}", "score", reasons.means),
        ("Same winner in both orders", "share", reasons.aggregates),
        ("The first place wins", "share", reasons.aggregates),
    ]
    numbers = _numbers(rows, _pair_values(runs.before, before), _pair_values(runs.after, after))
    for (old, new), why in zip(names, reasons.completions, strict=True):
        name = renamed(old, new)
        rows = [
            (f"Characters of {name}", "length", why),
            (f"Tokens of {name}", "length", why),
            (f"{name} was cut short", "share", why),
        ]
        numbers += _numbers(rows, _model_values(runs.before, old), _model_values(runs.after, new))
    return numbers


def _pair_values(results: Results, names: ModelNames) -> list[float | None]:
    """Return the numbers of a pair from the perspective of its first name."""
    pair: PairSummary = next(p for p in results.summary.pairs if {p.a, p.b} == set(names))
    rates = [_estimate(pair.win_rate), _estimate(pair.decisive_win_rate)]
    scores = [stats.mean if stats else None for stats in (pair.scores_a, pair.scores_b)]
    if pair.a != names[0]:
        rates = [None if rate is None else 1 - rate for rate in rates]
        scores.reverse()
    ties = pair.ties / pair.prompts if pair.prompts else None
    first_wins = _estimate(pair.order.pick_first)
    return [pair.prompts, *rates, ties, *scores, pair.consistency, first_wins]


def _estimate(estimate: Estimate | None) -> float | None:
    return estimate.estimate if estimate else None


def _model_values(results: Results, name: str) -> list[float | None]:
    model: ModelSummary = next(m for m in results.summary.models if m.model == name)
    truncated = model.truncated / model.completed if model.completed else None
    return [model.mean_characters, model.mean_tokens, truncated]
