"""Model families by name."""

import pytest

from bakeoff.analysis.model_families import model_families


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("openai:gpt-4", "GPT"),
        ("gpt4_1106_preview", "GPT"),
        ("weighted_alpaca_eval_gpt4_turbo", "GPT"),
        ("o3-mini", "GPT"),
        ("claude-3-5-sonnet-20241022", "Claude"),
        ("gemini-2.0-flash", "Gemini and Gemma"),
        ("embedded:gemma3-270m", "Gemini and Gemma"),
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama"),
        ("friendshipkim/Qwen2.5-1.5B-grpo", "Qwen"),
        ("mixtral-8x7b", "Mistral"),
        ("microsoft/phi-4", "Phi"),
        ("smollm2", "SmolLM"),
        ("command-r-plus", "Command"),
        ("01-ai/Yi-34B", "Yi"),
    ],
)
def test_known_names_have_a_family(name: str, family: str) -> None:
    assert model_families((name,)) == {family}


@pytest.mark.parametrize("name", ["tuned", "base", "llama.cpp", "graphic-1", "foo1", "yield", "a"])
def test_other_names_have_no_family(name: str) -> None:
    assert model_families((name,)) == set()


def test_a_distilled_model_has_two_families() -> None:
    assert model_families(("DeepSeek-R1-Distill-Qwen-7B",)) == {"DeepSeek", "Qwen"}
    assert model_families(("tuned", "hf:Qwen/Qwen2.5")) == {"Qwen"}
