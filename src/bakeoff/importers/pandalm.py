"""Importer of PandaLM's labeled test set."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import chain

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput
from bakeoff.importers.documents import Document, has_columns
from bakeoff.importers.labels import label_text, make_verdict, parse_winner

_ANNOTATOR = re.compile(r"annotator\d+")
_MAX_UNDERSCORES = 40  # in a key, which may be split at each of them

_LABELS = {"1": 1.0, "2": 0.0, "0": 0.5}

ModelNames = tuple[str, str]


def recognizes(document: Document) -> bool:
    """Return whether the rows have the column `cmp_key`, which names two models."""
    return has_columns(document.rows, "cmp_key")


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add the label of each annotator in a row as a judgment; each annotator is a judge.

    Raises ConfigError without a column `annotator1`, or if the models of a row are ambiguous.
    """
    rows = document.rows
    judges = [column for column in document.columns() if _ANNOTATOR.fullmatch(column)]
    if not judges:
        raise ConfigError(f"{document.location()}: no column 'annotator1' holds labels")
    keys = [label_text(row.values.get("cmp_key")) for row in rows]
    names = split_keys(dict.fromkeys(keys), document.location())
    recorded = [has_columns(rows, column) for column in ("response1", "response2")]
    for key, placed in zip(keys, rows, strict=True):
        (a, b), row = names[key], placed.values
        pair = builder.add_pair(
            builder.add_row_prompt(placed, _prompt_text(row)),
            ModelOutput(a, recorded[0], row.get("response1")),
            ModelOutput(b, recorded[1], row.get("response2")),
        )
        for judge in judges:
            preference = parse_winner(judge, row.get(judge), _LABELS)
            builder.add_judgment(pair, judge, make_verdict(preference))


def _prompt_text(row: dict[str, JsonValue]) -> JsonValue:
    instruction, context = row.get("instruction"), row.get("input")
    if isinstance(instruction, str) and isinstance(context, str) and context.strip():
        return f"{instruction}\n\n{context}"
    return instruction


def split_keys(keys: Collection[str], location: str) -> dict[str, ModelNames]:
    """Return the two names in each key `model1_model2`; `location` is for messages.

    Names may contain underscores: other keys with the same name show where it ends. Raises
    ConfigError if they do not.
    """
    for key in keys:
        if key.count("_") > _MAX_UNDERSCORES:
            raise ConfigError(f"{location}: cmp_key {key[:80]!r} is no 'model1_model2'")
    splits = {key: _possible_splits(key) for key in keys}
    key_counts = Counter(name for options in splits.values() for name in {*chain(*options)})
    result: dict[str, ModelNames] = {
        key: options[0] for key, options in splits.items() if len(options) == 1
    }
    while len(result) < len(splits):
        known = {name for names in result.values() for name in names}
        remaining = [key for key in splits if key not in result]
        best = ((key, _best_split(splits[key], key_counts, known)) for key in remaining)
        key, names = next(((key, names) for key, names in best if names), ("", None))
        if names is None:
            raise ConfigError(
                f"{location}: cannot tell the two models in cmp_key {remaining[0]!r} apart; write "
                "it as 'model1_model2' without more underscores"
            )
        result[key] = names
    return result


def _possible_splits(key: str) -> list[ModelNames]:
    places = [match.start() for match in re.finditer("_", key)]
    return [(key[:at], key[at + 1 :]) for at in places if key[:at] and key[at + 1 :]]


def _best_split(
    options: list[ModelNames], key_counts: Mapping[str, int], known: set[str]
) -> ModelNames | None:
    """Return the split whose names are best supported by other keys; None if it is not unique.

    `key_counts` is the number of keys that may contain a name, `known` the names that are certain.
    """

    def support(name: str) -> int:
        return 2 if name in known else int(key_counts[name] > 1)

    ranked = sorted(options, key=lambda names: sum(map(support, names)), reverse=True)
    ranks = [sum(map(support, names)) for names in ranked]
    unique = len(ranks) > 1 and ranks[0] >= 2 and ranks[0] > ranks[1]
    return ranked[0] if unique else None
