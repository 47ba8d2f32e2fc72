"""The worker protocol, and base classes for servers (`PerItem`), engines (`Batched`) and judges.

A worker is called with items and emits one outcome per item: a result or a WorkError.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import cache
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue

from bakeoff.config import Sampling
from bakeoff.errors import ConfigError, StoppedError, WorkError
from bakeoff.records import Completion, Pair, Prompt, Verdict
from bakeoff.runtime.cancellation import current_stop_token, has_stop_token
from bakeoff.runtime.tasks import outcome_of, task_group
from bakeoff.runtime.work_queue import Emit, I, O, Submission, WorkQueue

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)

Order = Literal["both", "pointwise"]


class ModelRequest(NamedTuple):
    """One request to a model; `sampling.max_tokens` bounds the length of its reply."""

    prompt: Prompt
    sampling: Sampling


@dataclass(frozen=True)
class Traits:
    """Properties by which the pipeline schedules a worker; the defaults fit a hosted model."""

    exclusive: bool = False
    """The worker fills the accelerator: unless it is `keep_loaded`, it is closed before the next
    exclusive worker starts."""
    keep_loaded: bool = False
    """The exclusive worker leaves enough memory for other models: it stays loaded beside them."""
    batch_only: bool = False
    """Replies take hours, however few are requested: the worker is called once, with all items."""
    free: bool = False
    """The worker has no price per token, like a model on this machine."""
    can_score: bool = False
    """The generator can score the last turn of a prompt (`Sampling.score_only`)."""
    order: Order = "both"
    """`both` for a judge that sees two completions: it judges a pair in both orders, against
    position bias. `pointwise` for a judge that sees one completion at a time."""
    prefers_own_family: bool = False
    """The judge prefers texts of its own model family: it may not judge models of that family."""
    caveat: str | None = None
    """A note about the worker for the results; None: none."""


class Worker(Protocol[In, Out]):
    """A model or a judge.

    Calls may overlap: they share the limit of concurrent requests, or the engine's thread.
    `bakeoff.runtime.capabilities` defines optional members as protocols.
    """

    @property
    def identity(self) -> JsonValue:
        """Everything that changes an outcome, as plain JSON; part of the store's keys.

        Available before the model is loaded.
        """
        ...

    @property
    def traits(self) -> Traits:
        """How the pipeline schedules the worker; `prepare` and loading a model may change it."""
        ...

    async def prepare(self) -> None:
        """Download missing files, and check all that can be checked without a request.

        Called before the first item, and not at all if the store has every outcome. Raises
        ConfigError if the worker cannot start: a missing key, extra or file.
        """
        ...

    async def __call__(
        self, items: Sequence[In], emit: Callable[[int, Out | WorkError], None]
    ) -> None:
        """Call `emit(index, outcome)` once per item, in any order.

        Whatever is raised stops the run: a ConfigError, or a bug. A WorkError is an outcome.
        """
        ...

    async def close(self) -> None:
        """Release all resources; a later call acquires them again."""
        ...


Generator = Worker[Prompt, Completion]
Judge = Worker[Pair, Verdict]


class BaseWorker(ABC, Generic[I, O]):
    """Default implementations of `traits`, `prepare` and `close`."""

    identity: JsonValue
    traits = Traits()

    async def prepare(self) -> None:
        """Do nothing; override to download or check something."""

    async def close(self) -> None:
        """Do nothing; override to release something."""


class PerItem(BaseWorker[I, O]):
    """Base class of workers that call a server: override `process`.

    At most `max_concurrency` items are in flight. A ConfigError after the first result (a revoked
    key, a server that exited) stops the run instead of raising: finished outcomes are kept, and a
    StoppedError is emitted for each remaining item.
    """

    def __init__(self, max_concurrency: int) -> None:
        self._max_concurrency = max_concurrency
        self._semaphore = asyncio.Semaphore(max_concurrency)
        self._has_result = False

    @abstractmethod
    async def process(self, item: I) -> O:
        """Return the result of one item, or raise a WorkError."""

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit the outcome of every item, each as soon as it is known."""
        if len(items) == 1:
            async with self._semaphore:
                emit(0, await self._outcome(items[0]))
            return
        waiting = iter(enumerate(items))  # shared by all tasks

        async def process_items() -> None:
            for index, item in waiting:
                async with self._semaphore:
                    emit(index, await self._outcome(item))
                await asyncio.sleep(0)  # `process` may never wait: let the event loop run

        async with task_group() as group:
            for _ in range(min(self._max_concurrency, len(items))):
                group.create_task(process_items())

    async def _outcome(self, item: I) -> O | WorkError:
        run = current_stop_token()
        if run.reason is not None:
            return StoppedError(run.reason)
        try:
            outcome = await outcome_of(self.process(item))
        except ConfigError as error:
            if not (self._has_result and has_stop_token()):
                raise
            run.stop(str(error))
            return StoppedError(str(error))
        self._has_result = self._has_result or not isinstance(outcome, WorkError)
        return outcome


