"""Optional members of workers: a protocol for each, and the function that calls it if present.

The functions look at a judge first and then at the generator that it is built on.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from bakeoff.records import Usage
from bakeoff.runtime.worker import Generator, ModelRequest, Worker

I = TypeVar("I", contravariant=True)  # noqa: E741 - an item

AnyWorker = Worker[Any, Any]


@runtime_checkable
class HasWeights(Protocol):
    """A worker that knows which model it runs."""

    @property
    def weights(self) -> str | None:
        """Key of the model: workers with equal keys run the same model. None: not known."""
        ...


@runtime_checkable
class Progress(Protocol):
    """A worker that reports on items whose outcome is not emitted yet."""

    @property
    def remote_done(self) -> int:
        """Number of requests that are done at the provider, in batches that have not ended."""
        ...

    @property
    def tokens_in_progress(self) -> int:
        """Number of tokens generated for items that are not finished."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A worker whose requests cost money."""

    def estimate_cost(self, usage: Usage) -> float | None:
        """Return US dollars for `usage`; None if the price is not known."""
        ...


@runtime_checkable
class Planned(Protocol[I]):
    """A worker that can say which requests an item takes; for estimates of cost and time."""

    def requests(self, item: I) -> Sequence[ModelRequest]:
        """Return the requests that `item` takes if none fails."""
        ...


@runtime_checkable
class Durable(Protocol):
    """A worker that keeps state until its outcomes are stored, as a journal of batches."""

    def on_committed(self) -> None:
        """Called when everything that the worker emitted is in the store."""
        ...


@runtime_checkable
class HasGenerator(Protocol):
    """A worker that is built on a generator."""

    @property
    def generator(self) -> Generator:
        """The generator that it asks."""
        ...


def _layers(worker: AnyWorker) -> Iterator[AnyWorker]:
    """Yield the worker, and the generator that it is built on."""
    yield worker
    if isinstance(worker, HasGenerator):
        yield from _layers(worker.generator)


def weights_of(worker: AnyWorker) -> str | None:
    """Return the key of the worker's model; None if it is not known."""
    known = (layer.weights for layer in _layers(worker) if isinstance(layer, HasWeights))
    return next(known, None)


def remote_done(worker: AnyWorker) -> int:
    """Return how many requests are done at the provider and not emitted; 0 if not known."""
    known = (layer.remote_done for layer in _layers(worker) if isinstance(layer, Progress))
    return next(known, 0)


def tokens_in_progress(worker: AnyWorker) -> int:
    """Return how many tokens are generated for unfinished items; 0 if not known."""
    known = (layer.tokens_in_progress for layer in _layers(worker) if isinstance(layer, Progress))
    return next(known, 0)


def estimate_cost(worker: AnyWorker, usage: Usage) -> float | None:
    """Return US dollars for `usage`; None if the price is not known."""
    for layer in _layers(worker):
        if isinstance(layer, Priced):
            return layer.estimate_cost(usage)
    return 0.0 if worker.traits.free else None


def planned_requests(worker: Worker[I, Any], item: I) -> Sequence[ModelRequest]:
    """Return the requests that `item` takes if none fails; empty if not known."""
    return worker.requests(item) if isinstance(worker, Planned) else ()


def notify_committed(worker: AnyWorker) -> None:
    """Tell the worker that everything it emitted is in the store."""
    for layer in _layers(worker):
        if isinstance(layer, Durable):
            layer.on_committed()
