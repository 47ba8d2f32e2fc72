"""Compare two runs: the paired change of each win rate, numbers side by side, changed settings."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from bakeoff.analysis.evidence_pairs import pair_data_of
from bakeoff.analysis.pair_data import PairData
from bakeoff.evaluation.sequential import ModelPair
from bakeoff.records import PairSummary, Results
from bakeoff.stats.results import NO_INTERVAL, Estimate
from bakeoff.web.viewer.incompatibilities import (
    Incompatibilities,
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
    """False with too few units, if all changes are equal, or if `withheld`."""
    incompatible: Reasons
    withheld: bool = False
    """The verdict on the pair is withheld in a run: its win rate allows no conclusion."""


class PairDiff(NamedTuple):
    """A pair of models in both runs; all numbers are those of the first model."""

    before: ModelPair
    after: ModelPair
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
    after_data = pair_data_of(after)
    pairs = []
    for names, data in pair_data_of(before).items():
        a, b = (runs.models.get(name, "") for name in names)
        counterpart = after_data.get((a, b)) or after_data.get((b, a))
        if counterpart:
            pairs.append(_pair_diff(runs, names, (a, b), data, counterpart))
    return RunDiff(
        setting_changes(before, after, runs.models, runs.judges),
        runs.prompts,
        tuple(pairs),
        tuple(_compared(_run_values(before), _run_values(after))),
    )


def _pair_diff(
    runs: RunPair, before: ModelPair, after: ModelPair, old: PairData, new: PairData
) -> PairDiff:
    reasons = incompatibilities(runs, before, after)
    if reasons.verdicts:
        paired = PairedChange(0, None, has_interval=False, incompatible=reasons.verdicts)
    else:
        paired = _paired_change(
            _preferences(runs.before, old, before[0]), _preferences(runs.after, new, after[0])
        )
        if paired.change and "withheld" in (
            pair_summary(runs.before, before).outcome,
            pair_summary(runs.after, after).outcome,
        ):
            paired = paired._replace(has_interval=False, withheld=True)
    labels = [renamed(*names) for names in zip(before, after, strict=True)]
    numbers = _compared(
        _pair_values(runs.before, before, labels, reasons),
        _pair_values(runs.after, after, labels, reasons),
    )
    return PairDiff(before, after, paired, tuple(numbers))


def _paired_change(
    before: dict[str, tuple[float, str]], after: dict[str, tuple[float, str]]
) -> PairedChange:
    """Return the mean change over shared prompts, with prompts of one cluster averaged first."""
    import numpy as np

    from bakeoff.stats.tests import paired_difference

    keys = sorted(before.keys() & after.keys())
    if not keys:
        reason = "no prompt was judged in both runs"
        return PairedChange(0, None, has_interval=False, incompatible=(reason,))
    old, new = (np.array([run[key][0] for key in keys]) for run in (before, after))
    units = [f"{before[key][1]}\0{after[key][1]}" for key in keys]
    clusters = np.unique(units, return_inverse=True)[1]
    change = paired_difference(new, old, clusters).difference
    varies = change.method != NO_INTERVAL and bool(np.ptp(np.round(new - old, 12)) > 0)
    return PairedChange(len(keys), change, has_interval=varies, incompatible=())


def _preferences(results: Results, data: PairData, model: str) -> dict[str, tuple[float, str]]:
    """Return the preference for a model and the unit of inference, by content of the prompt."""
    rows = zip(data.comparisons, data.preferences, data.units, strict=True)
    by_id = {
        comparison.prompt_id: (float(value if data.a == model else 1 - value), unit)
        for comparison, value, unit in rows
    }
    keys = prompt_ids_by_content(results.prompts)
    return {key: by_id[prompt_id] for key, prompt_id in keys.items() if prompt_id in by_id}


class _Value(NamedTuple):
    """A number of one run."""

    value: float | None
    unit: Unit
    incompatible: Reasons = ()


def _compared(before: dict[str, _Value], after: dict[str, _Value]) -> list[ComparedNumber]:
    """Return the numbers that at least one run has, by label."""
    return [
        ComparedNumber(label, old.value, after[label].value, old.unit, old.incompatible)
        for label, old in before.items()
        if (old.value, after[label].value) != (None, None)
    ]


def _run_values(results: Results) -> dict[str, _Value]:
    seconds = results.environment.get("seconds")
    return {
        "Prompts": _Value(len(results.prompts), "count"),
        "Judgments": _Value(len(results.judgments), "count"),
        "Failures": _Value(len(results.failures), "count"),
        "Known cost": _Value(cost_of(results), "dollars"),
        "Time": _Value(float(seconds) if isinstance(seconds, int | float) else None, "seconds"),
    }


def cost_of(results: Results) -> float | None:
    """Return US dollars for all outcomes with a known price; None if no price is known."""
    completions = (row.completion.cost for row in results.completions)
    return known_cost(*completions, *(row.verdict.cost for row in results.judgments))


def pair_summary(results: Results, names: ModelPair) -> PairSummary:
    """Return the summary of a pair of models, in either order."""
    return next(p for p in results.summary.pairs if {p.a, p.b} == set(names))


def _pair_values(
    results: Results, names: ModelPair, labels: Sequence[str], reasons: Incompatibilities
) -> dict[str, _Value]:
    """Return the numbers of a pair from the perspective of its first model."""
    pair = pair_summary(results, names)
    rates = [rate.estimate if rate else None for rate in (pair.win_rate, pair.decisive_win_rate)]
    scores = [stats.mean if stats else None for stats in (pair.scores_a, pair.scores_b)]
    if pair.a != names[0]:
        rates = [None if rate is None else 1 - rate for rate in rates]
        scores.reverse()
    ties = pair.ties / pair.prompts if pair.prompts else None
    first_wins = pair.order.pick_first.estimate if pair.order.pick_first else None
    means, aggregates = reasons.means, reasons.aggregates
    a, b = labels
    values = {
        "Prompts judged": _Value(pair.prompts, "count"),
        f"Win rate of {a}": _Value(rates[0], "share", means),
        f"Win rate of {a} without ties": _Value(rates[1], "share", aggregates),
        "Ties": _Value(ties, "share", aggregates),
        f"Mean score of {a}": _Value(scores[0], "score", means),
        f"Mean score of {b}": _Value(scores[1], "score", means),
        "Same winner in both orders": _Value(pair.consistency, "share", aggregates),
        "The first place wins": _Value(first_wins, "share", aggregates),
    }
    for name, label, why in zip(names, labels, reasons.completions, strict=True):
        model = next(m for m in results.summary.models if m.model == name)
        truncated = model.truncated / model.completed if model.completed else None
        values |= {
            f"Characters of {label}": _Value(model.mean_characters, "length", why),
            f"Tokens of {label}": _Value(model.mean_tokens, "length", why),
            f"{label} was cut short": _Value(truncated, "share", why),
        }
    return values
