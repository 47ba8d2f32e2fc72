"""The loop that people write who want completions of a transformers model: one prompt at a time.

    tokens, seconds = plain_loop(folder, "model.gguf", "float32", conversations, most=128)

`AutoModelForCausalLM`, `apply_chat_template`, `generate` with sampling, `decode`; nothing else.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Conversation = list[dict[str, str]]


def plain_loop(
    folder: Path, gguf_file: str, dtype: str, conversations: Sequence[Conversation], most: int
) -> tuple[int, float]:
    """How many new tokens it made, and in how many seconds; not counted: a first one, to warm up.

    The weights are those of the GGUF file, unpacked to `dtype`.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf_file)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=gguf_file, dtype=getattr(torch, dtype)
    )
    if not isinstance(model.lm_head, torch.nn.Linear) or model.lm_head.weight.dtype != model.dtype:
        raise RuntimeError("the weights are not unpacked: this is another comparison")
    torch.manual_seed(42)
    _complete(model, tokenizer, conversations[0], most // 4)
    began = time.perf_counter()
    tokens = sum(_complete(model, tokenizer, one, most) for one in conversations)
    return tokens, time.perf_counter() - began


def _complete(model: Any, tokenizer: Any, conversation: Conversation, most: int) -> int:
    inputs = tokenizer.apply_chat_template(
        conversation, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    made = model.generate(**inputs, max_new_tokens=most, do_sample=True, temperature=0.7, top_p=0.9)
    new = made[0, inputs["input_ids"].shape[1] :]
    tokenizer.decode(new, skip_special_tokens=True)
    return len(new)
