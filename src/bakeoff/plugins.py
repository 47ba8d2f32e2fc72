"""Loads generators, judges and importers by name, and opens generators and judges from specs.

Backends are entry points, built-in ones too. The name of a hosted provider (`openai`, `anthropic`,
and with the extra `providers` those of any-llm) opens the `api` backend with that provider.
"""

import logging
import re
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from bakeoff.config import MAX_CONCURRENCY, Sampling, Spec, parse_fields, split_options
from bakeoff.errors import ConfigError
from bakeoff.runtime import Generator, Judge, RateLimits, SpendLimit

# Groups of entry points
GENERATORS = "bakeoff.generators"
BATCHES = "bakeoff.batches"  # variants of generators that use a provider's batch API
CLUSTERS = "bakeoff.clusters"  # run a generator on several machines
JUDGES = "bakeoff.judges"
IMPORTERS = "bakeoff.importers"

PROVIDERS = ("anthropic", "openai")  # hosted providers that need no other package

HUMAN = "human"  # spec of the judge for human votes

W = TypeVar("W", covariant=True)

log = logging.getLogger(__name__)

_REPLICAS = "replicas"  # the option of a spec that runs its backend on a cluster
_OPENAI_MODEL = re.compile(r"((chat)?gpt|o[134])-[^/]+|o[134]")


class _BatchOption(BaseModel):
    """The option of a spec that chooses between the batch API and direct requests."""

    batch: bool | None = None


@dataclass(frozen=True)
class RunContext:
    """Sampling options and resources of a run, which a backend receives with its spec."""

    sampling: Sampling
    """Sampling options, with the overrides of the spec."""
    max_concurrency: int = MAX_CONCURRENCY
    """Maximum number of requests in flight per server."""
    for_judge: bool = False
    """Whether the generator is asked for verdicts."""
    batch: bool = False
    """Whether hosted models are used through their batch API."""
    store: Path | None = None
    """File of the store, for state that has to survive the run; None if it is not kept."""
    ray: str | None = None
    """Ray cluster to join: `auto` or an address; None: start one on this machine."""
    rate_limits: RateLimits = field(default_factory=RateLimits)
    """Limits of each server of the run; shared by all workers."""
    spend_limit: SpendLimit = field(default_factory=SpendLimit)
    """Spending of the run; shared by all workers."""


class Backend(Protocol[W]):
    """The object that an entry point of a generator or judge names: a class or a function."""

    def __call__(self, spec: Spec, context: RunContext) -> W:
        """Return a worker. Validates the spec's options; loads nothing and sends no request."""
        ...


@runtime_checkable
class DefaultVerdict(Protocol):
    """A generator backend that chooses the kind of verdict for its models as judges."""

    def default_verdict(self, target: str) -> Literal["json", "logprob"]:
        """Return the kind of verdict to request from `target` if its spec does not name one.

        `json`: scores and winner in a reply. `logprob`: the log-probability of each winner.
        """
        ...


def open_generator(spec: Spec, context: RunContext) -> Generator:
    """Return the generator of a spec.

    The spec's own options for sampling (`?temperature=0&system=...`) and `?batch=` override the
    context. Without `?batch=`, a batch run uses the batch API of hosted models only: a server
    behind `api:` may not have one. `?replicas=` runs the generator on a cluster. Raises ConfigError
    for an unknown backend or an invalid option.
    """
    if _REPLICAS in spec.options:
        cluster: Backend[Generator] = load_backend(CLUSTERS, "ray")
        return cluster(spec, context)
    fields = Sampling.model_fields.keys() - {"score_only"}  # set by judges only
    own = {key: value for key, value in spec.options.items() if key in fields}
    rest = {key: value for key, value in spec.options.items() if key not in fields}
    options, spec = split_options(_BatchOption, spec.with_options(rest))
    values = {**context.sampling.model_dump(), **own}
    sampling = parse_fields(Sampling, values, where=spec.name)
    batch = options.batch if options.batch is not None else context.batch and _has_batches(spec)
    backend: Backend[Generator] = load_backend(BATCHES if batch else GENERATORS, spec.backend)
    generator = backend(spec, replace(context, sampling=sampling))
    if sampling.score_only and not generator.traits.can_score:
        raise ConfigError(
            f"{spec.name!r} cannot weigh completions: take one of embedded:, hf:, or a vLLM server "
            "by api:"
        )
    return generator


