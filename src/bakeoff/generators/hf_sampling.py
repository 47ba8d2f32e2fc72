"""Draws completions from a loaded transformers model, a batch of prompts at a time.

All models are drawn alike: temperature, top_p and the length, and nothing from the model's own
generation settings. Every prompt has a random generator of its own, seeded by the sampling's seed
and the prompt's messages, so a draw does not depend on who shares the batch and touches no global
state.
"""

import gc
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, WorkError
from bakeoff.generators.hf_loading import Loaded, quiet
from bakeoff.generators.hf_tokens import STOP, Row, Tokens
from bakeoff.records import Completion, Finish
from bakeoff.thinking import completion_of

if TYPE_CHECKING:
    import torch


def complete(
    loaded: Loaded, rows: Sequence[Row], sampling: Sampling
) -> list[Completion | WorkError]:
    """A completion per row, in order; the row with the least room says how long they may be."""
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    tokens, device = loaded.tokens, loaded.model.device
    limit = min(row.room for row in rows)
    pad = tokens.ends[0] if tokens.ends else 0  # before a prompt it is masked, after the end cut
    width = max(len(row.tokens) for row in rows)
    padded = [[pad] * (width - len(row.tokens)) + row.tokens for row in rows]
    mask = [[0] * (width - len(row.tokens)) + [1] * len(row.tokens) for row in rows]
    first = _First(sampling.top or 0)
    processors: list[Any] = [first]
    if sampling.temperature > 0:
        processors.append(_Draw(sampling, [row.seed for row in rows]))
    with quiet(), torch.inference_mode():
        made = loaded.model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=GenerationConfig(
                max_new_tokens=limit,
                do_sample=False,  # _Draw has left one token to choose from
                eos_token_id=tokens.ends or None,
                pad_token_id=pad,
                stop_strings=None if tokens.chat else [STOP],
            ),
            logits_processor=LogitsProcessorList(processors),
            **({} if tokens.chat else {"tokenizer": tokens.tokenizer}),
        )
    return [
        BackendError("the model computes NaN: try another dtype, like float32")
        if first.broken[index]
        else _completion(tokens, row, new, limit, first.top_of(tokens, index))
        for index, (row, new) in enumerate(zip(rows, made[:, width:].tolist(), strict=True))
    ]


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the device's memory did not suffice; only CUDA has an error class for it."""
    import torch

    words = str(error).lower()
    known = "out of memory" in words or "can't allocate memory" in words
    return known or isinstance(error, torch.OutOfMemoryError)


def free() -> None:
    """Give the memory of what is no longer used back to the device."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _completion(
    tokens: Tokens, row: Row, new: list[int], limit: int, top: dict[str, float] | None
) -> Completion:
    end = next((at for at, token in enumerate(new) if token in tokens.ends), len(new))
    text = tokens.text(new[:end])
    finish: Finish = "stop" if end < limit else "length"
    if not tokens.chat and STOP in text:
        text, finish = text.partition(STOP)[0], "stop"
    # The tag belongs to the thinking, though it was the template that wrote it.
    return completion_of(row.opened + text, finish=finish, tokens=end, top=top)


class _First:
    """Looks at the first token's probabilities, as the model gave them, and changes nothing."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._likeliest: list[tuple[list[float], list[int]]] = []
        self.broken: list[bool] = []

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        del input_ids
        if not self.broken:
            self.broken = scores.isnan().any(dim=-1).tolist()
            if self._top:
                best = scores.log_softmax(-1).topk(min(self._top, scores.shape[-1]))
                self._likeliest = list(
                    zip(best.values.tolist(), best.indices.tolist(), strict=True)
                )
        return scores

    def top_of(self, tokens: Tokens, index: int) -> dict[str, float] | None:
        """The row's likeliest first tokens as text; tokens that read alike are one."""
        if not self._likeliest:
            return None
        top: dict[str, float] = {}
        for logprob, token in zip(*self._likeliest[index], strict=True):
            text = str(tokens.tokenizer.decode([token]))
            both = math.exp(logprob) + math.exp(top.get(text, -math.inf))
            top[text] = math.log(both) if both else logprob
        return top


class _Draw:
    """Leaves each row the one token that its own random generator draws."""

    def __init__(self, sampling: Sampling, seeds: list[int]) -> None:
        from transformers import TopPLogitsWarper

        self._temperature = sampling.temperature
        self._nucleus = TopPLogitsWarper(sampling.top_p) if sampling.top_p < 1 else None
        self._seeds = seeds
        self._dice: list[torch.Generator] = []

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        import torch

        if not self._dice:
            self._dice = [torch.Generator(scores.device).manual_seed(s) for s in self._seeds]
        scores = scores / self._temperature
        if self._nucleus is not None:
            scores = self._nucleus(input_ids, scores)
        luck = torch.empty_like(scores)
        for row, dice in zip(luck, self._dice, strict=True):
            row.uniform_(generator=dice)
        # The token with the largest p / Exp(1) is a draw from p: torch.multinomial does the same.
        waits = luck.clamp_min_(torch.finfo(luck.dtype).tiny).log_().neg_()
        return scores - waits.log_()
