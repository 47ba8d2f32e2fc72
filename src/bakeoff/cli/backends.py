"""What to write for each model and judge, in the order in which people look for them."""

import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import NamedTuple

from bakeoff.cli.installed_extras import READY, needs
from bakeoff.cli.providers import Provider, providers
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import GENERATORS, HUMAN, JUDGES

_OWN = "bakeoff"
_ANY_LLM = "any-llm-sdk"
_BEST_KNOWN = ("openai", "anthropic", "gemini", "mistral", "deepseek")
_SERVERS = {"vLLM": 8000, "SGLang": 30000, "llama.cpp": 8080, "Ollama": 11434, "LM Studio": 1234}
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")  # any-llm writes `A/B`, `A and B`, or `None`

# Our own backends: the extra that each needs, what to write, and what it is.
_GENERATORS = {
    "hf": ("hf", "hf:NAME", "a model of the hub, or a folder, in this process"),
    "vllm": ("vllm", "vllm:NAME", "the same by vLLM, started for it; ?python= says where it is"),
}
_ONLY_MODELS = {
    "file": ("", "file:PATH.jsonl", "completions that exist already"),
    "echo": ("", "echo:TEXT", "says its text: to try things out"),
}
_WAYS_TO_JUDGE = {
    "reward": ("hf", "reward:NAME", "a reward model: scores each completion alone"),
    "likelihood": ("hf", "hf:NAME?verdict=likelihood", "how likely a model finds each completion"),
    "scored": ("", "openai:NAME?verdict=scored", "any model, scoring each completion alone"),
}
_SERVED = ("serve", HUMAN, "people, who vote in a browser on this machine")


class Way(NamedTuple):
    """What to write (`spec`), what it is, and what it needs: `installed`, or the pip command.

    `key` names the environment variables with the key, empty where none is asked for; `has_key`
    says whether they are set, None where that does not matter.
    """

    spec: str
    what: str
    needs: str = READY
    key: str = ""
    has_key: bool | None = None


def judge_ways() -> list[Way]:
    """Every way to get a judge, the best known first."""
    ways = [*_hosted(), *_servers(), *_rows(_GENERATORS, GENERATORS), *_embedded(judging=True)]
    ways += _rows(_WAYS_TO_JUDGE, JUDGES)
    extra, spec, what = _SERVED
    ways.append(Way(spec, what, needs(_OWN, extra)))
    return [*ways, *_plugins(JUDGES), *_plugins(GENERATORS)]


def model_ways() -> list[Way]:
    """Every way to get a model to compare, those on this machine first."""
    ways = [*_embedded(judging=False), *_rows(_GENERATORS, GENERATORS), *_servers(), *_hosted()]
    return [*ways, *_rows(_ONLY_MODELS, GENERATORS), *_plugins(GENERATORS)]


def _hosted() -> list[Way]:
    ours = set(_names(GENERATORS))
    every = {one.name: one for one in providers() if one.name not in ours}
    first = [name for name in _BEST_KNOWN if name in every]
    return [_provided(every[name]) for name in (*first, *sorted(every.keys() - set(first)))]


def _provided(one: Provider) -> Way:
    local = re.search(r"localhost|127\.0\.0\.1", one.address) or one.key == "None"
    what = f"a server on this machine: {one.about}" if local else f"hosted: {one.about}"
    names = _VARIABLE.findall(one.key)
    every = all if " and " in one.key else any
    there = every(os.environ.get(name) for name in names)
    joined = (" and " if every is all else " or ").join(names)
    return Way(
        spec=f"{one.name}:NAME",
        what=what,
        needs=needs(_ANY_LLM, one.name),
        key=f"{joined} (if it asks for one)" if one.optional else joined,
        has_key=None if not names or (one.optional and not there) else there,
    )


def _servers() -> Iterator[Way]:
    for server, port in _SERVERS.items():
        url = f"http://localhost:{port}/v1"
        yield Way(
            f"api:NAME?base_url={url}", f"{server}, or what else speaks OpenAI's format there"
        )


def _embedded(*, judging: bool) -> Iterator[Way]:
    missing = needs(_OWN, "embedded")
    for entry in CATALOGUE.values():
        known = entry.as_judge(scoring=False) if judging else entry.caveat
        caveat = f". {known}" if known else ""
        what = f"{entry.weights}, {entry.size / 1e6:.0f} MB, fetched once, in this process{caveat}"
        yield Way(f"embedded:{entry.name}", what, missing)
    yield Way("embedded:PATH.gguf", "any GGUF file, in this process", missing)


def _rows(table: Mapping[str, tuple[str, str, str]], group: str) -> list[Way]:
    """The rows of a table whose backends are there."""
    there = set(_names(group))
    return [
        Way(spec, what, needs(_OWN, extra))
        for name, (extra, spec, what) in table.items()
        if name in there
    ]


def _plugins(group: str) -> Iterator[Way]:
    """What other packages bring."""
    for entry in sorted(metadata.entry_points(group=group), key=lambda entry: entry.name):
        if entry.dist is not None and entry.dist.name != _OWN:
            yield Way(f"{entry.name}:NAME", f"from {entry.dist.name} {entry.dist.version}")


def _names(group: str) -> list[str]:
    return [entry.name for entry in metadata.entry_points(group=group)]
