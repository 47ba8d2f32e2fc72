"""Combines the voters of an arena into one judge."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from bakeoff.importers.documents import quote_names

VOTERS = "voters"  # name of the judge that voters are combined into

_MIN_VOTERS = 10  # fewer names than that, or as many, are judges
_MAX_VOTES = 20  # mean number of verdicts of a voter on a pair of models, below
_MAX_COVERAGE = 0.25  # share of the prompts of these pairs on which a voter voted, below
_VARIABLE = re.compile(r"[0-9a-f]{8,}|\d+")  # part of a name that tells voters apart


class VoteKey(NamedTuple):
    """The judge, the pair of models and the prompt of a verdict."""

    judge: str
    models: frozenset[str]
    prompt_id: str


def find_voters(votes: Iterable[VoteKey]) -> set[str]:
    """Return the names of judges that are voters: many names with few verdicts each.

    A name is that of a voter if it has fewer than 20 verdicts per pair of models and they are on
    less than a quarter of the prompts of these pairs, and if there are more than 10 of them. Names
    that differ from these in numbers only are voters as well, however often they voted.
    """
    counts: Counter[str] = Counter()
    pairs: dict[str, set[frozenset[str]]] = defaultdict(set)
    own_prompts: dict[str, set[tuple[frozenset[str], str]]] = defaultdict(set)
    prompts: dict[frozenset[str], set[str]] = defaultdict(set)
    for judge, models, prompt_id in votes:
        counts[judge] += 1
        pairs[judge].add(models)
        own_prompts[judge].add((models, prompt_id))
        prompts[models].add(prompt_id)
    if len(counts) <= _MIN_VOTERS:
        return set()
    rare = {
        judge
        for judge, count in counts.items()
        if count < _MAX_VOTES * len(pairs[judge])
        and len(own_prompts[judge]) < _MAX_COVERAGE * sum(len(prompts[p]) for p in pairs[judge])
    }
    if len(rare) <= _MIN_VOTERS:
        return set()
    stems = Counter(map(_stem, rare))
    return rare | {judge for judge in counts if stems[_stem(judge)] > 1}


def voter_note(voters: Collection[str]) -> str:
    """Return the note that these names are read as one judge."""
    return (
        f"{len(voters)} names of judges have few verdicts each ({quote_names(sorted(voters)[:3])}"
        f", ...): they are read as voters, which are one judge, {VOTERS!r}."
    )


def _stem(name: str) -> str:
    return _VARIABLE.sub("#", name.casefold())
