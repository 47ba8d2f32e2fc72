"""Completions: the output of models."""

from typing import Literal, Self

from pydantic import Field

from bakeoff.records.record import Record
from bakeoff.records.usage import Usage

Finish = Literal["stop", "length", "refused", "unknown"]


class Completion(Record):
    """One completion of one prompt, without the name of its model."""

    text: str
    """The text that judges see."""
    thinking: str | None = None
    """Content of `<think>` tags, or of the reasoning field of the response."""
    finish: Finish = "unknown"
    """Why generation ended; `length` means truncated at the token limit."""
    tokens: int | None = Field(default=None, ge=0)
    """Number of generated tokens."""
    raw: str | None = None
    """The text as generated, if it differs from `text`."""
    top_logprobs: dict[str, float] | None = None
    """Log-probabilities of the likeliest first tokens, if requested."""
    score: float | None = Field(default=None, allow_inf_nan=False)
    """Score of the prompt's last message if scoring was requested instead of generation: mean
    log-probability per token, or a reward."""
    snapshot: str | None = None
    """Model name that the server returned."""
    usage: Usage | None = None
    cost: float | None = Field(default=None, ge=0)
    """US dollars; None if unknown."""

    def with_usage(self, snapshot: str | None, usage: Usage | None, cost: float | None) -> Self:
        """Return the completion with the model name that the server returned, usage and cost."""
        return self.model_copy(update={"snapshot": snapshot, "usage": usage, "cost": cost})


class ModelCompletion(Record):
    """A completion with the name of its model and the id of its prompt: a row of the results."""

    prompt_id: str
    model: str
    completion: Completion
    sample: int = Field(default=0, ge=0)
    """Index among the completions of this prompt by this model."""
