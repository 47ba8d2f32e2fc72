"""What differs between two runs: settings, models, judges, versions, prompts; and text diffs."""

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from pydantic import JsonValue

from bakeoff.records import Prompt, Results, content_key
from bakeoff.report.provenance import OPERATIONAL_FIELDS

_SHOWN_ELSEWHERE = ("started", "seconds", "models", "judges")  # keys of an environment
_MAX_TEXT = 100_000  # characters of a text that is compared in detail
_MAX_PRODUCT = 1_000_000  # of two lengths: difflib is quadratic
_MAX_INLINE = 90  # characters of a value in a table


class SettingChange(NamedTuple):
    """A value that differs; None if a run does not have it."""

    name: str
    """Path of the value, as in `generator.sampling.seed`."""
    before: str | None
    after: str | None

    @property
    def is_text(self) -> bool:
        """Whether the value is too long for a table, so that a text diff is shown."""
        values = (self.before or "", self.after or "")
        return any(len(value) > _MAX_INLINE or "\n" in value for value in values)


class ChangeGroup(NamedTuple):
    """Changes under one title."""

    title: str
    changes: tuple[SettingChange, ...]


class PromptOverlap(NamedTuple):
    """Number of prompts with the same content in both runs, and in only one of them."""

    both: int
    only_before: int
    only_after: int

    @property
    def same(self) -> bool:
        """Whether both runs have the same prompts."""
        return not self.only_before and not self.only_after


class DiffSpan(NamedTuple):
    """Consecutive words of a text diff."""

    kind: Literal["same", "removed", "added"]
    text: str


Names = Mapping[str, str]  # from a name in the run before to the matching name in the run after


def setting_changes(
    before: Results, after: Results, models: Names, judges: Names
) -> tuple[ChangeGroup, ...]:
    """Return all differences except those of the prompts, in groups."""
    groups = [
        _group("Settings", before.config, after.config, OPERATIONAL_FIELDS),
        *_participant_groups("Model", "models", before, after, models),
        *_participant_groups("Judge", "judges", before, after, judges),
        _group("Versions and machine", before.environment, after.environment, _SHOWN_ELSEWHERE),
    ]
    return tuple(group for group in groups if group.changes)


def _group(
    title: str,
    before: Mapping[str, JsonValue],
    after: Mapping[str, JsonValue],
    ignored: Collection[str],
) -> ChangeGroup:
    included = [{k: v for k, v in run.items() if k not in ignored} for run in (before, after)]
    return ChangeGroup(title, tuple(changed_values(*included)))


def _participant_groups(
    role: str, kind: str, before: Results, after: Results, names: Names
) -> Iterator[ChangeGroup]:
    old, new = identities(before, kind), identities(after, kind)
    for name, new_name in names.items():
        changes = changed_values(old.get(name), new.get(new_name))
        yield ChangeGroup(f"{role} {renamed(name, new_name)}", tuple(changes))
    for name in old.keys() - names.keys():
        yield ChangeGroup(f"{role} {name}", (SettingChange("takes part", "yes", None),))
    for name in new.keys() - set(names.values()):
        yield ChangeGroup(f"{role} {name}", (SettingChange("takes part", None, "yes"),))


def renamed(name: str, new_name: str) -> str:
    """Return the name, or both names if they differ."""
    return name if name == new_name else f"{name} → {new_name}"


def identities(results: Results, kind: str) -> dict[str, JsonValue]:
    """Return the recorded identities of the `models` or `judges`; an audit has none."""
    recorded = results.environment.get(kind)
    return recorded if isinstance(recorded, dict) else {}


def changed_values(before: JsonValue, after: JsonValue) -> list[SettingChange]:
    """Return the values that differ in two JSON documents. A list is one value; null is none."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return [
        SettingChange(path or "value", _text(old.get(path)), _text(new.get(path)))
        for path in dict.fromkeys((*old, *new))
        if old.get(path) != new.get(path)
    ]


def _leaves(value: JsonValue, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and JSON text of each value that is not an object or null."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif value is not None:
        yield path, json.dumps(value, ensure_ascii=False)


def _text(leaf: str | None) -> str | None:
    value = None if leaf is None else json.loads(leaf)
    return value if isinstance(value, str) else leaf


def prompt_ids_by_content(prompts: tuple[Prompt, ...]) -> dict[str, str]:
    """Return the id of each prompt by a hash of its messages, reference and criteria."""
    return {
        content_key(
            prompt.conversation(),
            prompt.reference,
            [criterion.model_dump() for criterion in prompt.criteria],
        ): prompt.id
        for prompt in prompts
    }


def prompt_overlap(before: Results, after: Results) -> PromptOverlap:
    """Return how many prompts two runs share."""
    old, new = (prompt_ids_by_content(run.prompts).keys() for run in (before, after))
    return PromptOverlap(len(old & new), len(old - new), len(new - old))


def diff_spans(before: str, after: str) -> tuple[DiffSpan, ...]:
    """Return a word diff of two texts; equal lines are skipped. Huge texts are only excerpted."""
    if max(len(before), len(after)) > _MAX_TEXT:
        old, new = (f"{text[:_MAX_INLINE]} …" for text in (before, after))
        return DiffSpan("removed", old), DiffSpan("added", new)
    spans: list[DiffSpan] = []
    for removed, added, same in _opcodes(*(t.splitlines(keepends=True) for t in (before, after))):
        if same or not (removed and added):
            spans += _spans(removed, added, same)
            continue
        words = (re.findall(r"\s+|\w+|[^\w\s]", "".join(lines)) for lines in (removed, added))
        for changed in _opcodes(*words):
            spans += _spans(*changed)
    return tuple(spans)


def _spans(removed: list[str], added: list[str], same: bool) -> Iterator[DiffSpan]:
    if removed:
        yield DiffSpan("same" if same else "removed", "".join(removed))
    if added and not same:
        yield DiffSpan("added", "".join(added))


def _opcodes(before: list[str], after: list[str]) -> Iterator[tuple[list[str], list[str], bool]]:
    """Yield the consecutive parts of two sequences, and whether they are equal."""
    if len(before) * len(after) > _MAX_PRODUCT and before != after:
        yield before, after, False
        return
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        yield before[i1:i2], after[j1:j2], tag == "equal"
