"""Tells other completions of one prompt from the same ones. Knows no file and no format."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import count

from bakeoff.records import Completion, ModelCompletion


class _Shelf:
    """What one model said to one prompt: in which samples which words are, and where none are."""

    def __init__(self) -> None:
        self.holding: dict[str, list[int]] = defaultdict(list)
        self.gaps: set[int] = set()
        self.end = 0

    def put(self, sample: int, words: str) -> None:
        self.holding[words].append(sample)
        self.gaps.discard(sample)
        self.gaps.update(range(self.end, sample))
        self.end = max(self.end, sample + 1)

    def choices(self, words: str) -> int:
        return len(self.gaps) + len(self.holding.get(words, ()))

    def fitting(self, words: str) -> Iterator[int]:
        yield from sorted((*self.gaps, *self.holding.get(words, ())))
        yield from count(self.end)


class Samples:
    """The completions of all models to all prompts, each in its sample."""

    def __init__(self) -> None:
        self._completions: dict[tuple[str, str, int], Completion] = {}
        self._shelves: dict[tuple[str, str], _Shelf] = defaultdict(_Shelf)

    def put(self, prompt: str, said: Mapping[str, Completion]) -> int:
        """The first sample that holds these completions, or has room for them: then it does."""
        words = {model: _words(completion) for model, completion in said.items()}

        def fits(sample: int) -> bool:
            known = {m: self._completions.get((prompt, m, sample)) for m in words}
            return all(old is None or _words(old) == words[m] for m, old in known.items())

        if not said:
            return 0
        # From the shelf with the fewest choices: a file may hold thousands of samples of a prompt.
        shelves = {model: self._shelves[prompt, model] for model in words}
        best = min(words, key=lambda model: shelves[model].choices(words[model]))
        sample = next(filter(fits, shelves[best].fitting(words[best])))
        for model, completion in said.items():
            if (prompt, model, sample) not in self._completions:
                self._completions[prompt, model, sample] = completion
                shelves[model].put(sample, words[model])
        return sample

    def authored(self) -> tuple[ModelCompletion, ...]:
        """All of them, in the order in which they came."""
        return tuple(
            ModelCompletion(prompt_id=prompt, model=model, completion=completion, sample=sample)
            for (prompt, model, sample), completion in self._completions.items()
        )


def _words(completion: Completion) -> str:
    return completion.text if completion.raw is None else completion.raw
