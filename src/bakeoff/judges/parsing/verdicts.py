"""Parsers of verdicts and scores in JSON objects or labeled lines.

Each takes a completion and returns a Verdict or a score; for any other text it raises VerdictError.
The last complete verdict counts; several that differ, or a malformed object after it, are errors.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from pydantic import JsonValue

from bakeoff.judges.parsing.json_objects import find_objects
from bakeoff.judges.parsing.reply_fields import FieldError, Fields, fields_from_lines, parse_number
from bakeoff.judges.parsing.verdict_marks import unreadable_reply
from bakeoff.records import Completion, Scores, Verdict


class ParsedScore(NamedTuple):
    """A judge's score of one completion, from 0 to 10, and its explanation."""

    score: float
    reason: str


R = TypeVar("R", Verdict, ParsedScore)


def object_schema(**properties: JsonValue) -> dict[str, JsonValue]:
    """Return the JSON schema of an object with exactly these properties, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


TEXT: JsonValue = {"type": "string"}
SCORE: JsonValue = {"type": "integer", "enum": list(range(11))}
WINNER: JsonValue = {"type": "string", "enum": ["A", "B", "tie"]}
# The explanation is first: only text that precedes the scores can influence them.
VERDICT_SCHEMA = object_schema(explanation=TEXT, score_a=SCORE, score_b=SCORE, winner=WINNER)
SCORE_SCHEMA = object_schema(explanation=TEXT, score=SCORE)

_SCORE_NAMES = frozenset({"score_a", "score_b"})
_NUMBER = r"(\d{1,2}(?:\.\d+)?)(?: ?/ ?10)?"
_TWO_NUMBERS = re.compile(rf"{_NUMBER}(?:,?[ \t]){_NUMBER}\s*")
_LONE_NUMBER = re.compile(rf"[\s*]*{_NUMBER}[*.]*")
_NUMBER_MARK = re.compile(r"\[\[([^\[\]]{1,20})\]\]")


def parse_json_verdict(completion: Completion) -> Verdict:
    """Return the winner and two scores, all required, with the optional explanation."""
    names = _SCORE_NAMES | {"winner"}

    def make(fields: Fields) -> Verdict:
        scores = Scores(fields.number("score_a"), fields.number("score_b"))
        return Verdict(
            first=fields.winner(), scores=scores, reason=fields.reason, raw=completion.text
        )

    return parse_reply(completion, make, lambda text: fields_from_lines(text, names), names)


def parse_score_pair(completion: Completion) -> Verdict:
    """Return the verdict of two scores: the higher wins, equal ones tie.

    A winner that the reply names is ignored. A first line of only two numbers, as in `8 6`, is
    accepted too.
    """

    def make(fields: Fields) -> Verdict:
        scores = Scores(fields.number("score_a"), fields.number("score_b"))
        return verdict_from_scores(scores, fields.reason, completion.text)

    def parse_lines(text: str) -> Fields:
        line, _, rest = text.lstrip().partition("\n")
        if numbers := _TWO_NUMBERS.fullmatch(line):
            scores = [("score a", numbers[1]), ("score b", numbers[2])]
            return fields_from_lines(rest, _SCORE_NAMES, scores)
        return fields_from_lines(text, _SCORE_NAMES)

    return parse_reply(completion, make, parse_lines, _SCORE_NAMES)


def parse_single_score(completion: Completion) -> ParsedScore:
    """Return the score of one completion that was judged separately.

    `[[7]]` anywhere, and a last line of only a number, are accepted too.
    """

    def make(fields: Fields) -> ParsedScore:
        return ParsedScore(fields.number("score"), fields.reason)

    def parse_lines(text: str) -> Fields:
        marks = [mark for mark in _NUMBER_MARK.findall(text) if parse_number(mark) is not None]
        fields = fields_from_lines(text, {"score"}, [("score", mark) for mark in marks])
        before, _, line = text.rstrip().rpartition("\n")
        if not fields.names and (number := _LONE_NUMBER.fullmatch(line)):
            return Fields([("score", number[1])], before)
        return fields

    return parse_reply(completion, make, parse_lines, frozenset({"score"}))


def verdict_from_scores(scores: Scores, reason: str, raw: str) -> Verdict:
    """Return the verdict that two scores imply; a difference below 1e-9 is a tie."""
    if abs(scores.first - scores.second) < 1e-9:
        mean = (scores.first + scores.second) / 2
        return Verdict(first=0.5, scores=Scores(mean, mean), reason=reason, raw=raw)
    first = float(scores.first > scores.second)
    return Verdict(first=first, scores=scores, reason=reason, raw=raw)


def follow_scores(verdict: Verdict) -> Verdict:
    """Return a contradictory verdict with the winner that its scores imply; equal scores tie."""
    if verdict.scores is None:
        return verdict
    difference = verdict.scores.first - verdict.scores.second
    return Verdict(
        first=0.5 + ((difference > 0) - (difference < 0)) / 2,
        scores=verdict.scores,
        reason=verdict.reason,
        raw=verdict.raw,
        contradictory=True,
    )


def parse_reply(
    completion: Completion,
    make: Callable[[Fields], R],
    parse_lines: Callable[[str], Fields],
    names: frozenset[str],
) -> R:
    """Return what `make` makes of the last object that it accepts.

    Candidates are the JSON objects with one of the fields `names` or an explanation; without any,
    the fields that `parse_lines` finds. Skipped are those for which `make` raises FieldError, and
    malformed ones before the last. Raises VerdictError if none is left, if their verdicts differ,
    or if the last candidate is malformed.
    """
    candidates = [(Fields(obj.fields), obj.complete) for obj in find_objects(completion.text)]
    candidates = [each for each in candidates if each[0].names & (names | {"explanation"})]
    if not candidates and (fields := parse_lines(completion.text)).names:
        candidates = [(fields, True)]
    results: list[R] = []
    problem = "it holds no JSON object with what was asked for"
    for fields, complete in candidates:
        try:
            results += [make(fields)] if complete else []
        except FieldError as error:
            problem = str(error)
    if candidates and not candidates[-1][1]:
        raise unreadable_reply(completion, "a JSON object in it has a flaw, or no end")
    if not results:
        raise unreadable_reply(completion, problem)
    if len({_outcome(result) for result in results}) > 1:
        raise unreadable_reply(completion, "it holds several verdicts, and they differ")
    return results[-1]


def _outcome(result: Verdict | ParsedScore) -> float:
    return result.first if isinstance(result, Verdict) else result.score
