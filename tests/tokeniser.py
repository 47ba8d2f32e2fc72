"""Real tokenisers: those of the small models that come with pip."""

import warnings
from collections.abc import Callable
from functools import cache

Tokeniser = Callable[[str], list[int]]

MODELS = ("qwen2.5-coder-0.5b", "smollm2", "gemma3-270m")


@cache
def tokeniser(model: str) -> Tokeniser:
    """The tokens of a text, as a model's own tokeniser makes them."""
    from bakeoff.generators.llamacpp.fetch import fetch_model
    from bakeoff.generators.llamacpp.models import CATALOGUE

    path = fetch_model(CATALOGUE[model])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import AutoTokenizer

        found = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return lambda text: found(text, add_special_tokens=False)["input_ids"]
