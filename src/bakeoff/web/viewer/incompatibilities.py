"""Why a number of two runs may not be compared: what differs that it depends on. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from pydantic import JsonValue

from bakeoff.records import HUMAN_PREFIX, Results
from bakeoff.web.viewer.settings_diff import Change, Shared, differing, identities, shared


class Twins(NamedTuple):
    """Two runs, and the names of models and judges of one with those that have their places."""

    one: Results
    other: Results
    models: dict[str, str]
    judges: dict[str, str]
    prompts: Shared

    @classmethod
    def of(cls, one: Results, other: Results) -> Self:
        """Matched by name, else by place."""
        models = ([model.model for model in run.summary.models] for run in (one, other))
        return cls(
            one,
            other,
            matched(*models),
            matched(judges_of(one), judges_of(other)),
            shared(one, other),
        )

    @property
    def both(self) -> tuple[Results, Results]:
        """The two runs."""
        return self.one, self.other


class Refusals(NamedTuple):
    """Reasons against comparing, each a clause: none, and it may be done.

    `judged` is against what judges say of the same prompts, `counted` against it over all prompts,
    `folded` against what depends on orders and repeats too, `said` against what the completions of
    each of the two models are.
    """

    judged: tuple[str, ...]
    counted: tuple[str, ...]
    folded: tuple[str, ...]
    said: tuple[tuple[str, ...], tuple[str, ...]]


def matched(ours: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """Names to names: equal ones, and those that are left where one is, or each of two."""
    found = {name: name for name in ours if name in theirs}
    left = [name for name in ours if name not in found]
    right = [name for name in theirs if name not in found]
    if len(left) == len(right) and (len(left) == 1 or len(ours) == len(theirs) == 2):
        found |= dict(zip(left, right, strict=True))
    return {name: found[name] for name in ours if name in found}


def judges_of(results: Results) -> list[str]:
    """The judges whose word counts: people only where no other judge is."""
    names = dict.fromkeys((*identities(results, "judges"), *(j.judge for j in results.judgments)))
    machines = [name for name in names if not _person(results, name)]
    return machines or sorted(names)


def refusals(twins: Twins, ours: Sequence[str], theirs: Sequence[str]) -> Refusals:
    """What speaks against comparing two models of one run with those of the other."""
    first, second = (
        tuple(_sampling(twins, name, its)) for name, its in zip(ours, theirs, strict=True)
    )
    asked = (*_judging(twins, ours, theirs), *first, *second, *_others(twins, ours, theirs))
    judged = tuple(dict.fromkeys(asked))
    prompts = () if twins.prompts.same else ("the prompts are not the same",)
    return Refusals(
        judged=judged,
        counted=(*judged, *prompts),
        folded=(*judged, *prompts, *_settings(twins, "orders", "samples", "repeats")),
        said=((*first, *prompts), (*second, *prompts)),
    )


def _judging(twins: Twins, ours: Sequence[str], theirs: Sequence[str]) -> Iterator[str]:
    """What differs in who judged, how they were asked, and what they saw."""
    counts = {len(judges_of(run)) for run in twins.both} | {len(twins.judges)}
    if len(counts) > 1:
        yield "the judges are others"
    elif counts == {0}:
        yield "nothing was judged"
    for name, its in twins.judges.items():
        if any(_person(run, who) for run, who in zip(twins.both, (name, its), strict=True)):
            if name != its:
                yield "other people judged"
            continue
        yield from _asking(twins, name, its)
        before = _snapshots(twins.one, name, ours)
        after = _snapshots(twins.other, its, theirs)
        if before and after and before != after:
            yield f"the judge's snapshot differs ({_list(before)}; {_list(after)})"
    yield from _settings(twins, "thinking", *(["panel"] if max(counts) > 1 else []))


def _asking(twins: Twins, name: str, its: str) -> Iterator[str]:
    before = identities(twins.one, "judges").get(name)
    after = identities(twins.other, "judges").get(its)
    if before is None or after is None:
        yield "it is not recorded how the judge was asked"
        return
    for change in differing(before, after):
        path = change.what.split(".")
        if "template" in path:
            yield "the judge's template differs"
        elif "sampling" in path:
            yield f"the judge's sampling differs ({_values(change)})"
        elif "generator" in path:
            yield "the judge is another model"
        else:
            yield f"what the judge is asked for differs ({change.what})"


def _snapshots(results: Results, judge: str, models: Sequence[str]) -> set[str]:
    """Which models the server said that a judge was, when it judged these two."""
    return {
        one.verdict.snapshot or "not told"
        for one in results.judgments
        if one.judge == judge and {one.first, one.second} == set(models)
    }


def _sampling(twins: Twins, name: str, its: str) -> Iterator[str]:
    before = identities(twins.one, "models").get(name)
    after = identities(twins.other, "models").get(its)
    if before is None or after is None:
        yield "it is not recorded how the models were asked"
        return
    for change in differing(_part(before), _part(after)):
        yield f"the sampling of {its} differs ({_values(change)})"


def _part(identity: JsonValue) -> JsonValue:
    return identity.get("sampling") if isinstance(identity, dict) else None


def _others(twins: Twins, ours: Sequence[str], theirs: Sequence[str]) -> Iterator[str]:
    """One model may be another: that is what is being tried. With both, nothing stays the same."""
    if all(_another(twins, name, its) for name, its in zip(ours, theirs, strict=True)):
        yield "both models are others"


def _another(twins: Twins, name: str, its: str) -> bool:
    before = identities(twins.one, "models").get(name)
    after = identities(twins.other, "models").get(its)
    changed = [c for c in differing(before, after) if c.what.split(".")[0] != "sampling"]
    return bool(changed) or _said_to_be(twins.one, name) != _said_to_be(twins.other, its)


def _said_to_be(results: Results, model: str) -> set[str | None]:
    return {one.completion.snapshot for one in results.completions if one.model == model}


def _settings(twins: Twins, *names: str) -> Iterator[str]:
    for name in names:
        before, after = (run.config.get(name) for run in twins.both)
        for change in differing(before, after):
            yield f"the setting {name} differs ({change.one or 'none'}; {change.other or 'none'})"


def _person(results: Results, name: str) -> bool:
    return results.origins.get(name, "").startswith(HUMAN_PREFIX)


def _values(change: Change) -> str:
    name = change.what.rpartition("sampling.")[2]
    return f"{name}: {change.one or 'none'}; {change.other or 'none'}"


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
