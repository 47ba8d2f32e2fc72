"""Hosted providers and their attributes."""

import subprocess
import sys
from pathlib import Path

import any_llm
import pytest
from any_llm import AnyLLM

from bakeoff.cli import providers as module
from bakeoff.cli.providers import Provider, providers


def by_name() -> dict[str, Provider]:
    return {provider.name: provider for provider in providers()}


def test_providers_are_those_that_complete_prompts_sorted_by_name() -> None:
    names = [provider.name for provider in providers()]
    assert names == sorted(set(names))
    without_completions = {"voyage", "typesafe"}
    assert set(names) == set(AnyLLM.get_supported_providers()) - without_completions


def test_a_provider_has_the_attributes_of_its_class() -> None:
    listed = by_name()
    compared = set()
    for name in AnyLLM.get_supported_providers():
        try:
            provider_class = AnyLLM.get_provider_class(name)
        except ImportError:  # its package is not installed
            continue
        compared.add(name)
        assert (name in listed) == provider_class.SUPPORTS_COMPLETION, name
        if name in listed:
            assert listed[name].key == provider_class.ENV_API_KEY_NAME, name
            assert listed[name].about == provider_class.PROVIDER_DOCUMENTATION_URL, name
    assert {"openai", "anthropic", "mistral", "moonshot", "ovhcloud", "voyage"} <= compared
    assert listed["sagemaker"].key == "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    assert listed["vllm"].optional
    assert not listed["openai"].optional
    assert "localhost" in listed["vllm"].address


@pytest.mark.parametrize("name", ["gemini", "vertexai"])
def test_a_provider_that_cannot_be_imported_has_the_constants_of_its_source(name: str) -> None:
    listed = by_name()[name]
    folder = Path(any_llm.__file__).parent / "providers" / name
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert f'ENV_API_KEY_NAME = "{listed.key}"' in source
    assert f'PROVIDER_DOCUMENTATION_URL = "{listed.about}"' in source


def test_a_provider_that_cannot_be_imported_and_is_not_known_has_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_module(name: str) -> type[AnyLLM]:
        raise ImportError(name)

    monkeypatch.setattr(AnyLLM, "get_provider_class", no_module)
    listed = by_name()
    assert listed["openai"] == Provider("openai", "", "", address="", optional=False)
    assert listed["gemini"] == module._NOT_IMPORTABLE["gemini"]


def test_importing_the_module_does_not_import_any_llm() -> None:
    code = (
        "import sys, bakeoff.cli.backends\n"
        "print(sorted({'any_llm', 'openai', 'anthropic', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[]"
