"""Reads a verdict out of what a judge wrote. Knows text and probabilities, no prompt, no model.

Each reader takes a completion and gives a Verdict, or raises VerdictError with the judge's words.
No reader guesses: what cannot be read is a failure, never a tie.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from bakeoff.errors import VerdictError
from bakeoff.records import Completion, Scores, Verdict

Reader = Callable[[Completion], Verdict]

SCORE: dict[str, JsonValue] = {"type": "integer", "enum": list(range(11))}
SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "explanation": {"type": "string"},
        "score_a": SCORE,
        "score_b": SCORE,
        "winner": {"type": "string", "enum": ["A", "B", "tie"]},
    },
    "required": ["explanation", "score_a", "score_b", "winner"],
    "additionalProperties": False,
}

_FIRST = {"a": 1.0, "b": 0.0, "tie": 0.5}
_TIES = ("tie", "draw", "equal", "both", "neither", "none", "c")
_OUT_OF_TEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*10(?:\.0+)?)?\s*")
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")


def _score(value: Any) -> Any:
    """`7`, `7.5`, `"7"` and `"7/10"` are scores; anything else is left for the validator."""
    if isinstance(value, str) and (match := _OUT_OF_TEN.fullmatch(value)):
        return float(match.group(1))
    return value


def _winner(value: Any) -> Any:
    """`A`, `"answer b"`, `"Tie"`, `"draw"` ... as `a`, `b` or `tie`."""
    if not isinstance(value, str):
        return value
    word = re.sub(r"^(answer|assistant|completion|model)\s+", "", value.strip(" .*[]\"'").lower())
    return "tie" if word in _TIES else word


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    explanation: str = ""
    score_a: Annotated[float, BeforeValidator(_score)] = Field(ge=0, le=10)
    score_b: Annotated[float, BeforeValidator(_score)] = Field(ge=0, le=10)
    winner: Annotated[str, BeforeValidator(_winner)] = Field(pattern="^(a|b|tie)$")


def read_json(completion: Completion) -> Verdict:
    """The verdict in a JSON object, wherever in the text that is; the last readable one counts."""
    raw = completion.text
    problem = "it holds no JSON object"
    for found in _objects(raw):
        try:
            reply = _Reply.model_validate({key.lower(): value for key, value in found.items()})
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            continue
        return Verdict(
            first=_FIRST[reply.winner],
            scores=Scores(reply.score_a, reply.score_b),
            reason=reply.explanation.strip(),
            raw=raw,
        )
    if completion.finish == "length":
        problem = "it was cut at the token limit"
    raise VerdictError(problem, raw=raw)


def read_choice(completion: Completion) -> Verdict:
    """The probability of `A` against `B` as the first token of the completion.

    p = P(A) / (P(A) + P(B)) over all tokens that are that letter but for spaces; a letter that is
    not among the likeliest tokens has probability 0, and with neither there is no verdict.
    """
    if completion.top is None:
        raise VerdictError("the server gave no log-probabilities", raw=completion.text)
    mass = {label: 0.0 for label in "AB"}
    for token, logprob in completion.top.items():
        if token.strip() in mass:
            mass[token.strip()] += math.exp(logprob)
    if not sum(mass.values()):
        likeliest = [token for token, _ in sorted(completion.top.items(), key=lambda t: -t[1])][:5]
        raise VerdictError(f"neither A nor B among the first tokens: {likeliest!r}")
    return Verdict(first=mass["A"] / sum(mass.values()), raw=json.dumps(completion.top))


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, the last one first; a trailing comma is forgiven."""
    for start in reversed([match.start() for match in re.finditer(r"\{", text)]):
        for candidate in (text[start:], _TRAILING_COMMA.sub("", text[start:])):
            try:
                found, _ = json.JSONDecoder(strict=False).raw_decode(candidate)
            except (json.JSONDecodeError, RecursionError):
                continue
            yield found
            break
