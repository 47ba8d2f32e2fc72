"""Parser of rubric verdicts: two scores per criterion, aggregated by weight."""

from collections.abc import Iterator, Sequence
from math import fsum

from bakeoff.judges.parsing.json_objects import Members, ScannedValue
from bakeoff.judges.parsing.reply_fields import FieldError, Fields
from bakeoff.judges.parsing.verdicts import (
    SCORE,
    TEXT,
    object_schema,
    parse_reply,
    verdict_from_scores,
)
from bakeoff.records import Completion, Criterion, Scores, Verdict

RUBRIC_SCHEMA = object_schema(
    explanation=TEXT,
    criteria={"type": "array", "items": object_schema(name=TEXT, score_a=SCORE, score_b=SCORE)},
)


def parse_rubric(completion: Completion, criteria: Sequence[Criterion]) -> Verdict:
    """Return the verdict for the higher weighted mean score over the criteria.

    Each criterion needs its two scores; further criteria in the reply have no weight. `criteria` in
    the JSON is a list of objects with a name, or one object with the names as keys. Raises
    VerdictError if a score is missing or invalid, or any criterion occurs twice.
    """

    def make(fields: Fields) -> Verdict:
        scores_by_name = _scores_by_name(fields)
        missing = [c.name for c in criteria if _normalized(c.name) not in scores_by_name]
        if missing or not criteria:
            raise FieldError(f"criteria without scores: {missing!r}")
        scores = [scores_by_name[_normalized(criterion.name)] for criterion in criteria]
        means = Scores(
            _weighted_mean(criteria, [score.first for score in scores]),
            _weighted_mean(criteria, [score.second for score in scores]),
        )
        return verdict_from_scores(means, fields.reason, completion.text)

    return parse_reply(completion, make, lambda _: Fields(()), frozenset({"criteria"}))


def _weighted_mean(criteria: Sequence[Criterion], scores: Sequence[float]) -> float:
    largest = max(criterion.weight for criterion in criteria)  # against overflow of the sum
    weights = [criterion.weight / largest for criterion in criteria]
    total = fsum(weight * score for weight, score in zip(weights, scores, strict=True))
    return min(10.0, total / fsum(weights))


def _scores_by_name(fields: Fields) -> dict[str, Scores]:
    scores: dict[str, Scores] = {}
    for criteria in fields.values("criteria"):
        for name, item in _named_items(criteria):
            if name in scores:
                raise FieldError(f"criterion {name!r} is scored twice")
            scores[name] = Scores(item.number("score_a"), item.number("score_b"))
    return scores


def _named_items(criteria: ScannedValue) -> Iterator[tuple[str, Fields]]:
    if isinstance(criteria, tuple):
        criteria = [(("name", name), *_members(item)) for name, item in criteria]
    for item in criteria or ():
        fields = Fields(_members(item))
        yield _normalized(str(fields.values("name")[0])), fields


def _members(item: ScannedValue) -> Members:
    if not isinstance(item, tuple):
        raise FieldError(f"a criterion is {str(item)[:40]!r}, not an object")
    return item


def _normalized(name: str) -> str:
    return " ".join(name.casefold().split())
