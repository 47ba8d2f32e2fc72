"""Peer of local generation: a loop over `model.generate()`, one prompt at a time.

    loop = GenerateLoop(folder, "model.gguf", "float32")
    tokens_per_second = loop.speed(conversations, max_tokens=128)

It calls `AutoModelForCausalLM`, `apply_chat_template`, `generate` with sampling, and `decode`.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Conversation = list[dict[str, str]]


class GenerateLoop:
    """A transformers model in `dtype`; the weights of a GGUF file are unpacked."""

    def __init__(
        self, folder: Path, gguf_file: str | None, dtype: str, device: str = "cpu"
    ) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf_file)
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=gguf_file, dtype=getattr(torch, dtype)
        ).to(device)
        head = self._model.lm_head
        if not isinstance(head, torch.nn.Linear) or head.weight.dtype != self._model.dtype:
            raise RuntimeError("the weights are still quantized")
        torch.manual_seed(42)

    def speed(self, conversations: Sequence[Conversation], max_tokens: int) -> float:
        """New tokens per second."""
        began = time.perf_counter()
        tokens = sum(
            _complete(self._model, self._tokenizer, conversation, max_tokens)
            for conversation in conversations
        )
        return tokens / (time.perf_counter() - began)


def _complete(model: Any, tokenizer: Any, conversation: Conversation, max_tokens: int) -> int:
    inputs = tokenizer.apply_chat_template(
        conversation, add_generation_prompt=True, return_tensors="pt", return_dict=True
    ).to(model.device)
    output = model.generate(
        **inputs, max_new_tokens=max_tokens, do_sample=True, temperature=0.7, top_p=0.9
    )
    new = output[0, inputs["input_ids"].shape[1] :]
    tokenizer.decode(new, skip_special_tokens=True)
    return len(new)
