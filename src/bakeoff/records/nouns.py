"""The nouns: what crosses JSON, SQLite, HTTP and processes. Knows no model, no judge, no file.

All records are frozen and refuse unknown fields; they are validated once, where they enter.
Two dialects meet here and stay apart: `Pair` and `Verdict` speak of first and second (positions)
and hold no model name; `Judgment` and everything after it speak of models by name.
"""

import hashlib
import json
from functools import cache
from typing import Annotated, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from bakeoff.errors import BackendError, WorkError

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refused", "unknown"]
Winner = Literal["a", "b", "tie"]
Presented = Literal["recorded", "unknown", "apart"]
Trouble = Literal["unreadable", "contradiction"]
Probability = float

CLUSTER = "cluster:"  # a tag that begins so says which prompts belong together


class Scores(NamedTuple):
    """What a judge gave each of the two completions, from 0 to 10."""

    first: Annotated[float, Field(ge=0, le=10)]
    second: Annotated[float, Field(ge=0, le=10)]


class RawScores(NamedTuple):
    """What each of the two completions was found to be worth, alone; on the judge's own scale."""

    first: float
    second: float


def content_key(*parts: JsonValue) -> str:
    """`s1:` and the SHA-256 of the parts as canonical JSON; the prefix names hash and form."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return "s1:" + hashlib.sha256(text.encode()).hexdigest()


class Record(BaseModel):
    """What all nouns share: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def lean(record: R) -> R:
    """The record, and what it says of tokens, without notes of its own on which fields were given.

    They are half of what a verdict takes in memory, and the same for most: records are frozen, so
    that those which had the same fields given share them.
    """
    for one in (record, getattr(record, "usage", None)):
        if isinstance(one, Record):
            given = _shared(frozenset(one.model_fields_set))
            object.__setattr__(one, "__pydantic_fields_set__", given)
    return record


@cache
def _shared(names: frozenset[str]) -> set[str]:
    return set(names)


class Usage(Record):
    """The tokens of one or several requests: read and written. Of those read `cached` came from the
    provider's cache, and `stored` were put there, which some charge for.
    """

    input: int = Field(ge=0)
    output: int = Field(ge=0)
    cached: int = Field(default=0, ge=0)
    stored: int = Field(default=0, ge=0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cached=self.cached + other.cached,
            stored=self.stored + other.stored,
        )


class Criterion(Record):
    """One thing that a rubric asks for, and how much it counts beside the others."""

    name: str = Field(min_length=1)
    description: str = ""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _a_name_is_enough(cls, given: object) -> object:
        return {"name": given} if isinstance(given, str) else given


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: str


