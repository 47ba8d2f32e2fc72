"""A table with named columns: one judgment a row, or one scored completion a row."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers.asking import label_of, name_of, prompt_of, tags_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Alone, Shown, Side
from bakeoff.importers.columns import recognised
from bakeoff.importers.documents import Document, listed
from bakeoff.importers.labels import (
    Marks,
    Unread,
    higher,
    marks,
    number_of,
    scores_of,
    text_of,
    unread,
    verdict_of,
    winner_of,
)
from bakeoff.prompts.rows import Row
from bakeoff.records import CLUSTER_TAG, Prompt, Verdict

NAME = "table"
MARK = "rows with winner, preference, score_a and score_b, or model and score"

Values = dict[str, JsonValue]

_TIES = ("tie", "draw", "equal", "both")


class _Table(NamedTuple):
    """What all rows tell: which columns there are, and which numbers are marks in two of them."""

    columns: frozenset[str]
    numbers: tuple[str, ...]
    first_numbers: tuple[str, ...]


def claims(document: Document) -> bool:
    """Whether its columns hold verdicts, or scores."""
    table = _table(recognised(document))
    return _has_pairs(table) or {"model", "score"} <= table.columns


def gather(document: Document, into: Gathering) -> None:
    """Each row is a judgment; or each is a score, and judgments are made of them afterwards."""
    rows = recognised(document)
    table = _table(rows)
    if _has_pairs(table):
        for number, row in enumerate(rows, 1):
            _gather_pair(row, table, document.where(row.place), into.row(number), into)
    elif not {"model", "score"} <= table.columns:
        raise ConfigError(
            f"{document.where()}: a table needs {MARK.removeprefix('rows with ')}; there are: "
            f"{listed(document.columns())}: name them with --columns winner=COLUMN"
        )
    elif not {"prompt", "prompt_id"} & table.columns:
        raise ConfigError(
            f"{document.where()}: scores of single completions need a column that says of which "
            "prompt: name it with --columns prompt_id=COLUMN"
        )
    else:
        for number, row in enumerate(rows, 1):
            _gather_alone(row, table, document.where(row.place), into.row(number), into)


def _table(rows: Iterable[Row]) -> _Table:
    seen: dict[str, set[str | None]] = {"winner": set(), "first": set()}
    columns: set[str] = set()
    for _, values in rows:
        columns.update(values)
        for column in seen:
            seen[column].add(text_of(values.get(column)))
    return _Table(frozenset(columns), *(_numbers(texts) for texts in seen.values()))


def _numbers(texts: set[str | None]) -> tuple[str, ...]:
    """Which numbers are marks: 0 is a tie beside 1 and 2; of 0 and 1 nobody knows which is who."""
    if "0" in texts and "1" not in texts:
        return ("2",)
    if "0" in texts and "2" not in texts:
        return ()
    return ("0", "1", "2")


def _has_pairs(table: _Table) -> bool:
    return bool({"winner", "preference"} & table.columns) or {"score_a", "score_b"} <= table.columns


def _gather_pair(row: Row, table: _Table, where: str, otherwise: str, into: Gathering) -> None:
    values = row.values
    sides = []
    for side in "ab":
        column = f"model_{side}"
        name = name_of(values.get(column), column, where) if column in table.columns else side
        said = f"completion_{side}"
        sides.append(Side(name, said in table.columns, values.get(said)))
    a, b = sides
    case = into.case(into.prompt(_prompt(values, otherwise)), a, b)
    found = _verdict(values, table, (a.model, b.model))
    judge = label_of(values.get("judge")) or "judge"
    into.judged(case, judge, found, _shown(values, table, (a.model, b.model)))


def _gather_alone(row: Row, table: _Table, where: str, otherwise: str, into: Gathering) -> None:
    values = row.values
    name = name_of(values.get("model"), "model", where)
    reason = values.get("explanation")
    into.score(
        Alone(
            into.prompt(_prompt(values, otherwise)),
            Side(name, "completion" in table.columns, values.get("completion")),
            label_of(values.get("judge")) or "score",
            number_of("score", values.get("score"), 0, 10),
            reason if isinstance(reason, str) else "",
        )
    )


def _prompt(values: Values, otherwise: str) -> Prompt:
    tags = tags_of(values.get("tags"))
    if cluster := label_of(values.get("cluster")):
        tags = (*tags, f"{CLUSTER_TAG}{cluster}")
    name = label_of(values.get("prompt_id"))
    return prompt_of(values.get("prompt"), name=name, tags=tags, otherwise=otherwise)


def _verdict(values: Values, table: _Table, names: tuple[str, str]) -> Verdict | Unread:
    columns = ("score_a", "score_b")
    pair = (values.get("score_a"), values.get("score_b"))
    scores = scores_of(columns, pair)
    if "winner" in table.columns:
        known = _marks(names, table.numbers)
        preference = winner_of("winner", values.get("winner"), known)
    elif "preference" in table.columns:
        preference = number_of("preference", values.get("preference"), 0, 1)
    elif scores is None:
        preference = unread("score_a" if text_of(pair[0]) in (None, "") else "score_b", None)
    else:
        preference = scores if isinstance(scores, Unread) else higher(scores)
    return verdict_of(preference, scores, values.get("explanation"))


def _shown(values: Values, table: _Table, names: tuple[str, str]) -> Shown:
    known = _marks(names, tuple(n for n in table.first_numbers if n != "0"))
    match winner_of("first", values.get("first"), known):
        case 1.0:
            return "a"
        case 0.0:
            return "b"
    return "unknown"


@lru_cache(maxsize=256)
def _marks(names: tuple[str, str], numbers: tuple[str, ...]) -> Marks:
    a, b = names
    return marks(
        ("a", "model_a", "model1", "model_1", "left", *({"1"} & set(numbers)), a),
        ("b", "model_b", "model2", "model_2", "right", *({"2"} & set(numbers)), b),
        (*_TIES, *({"0"} & set(numbers))),
    )
