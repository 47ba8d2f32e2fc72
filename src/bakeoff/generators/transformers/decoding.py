"""Generates completions with a loaded transformers model, several prompts at a time.

Every model is sampled in the same way: temperature, top-p and length, without the model's own
generation settings. If the model's cache allows it, finished sequences leave the batch and new ones
join it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
    StopStringCriteria,
)

from bakeoff.config import Sampling
from bakeoff.errors import BackendError
from bakeoff.generators.thinking import make_completion
from bakeoff.generators.transformers import kv_cache
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel, quiet_transformers
from bakeoff.generators.transformers.kv_cache import CachePart
from bakeoff.generators.transformers.sampling import row_generator, sample, top_logprobs
from bakeoff.generators.transformers.scheduler import RunningSequence
from bakeoff.generators.transformers.tokenization import STOP_STRING, ModelTokenizer
from bakeoff.records import Completion, Finish

_MAX_PREFILL_TOKENS = 8192  # per forward pass, as the activations of a layer are large
_BUSY_TOKENS = {"cpu": 128}  # that use a device fully; on any other device: the maximum
_SIMILAR_LENGTH = 0.8  # of the longest prompt in a batch; shorter ones would be padded too much

TokenTuple = tuple[int, ...]
ShouldStop = Callable[[int, int], bool]
"""Called after each step with the number of running and of finished sequences."""


class DecodingLoop:
    """Generates one token of every sequence per step, in one batch."""

    def __init__(self, loaded: LoadedModel, sampling: Sampling) -> None:
        self.can_join = kv_cache.can_join(loaded.model)
        """Whether new sequences can join running ones."""
        self._loaded = loaded
        self._sampling = sampling
        self._sequences: list[RunningSequence] = []  # a row of the cache each
        self._cache: Any = None  # for all tokens of each sequence but its last

    @property
    def running(self) -> list[RunningSequence]:
        """The sequences that have not finished."""
        return [sequence for sequence in self._sequences if not sequence.finished]

    @property
    def tokens_in_progress(self) -> int:
        """Number of tokens generated for unfinished completions. May be read from any thread."""
        return sum(len(sequence.output) for sequence in self.running)

    def generate(self, new: Sequence[RunningSequence], should_stop: ShouldStop) -> None:
        """Add sequences and generate until `should_stop` returns True.

        `new` is sorted, the longest prompt first. Without `can_join`, no sequence may be running,
        and `should_stop` is ignored.
        """
        with quiet_transformers(), torch.inference_mode():
            if self.can_join:
                self._join(new)
            else:
                self._sequences = list(new)
            stop_early = should_stop if self.can_join else lambda *_: False
            members, tokenizer = self._sequences, self._loaded.tokenizer
            step = BatchStep(members, tokenizer, self._sampling, stop_early, self._stop_strings)
            rows = [sequence.tokens for sequence in members]
            self._run_model(rows, _room(members), self._cache, step)
        if not self.running:
            self.reset()

    def reset(self) -> list[RunningSequence]:
        """Remove all sequences; return the unfinished ones, without their output."""
        unfinished = [sequence.restarted() for sequence in self.running]
        self._sequences, self._cache = [], None
        return unfinished

    def _join(self, new: Sequence[RunningSequence]) -> None:
        """Remove finished sequences and the padding that they required; add the new ones."""
        rows = [row for row, member in enumerate(self._sequences) if not member.finished]
        if not new and len(rows) == len(self._sequences):
            return
        self._sequences = ordered = self.running
        parts = []
        if ordered:
            width = max(len(sequence.tokens) for sequence in ordered)
            skip = self._cache.get_seq_length() + 1 - width
            parts.append(CachePart(self._cache, rows, skip))
        self._sequences = [*ordered, *new]  # even if memory runs out
        for part, sequences in self._prefill(new):
            parts.append(part)
            ordered += sequences
        self._cache = kv_cache.merge(parts, _room(ordered))
        self._sequences = ordered

    def _prefill(
        self, new: Sequence[RunningSequence]
    ) -> Iterator[tuple[CachePart, list[RunningSequence]]]:
        """Yield caches of the prompts without their last tokens; equal prompts are read once."""
        by_prompt: dict[TokenTuple, list[RunningSequence]] = {}
        for sequence in new:
            by_prompt.setdefault(tuple(sequence.prompt.tokens), []).append(sequence)
        device = self._loaded.model.device.type
        busy_tokens = _BUSY_TOKENS.get(device, _MAX_PREFILL_TOKENS)
        for prompts in _prefill_batches(list(by_prompt), busy_tokens):
            cache = kv_cache.new_cache(self._loaded.model)
            self._run_model([list(prompt[:-1]) for prompt in prompts], 1, cache)
            rows = [row for row, prompt in enumerate(prompts) for _ in by_prompt[prompt]]
            yield CachePart(cache, rows), [s for prompt in prompts for s in by_prompt[prompt]]

    def _run_model(
        self,
        rows: Sequence[list[int]],
        max_new_tokens: int,
        cache: Any,
        step: "BatchStep | None" = None,
    ) -> None:
        """Run `generate` on the rows, with the callbacks of `step`."""
        end_tokens, device = self._loaded.tokenizer.end_tokens, self._loaded.model.device
        pad = end_tokens[0] if end_tokens else 0  # masked on the left, ignored after the end
        cached = cache.get_seq_length() if cache is not None else 0
        width = max(cached + 1, *map(len, rows))
        padded = [[pad] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        self._loaded.model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=GenerationConfig(
                max_new_tokens=max_new_tokens,
                do_sample=False,  # the argmax of the scores of BatchStep.sample is the sample
                eos_token_id=end_tokens or None,
                pad_token_id=pad,
                disable_compile=True,
            ),
            logits_processor=LogitsProcessorList([step.sample] if step else []),
            stopping_criteria=StoppingCriteriaList([step.stop] if step else []),
            **(kv_cache.cache_argument(cache) if cache is not None else {}),
        )

    @cached_property
    def _stop_strings(self) -> StopStringCriteria | None:
        """Criteria that stop at STOP_STRING, for a model without a chat template; else None."""
        tokenizer = self._loaded.tokenizer
        if tokenizer.has_chat_template:
            return None
        return StopStringCriteria(tokenizer.tokenizer, [STOP_STRING])


class BatchStep:
    """The callbacks of `generate` in each step of a batch: `sample`, then `stop`.

    `generate` ends if `should_stop` returns True. `stop_strings` are criteria for text that ends a
    completion, or None. On MPS, transformers makes one more step after `stopping`, whose tokens are
    ignored.
    """

    def __init__(
        self,
        sequences: Sequence[RunningSequence],
        tokenizer: ModelTokenizer,
        sampling: Sampling,
        should_stop: ShouldStop,
        stop_strings: StopStringCriteria | None = None,
    ) -> None:
        self._sequences = sequences
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._should_stop = should_stop
        self._stop_strings = stop_strings
        self.stopping = False

    def sample(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores whose argmax is the sampled token of each row; changes `scores`.

        Before the first token of a sequence, check its logits for NaN, and record the
        log-probabilities if they are requested.
        """
        del input_ids
        if self.stopping:
            return scores
        for sequence, row in zip(self._sequences, scores, strict=True):
            if sequence.random_generator is None:
                sequence.random_generator = row_generator(sequence.prompt.seed, scores.device)
                if bool(row.isnan().any()):
                    message = "the model computes NaN: try another dtype, like float32"
                    sequence.finish(BackendError(message))
                elif count := self._sampling.top_logprobs:
                    sequence.top_logprobs = top_logprobs(row, count, self._tokenizer)
        generators = [s.random_generator for s in self._sequences if s.random_generator]
        tokens = sample(scores, self._sampling, generators)
        return scores.scatter_(-1, tokens[:, None], torch.inf)

    def stop(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        """Finish sequences at an end token, a stop string or their length.

        Returns True for all rows if `generate` has to end, else False for all rows.
        """
        sequences = self._sequences
        if not self.stopping:
            stops = self._stop_strings(input_ids, scores).tolist() if self._stop_strings else []
            for index, token in enumerate(input_ids[:, -1].tolist()):
                self._append(sequences[index], token, stopped=bool(stops and stops[index]))
            finished = [sequence for sequence in sequences if sequence.finished]
            # A finished row grows until the stop, and must not grow beyond the context.
            context_length = self._tokenizer.context_length
            full = any(sequence.max_length == context_length for sequence in finished)
            running = len(sequences) - len(finished)
            self.stopping = not running or full or self._should_stop(running, len(finished))
        return torch.full((len(sequences),), self.stopping, device=input_ids.device)

    def _append(self, sequence: RunningSequence, token: int, *, stopped: bool) -> None:
        if sequence.finished:
            return
        if not sequence.is_wanted():
            sequence.finished = True
        elif token in self._tokenizer.end_tokens:
            sequence.finish(self._completion(sequence, "stop"))
        else:
            sequence.output.append(token)
            if stopped or len(sequence.output) == sequence.prompt.max_new_tokens:
                sequence.finish(self._completion(sequence, "length"))

    def _completion(self, sequence: RunningSequence, finish: Finish) -> Completion:
        text = self._tokenizer.decode(sequence.output)
        if not self._tokenizer.has_chat_template and STOP_STRING in text:
            text, finish = text.partition(STOP_STRING)[0], "stop"
        # The opening tag of the thinking, if the chat template wrote it at the end of the prompt.
        text = sequence.prompt.thinking_tag + text
        tokens, logprobs = len(sequence.output), sequence.top_logprobs
        return make_completion(text, finish=finish, tokens=tokens, top_logprobs=logprobs)


def _room(sequences: Sequence[RunningSequence]) -> int:
    """Return the largest number of tokens that a sequence may still generate."""
    return max(s.prompt.max_new_tokens - len(s.output) for s in sequences)


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
    if batch:
        yield batch