class Prompt(Record):
    """What the models are asked: one turn or several, the last one the user's.

    A prompt whose last turn is the assistant's asks a generator to go on with that turn.
    `id` is the content key of the messages unless the source gave one. `reference` is a completion
    known to be good, `criteria` what a rubric asks of a completion; only judges see them.
    `sample` says to a generator which of several completions of it is wanted; results have no need
    of it.
    """

    id: str = ""
    messages: tuple[Message, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    reference: str | None = None
    criteria: tuple[Criterion, ...] = ()
    sample: int = Field(default=0, ge=0, exclude_if=lambda sample: sample == 0)

    @model_validator(mode="after")
    def _name_by_content(self) -> Self:
        if not self.id:
            object.__setattr__(self, "id", content_key(self.conversation())[:19])
        return self

    def conversation(self) -> list[JsonValue]:
        """The messages as plain JSON, the form in which they are hashed and sent."""
        return [{"role": m.role, "content": m.content} for m in self.messages]


class Completion(Record):
    """What a model said to one prompt; it does not know which model.

    `text` is what a judge sees. `thinking` is what stood in `<think>` tags or in a reasoning
    field. `raw` is the whole text as the model wrote it, where that differs from `text`.
    `finish` is `length` where the completion was cut at the token limit. `tokens` counts the new
    tokens, `top` maps the likeliest first tokens to their log-probabilities where it was asked for.
    `score` is what the last turn was found to be worth where it was to be weighed, not continued:
    its mean log-probability per token, or a reward. `snapshot` is the model's name as the server
    gave it back, `usage` and `cost` (US dollars) are those of the request; None: not known.
    """

    text: str
    thinking: str | None = None
    finish: Finish = "unknown"
    tokens: int | None = Field(default=None, ge=0)
    raw: str | None = None
    top: dict[str, float] | None = None
    score: float | None = Field(default=None, allow_inf_nan=False)
    snapshot: str | None = None
    usage: Usage | None = None
    cost: float | None = Field(default=None, ge=0)


class Pair(Record):
    """What a judge sees: a prompt and two completions by position, with no model name.

    `id` names the question where whoever asks it may have to tell it from the same one asked again;
    nothing that a judge is shown depends on it.
    """

    prompt: Prompt
    first: str
    second: str
    id: str = ""

    def swapped(self) -> Self:
        """The same pair in the other order, without a name."""
        return self.model_copy(update={"first": self.second, "second": self.first, "id": ""})


class Verdict(Record):
    """What a judge says of a pair: the probability that `first` is better, 0.5 for a tie.

    `scores` are 0-10 for first and second, where the judge gives scores. `reason` is its
    explanation. `raw` is the reply as it came. `raw_scores` are what a judge that looks at each
    alone found each to be worth (rewards, log-probabilities).

    `mended` says what was wrong with a first reply, so that the judge was asked once more, and
    `contradicts` that winner and scores did not fit even then: `first` follows the scores. `kept`
    is how many characters of each completion were shown, where they did not fit. `snapshot`,
    `usage` and `cost` are as a completion's, over all requests that the verdict took.
    """

    first: Probability = Field(ge=0, le=1)
    scores: Scores | None = None
    reason: str = ""
    raw: str = ""
    raw_scores: RawScores | None = None
    mended: Trouble | None = None
    contradicts: bool = False
    kept: int | None = Field(default=None, ge=0)
    snapshot: str | None = None
    usage: Usage | None = None
    cost: float | None = Field(default=None, ge=0)

    @property
    def at_odds(self) -> bool:
        """Whether the winner is not the one with the higher score.

        Equal scores are at odds with nothing: they are coarse, and a winner may be better by less.
        """
        if self.scores is None or self.scores.first == self.scores.second:
            return False
        return self.first == 0.5 or (self.first > 0.5) != (self.scores.first > self.scores.second)

    @property
    def against_scores(self) -> bool:
        """Whether the winner that was named, before the scores took its place, is `at_odds`."""
        return self.contradicts or self.at_odds

    def swapped(self) -> Self:
        """The same verdict on the pair in the other order."""
        turned = {
            "first": 1 - self.first,
            "scores": self.scores and Scores(*reversed(self.scores)),
            "raw_scores": self.raw_scores and RawScores(*reversed(self.raw_scores)),
        }
        return self.model_copy(update=turned)


class Authored(Record):
    """A completion with its author's name on: one row of the results.

    `sample` tells several completions of one prompt by one model apart.
    """

    prompt_id: str
    model: str
    completion: Completion
    sample: int = Field(default=0, ge=0)


class Judgment(Record):
    """A verdict with names on: which judge, and which model was shown first. The unit of export.

    `sample` says which completions were compared. `presented` is `unknown` where an evaluation that
    was read from a file does not tell who was shown first (`first` is then any of the two), and
    `apart` where the judge never saw the two together, so that no order exists.
    """

    prompt_id: str
    judge: str
    first: str
    second: str
    repeat: int = 0
    sample: int = Field(default=0, ge=0)
    presented: Presented = "recorded"
    verdict: Verdict


class Failure(Record):
    """Work that has no outcome: counted, shown, asked again next time; in no statistic.

    `who` is the model or judge that failed; for a judgment `first` and `second` name the models.
    `usage` and `cost` are of the requests that were answered, though not with an outcome.
    """

    stage: Literal["completion", "judgment"]
    prompt_id: str
    who: str
    kind: str
    message: str
    raw: str | None = None
    status: int | None = None
    first: str | None = None
    second: str | None = None
    repeat: int = 0
    sample: int = Field(default=0, ge=0)
    usage: Usage | None = None
    cost: float | None = Field(default=None, ge=0)

    @classmethod
    def of(
        cls, error: WorkError, stage: Literal["completion", "judgment"], prompt_id: str, who: str
    ) -> Self:
        """The record of an error that one item ended in."""
        return cls(
            stage=stage,
            prompt_id=prompt_id,
            who=who,
            kind=error.kind,
            message=error.message,
            raw=error.raw,
            status=error.status if isinstance(error, BackendError) else None,
            **error.usage,
        )


class Comparison(Record):
    """One prompt, two models: all orders, repeats, completions and judges folded into one.

    `preference` is the probability that a is better: a mean over judges, of means over orders.
    `flipped` says that the two orders named opposite winners: then `winner` is a tie. `consistent`
    says that both named the same, None where only one order was judged. Of several judges each has
    one voice, and `winner` is what most of them say. `scores` are mean scores of a and b, 0-10.
    """

    prompt_id: str
    a: str
    b: str
    preference: Probability = Field(ge=0, le=1)
    winner: Winner
    flipped: bool = False
    consistent: bool | None = None
    scores: Scores | None = None