def _has_batches(spec: Spec) -> bool:
    """Return whether the backend is a provider with a batch API; warn for one without."""
    if spec.backend in backend_names(GENERATORS):
        return False
    known = spec.backend in backend_names(BATCHES)
    if not known:
        log.warning("%s has no batches that we know of: asking it directly", spec.name)
    return known


def open_judge(spec: Spec, context: RunContext) -> Judge:
    """Return the judge of a spec, whose backend is a judge or a generator.

    A generator is used by the judge that `?verdict=` or `?template=` names, else by `prompted`.
    Raises ConfigError for an unknown backend or an invalid option.
    """
    known = backend_names(JUDGES)
    candidates = (spec.backend, spec.options.get("verdict"), spec.options.get("template"))
    name = next((name for name in candidates if name in known), "prompted")
    backend: Backend[Judge] = load_backend(JUDGES, name)
    return backend(spec, replace(context, for_judge=True))


def judge_spec(text: str) -> Spec:
    """Return the spec of a judge; without a backend, `gpt-...` means `openai:gpt-...`.

    The target `human` without a backend means human votes. Raises ConfigError if it is malformed.
    """
    spec = Spec.parse(text, default="")
    default = "openai" if _OPENAI_MODEL.fullmatch(spec.target) else "hf"
    if spec.target == HUMAN:
        default = HUMAN
    return spec.with_backend(spec.backend or default)


def backend_names(group: str) -> list[str]:
    """Return the names in a group of entry points, sorted."""
    return sorted(_entry_points(group).names)


def _entry_points(group: str) -> EntryPoints:
    entries: EntryPoints = _all_entry_points(tuple(sys.path)).select(group=group)
    return entries


@cache  # a scan of the installed packages takes 3 ms and more
def _all_entry_points(path: tuple[str, ...]) -> Any:  # noqa: ARG001 - a key
    return entry_points()


def load_entry_points(group: str) -> dict[str, Any]:
    """Load all entry points of a group; return the objects by name."""
    return {entry.name: entry.load() for entry in _entry_points(group)}


def load_backend(group: str, name: str) -> Backend[W]:
    """Return the backend of that name. Raises ConfigError with the known names if there is none."""
    for entry in _entry_points(group).select(name=name):
        loaded: Backend[W] = entry.load()
        return loaded
    if group == GENERATORS and _is_provider(name):
        return load_backend(group, "api")
    known = ", ".join(backend_names(group))
    if group == BATCHES:
        raise ConfigError(f"{name}: has no batches that we know of; there are those of: {known}")
    providers, hint = _providers(), ""
    if providers == [*PROVIDERS]:
        hint = "; for others: pip install 'bakeoff[providers]'"
    raise ConfigError(
        f"no backend {name!r}; there are: {known}, and the hosted providers: "
        f"{', '.join(providers)}{hint}"
    )


def _is_provider(name: str) -> bool:
    """Return whether bakeoff or any-llm has this provider; imports any-llm only if unsure."""
    if name in PROVIDERS:
        return True
    package = find_spec("any_llm")
    folders = (package.submodule_search_locations if package else None) or ()
    return any(Path(at, "providers", name, "__init__.py").is_file() for at in folders) or (
        name in _providers()
    )


def _providers() -> list[str]:
    """Return the names of the hosted providers that can be used; imports any-llm if installed."""
    try:
        from any_llm import AnyLLM  # slow to import, and rarely needed
    except ImportError:
        return [*PROVIDERS]
    return sorted(AnyLLM.get_supported_providers())
