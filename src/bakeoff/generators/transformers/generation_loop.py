"""Generates completions with a loaded transformers model, several prompts at a time.

Every model is sampled in the same way: temperature, top-p and length, without the model's own
generation settings. If the model's cache allows it, finished sequences leave the batch and new ones
join it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from bakeoff.config import Sampling
from bakeoff.generators.transformers import kv_cache
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel, quiet_transformers
from bakeoff.generators.transformers.sequences import (
    EosOrLength,
    RunningSequence,
    SamplingProcessor,
)
from bakeoff.generators.transformers.tokenization import STOP_STRING

_MAX_PREFILL_TOKENS = 8192  # per forward pass, as the activations of a layer are large
_BUSY_TOKENS = {"cpu": 128}  # that use a device fully; on any other device: the maximum
_SIMILAR_LENGTH = 0.8  # of the longest prompt in a batch; shorter ones would be padded too much

TokenTuple = tuple[int, ...]


class GenerationLoop:
    """Generates one token of every sequence per step, in one batch."""

    def __init__(self, loaded: LoadedModel, sampling: Sampling) -> None:
        self.sequences: list[RunningSequence] = []
        self.can_join = kv_cache.can_join(loaded.model)
        """Whether new sequences can join running ones."""
        self._loaded = loaded
        self._sampling = sampling
        self._cache: Any = None  # for all tokens of each sequence but its last

    @property
    def tokens_in_progress(self) -> int:
        """Number of tokens generated for unfinished completions. May be read from any thread."""
        return sum(len(sequence.output) for sequence in self.sequences if not sequence.finished)

    def generate(self, new: Sequence[RunningSequence], should_stop: Callable[[int], bool]) -> None:
        """Add sequences and generate until `should_stop(number of finished sequences)` is true.

        `new` is sorted, the longest prompt first. Without `can_join`, no sequence may be running,
        and `should_stop` is ignored.
        """
        import torch

        running, self.sequences = self.sequences, [*self.sequences, *new]
        with quiet_transformers(), torch.inference_mode():
            if self.can_join and new:
                self._prefill(running, new)
            tokenizer = self._loaded.tokenizer
            stop_early = should_stop if self.can_join else lambda _: False
            criteria = EosOrLength(self.sequences, tokenizer, stop_early, self._stop_strings)
            self._run_model(
                [sequence.prompt.tokens + sequence.output for sequence in self.sequences],
                max(s.prompt.max_new_tokens - len(s.output) for s in self.sequences),
                SamplingProcessor(self.sequences, tokenizer, self._sampling, criteria),
                criteria,
            )
            self._remove_finished()

    def reset(self) -> list[RunningSequence]:
        """Remove all sequences; return the unfinished ones, without their output."""
        unfinished = [
            RunningSequence(sequence.prompt, sequence.on_finish, sequence.is_wanted)
            for sequence in self.sequences
            if not sequence.finished
        ]
        self.sequences, self._cache = [], None
        return unfinished

    def _prefill(self, running: Sequence[RunningSequence], new: Sequence[RunningSequence]) -> None:
        """Add the new prompts to the cache, without their last tokens; equal prompts run once."""
        import torch

        by_prompt: dict[TokenTuple, list[RunningSequence]] = {}
        for sequence in new:
            by_prompt.setdefault(tuple(sequence.prompt.tokens), []).append(sequence)
        caches, ordered = [self._cache] if running else [], list(running)
        device = self._loaded.model.device.type
        busy_tokens = _BUSY_TOKENS.get(device, _MAX_PREFILL_TOKENS)
        for prompts in _prefill_batches(list(by_prompt), busy_tokens):
            self._cache = kv_cache.new_cache(self._loaded.model)
            self._run_model([list(prompt[:-1]) for prompt in prompts], 1)
            repeats = [row for row, prompt in enumerate(prompts) for _ in by_prompt[prompt]]
            if len(prompts) < len(repeats):
                kv_cache.select_rows(self._cache, torch.tensor(repeats))
            ordered += [sequence for prompt in prompts for sequence in by_prompt[prompt]]
            caches.append(self._cache)
        self._cache = kv_cache.concatenate(caches)
        self.sequences = ordered

    def _remove_finished(self) -> None:
        """Remove the finished sequences from the cache, and the padding that they required."""
        import torch

        rows = [row for row, sequence in enumerate(self.sequences) if not sequence.finished]
        self.sequences = [self.sequences[row] for row in rows]
        if not rows:
            self._cache = None
        elif self._cache is not None:
            width = max(len(s.prompt.tokens) + len(s.output) for s in self.sequences)
            cached = self._cache.get_seq_length()
            kv_cache.select_rows(self._cache, torch.tensor(rows), skip=cached + 1 - width)

    def _run_model(self, rows: Sequence[list[int]], max_new_tokens: int, *callbacks: Any) -> None:
        """Run `generate` on the rows. `callbacks` are a logits processor and stopping criteria."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        end_tokens, device = self._loaded.tokenizer.end_tokens, self._loaded.model.device
        pad = end_tokens[0] if end_tokens else 0  # masked on the left, ignored after the end
        cached = self._cache.get_seq_length() if self._cache is not None else 0
        width = max(cached + 1, *map(len, rows))
        padded = [[pad] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        self._loaded.model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=GenerationConfig(
                max_new_tokens=max_new_tokens,
                do_sample=False,  # the argmax of the scores of SamplingProcessor is the sample
                eos_token_id=end_tokens or None,
                pad_token_id=pad,
                disable_compile=True,
            ),
            logits_processor=LogitsProcessorList(callbacks[:1]),
            stopping_criteria=StoppingCriteriaList(callbacks[1:]),
            **(kv_cache.cache_argument(self._cache) if self._cache is not None else {}),
        )

    @cached_property
    def _stop_strings(self) -> Any:
        """Criteria that stop at STOP_STRING, for a model without a chat template; else None."""
        from transformers import StopStringCriteria

        tokenizer = self._loaded.tokenizer
        if tokenizer.has_chat_template:
            return None
        return StopStringCriteria(tokenizer.tokenizer, [STOP_STRING])


def _prefill_batches(prompts: Sequence[TokenTuple], busy_tokens: int) -> Iterator[list[TokenTuple]]:
    """Yield the prompts, sorted the longest first, in batches for one forward pass each.

    Much shorter prompts are not added to a batch with at least `busy_tokens`.
    """
    batch: list[TokenTuple] = []
    for prompt in prompts:
        longest = len(batch[0]) if batch else 0
        is_busy = len(batch) * longest >= busy_tokens
        too_short = is_busy and len(prompt) < _SIMILAR_LENGTH * longest
        if batch and (too_short or (len(batch) + 1) * longest > _MAX_PREFILL_TOKENS):
            yield batch
            batch = []
        batch.append(prompt)
    yield batch
