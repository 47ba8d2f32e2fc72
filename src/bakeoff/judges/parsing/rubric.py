"""Reads what a judge scored by a list of criteria, and folds it into one verdict."""

from collections.abc import Iterator, Sequence
from math import fsum

from bakeoff.judges.parsing.fields import Fields, UnclearError
from bakeoff.judges.parsing.json_objects import Object, Value
from bakeoff.judges.parsing.readers import SCORE, TEXT, by_scores, read, schema
from bakeoff.records import Completion, Criterion, Scores, Verdict

RUBRIC_SCHEMA = schema(
    explanation=TEXT,
    criteria={"type": "array", "items": schema(name=TEXT, score_a=SCORE, score_b=SCORE)},
)


def read_rubric(completion: Completion, criteria: Sequence[Criterion]) -> Verdict:
    """Two scores for every criterion, once: the higher weighted mean wins. Others are ignored.

    `criteria` in the JSON is a list of objects with a name, or one object with the names as keys.
    """

    def make(fields: Fields) -> Verdict:
        scored = _by_name(fields)
        missing = [one.name for one in criteria if _folded(one.name) not in scored]
        if missing or not criteria:
            raise UnclearError(f"criteria without scores: {missing!r}")
        both = [scored[_folded(one.name)] for one in criteria]
        means = Scores(
            _mean(criteria, [scores.first for scores in both]),
            _mean(criteria, [scores.second for scores in both]),
        )
        return by_scores(means, fields.reason, completion.text)

    return read(completion, make, lambda _: Fields(()), frozenset({"criteria"}))


def _mean(criteria: Sequence[Criterion], scores: Sequence[float]) -> float:
    heaviest = max(one.weight for one in criteria)  # so that no sum of weights is too large
    weights = [one.weight / heaviest for one in criteria]
    total = fsum(weight * score for weight, score in zip(weights, scores, strict=True))
    return min(10.0, total / fsum(weights))


def _by_name(fields: Fields) -> dict[str, Scores]:
    found: dict[str, Scores] = {}
    for criteria in fields.values("criteria"):
        for name, item in _named(criteria):
            if name in found:
                raise UnclearError(f"criterion {name!r} is scored twice")
            found[name] = Scores(item.number("score_a"), item.number("score_b"))
    return found


def _named(criteria: Value) -> Iterator[tuple[str, Fields]]:
    if isinstance(criteria, tuple):
        criteria = [(("name", name), *_members(item)) for name, item in criteria]
    for item in criteria or ():
        fields = Fields(_members(item))
        yield _folded(str(fields.values("name")[0])), fields


def _members(item: Value) -> Object:
    if not isinstance(item, tuple):
        raise UnclearError(f"a criterion is {str(item)[:40]!r}, not an object")
    return item


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
