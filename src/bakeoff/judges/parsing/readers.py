"""Reads verdicts and scores that a judge wrote as JSON, or as labelled lines.

A reader takes a completion and gives a Verdict, or raises VerdictError with the judge's words: no
other error, whatever the text. No reader guesses. The last complete verdict of a text counts, but
two that name different winners are none, and so is one with a flawed object behind it.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from pydantic import JsonValue

from bakeoff.judges.parsing.fields import Fields, UnclearError, in_lines, number_of
from bakeoff.judges.parsing.json_objects import objects
from bakeoff.judges.parsing.marks import unreadable
from bakeoff.records import Completion, Scores, Verdict


class Scored(NamedTuple):
    """What a judge found one completion to be worth, from 0 to 10, and why."""

    score: float
    reason: str


R = TypeVar("R", Verdict, Scored)


def schema(**properties: JsonValue) -> dict[str, JsonValue]:
    """The schema of an object with all of these fields, in this order, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


TEXT: JsonValue = {"type": "string"}
SCORE: JsonValue = {"type": "integer", "enum": list(range(11))}
WINNER: JsonValue = {"type": "string", "enum": ["A", "B", "tie"]}
# The explanation is first: only what is written before the scores can bear on them.
SCHEMA = schema(explanation=TEXT, score_a=SCORE, score_b=SCORE, winner=WINNER)
SCORE_SCHEMA = schema(explanation=TEXT, score=SCORE)

_BOTH = frozenset({"score_a", "score_b"})
_NUMBER = r"(\d{1,2}(?:\.\d+)?)(?: ?/ ?10)?"
_TWO_NUMBERS = re.compile(rf"{_NUMBER}(?:,?[ \t]){_NUMBER}\s*")
_LONE_NUMBER = re.compile(rf"[\s*]*{_NUMBER}[*.]*")
_NUMBER_MARK = re.compile(r"\[\[([^\[\]]{1,20})\]\]")


def read_json(completion: Completion) -> Verdict:
    """Explanation, a score for each, and the winner: all but the explanation have to be there."""
    wanted = _BOTH | {"winner"}

    def make(fields: Fields) -> Verdict:
        scores = Scores(fields.number("score_a"), fields.number("score_b"))
        return Verdict(
            first=fields.winner(), scores=scores, reason=fields.reason, raw=completion.text
        )

    return read(completion, make, lambda text: in_lines(text, wanted), wanted)


def read_scores(completion: Completion) -> Verdict:
    """A score for each: the higher one wins, equal ones are a tie. A winner beside them is ignored.

    Also two numbers and nothing else in the first line, as in `8 6`.
    """

    def make(fields: Fields) -> Verdict:
        scores = Scores(fields.number("score_a"), fields.number("score_b"))
        return by_scores(scores, fields.reason, completion.text)

    def loose(text: str) -> Fields:
        line, _, rest = text.lstrip().partition("\n")
        if numbers := _TWO_NUMBERS.fullmatch(line):
            return in_lines(rest, _BOTH, [("score a", numbers[1]), ("score b", numbers[2])])
        return in_lines(text, _BOTH)

    return read(completion, make, loose, _BOTH)


def read_score(completion: Completion) -> Scored:
    """The score of one completion that was judged alone.

    Also `[[7]]` anywhere, or a number that is all of the last line.
    """

    def make(fields: Fields) -> Scored:
        return Scored(fields.number("score"), fields.reason)

    def loose(text: str) -> Fields:
        marks = [mark for mark in _NUMBER_MARK.findall(text) if number_of(mark) is not None]
        fields = in_lines(text, {"score"}, [("score", mark) for mark in marks])
        before, _, line = text.rstrip().rpartition("\n")
        if not fields.names and (number := _LONE_NUMBER.fullmatch(line)):
            return Fields([("score", number[1])], before)
        return fields

    return read(completion, make, loose, frozenset({"score"}))


def by_scores(scores: Scores, reason: str, raw: str) -> Verdict:
    """The verdict that two scores stand for; a difference that is only rounding is none."""
    if abs(scores.first - scores.second) < 1e-9:
        mean = (scores.first + scores.second) / 2
        return Verdict(first=0.5, scores=Scores(mean, mean), reason=reason, raw=raw)
    first = float(scores.first > scores.second)
    return Verdict(first=first, scores=scores, reason=reason, raw=raw)


def read(
    completion: Completion,
    make: Callable[[Fields], R],
    loose: Callable[[str], Fields],
    wanted: frozenset[str],
) -> R:
    """What `make` makes of the objects that hold a wanted field; without any, of loose fields."""
    told = [(Fields(each.fields), each.whole) for each in objects(completion.text)]
    told = [each for each in told if each[0].names & (wanted | {"explanation"})]
    if not told and (fields := loose(completion.text)).names:
        told = [(fields, True)]
    made: list[R] = []
    problem = "it holds no JSON object with what was asked for"
    for fields, whole in told:
        try:
            made += [make(fields)] if whole else []
        except UnclearError as error:
            problem = str(error)
    if told and not told[-1][1]:
        raise unreadable(completion, "a JSON object in it has a flaw, or no end")
    if not made:
        raise unreadable(completion, problem)
    if len({_said(each) for each in made}) > 1:
        raise unreadable(completion, "it holds several verdicts, and they differ")
    return made[-1]


def _said(made: Verdict | Scored) -> float:
    return made.first if isinstance(made, Verdict) else made.score
