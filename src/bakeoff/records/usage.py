"""Tokens, requests and cost."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from bakeoff.records.record import Record

Stage = Literal["completion", "judgment"]


class Usage(Record):
    """Tokens of one or several requests.

    `cached_tokens` and `cache_write_tokens` are parts of `input_tokens`: read from and written to
    the provider's prompt cache. Some providers charge for writing.
    """

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


class StageUsage(Record):
    """Requests, tokens and cost of one model or judge: planned, in one run, or in total.

    `Plan`, `Results.run_usage` and `Summary.usage` each set only some of the fields; the others
    keep their defaults. Tokens are None if unknown.
    """

    stage: Stage
    participant: str
    """Name of the model or judge."""
    outcomes: int = Field(default=0, ge=0)
    """Completions or verdicts that exist, without failures."""
    failed: int = Field(default=0, ge=0)
    """Completions or verdicts that failed."""
    stored: int = Field(default=0, ge=0)
    """Outcomes taken from the store, without a request."""
    requests: int = Field(default=0, ge=0)
    retries: int = Field(default=0, ge=0)
    """Requests that repeat an earlier request for the same item."""
    unanswered: int = Field(default=0, ge=0)
    """Requests without a readable response; a provider may bill them."""
    input_tokens: int | None = Field(default=None, ge=0)
    cached_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0)
    """US dollars; 0 for a model without a price, None if the price is unknown."""
    max_cost: float | None = Field(default=None, ge=0)
    """US dollars if every completion and verdict reaches its token limit."""
    seconds: float | None = Field(default=None, ge=0)
    """Estimated time of these requests alone; None if it depends on this machine."""


def total_or_none(amounts: Iterable[float | None]) -> float | None:
    """Return the sum, or None if any amount is None."""
    known = []
    for amount in amounts:
        if amount is None:
            return None
        known.append(amount)
    return sum(known)
