"""Assigns completions to samples: the index of the texts that a judgment compares."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from heapq import merge

from bakeoff.records import Completion, ModelCompletion


class SampleIndex:
    """The completions of all models, by prompt and sample."""

    def __init__(self) -> None:
        self._completions: dict[tuple[str, str, int], Completion] = {}  # prompt, model, sample
        self._samples_of_text: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        self._model_sample_counts: Counter[tuple[str, str]] = Counter()
        self._sample_counts: Counter[str] = Counter()
        self._first_free: Counter[tuple[str, str]] = Counter()  # lowest sample without completion

    def add(self, prompt_id: str, completions: Mapping[str, Completion]) -> int:
        """Add the completions of one prompt by several models, and return their sample.

        It is the lowest sample at which each of these models has the same text or none so far.
        """
        if not completions:
            return 0
        texts = {model: _full_text(completion) for model, completion in completions.items()}
        same = {m: self._samples_of_text.get((prompt_id, m, texts[m]), []) for m in texts}
        sample_count = self._sample_counts[prompt_id]

        def fits(sample: int) -> bool:
            known = {m: self._completions.get((prompt_id, m, sample)) for m in texts}
            return all(old is None or _full_text(old) == texts[m] for m, old in known.items())

        # Tries the samples of the most constrained model: a prompt may have thousands of samples.
        model = min(texts, key=lambda m: len(same[m]) - self._model_sample_counts[prompt_id, m])
        samples = range(self._first_free[prompt_id, model], sample_count)
        free = (n for n in samples if (prompt_id, model, n) not in self._completions)
        sample = next(filter(fits, merge(sorted(same[model]), free)), sample_count)
        for model, completion in completions.items():
            if (prompt_id, model, sample) not in self._completions:
                self._completions[prompt_id, model, sample] = completion
                self._samples_of_text[prompt_id, model, texts[model]].append(sample)
                self._model_sample_counts[prompt_id, model] += 1
                while (prompt_id, model, self._first_free[prompt_id, model]) in self._completions:
                    self._first_free[prompt_id, model] += 1
        self._sample_counts[prompt_id] = max(sample_count, sample + 1)
        return sample

    def records(self) -> Iterator[ModelCompletion]:
        """Yield all completions as records, in the order in which they were added."""
        for (prompt_id, model, sample), completion in self._completions.items():
            yield ModelCompletion(
                prompt_id=prompt_id, model=model, completion=completion, sample=sample
            )


def _full_text(completion: Completion) -> str:
    return completion.text if completion.raw is None else completion.raw
