import subprocess
import sys

from any_llm import AnyLLM

from bakeoff.cli.providers import Provider, providers


def known() -> dict[str, Provider]:
    return {one.name: one for one in providers()}


def test_what_the_source_says_is_what_the_class_says() -> None:
    found = known()
    compared = []
    for name in AnyLLM.get_supported_providers():
        try:
            kind = AnyLLM.get_provider_class(name)
        except ImportError:  # its package is not installed here
            continue
        compared.append(name)
        assert (name in found) == kind.SUPPORTS_COMPLETION, name
        if name in found:
            assert found[name].key == kind.ENV_API_KEY_NAME, name
            assert found[name].about == kind.PROVIDER_DOCUMENTATION_URL, name
    assert {"openai", "anthropic", "mistral", "moonshot", "ovhcloud", "voyage"} <= set(compared)


def test_every_provider_that_completes_is_there_and_no_other() -> None:
    names = [one.name for one in providers()]
    assert names == sorted(set(names))
    only_embeds_or_checks = {"voyage", "typesafe"}
    assert set(names) == set(AnyLLM.get_supported_providers()) - only_embeds_or_checks


def test_one_whose_package_is_missing_is_read_too() -> None:
    found = known()
    assert found["vertexai"].key == ""
    assert found["sagemaker"].key == "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    assert found["vllm"].optional
    assert "localhost" in found["vllm"].address


def test_nothing_of_any_llm_is_imported() -> None:
    code = (
        "import sys; from bakeoff.listing import judge_ways; assert judge_ways()\n"
        "print(sorted({'any_llm', 'openai', 'anthropic', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
