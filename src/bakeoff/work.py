"""All concurrency: how many items are put through something slow. Knows no model and no store.

A worker takes items and emits one outcome per item, in any order: a result, or the WorkError that
it ended in. Any other exception is a bug or a ConfigError; it stops the run. A worker may be called
again while a call is running: calls share its lanes or its thread.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import JsonValue

from bakeoff.errors import WorkError
from bakeoff.records import Completion, Pair, Prompt, Verdict

I = TypeVar("I")  # noqa: E741 - what goes in
O = TypeVar("O")  # noqa: E741 - what comes out
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)

Emit = Callable[[int, O | WorkError], None]


class Worker(Protocol[In, Out]):
    """A model or a judge.

    `identity` is plain JSON: what changes an outcome, and nothing else; it is known before anything
    is loaded. `weights` names the model behind it, however it is asked; None where there is none.
    `exclusive` means that it fills the accelerator: no other such worker beside it.
    """

    @property
    def identity(self) -> JsonValue:
        """What changes an outcome: goes into the store's keys."""
        ...

    @property
    def weights(self) -> str | None:
        """The model behind it: two workers with equal weights are the same model."""
        ...

    @property
    def caveat(self) -> str | None:
        """What a reader of the results has to know about it; None for most."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether it has to be closed before another exclusive worker starts."""
        ...

    async def prepare(self) -> None:
        """Fetch what has to be fetched and check what can be checked for free.

        Called before any work, and only where there is work to do. ConfigError where it could not
        start: a missing key, extra or file.
        """
        ...

    async def __call__(
        self, items: Sequence[In], emit: Callable[[int, Out | WorkError], None]
    ) -> None:
        """Emit (index, outcome) once per item, in any order."""
        ...

    async def close(self) -> None:
        """Give back what was opened; a later call opens it again."""
        ...


Generator = Worker[Prompt, Completion]
Order = Literal["both", "apart"]


class Judge(Worker[Pair, Verdict], Protocol):
    """A worker that compares.

    `order` is `both` where the place of a completion may sway it, so that a pair is shown in both
    orders; `apart` where it looks at each completion alone, so that there is no order. `partial`
    says that it is known to prefer text of its own family.
    """

    @property
    def order(self) -> Order:
        """How it has to be shown a pair."""
        ...

    @property
    def partial(self) -> bool:
        """Whether a contestant of its own family makes it no judge."""
        ...


class PerItem(ABC, Generic[I, O]):
    """A worker in front of a server: override `one`. At most `lanes` items are in flight."""

    identity: JsonValue
    weights: str | None = None
    caveat: str | None = None
    exclusive = False
    order: Order = "both"  # of a judge
    partial = False

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._room = asyncio.Semaphore(lanes)

    @abstractmethod
    async def one(self, item: I) -> O:
        """The outcome of one item; a WorkError where it has none."""

    async def prepare(self) -> None:
        """Nothing to fetch or check unless a subclass says so."""

    async def close(self) -> None:
        """Nothing to give back unless a subclass opened something."""

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit every item's outcome; lanes take the next item from one shared iterator."""
        waiting = iter(enumerate(items))

        async def lane() -> None:
            for index, item in waiting:
                async with self._room:
                    emit(index, await outcome_of(self.one(item)))

        async with tasks() as group:
            for _ in range(min(self._lanes, len(items))):
                group.create_task(lane())


class Batched(ABC, Generic[I, O]):
    """A worker that is an engine in this process: override `batch`, which runs on its own thread.

    Items of calls that overlap share batches, so that single items which trickle in do not run one
    by one.
    """

    identity: JsonValue
    weights: str | None = None
    caveat: str | None = None
    exclusive = True
    order: Order = "both"  # of a judge
    partial = False

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: list[tuple[I, Callable[[O | WorkError], None]]] = []
        self._thread: ThreadPoolExecutor | None = None
        self._turn = asyncio.Lock()

    @abstractmethod
    def batch(self, items: Sequence[I]) -> Sequence[O | WorkError]:
        """The outcomes of a batch, in order. Runs on the engine's thread."""

    def rank(self, item: I) -> int:
        """Items of like rank share a batch; by default all are alike."""
        del item
        return 0

    def release(self) -> None:
        """Free what `batch` loaded. Runs on the engine's thread."""

    async def prepare(self) -> None:
        """Nothing to fetch or check unless a subclass says so."""

    async def close(self) -> None:
        """Free the engine and end its thread."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.release)
            self._thread.shutdown()
            self._thread = None

    async def __call__(self, items: Sequence[I], emit: Emit[O]) -> None:
        """Emit every item's outcome, batch by batch, the largest rank first."""
        owed = len(items)

        def taker(index: int) -> Callable[[O | WorkError], None]:
            def take(outcome: O | WorkError) -> None:
                nonlocal owed
                owed -= 1
                emit(index, outcome)

            return take

        own = [taker(index) for index in range(len(items))]
        self._waiting += zip(items, own, strict=True)
        try:
            while owed:
                async with self._turn:
                    if owed:
                        await self._step()
        finally:
            if owed:  # a bug, or cancelled: what nobody waits for is not worked on
                gone = set(own)
                self._waiting = [pair for pair in self._waiting if pair[1] not in gone]

    async def _step(self) -> None:
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._waiting.sort(key=lambda pair: self.rank(pair[0]), reverse=True)
        taken, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(
                self._thread, self.batch, [item for item, _ in taken]
            )
            done = list(zip(taken, outcomes, strict=True))
        except BaseException:
            self._waiting = taken + self._waiting  # other calls may still wait for some of it
            raise
        for (_, take), outcome in done:
            take(outcome)


async def outcome_of(work: Awaitable[O]) -> O | WorkError:
    """What came of the work: its result, or the WorkError that it raised."""
    try:
        return await work
    except WorkError as error:
        return error


@asynccontextmanager
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose first error cancels the rest and is raised as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


@asynccontextmanager
async def meanwhile(act: Callable[[], None], every: float) -> AsyncIterator[None]:
    """Call `act` every so many seconds while the body runs, and not a moment longer."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every)
            act()

    async with tasks() as group:
        beating = group.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()
