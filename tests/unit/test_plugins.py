"""Backends by entry point: built-in ones, plugins, options and errors."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.config import Sampling, Spec
from bakeoff.errors import ConfigError, WorkError
from bakeoff.generators.api.generator import Api
from bakeoff.generators.echo import Echo
from bakeoff.judges.pairwise import PairwiseJudge
from bakeoff.plugins import (
    GENERATORS,
    JUDGES,
    RunContext,
    backend_names,
    judge_spec,
    load_backend,
    open_generator,
    open_judge,
)
from bakeoff.records import Completion, Pair, Prompt, Verdict
from bakeoff.runtime import Generator, Judge, PerItem
from tests.builders import make_prompt

HELLO = make_prompt("hello")


def context(**sampling: Any) -> RunContext:
    return RunContext(Sampling(**sampling))


def error_of(token: str, kind: str = "generator") -> str:
    open_, spec_of = {
        "generator": (open_generator, Spec.parse),
        "judge": (open_judge, judge_spec),
    }[kind]
    with pytest.raises(ConfigError) as caught:
        open_(spec_of(token), context())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def outcome_of(worker: Generator | Judge, item: Prompt | Pair) -> Completion | Verdict | WorkError:
    outcomes: dict[int, Any] = {}

    async def go() -> None:
        await worker.prepare()
        await worker([item], outcomes.__setitem__)  # type: ignore[list-item]
        await worker.close()

    asyncio.run(go())
    return outcomes[0]


@pytest.mark.parametrize("kind", ["generator", "judge"])
def test_an_unknown_backend_is_a_one_line_error_with_the_known_ones(kind: str) -> None:
    line = error_of("a=lama:me/model", kind)
    assert line.startswith("no backend 'lama'; there are: ")
    assert {"api", "echo", "file", "hf"} <= set(backend_names(GENERATORS))
    listed = line.partition("there are: ")[2].replace("and the hosted providers: ", "").split(", ")
    assert set(backend_names(GENERATORS)) <= set(listed)
    assert {"openai", "anthropic", "gemini"} <= set(listed)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("a=echo:hi?word=3", "a: no option 'word'; there are: words"),
        ("a=echo:hi?words=many", "a: words = 'many': "),
        ("a=api:m?base_ulr=http://x/v1", "a: no option 'base_ulr'; there are: "),
        ("a=hf:m?dtyp=bfloat16", "a: no option 'dtyp'; there are: "),
        ("a=echo:hi?temperature=hot", "a: temperature = 'hot': "),
        ("a=echo:hi?temperature=3", "a: temperature = '3': "),
        ("a=echo:hi?top_p=0", "a: top_p = '0': "),
    ],
)
def test_an_unknown_option_is_a_one_line_error_with_the_options(token: str, message: str) -> None:
    assert error_of(token).startswith(message)


def test_an_unknown_option_of_a_judge_is_a_one_line_error() -> None:
    assert "templat" in error_of("j=echo:hi?templat=pairwise", "judge")
    assert "verdict = 'json5'" in error_of("j=echo:hi?verdict=json5", "judge")


@pytest.mark.parametrize(
    ("token", "backend", "target"),
    [
        ("gpt-4", "openai", "gpt-4"),
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("j=gpt-4?temperature=0", "openai", "gpt-4"),
        ("o3-mini", "openai", "o3-mini"),
        ("o1", "openai", "o1"),
        ("chatgpt-4o-latest", "openai", "chatgpt-4o-latest"),
        ("gpt2", "hf", "gpt2"),
        ("openai/gpt-oss-20b", "hf", "openai/gpt-oss-20b"),
        ("o1labs/model", "hf", "o1labs/model"),
        ("o4xyz", "hf", "o4xyz"),
        ("me/judge", "hf", "me/judge"),
        ("./gpt-mine", "hf", "./gpt-mine"),
        ("gpt-mine/checkpoint-9", "hf", "gpt-mine/checkpoint-9"),
        ("hf:gpt-mine", "hf", "gpt-mine"),
        ("openai:gpt-4", "openai", "gpt-4"),
        ("anthropic:claude-x", "anthropic", "claude-x"),
    ],
)
def test_a_judge_without_backend_is_openai_or_a_hub_model(
    token: str, backend: str, target: str
) -> None:
    spec = judge_spec(token)
    assert (spec.backend, spec.target) == (backend, target)
    plain = Spec.parse(token)
    assert (spec.name, spec.options) == (plain.name, plain.options)


def test_a_provider_opens_the_api_backend_and_needs_its_key() -> None:
    for provider in ("openai", "anthropic"):
        worker = open_generator(Spec.parse(f"{provider}:some-model"), context())
        assert isinstance(worker, Api)
        with pytest.raises(ConfigError, match=f"{provider.upper()}_API_KEY"):
            outcome_of(worker, HELLO)
    assert isinstance(open_judge(judge_spec("gpt-4"), context()), PairwiseJudge)


def test_built_in_backends_are_found_by_entry_point() -> None:
    assert load_backend(GENERATORS, "echo") is Echo
    assert load_backend(JUDGES, "prompted") is PairwiseJudge
    assert backend_names(GENERATORS) == sorted(set(backend_names(GENERATORS)))
    with pytest.raises(ConfigError, match="no backend 'openai'"):
        load_backend(JUDGES, "openai")  # a provider is not a judge backend


# Backends of a third-party package.

MODULE = '''
from bakeoff.config import parse_fields
from bakeoff.records import Completion, Verdict
from bakeoff.runtime import PerItem
from pydantic import BaseModel, ConfigDict


class Loud(PerItem):
    """Completes with the target in capitals."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")
        marks: int = 1

    def __init__(self, spec, context):
        super().__init__(context.max_concurrency)
        self.sampling = context.sampling
        self.max_concurrency = context.max_concurrency
        self.spec = spec
        self.marks = parse_fields(self.Options, spec.options, where=spec.name).marks
        self.identity = {"backend": "loud", "says": spec.target}

    async def process(self, item):
        return Completion(text=self.spec.target.upper() + "!" * self.marks)


