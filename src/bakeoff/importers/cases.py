"""What was asked, and what came of it: the words between the formats and the gathering."""

from typing import Literal, NamedTuple

from pydantic import JsonValue

from bakeoff.importers.labels import Unread, unread
from bakeoff.records import Failure, Judgment, Presented, Verdict

# Which of the two of a case was shown first, where there was an order and a file tells it.
Shown = Literal["a", "b", "unknown", "apart"]


class Side(NamedTuple):
    """One of two models: its name, and what it said, where the file holds that (`held`)."""

    model: str
    held: bool = False
    said: JsonValue = None


class Case(NamedTuple):
    """What was judged: a prompt's id, two models, and which of their completions."""

    prompt: str
    a: str
    b: str
    sample: int


class Alone(NamedTuple):
    """A completion that was scored by itself."""

    prompt: str
    side: Side
    judge: str
    score: float | Unread
    reason: str = ""


class Asked(NamedTuple):
    """What a judge was asked; the same again is a repeat."""

    prompt: str
    judge: str
    first: str
    second: str
    sample: int
    presented: Presented = "recorded"


def not_text(prompt: str, side: Side) -> Failure:
    """The failure of a model whose completion is no text."""
    wrong = unread("completion", side.said)
    return Failure(
        stage="completion",
        prompt_id=prompt,
        participant=side.model,
        kind="not text",
        message="the completion is missing" if side.said is None else "the completion is no text",
        raw=wrong.raw,
    )


def outcome_of(asked: Asked, found: Verdict | Unread) -> Judgment | Failure:
    """The record of what was asked and found."""
    if isinstance(found, Unread):
        return Failure(
            stage="judgment",
            prompt_id=asked.prompt,
            participant=asked.judge,
            kind=found.kind,
            message=found.message,
            raw=found.raw,
            first=asked.first,
            second=asked.second,
        )
    return Judgment(
        prompt_id=asked.prompt,
        judge=asked.judge,
        first=asked.first,
        second=asked.second,
        sample=asked.sample,
        presented=asked.presented,
        verdict=found,
    )
