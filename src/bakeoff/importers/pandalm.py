"""PandaLM's labelled test set. Knows no other format."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import chain

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers.asking import label_of, prompt_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Side
from bakeoff.importers.documents import Document, holds
from bakeoff.importers.labels import verdict_of, winner_of

NAME = "pandalm"
MARK = "rows with cmp_key, response1, response2 and annotator1"

_JUDGE = re.compile(r"annotator\d+")
_MOST = 40  # underscores in a key: each is a place where it may be split

_LABELS = {"1": 1.0, "2": 0.0, "0": 0.5}

Names = tuple[str, str]


def claims(document: Document) -> bool:
    """Whether its rows name two models in one key."""
    return holds(document.rows, "cmp_key")


def gather(document: Document, into: Gathering) -> None:
    """Each annotator's label of a row is a judgment, and each annotator is a judge."""
    rows = document.rows
    judges = [c for c in dict.fromkeys(c for r in rows for c in r.values) if _JUDGE.fullmatch(c)]
    if not judges:
        raise ConfigError(f"{document.where()}: no column 'annotator1' holds labels")
    keys = [label_of(row.values.get("cmp_key")) for row in rows]
    names = split_keys(dict.fromkeys(keys), document.where())
    held = [holds(rows, column) for column in ("response1", "response2")]
    for number, (key, (_, row)) in enumerate(zip(keys, rows, strict=True), 1):
        a, b = names[key]
        case = into.case(
            into.prompt(prompt_of(_text(row), otherwise=into.row(number))),
            Side(a, held[0], row.get("response1")),
            Side(b, held[1], row.get("response2")),
        )
        for judge in judges:
            into.judged(case, judge, verdict_of(winner_of(judge, row.get(judge), _LABELS)))


def _text(row: dict[str, JsonValue]) -> JsonValue:
    instruction, more = row.get("instruction"), row.get("input")
    if isinstance(instruction, str) and isinstance(more, str) and more.strip():
        return f"{instruction}\n\n{more}"
    return instruction


def split_keys(keys: Collection[str], where: str) -> dict[str, Names]:
    """The two names in each `model1_model2`; ConfigError where underscores leave it open.

    A name may hold underscores: then other keys tell where it ends.
    """
    for key in keys:
        if key.count("_") > _MOST:
            raise ConfigError(f"{where}: cmp_key {key[:80]!r} is no 'model1_model2'")
    splits = {key: _splits(key) for key in keys}
    holding = Counter(name for names in splits.values() for name in {*chain(*names)})
    named: dict[str, Names] = {k: options[0] for k, options in splits.items() if len(options) == 1}
    while len(named) < len(splits):
        known = {name for names in named.values() for name in names}
        left = [key for key in splits if key not in named]
        best = ((key, _best(splits[key], holding, known)) for key in left)
        key, names = next(((key, names) for key, names in best if names), ("", None))
        if names is None:
            stuck = next(k for k in splits if k not in named)
            raise ConfigError(
                f"{where}: cannot tell the two models in cmp_key {stuck!r} apart; write it as "
                "'model1_model2' without more underscores"
            )
        named[key] = names
    return named


def _splits(key: str) -> list[Names]:
    places = [match.start() for match in re.finditer("_", key)]
    return [(key[:at], key[at + 1 :]) for at in places if key[:at] and key[at + 1 :]]


def _best(options: list[Names], holding: Mapping[str, int], known: set[str]) -> Names | None:
    """The one way to split a key into names that other keys have too, if there is one; `holding`
    tells how many keys may have a name.
    """

    def support(name: str) -> int:
        return 2 if name in known else int(holding[name] > 1)

    ranked = sorted(options, key=lambda names: sum(map(support, names)), reverse=True)
    ranks = [sum(map(support, names)) for names in ranked]
    clear = len(ranks) > 1 and ranks[0] >= 2 and ranks[0] > ranks[1]
    return ranked[0] if clear else None
