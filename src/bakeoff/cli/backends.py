"""The backends of models and judges that `bakeoff list` prints."""

import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import NamedTuple

from bakeoff.cli.installed_extras import INSTALLED, install_hint
from bakeoff.cli.providers import Provider, providers
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import GENERATORS, HUMAN, JUDGES, PROVIDERS

_PACKAGE = "bakeoff"
_ANY_LLM = "any-llm-sdk"
_BEST_KNOWN = ("openai", "anthropic", "gemini", "mistral", "deepseek")
_SERVERS = {"vLLM": 8000, "SGLang": 30000, "llama.cpp": 8080, "Ollama": 11434, "LM Studio": 1234}
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")  # any-llm writes `A/B`, `A and B`, or `None`

# By entry point: the extra that the backend requires, an example of a spec, and a description.
_GENERATORS = {
    "hf": ("hf", "hf:NAME", "a model of the hub, or a folder, in this process"),
    "vllm": ("vllm", "vllm:NAME", "the same by vLLM, started for it; ?python= says where it is"),
}
_MODELS_ONLY = {
    "file": ("", "file:PATH.jsonl", "completions that exist already"),
    "echo": ("", "echo:TEXT", "says its text: to try things out"),
}
_JUDGES_ONLY = {
    "reward": ("hf", "reward:NAME", "a reward model: scores each completion alone"),
    "likelihood": ("hf", "hf:NAME?verdict=likelihood", "how likely a model finds each completion"),
    "scored": ("", "openai:NAME?verdict=scored", "any model, scoring each completion alone"),
}
_HUMAN_JUDGE = ("serve", HUMAN, "people, who vote in a browser on this machine")


class BackendInfo(NamedTuple):
    """A backend, with an example of a spec."""

    spec: str
    """An example, with NAME or PATH in place of the model."""
    description: str
    installation: str = INSTALLED
    """`installed`, or the pip command that installs it."""
    key: str = ""
    """Environment variables of the key, as text; empty if no key is needed."""
    has_key: bool | None = None
    """Whether they are set; None if no key is needed."""


def judge_backends() -> list[BackendInfo]:
    """All backends of judges, the best known first."""
    rows = [*_hosted(), *_servers(), *_built_in(_GENERATORS, GENERATORS), *_embedded(judging=True)]
    rows += _built_in(_JUDGES_ONLY, JUDGES)
    extra, spec, description = _HUMAN_JUDGE
    rows.append(BackendInfo(spec, description, install_hint(_PACKAGE, extra)))
    return [*rows, *_plugins(JUDGES), *_plugins(GENERATORS)]


def model_backends() -> list[BackendInfo]:
    """All backends of models, those on this machine first."""
    rows = [*_embedded(judging=False), *_built_in(_GENERATORS, GENERATORS)]
    rows += [*_servers(), *_hosted(), *_built_in(_MODELS_ONLY, GENERATORS)]
    return [*rows, *_plugins(GENERATORS)]


def _hosted() -> list[BackendInfo]:
    """The hosted providers, without those that an installed backend replaces."""
    installed = set(_entry_point_names(GENERATORS))
    by_name = {p.name: p for p in providers() if p.name not in installed}
    first = [name for name in _BEST_KNOWN if name in by_name]
    rows = [_provider_info(by_name[name]) for name in (*first, *sorted(by_name.keys() - {*first}))]
    if by_name.keys() == {*PROVIDERS}:
        others = "other hosted providers: gemini, mistral, deepseek, groq, openrouter and more"
        rows.append(BackendInfo("PROVIDER:NAME", others, install_hint(_PACKAGE, "providers")))
    return rows


def _provider_info(provider: Provider) -> BackendInfo:
    is_local = re.search(r"localhost|127\.0\.0\.1", provider.address) or provider.key == "None"
    where = "a server on this machine" if is_local else "hosted"
    variables = _VARIABLE.findall(provider.key)
    needs_all = " and " in provider.key
    values = [bool(os.environ.get(name)) for name in variables]
    has_key = all(values) if needs_all else any(values)
    key = (" and " if needs_all else " or ").join(variables)
    return BackendInfo(
        spec=f"{provider.name}:NAME",
        description=f"{where}: {provider.about}",
        installation=INSTALLED
        if provider.name in PROVIDERS
        else install_hint(_ANY_LLM, provider.name),
        key=f"{key} (if it asks for one)" if provider.optional else key,
        has_key=None if not variables or (provider.optional and not has_key) else has_key,
    )


def _servers() -> Iterator[BackendInfo]:
    for server, port in _SERVERS.items():
        url = f"http://localhost:{port}/v1"
        yield BackendInfo(
            f"api:NAME?base_url={url}", f"{server}, or what else speaks OpenAI's format there"
        )


def _embedded(*, judging: bool) -> Iterator[BackendInfo]:
    installation = install_hint(_PACKAGE, "embedded")
    for model in CATALOGUE.values():
        caveat = model.judge_caveat(likelihood=False) if judging else model.caveat
        description = f"{model.weights}, {model.size / 1e6:.0f} MB, fetched once, in this process"
        description += f". {caveat}" if caveat else ""
        yield BackendInfo(f"embedded:{model.name}", description, installation)
    yield BackendInfo("embedded:PATH.gguf", "any GGUF file, in this process", installation)


def _built_in(table: Mapping[str, tuple[str, str, str]], group: str) -> list[BackendInfo]:
    """The rows of a table whose entry points are installed."""
    installed = set(_entry_point_names(group))
    return [
        BackendInfo(spec, description, install_hint(_PACKAGE, extra))
        for name, (extra, spec, description) in table.items()
        if name in installed
    ]


def _plugins(group: str) -> Iterator[BackendInfo]:
    """The entry points of other packages."""
    for entry in sorted(metadata.entry_points(group=group), key=lambda entry: entry.name):
        if entry.dist is not None and entry.dist.name != _PACKAGE:
            origin = f"from {entry.dist.name} {entry.dist.version}"
            yield BackendInfo(f"{entry.name}:NAME", origin)


def _entry_point_names(group: str) -> list[str]:
    return [entry.name for entry in metadata.entry_points(group=group)]