class Longest(PerItem):
    """The longer completion is better."""

    identity = "longest"

    def __init__(self, spec, context):
        super().__init__(context.max_concurrency)

    async def process(self, item):
        longer = len(item.first) - len(item.second)
        return Verdict(first=0.5 if not longer else float(longer > 0))
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin package as pip installs it: a module, and a dist-info with entry points."""
    site = tmp_path / "site"
    info = site / "third_party_backends-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "third_party_backends.py").write_text(MODULE)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: third-party-backends\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[bakeoff.generators]\nloud = third_party_backends:Loud\n"
        "[bakeoff.judges]\nlongest = third_party_backends:Longest\n"
    )
    monkeypatch.syspath_prepend(site)
    return site


def test_a_plugin_generator_is_opened(installed: Path) -> None:
    worker = open_generator(
        Spec.parse("a=loud:hey?marks=3"), RunContext(Sampling(), max_concurrency=5)
    )
    assert outcome_of(worker, HELLO) == Completion(text="HEY!!!")
    assert isinstance(worker, PerItem)
    assert worker.max_concurrency == 5  # type: ignore[attr-defined]
    assert error_of("a=loud:hey?mark=3") == "a: no option 'mark'; there are: marks"
    assert "loud" in error_of("nobody:x")


def test_a_plugin_judge_is_opened(installed: Path) -> None:
    judge = open_judge(judge_spec("longest:x"), context())
    pair = Pair(prompt=HELLO, first="long", second="short")
    assert outcome_of(judge, pair) == Verdict(first=0)
    assert outcome_of(judge, pair.swapped()) == Verdict(first=1)
    assert "longest" in backend_names(JUDGES)


def test_a_plugin_that_is_not_installed_is_unknown() -> None:
    assert "no backend 'loud'" in error_of("a=loud:hey")


SAMPLING = {
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0.01, 1),
    "max_tokens": st.integers(1, 10**6),
    "seed": st.integers(-(10**6), 10**6),
    "system": st.from_regex(r"[a-z+ ]{1,8}", fullmatch=True),
}
some_sampling = st.fixed_dictionaries({}, optional=SAMPLING)


def test_sampling_in_the_spec_overrides_and_is_removed_from_the_options(
    installed: Path,
) -> None:
    @given(some_sampling, some_sampling)
    def check(general: dict[str, Any], own: dict[str, Any]) -> None:
        query = "&".join(f"{key}={value}" for key, value in {**own, "marks": 2}.items())
        worker: Any = open_generator(Spec.parse(f"a=loud:hey?{query}"), context(**general))
        assert worker.sampling == Sampling(**{**general, **own})
        assert worker.spec == Spec(name="a", backend="loud", target="hey", options={"marks": "2"})

    check()


def test_opening_sends_no_request_and_loads_nothing() -> None:
    for token in ("hf:nobody/nothing", "api:m?base_url=http://127.0.0.1:1/v1", "echo:hi"):
        worker = open_generator(Spec.parse(token), context())
        assert worker.traits.exclusive == (token.startswith("hf:"))
