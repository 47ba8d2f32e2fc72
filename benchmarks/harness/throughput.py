"""Measures amounts per second, such as the new tokens of a model that is called as in a run."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.records import Completion, Prompt
from bakeoff.runtime import Generator


class MeasurementError(Exception):
    """A measurement failed; the message is the reason."""


class Timed(NamedTuple):
    """A number of tokens or requests, and the seconds that they took."""

    amount: int
    seconds: float

    @property
    def rate(self) -> float:
        """The number per second."""
        return self.amount / self.seconds

    def __add__(self, other: object) -> "Timed":
        assert isinstance(other, Timed)
        return Timed(self.amount + other.amount, self.seconds + other.seconds)


async def time_completions(model: Generator, prompts: Sequence[Prompt]) -> Timed:
    """Complete the prompts; returns the new tokens. Raises MeasurementError for a failure."""
    tokens = 0

    def count(_: int, outcome: object) -> None:
        nonlocal tokens
        if not isinstance(outcome, Completion):
            raise MeasurementError(f"no completion: {outcome}")
        tokens += outcome.tokens or 0

    began = time.perf_counter()
    await model(prompts, count)
    return Timed(tokens, time.perf_counter() - began)
