"""Matches the models and judges of two runs, and finds why their numbers are incompatible.

Two numbers are incompatible if they depend on something that differs, other than one model: their
difference would say nothing about that model.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from bakeoff.evaluation.sequential import ModelPair
from bakeoff.records import HUMAN_PREFIX, Results
from bakeoff.web.viewer.settings_diff import (
    PromptOverlap,
    SettingChange,
    changed_values,
    identities,
    prompt_overlap,
)

Reasons = tuple[str, ...]  # clauses that say why numbers are incompatible


class RunPair(NamedTuple):
    """Two runs with their models and judges matched."""

    before: Results
    after: Results
    models: dict[str, str]
    judges: dict[str, str]
    prompts: PromptOverlap

    @classmethod
    def of(cls, before: Results, after: Results) -> Self:
        """Return the runs, matched by `match_names`."""
        runs = (before, after)
        models = match_names(*([model.model for model in run.summary.models] for run in runs))
        judges = match_names(*map(_counted_judges, runs))
        return cls(before, after, models, judges, prompt_overlap(before, after))

    @property
    def both(self) -> tuple[Results, Results]:
        """The two runs."""
        return self.before, self.after


def match_names(before: Sequence[str], after: Sequence[str]) -> dict[str, str]:
    """Return a mapping of names: equal ones; and by position if one, or both of two, is left."""
    matches = {name: name for name in before if name in after}
    left = [name for name in before if name not in matches]
    right = [name for name in after if name not in matches]
    if len(left) == len(right) and (len(left) == 1 or len(before) == len(after) == 2):
        matches |= dict(zip(left, right, strict=True))
    return {name: matches[name] for name in before if name in matches}


class Incompatibilities(NamedTuple):
    """Why the numbers of a pair are incompatible, by what they depend on; empty if they are not."""

    verdicts: Reasons
    """For the verdicts on the same prompts."""
    means: Reasons
    """For means over all prompts."""
    aggregates: Reasons
    """For numbers that depend on orders and repeats too."""
    completions: tuple[Reasons, Reasons]
    """For the completions of each model."""


def incompatibilities(runs: RunPair, before: ModelPair, after: ModelPair) -> Incompatibilities:
    """Return the reasons against comparing a pair of one run with a pair of the other."""
    names = list(zip(before, after, strict=True))
    first, second = (tuple(_sampling_reasons(runs, *both)) for both in names)
    reasons = [*_judging_reasons(runs, before, after), *first, *second]
    if all(_is_another_model(runs, *both) for both in names):
        reasons.append("both models are others")
    verdicts = tuple(dict.fromkeys(reasons))
    prompts = () if runs.prompts.same else ("the prompts are not the same",)
    return Incompatibilities(
        verdicts=verdicts,
        means=(*verdicts, *prompts),
        aggregates=(*verdicts, *prompts, *_config_reasons(runs, "orders", "samples", "repeats")),
        completions=((*first, *prompts), (*second, *prompts)),
    )


def _judging_reasons(runs: RunPair, before: ModelPair, after: ModelPair) -> Iterator[str]:
    """Yield what differs in the judges and in how they are asked."""
    counts = {len(_counted_judges(run)) for run in runs.both} | {len(runs.judges)}
    if len(counts) > 1:
        yield "the judges are others"
    elif counts == {0}:
        yield "nothing was judged"
    for judge, new_judge in runs.judges.items():
        if _is_human(runs.before, judge) or _is_human(runs.after, new_judge):
            if judge != new_judge:
                yield "other people judged"
            continue
        recorded, changes = _identity_diff(runs, "judges", judge, new_judge)
        if recorded:
            yield from map(_judge_change, changes)
        else:
            yield "it is not recorded how the judge was asked"
        old = _snapshots(runs.before, judge, before)
        new = _snapshots(runs.after, new_judge, after)
        if old and new and old != new:
            yield f"the judge's snapshot differs ({_join(old)}; {_join(new)})"
    yield from _config_reasons(runs, "thinking", *(["panel"] if max(counts) > 1 else []))


def _judge_change(change: SettingChange) -> str:
    path = change.name.split(".")
    if "template" in path:
        return "the judge's template differs"
    if "sampling" in path:
        return f"the judge's sampling differs ({_values(change)})"
    if "generator" in path:
        return "the judge is another model"
    return f"what the judge is asked for differs ({change.name})"


def _sampling_reasons(runs: RunPair, model: str, new_model: str) -> Iterator[str]:
    recorded, changes = _identity_diff(runs, "models", model, new_model)
    if not recorded:
        yield "it is not recorded how the models were asked"
        return
    for change in changes:
        if _is_sampling(change):
            yield f"the sampling of {new_model} differs ({_values(change)})"


def _is_another_model(runs: RunPair, model: str, new_model: str) -> bool:
    _, changes = _identity_diff(runs, "models", model, new_model)
    old, new = (
        {row.completion.snapshot for row in run.completions if row.model == name}
        for run, name in zip(runs.both, (model, new_model), strict=True)
    )
    return not all(map(_is_sampling, changes)) or old != new


def _config_reasons(runs: RunPair, *names: str) -> Iterator[str]:
    for name in names:
        for change in changed_values(*(run.config.get(name) for run in runs.both)):
            values = f"{change.before or 'none'}; {change.after or 'none'}"
            yield f"the setting {name} differs ({values})"


def _identity_diff(
    runs: RunPair, kind: str, name: str, new_name: str
) -> tuple[bool, list[SettingChange]]:
    """Return whether both runs record an identity, and how it differs."""
    old = identities(runs.before, kind).get(name)
    new = identities(runs.after, kind).get(new_name)
    return old is not None and new is not None, changed_values(old, new)


def _is_sampling(change: SettingChange) -> bool:
    return change.name.split(".")[0] == "sampling"


def _counted_judges(results: Results) -> list[str]:
    """Return the judges whose verdicts count: people only if there is no other judge."""
    names = dict.fromkeys((*identities(results, "judges"), *(j.judge for j in results.judgments)))
    machines = [name for name in names if not _is_human(results, name)]
    return machines or sorted(names)


def _is_human(results: Results, name: str) -> bool:
    return results.origins.get(name, "").startswith(HUMAN_PREFIX)


def _snapshots(results: Results, judge: str, models: ModelPair) -> set[str]:
    """Return the model names that the judge's server returned for this pair."""
    return {
        row.verdict.snapshot or "not told"
        for row in results.judgments
        if row.judge == judge and {row.first, row.second} == set(models)
    }


def _values(change: SettingChange) -> str:
    name = change.name.rpartition("sampling.")[2]
    return f"{name}: {change.before or 'none'}; {change.after or 'none'}"


def _join(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
