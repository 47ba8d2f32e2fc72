"""Draws completions from a loaded transformers model, several prompts at a time.

All models are drawn alike: temperature, top_p and the length, and nothing from the model's own
generation settings. Where the model's cache allows it, what is through leaves its place to what
waits. Knows neither calls nor memory.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from bakeoff.config import Sampling
from bakeoff.generators.transformers import kv_cache
from bakeoff.generators.transformers.checkpoint_loader import Loaded, quiet
from bakeoff.generators.transformers.sequences import Draws, Ends, Run
from bakeoff.generators.transformers.tokenization import STOP

_READ = 8192  # tokens of prompts that are read at once: what a layer makes of them is large
_BUSY = {"cpu": 128}  # tokens of prompts that keep all of a device busy; any other: as many as that
_ALIKE = 0.8  # of the longest of them: what is shorter would be padded for long

Prompt = tuple[int, ...]


class Scribe:
    """Writes the completions of all its runs at once, a token of each in a step."""

    def __init__(self, loaded: Loaded, sampling: Sampling) -> None:
        self.runs: list[Run] = []
        self.joins = kv_cache.can_join(loaded.model)  # whether runs can be added to others
        self._loaded = loaded
        self._sampling = sampling
        self._cache: Any = None  # of all tokens of all runs but the last ones

    @property
    def written(self) -> int:
        """The tokens of what is under way. From any thread."""
        return sum(len(run.made) for run in self.runs if not run.over)

    def write(self, new: Sequence[Run], pays: Callable[[int], bool]) -> None:
        """Take these up, and write on until it pays to stop for so many that are over.

        The new ones come longest first, so that they are read with little padding. Where runs
        cannot be added to others, nothing may be under way, and all is written out.
        """
        import torch

        old, self.runs = self.runs, [*self.runs, *new]
        with quiet(), torch.inference_mode():
            if self.joins and new:
                self._read(old, new)
            tokens = self._loaded.tokens
            ends = Ends(self.runs, tokens, pays if self.joins else lambda _: False, self._stops)
            self._generate(
                [run.row.tokens + run.made for run in self.runs],
                max(run.row.room - len(run.made) for run in self.runs),
                Draws(self.runs, tokens, self._sampling, ends),
                ends,
            )
            self._let_go()

    def drop(self) -> list[Run]:
        """Forget all runs; those that were not through, to be written from their beginning."""
        left = [Run(run.row, run.give, run.wanted) for run in self.runs if not run.over]
        self.runs, self._cache = [], None
        return left

    def _read(self, old: Sequence[Run], new: Sequence[Run]) -> None:
        """Read the new prompts but for their last tokens; one that several runs share, once."""
        import torch

        sharing: dict[Prompt, list[Run]] = {}
        for run in new:
            sharing.setdefault(tuple(run.row.tokens), []).append(run)
        caches, runs = [self._cache] if old else [], list(old)
        busy = _BUSY.get(self._loaded.model.device.type, _READ)
        for prompts in _parts(list(sharing), busy):
            self._cache = kv_cache.empty(self._loaded.model)
            self._generate([list(prompt[:-1]) for prompt in prompts], 1)
            repeats = [n for n, prompt in enumerate(prompts) for _ in sharing[prompt]]
            if len(prompts) < len(repeats):
                kv_cache.select(self._cache, torch.tensor(repeats))
            runs += [run for prompt in prompts for run in sharing[prompt]]
            caches.append(self._cache)
        self._cache = kv_cache.joined(caches)
        self.runs = runs

    def _let_go(self) -> None:
        """Free the places of those that are over."""
        import torch

        left = [index for index, run in enumerate(self.runs) if not run.over]
        self.runs = [self.runs[index] for index in left]
        if not left:
            self._cache = None
        elif self._cache is not None:
            width = max(len(run.row.tokens) + len(run.made) for run in self.runs)
            held = self._cache.get_seq_length()
            kv_cache.select(self._cache, torch.tensor(left), skip=held + 1 - width)

    def _generate(self, rows: Sequence[list[int]], most: int, *watching: Any) -> None:
        """Write up to `most` tokens after each of the rows; the cache holds what it holds."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        ends, device = self._loaded.tokens.ends, self._loaded.model.device
        pad = ends[0] if ends else 0  # before a row it is masked, after its end nobody looks
        held = self._cache.get_seq_length() if self._cache is not None else 0
        width = max(held + 1, *map(len, rows))
        padded = [[pad] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        self._loaded.model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=GenerationConfig(
                max_new_tokens=most,
                do_sample=False,  # Draws has left one token to choose from
                eos_token_id=ends or None,
                pad_token_id=pad,
                disable_compile=True,
            ),
            logits_processor=LogitsProcessorList(watching[:1]),
            stopping_criteria=StoppingCriteriaList(watching[1:]),
            **(kv_cache.as_argument(self._cache) if self._cache is not None else {}),
        )

    @cached_property
    def _stops(self) -> Any:
        """Sees where a model without a chat template would ask itself something; None: it chats."""
        from transformers import StopStringCriteria

        tokens = self._loaded.tokens
        return None if tokens.chat else StopStringCriteria(tokens.tokenizer, [STOP])


def _parts(prompts: Sequence[Prompt], busy: int) -> Iterator[list[Prompt]]:
    """The prompts, which come longest first, in parts that are read at once.

    Where a part is enough to keep the device busy, much shorter ones are not padded to be in it.
    """
    part: list[Prompt] = []
    for prompt in prompts:
        longest = len(part[0]) if part else 0
        padded = len(part) * longest >= busy and len(prompt) < _ALIKE * longest
        if part and (padded or (len(part) + 1) * longest > _READ):
            yield part
            part = []
        part.append(prompt)
    yield part
