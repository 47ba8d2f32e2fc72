"""What lies before a person who votes: two completions of one prompt, nameless, and their key.

Knows what was said and by whom; not who votes, nor in what order.
"""

from typing import NamedTuple

from bakeoff.records import Evidence, Pair, content_key


class Candidates(NamedTuple):
    """Two models on one prompt, in the order of their names: which place each has is drawn later.

    `sample` says which completions, where the models have several.
    """

    prompt_id: str
    a: str
    b: str
    sample: int

    @classmethod
    def of(cls, prompt_id: str, one: str, other: str, sample: int) -> "Candidates":
        """The same candidates in whatever order they are named."""
        a, b = sorted((one, other))
        return cls(prompt_id, a, b, sample)


class Slip(NamedTuple):
    """One voter's paper: the pair as it is shown, and who is first and who second."""

    candidates: Candidates
    first: str
    second: str
    pair: Pair

    @property
    def shown(self) -> str:
        """The key of all that the voter reads: a vote is on this, and on no other text."""
        return content_key(self.pair.prompt.conversation(), self.pair.first, self.pair.second)

    def swapped(self) -> "Slip":
        """The same candidates in each other's place."""
        return Slip(self.candidates, self.second, self.first, self.pair.swapped())


class Slips:
    """Every slip that some evidence can make."""

    def __init__(self, evidence: Evidence) -> None:
        self._prompts = {prompt.id: prompt for prompt in evidence.prompts}
        self._texts = {
            (one.prompt_id, one.model, one.sample): one.completion.text
            for one in evidence.completions
        }

    def slip(self, candidates: Candidates, *, first: str) -> Slip | None:
        """The slip with `first` in the first place; None where a completion is missing."""
        prompt_id, a, b, sample = candidates
        second = b if first == a else a
        prompt = self._prompts.get(prompt_id)
        one, other = (self._texts.get((prompt_id, model, sample)) for model in (first, second))
        if prompt is None or one is None or other is None:
            return None
        return Slip(candidates, first, second, Pair(prompt=prompt, first=one, second=other))
