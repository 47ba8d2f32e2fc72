"""The nouns: what crosses JSON, SQLite, HTTP and processes. Knows no model, no judge, no file.

All records are frozen and refuse unknown fields; they are validated once, where they enter.
Two dialects meet here and stay apart: `Pair` and `Verdict` speak of first and second (positions)
and hold no model name; `Judgment` and everything after it speak of models by name.
"""

import hashlib
import json
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from bakeoff.errors import BackendError, WorkError

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refused", "unknown"]
Winner = Literal["a", "b", "tie"]
Presented = Literal["recorded", "unknown", "apart"]
Probability = float

CLUSTER = "cluster:"  # a tag that begins so says which prompts belong together


class Scores(NamedTuple):
    """What a judge gave each of the two completions, from 0 to 10."""

    first: float
    second: float


def content_key(*parts: JsonValue) -> str:
    """`s1:` and the SHA-256 of the parts as canonical JSON; the prefix names hash and form."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return "s1:" + hashlib.sha256(text.encode()).hexdigest()


class Record(BaseModel):
    """What all nouns share: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: str


class Prompt(Record):
    """What the models are asked: one turn or several, the last one the user's.

    A prompt whose last turn is the assistant's asks a generator to go on with that turn.
    `id` is the content key of the messages unless the source gave one.
    """

    id: str = ""
    messages: tuple[Message, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    reference: str | None = None

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
    """

    text: str
    thinking: str | None = None
    finish: Finish = "unknown"
    tokens: int | None = Field(default=None, ge=0)
    raw: str | None = None
    top: dict[str, float] | None = None


class Pair(Record):
    """What a judge sees: a prompt and two completions by position, with no model name."""

    prompt: Prompt
    first: str
    second: str

    def swapped(self) -> Self:
        """The same pair in the other order."""
        return self.model_copy(update={"first": self.second, "second": self.first})


class Verdict(Record):
    """What a judge says of a pair: the probability that `first` is better, 0.5 for a tie.

    `scores` are 0-10 for first and second, where the judge gives scores. `reason` is its
    explanation. `raw` is the reply as it came.
    """

    first: Probability = Field(ge=0, le=1)
    scores: Scores | None = None
    reason: str = ""
    raw: str = ""

    @model_validator(mode="after")
    def _scores_in_range(self) -> Self:
        if self.scores is not None and not all(0 <= score <= 10 for score in self.scores):
            raise ValueError(f"scores are from 0 to 10, not {tuple(self.scores)!r}")
        return self

    def swapped(self) -> Self:
        """The same verdict on the pair in the other order."""
        scores = self.scores and Scores(self.scores.second, self.scores.first)
        return self.model_copy(update={"first": 1 - self.first, "scores": scores})


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
