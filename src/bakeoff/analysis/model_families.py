"""Which family a model is of, by its name: a judge may prefer its own."""

import re
from collections.abc import Iterable

# One row per family; a fine-tune carries its base in its name more often than not.
_FAMILIES = {
    "GPT": r"gpt[-_ ]?[345o]|chatgpt|davinci|(?<![a-z0-9])o[134](?![a-z0-9])",
    "Claude": r"claude",
    "Gemini and Gemma": r"gemini|gemma",
    "Llama": r"llama(?![._-]?cpp)|vicuna",
    "Qwen": r"qwen|qwq",
    "Mistral": r"mistral|mixtral|ministral|magistral|codestral|zephyr",
    "DeepSeek": r"deepseek",
    "Phi": r"(?<![a-z])phi[-_]?\d",
    "SmolLM": r"smollm",
    "Command": r"command[-_](?:a|r|light)|aya[-_]",
    "GLM": r"(?<![a-z])(?:chat)?glm",
    "Grok": r"(?<![a-z])grok",
    "Kimi": r"kimi|moonshot",
    "OLMo": r"olmo|tulu",
    "Granite": r"granite",
    "Nemotron": r"nemotron",
    "Yi": r"(?<![a-z])yi[-_]\d",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _FAMILIES.items()}


def families(names: Iterable[str]) -> set[str]:
    """The families that these names speak of: none, one, or several (a distilled model)."""
    text = "\n".join(names)
    return {family for family, pattern in _PATTERNS.items() if pattern.search(text)}
