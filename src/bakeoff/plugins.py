"""Finds a generator or a judge by its name and opens it from a spec.

Our own backends are entry points in our pyproject, like anyone's. A backend that is no entry point
but a provider of any-llm (`openai`, `anthropic`, `gemini`, ...) is the `api` backend with that
provider; a judge whose backend is a generator is a prompted judge on top of it. Knows no backend
by heart, and opens nothing slow: a worker loads its model when it is first called.
"""

import logging
import re
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel

from bakeoff.config import MAX_CONCURRENCY, Sampling, Spec, parse_fields, split_options
from bakeoff.errors import ConfigError
from bakeoff.runtime import Generator, Judge, Limits, Purse

GENERATORS = "bakeoff.generators"
BATCHES = "bakeoff.batches"  # of the same names as generators, and asked in batches
CLUSTERS = "bakeoff.clusters"  # what runs a generator on many machines
JUDGES = "bakeoff.judges"
HUMAN = "human"  # as a judge: people, who vote when everything else is done

W = TypeVar("W", covariant=True)


log = logging.getLogger(__name__)


class _Batch(BaseModel):
    """The option of a spec that chooses how a backend is asked."""

    batch: bool | None = None


_REPLICAS = "replicas"  # the option of a spec that puts its backend on a cluster


_OPENAI = re.compile(r"((chat)?gpt|o[134])-[^/]+|o[134]")


@dataclass(frozen=True)
class Setting:
    """What a backend gets beside its spec: the sampling, and how many requests may be in flight.

    `judging` says that what it is asked for makes a verdict, `batch` that hosted models are asked
    in batches. `store` is the file where what was paid for is kept; None: nowhere. `ray` is the
    cluster to join: `auto` or an address. `limits` are what servers can take, `purse` what may be
    spent: all workers share them that are opened with them.
    """

    sampling: Sampling
    lanes: int = MAX_CONCURRENCY
    judging: bool = False
    batch: bool = False
    store: Path | None = None
    ray: str | None = None
    limits: Limits = field(default_factory=Limits)
    purse: Purse = field(default_factory=Purse)


class Backend(Protocol[W]):
    """What an entry point names: a class that is made from a spec and a setting."""

    def __call__(self, spec: Spec, setting: Setting) -> W:
        """The worker. Validates the spec's options; loads nothing and asks nobody."""
        ...


def open_generator(spec: Spec, setting: Setting) -> Generator:
    """The generator of a spec; its own sampling options (`?temperature=0&system=...`) win.

    `?batch=true` or `false` wins too. Without it the run's wish counts for hosted models alone:
    whether a server behind `api:` has batches is not known. `?replicas=` puts it on a cluster: who
    does that opens the spec without that option here once more, on each machine.
    """
    if _REPLICAS in spec.options:
        cluster: Backend[Generator] = find(CLUSTERS, "ray")
        return cluster(spec, setting)
    theirs = Sampling.model_fields.keys() - {"score_only"}  # that one is for judges to say
    own = {key: value for key, value in spec.options.items() if key in theirs}
    said, spec = split_options(_Batch, spec)
    rest = {key: value for key, value in spec.options.items() if key not in own}
    values = {**setting.sampling.model_dump(), **own}
    sampling = parse_fields(Sampling, values, where=spec.name)
    batch = said.batch if said.batch is not None else setting.batch and _has_batches(spec)
    backend: Backend[Generator] = find(BATCHES if batch else GENERATORS, spec.backend)
    if sampling.score_only and not getattr(backend, "can_score", False):
        raise ConfigError(
            f"{spec.name!r} cannot weigh completions: take one of embedded:, hf:, or a vLLM server "
            "by api:"
        )
    return backend(spec.model_copy(update={"options": rest}), replace(setting, sampling=sampling))


def _has_batches(spec: Spec) -> bool:
    """Whether a hosted model is known to have batches; of a server behind `api:` nobody knows."""
    if spec.backend in names(GENERATORS):
        return False
    known = spec.backend in names(BATCHES)
    if not known:
        log.warning("%s has no batches that we know of: asking it directly", spec.name)
    return known


def open_judge(spec: Spec, setting: Setting) -> Judge:
    """The judge of a spec: a judge backend, or any generator, asked in the way of one.

    The way is what `?verdict=` or `?template=` names, where that is a judge; else `prompted`.
    """
    known = names(JUDGES)
    wanted = (spec.backend, spec.options.get("verdict"), spec.options.get("template"))
    name = next((name for name in wanted if name in known), "prompted")
    backend: Backend[Judge] = find(JUDGES, name)
    return backend(spec, replace(setting, judging=True))


def judge_spec(text: str) -> Spec:
    """Read a judge's spec; a bare `gpt-...` means `openai:gpt-...`, a bare `human` people."""
    spec = Spec.parse(text, default="")
    bare = "openai" if _OPENAI.fullmatch(spec.target) else "hf"
    if spec.target == HUMAN:
        bare = HUMAN
    return spec.model_copy(update={"backend": spec.backend or bare})


def names(group: str) -> list[str]:
    """The backends of a group, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def find(group: str, name: str) -> Backend[W]:
    """Load the class behind a name; ConfigError with the list of names where there is none."""
    for entry in entry_points(group=group, name=name):
        loaded: Backend[W] = entry.load()
        return loaded
    if group == GENERATORS and _is_provider(name):
        return find(group, "api")
    known = ", ".join(names(group))
    if group == BATCHES:
        raise ConfigError(f"{name}: has no batches that we know of; there are those of: {known}")
    raise ConfigError(
        f"no backend {name!r}; there are: {known}, and the hosted providers: "
        f"{', '.join(_providers())}"
    )


def _is_provider(name: str) -> bool:
    """Whether any-llm knows it. Most are folders of its, and then it need not be imported."""
    found = find_spec("any_llm")
    places = (found.submodule_search_locations if found else None) or ()
    return any(Path(at, "providers", name, "__init__.py").is_file() for at in places) or (
        name in _providers()
    )


def _providers() -> list[str]:
    from any_llm import AnyLLM  # slow to import, and most runs never ask

    return sorted(AnyLLM.get_supported_providers())
