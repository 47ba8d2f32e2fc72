"""Model families, recognized by model names: a judge may prefer models of its own family."""

import re
from collections.abc import Iterable

# The name of a fine-tuned model usually contains that of its base model.
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


def model_families(names: Iterable[str]) -> set[str]:
    """The families whose patterns match any of the names; several for a distilled model."""
    text = "\n".join(names)
    return {family for family, pattern in _PATTERNS.items() if pattern.search(text)}
