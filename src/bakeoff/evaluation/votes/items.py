"""What a voter sees: a prompt and two completions, without model names."""

from collections.abc import Callable
from typing import NamedTuple

from bakeoff.records import Evidence, Pair, content_key


class PairKey(NamedTuple):
    """Key of a pair of completions; `a` and `b` are the models in the order of their names."""

    prompt_id: str
    a: str
    b: str
    sample: int

    @classmethod
    def of(cls, prompt_id: str, model: str, other_model: str, sample: int) -> "PairKey":
        """Return the key; the order of the two models does not matter."""
        a, b = sorted((model, other_model))
        return cls(prompt_id, a, b, sample)


class VotingItem(NamedTuple):
    """A pair in the order in which it is shown to a voter."""

    key: PairKey
    first: str
    """Model of the first completion."""
    second: str
    pair: Pair

    @property
    def content_key(self) -> str:
        """Hash of all texts that the voter reads: a vote counts for these texts only."""
        return content_key(self.pair.prompt.conversation(), self.pair.first, self.pair.second)

    def swapped(self) -> "VotingItem":
        """Return the item in the other order."""
        return VotingItem(self.key, self.second, self.first, self.pair.swapped())


def item_lookup(evidence: Evidence) -> Callable[[PairKey, str], VotingItem | None]:
    """Return a function from a key and the model shown first to the item.

    The function returns None if the evidence lacks the prompt or a completion.
    """
    prompts = {prompt.id: prompt for prompt in evidence.prompts}
    texts = {
        (row.prompt_id, row.model, row.sample): row.completion.text for row in evidence.completions
    }

    def item(key: PairKey, first: str) -> VotingItem | None:
        second = key.b if first == key.a else key.a
        prompt = prompts.get(key.prompt_id)
        text, other_text = (
            texts.get((key.prompt_id, model, key.sample)) for model in (first, second)
        )
        if prompt is None or text is None or other_text is None:
            return None
        return VotingItem(key, first, second, Pair(prompt=prompt, first=text, second=other_text))

    return item
