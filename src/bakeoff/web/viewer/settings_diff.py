"""What was done otherwise in one run than in another: settings, models, judges, words, prompts.

Pure: two documents in, lines out. Draws no conclusion from them; that is `comparing`.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from pydantic import JsonValue

from bakeoff.records import Prompt, Results, content_key
from bakeoff.report.provenance import OPERATIONAL_FIELDS

_ELSEWHERE = ("started", "seconds", "models", "judges")  # of an environment
_LONGEST = 100_000  # characters of a text whose changes are looked for
_MOST = 1_000_000  # places in one text times those in the other: matching may look at each
_SHORT = 90  # characters of a value that stands in a table


class Change(NamedTuple):
    """One thing that differs: what it is, and its value in each run; None where it has none."""

    what: str
    one: str | None
    other: str | None

    @property
    def text(self) -> bool:
        """Whether it is words, whose changes are worth to be shown one by one."""
        both = (self.one or "", self.other or "")
        return any(len(value) > _SHORT or "\n" in value for value in both)


class Topic(NamedTuple):
    """Changes that belong together."""

    title: str
    changes: tuple[Change, ...]


class Shared(NamedTuple):
    """How many prompts both runs asked, and how many only one of them."""

    both: int
    one: int
    other: int

    @property
    def same(self) -> bool:
        """Whether both asked the same."""
        return not self.one and not self.other


class Piece(NamedTuple):
    """Words of a text: in both versions, only in the one (gone) or only in the other (new)."""

    kind: Literal["same", "gone", "new"]
    text: str


Names = Mapping[str, str]


def topics(one: Results, other: Results, models: Names, judges: Names) -> tuple[Topic, ...]:
    """Everything that differs but the prompts. `models` and `judges` map names to the other's."""
    settings = [
        {k: v for k, v in results.config.items() if k not in OPERATIONAL_FIELDS}
        for results in (one, other)
    ]
    machine = [
        {k: v for k, v in results.environment.items() if k not in _ELSEWHERE}
        for results in (one, other)
    ]
    found = [
        Topic("Settings", tuple(differing(settings[0], settings[1]))),
        *_who("Model", "models", one, other, models),
        *_who("Judge", "judges", one, other, judges),
        Topic("Versions and machine", tuple(differing(machine[0], machine[1]))),
    ]
    return tuple(topic for topic in found if topic.changes)


def _who(title: str, key: str, one: Results, other: Results, names: Names) -> Iterator[Topic]:
    ours, theirs = identities(one, key), identities(other, key)
    for name, its in names.items():
        changes = tuple(differing(ours.get(name), theirs.get(its)))
        yield Topic(f"{title} {name}" if name == its else f"{title} {name} → {its}", changes)
    for name in ours.keys() - names.keys():
        yield Topic(f"{title} {name}", (Change("takes part", "yes", None),))
    for name in theirs.keys() - set(names.values()):
        yield Topic(f"{title} {name}", (Change("takes part", None, "yes"),))


def identities(results: Results, key: str) -> dict[str, JsonValue]:
    """What changes an outcome of each model or judge, as the run recorded it; none in an audit."""
    found = results.environment.get(key)
    return found if isinstance(found, dict) else {}


def differing(one: JsonValue, other: JsonValue) -> list[Change]:
    """The values that differ, by their path (`generator.sampling.seed`)."""
    ours, theirs = dict(_leaves(one)), dict(_leaves(other))
    return [
        Change(path or "value", _told(ours.get(path)), _told(theirs.get(path)))
        for path in dict.fromkeys((*ours, *theirs))
        if ours.get(path) != theirs.get(path)
    ]


def _leaves(value: JsonValue, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and JSON of everything in nested keys; what is listed is one value, and null is none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif value is not None:
        yield path, json.dumps(value, ensure_ascii=False)


def _told(leaf: str | None) -> str | None:
    value = None if leaf is None else json.loads(leaf)
    return value if isinstance(value, str) else leaf


def asked(prompts: tuple[Prompt, ...]) -> dict[str, str]:
    """The id of each prompt by the key of all that it asks: the same words are the same prompt."""
    return {
        content_key(
            prompt.conversation(),
            prompt.reference,
            [criterion.model_dump() for criterion in prompt.criteria],
        ): prompt.id
        for prompt in prompts
    }


def shared(one: Results, other: Results) -> Shared:
    """Which prompts both asked."""
    ours, theirs = asked(one.prompts).keys(), asked(other.prompts).keys()
    return Shared(len(ours & theirs), len(ours - theirs), len(theirs - ours))


def pieces(one: str, other: str) -> tuple[Piece, ...]:
    """Two texts as one, word by word; lines that are the same are not looked into."""
    if max(len(one), len(other)) > _LONGEST:
        return (Piece("gone", one[:_SHORT] + " …"), Piece("new", other[:_SHORT] + " …"))
    found: list[Piece] = []
    lines, others = one.splitlines(keepends=True), other.splitlines(keepends=True)
    for gone, new, same in _spans(lines, others):
        if same or not (gone and new):
            found += _pieces(gone, new, same)
            continue
        words, more = (re.findall(r"\s+|\w+|[^\w\s]", "".join(part)) for part in (gone, new))
        for spans in _spans(words, more):
            found += _pieces(*spans)
    return tuple(found)


def _pieces(gone: list[str], new: list[str], same: bool) -> Iterator[Piece]:
    if same:
        yield Piece("same", "".join(gone))
        return
    if gone:
        yield Piece("gone", "".join(gone))
    if new:
        yield Piece("new", "".join(new))


def _spans(one: list[str], other: list[str]) -> Iterator[tuple[list[str], list[str], bool]]:
    if len(one) * len(other) > _MOST and one != other:
        yield one, other, False
        return
    matcher = difflib.SequenceMatcher(a=one, b=other, autojunk=False)
    for tag, start, end, begin, stop in matcher.get_opcodes():
        yield one[start:end], other[begin:stop], tag == "equal"
