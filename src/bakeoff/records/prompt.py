"""Prompts: conversations for a model to complete."""

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from bakeoff.records.record import Record, content_key

Role = Literal["system", "user", "assistant"]

CLUSTER_TAG = "cluster:"  # prefix of a tag: prompts with the same tag are one cluster


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: str


class Criterion(Record):
    """One criterion of a rubric; a plain string is read as its name."""

    name: str = Field(min_length=1)
    description: str = ""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Weight in the mean over criteria, relative to the others."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class Prompt(Record):
    """A conversation to be completed.

    If the last message is the assistant's, a generator continues that message.
    """

    id: str = ""
    """Identifier from the source, else computed from the messages."""
    messages: tuple[Message, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    reference: str | None = None
    """A good completion; shown to judges only."""
    criteria: tuple[Criterion, ...] = ()
    """Rubric of this prompt; shown to judges only."""
    sample: int = Field(default=0, ge=0, exclude_if=lambda sample: sample == 0)
    """Index of the completion to generate, with `Config.samples` above 1; 0 in results."""

    @model_validator(mode="after")
    def _set_id(self) -> Self:
        if not self.id:
            object.__setattr__(self, "id", content_key(self.conversation())[:19])
        return self

    def with_sample(self, sample: int) -> Self:
        """Return the prompt as the request for the completion with index `sample`."""
        return self.model_copy(update={"sample": sample})

    def conversation(self) -> list[JsonValue]:
        """Return the messages as plain JSON: the form that is hashed and sent."""
        return [{"role": m.role, "content": m.content} for m in self.messages]


class PrefixedPrompt(Prompt):
    """A prompt that shares the beginning of its first message with other requests; never stored."""

    shared: int = 0
    """Length of the common prefix in characters."""

    @classmethod
    def of(cls, prompt: Prompt, shared: int) -> Self:
        """Return the id and messages of `prompt` with a common prefix of `shared` characters."""
        return cls(id=prompt.id, messages=prompt.messages, shared=shared)
