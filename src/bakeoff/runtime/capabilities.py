"""Optional members of workers: a protocol for each, and a function that uses the member if present.

If a judge does not have a member, the functions use that of its generator; `planned_requests` does
not, as a judge's items are pairs and not prompts.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from bakeoff.records import Usage
from bakeoff.runtime.worker import Generator, ModelRequest, Worker

I = TypeVar("I", contravariant=True)  # noqa: E741 - an item

AnyWorker = Worker[Any, Any]


@runtime_checkable
class HasWeights(Protocol):
    """A worker whose model can be identified."""

    @property
    def weights(self) -> str | None:
        """Key of the model: workers with equal keys run the same model. None: unknown."""
        ...


@runtime_checkable
class Progress(Protocol):
    """A worker that reports the progress of items without an outcome."""

    @property
    def remote_done(self) -> int:
        """Number of requests that the provider has processed, in batches that have not ended."""
        ...

    @property
    def tokens_in_progress(self) -> int:
        """Number of tokens generated for items that are not finished."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A worker whose requests cost money."""

    def estimate_cost(self, usage: Usage) -> float | None:
        """Return US dollars for `usage`; None if the price is unknown."""
        ...


@runtime_checkable
class Planned(Protocol[I]):
    """A worker that can list the requests of an item; for estimates of cost and time."""

    def requests(self, item: I) -> Sequence[ModelRequest]:
        """Return the requests that `item` takes if none fails."""
        ...


@runtime_checkable
class Durable(Protocol):
    """A worker that keeps state until its outcomes are stored, like a journal of batches."""

    def on_committed(self) -> None:
        """Delete or update that state: all outcomes that the worker emitted are in the store."""
        ...


@runtime_checkable
class HasGenerator(Protocol):
    """A judge that asks a generator."""

    @property
    def generator(self) -> Generator:
        """The generator that it asks."""
        ...


def _layers(worker: AnyWorker) -> Iterator[AnyWorker]:
    """Yield the worker, and the generator that it asks if it is a judge."""
    yield worker
    # Not `isinstance`, which takes 30 us with a protocol: this runs for each judged pair.
    generator = getattr(worker, "generator", None)
    if generator is not None:
        yield from _layers(generator)


def weights_of(worker: AnyWorker) -> str | None:
    """Return the key of the worker's model; None if unknown."""
    known = (layer.weights for layer in _layers(worker) if isinstance(layer, HasWeights))
    return next(known, None)


def remote_done(worker: AnyWorker) -> int:
    """Return how many requests the provider has processed without an outcome; 0 if unknown."""
    known = (layer.remote_done for layer in _layers(worker) if isinstance(layer, Progress))
    return next(known, 0)


def tokens_in_progress(worker: AnyWorker) -> int:
    """Return how many tokens are generated for unfinished items; 0 if unknown."""
    layers = (layer for layer in _layers(worker) if isinstance(layer, Progress))
    return next((layer.tokens_in_progress for layer in layers), 0)


def estimate_cost(worker: AnyWorker, usage: Usage) -> float | None:
    """Return US dollars for `usage`; None if the price is unknown."""
    for layer in _layers(worker):
        if isinstance(layer, Priced):
            return layer.estimate_cost(usage)
    return 0.0 if worker.traits.free else None


def planned_requests(worker: Worker[I, Any], item: I) -> Sequence[ModelRequest]:
    """Return the requests that `item` takes if none fails; empty if unknown."""
    return worker.requests(item) if isinstance(worker, Planned) else ()


def notify_committed(worker: AnyWorker) -> None:
    """Call `on_committed`: all that the worker emitted is in the store."""
    for layer in _layers(worker):
        on_committed = getattr(layer, "on_committed", None)
        if on_committed is not None:
            on_committed()
