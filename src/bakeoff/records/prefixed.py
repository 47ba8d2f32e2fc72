"""A prompt that is asked beside others with the same beginning: how it is sent, never kept."""

from typing import Self

from bakeoff.records.nouns import Prompt


class Prefixed(Prompt):
    """`shared` characters of the first turn are the beginning of other requests, too."""

    shared: int = 0

    @classmethod
    def of(cls, prompt: Prompt, shared: int) -> Self:
        """The same prompt, with what it shares."""
        return cls(id=prompt.id, messages=prompt.messages, shared=shared)
