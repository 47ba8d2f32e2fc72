"""Tokenizers of the small catalogue models, loaded from their GGUF files."""

import warnings
from collections.abc import Callable
from functools import cache

Tokenizer = Callable[[str], list[int]]

MODELS = ("qwen2.5-coder-0.5b", "smollm2", "gemma3-270m")


@cache
def tokenizer(model: str) -> Tokenizer:
    """The tokenizer of a catalogue model: a function from text to token ids."""
    from bakeoff.generators.llamacpp.fetch import fetch_model
    from bakeoff.generators.llamacpp.models import CATALOGUE

    path = fetch_model(CATALOGUE[model])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return lambda text: loaded(text, add_special_tokens=False)["input_ids"]