class Batched(BaseWorker[I, O]):
    """Base of engines in this process: override `process_batch`, which runs on its own thread.

    Overlapping calls share batches, so that calls with one item each do not run one by one. An
    engine that can add items to a running batch overrides `process_queue` too.
    """

    traits = Traits(exclusive=True, free=True)

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._queue: WorkQueue[I, O] = WorkQueue(self.sort_key)
        self._thread: ThreadPoolExecutor | None = None
        self._running: asyncio.Future[None] | None = None

    @abstractmethod
    def process_batch(self, items: Sequence[I]) -> Sequence[O | WorkError]:
        """Return the outcomes of a batch, in order. Runs on the engine's thread."""

    def process_queue(self, queue: WorkQueue[I, O]) -> None:
        """Take items from the queue and put an outcome for each. Runs on the engine's thread."""
        taken = queue.take(self._batch_size)
        outcomes = self.process_batch([work_item.item for work_item in taken])
        for work_item, outcome in list(zip(taken, outcomes, strict=True)):
            queue.put_outcome(work_item, outcome)

    def sort_key(self, item: I) -> int:
        """Return the sort key of an item: items are batched in descending order; by default 0."""
        del item
        return 0

    def release(self) -> None:
        """Free what `process_batch` loaded. Runs on the engine's thread."""

    async def close(self) -> None:
        """Call `release` and end the engine's thread."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.release)
            self._thread.shutdown()
            self._thread = self._running = None

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit the outcome of every item, each as soon as the engine has put it."""
        submission: Submission[I, O] = Submission(items, emit)
        self._queue.add(submission.work_items)
        with current_stop_token().on_stop(lambda error: self._queue.reject(submission, error)):
            self._start()
            try:
                await submission.wait()
            finally:
                self._queue.drop_unwanted()  # after an error, or cancelled

    def _start(self) -> None:
        """Start the engine on the waiting items, unless it is running."""
        loop = asyncio.get_running_loop()
        # Of a future in an event loop that was closed, `_stopped` was never called.
        idle = self._running is None or self._running.get_loop() is not loop
        if idle and len(self._queue):
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="engine")
            context = copy_context()  # logging and timing in the engine belong to this run
            self._running = loop.run_in_executor(
                self._thread, context.run, self.process_queue, self._queue
            )
            self._running.add_done_callback(self._stopped)

    def _stopped(self, running: asyncio.Future[None]) -> None:
        """Fail the submissions whose items have no outcome, and start on the waiting items."""
        self._running = None
        unfinished = self._queue.take_unfinished()
        error = running.exception()
        if error and not unfinished:  # it failed before it took an item: it would fail again
            unfinished = self._queue.take(len(self._queue))
        for work_item in unfinished:
            work_item.submission.fail(
                error or RuntimeError(f"{self!r} gave no outcome for an item")
            )
        self._start()


@cache  # the pipeline looks at the traits several times for each judgment
def _judge_traits(generator: Traits, order: Order, prefers_own_family: bool) -> Traits:
    return replace(generator, order=order, prefers_own_family=prefers_own_family)


class GeneratorJudge:
    """Base of judges that ask a generator; they share its traits and are closed with it."""

    order: Order = "both"
    prefers_own_family = False

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    @property
    def traits(self) -> Traits:
        """The generator's traits, with the judge's `order` and `prefers_own_family`."""
        return _judge_traits(self.generator.traits, self.order, self.prefers_own_family)

    async def prepare(self) -> None:
        """Prepare the generator."""
        await self.generator.prepare()

    async def close(self) -> None:
        """Close the generator."""
        await self.generator.close()
