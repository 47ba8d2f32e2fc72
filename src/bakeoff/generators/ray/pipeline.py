"""One pipeline of Ray Data: blocks go out to a pool of replicas, and come back as they are done.

Knows Ray Data and nothing of prompts. What becomes of a replica that dies, of its blocks and of a
node that is lost is Ray's business: a block whose replica died is tried again as often as `Pool`
says, and is missing where it died each time.
"""

import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from bakeoff.generators.ray import session as ray_session
from bakeoff.generators.ray.replica import COLUMN, Replica

_GLANCE = 0.2  # seconds between two looks at whether anybody still wants what comes
_ENDING = 30.0  # seconds that a pipeline has to give its replicas back
_PATIENCE = 600.0  # seconds without a reply, after a node was lost

_context_lock = threading.Lock()  # Ray Data has one context for all threads
_over: set[str] = set()  # pipelines that nobody wants any more


class Pool(NamedTuple):
    """How many replicas there are, what each needs, and on how many blocks it works at once."""

    least: int
    most: int
    cpus: float
    gpus: float
    blocks: int
    retries: int


class _Pipeline(NamedTuple):
    blocks: Sequence[str]
    told: str
    pool: Pool
    name: str


class UnwantedError(Exception):
    """Ends a pipeline from inside: there is no other way while Ray waits for a reply."""


class StalledError(Exception):
    """What is left waits for a node that is lost."""


class Ending:
    """What Ray Data calls at every step of a pipeline, of which `name` is the one."""

    name = ""

    def before_execution_starts(self, executor: object) -> None:
        """Nothing to do."""

    def on_execution_step(self, executor: object) -> None:
        """End it where nobody wants it any more: its replicas are given back at once."""
        del executor
        if self.name in _over:
            raise UnwantedError

    def after_execution_succeeds(self, executor: object) -> None:
        """Nothing to do."""

    def after_execution_fails(self, executor: object, error: Exception) -> None:
        """Nothing to do."""


def replies(
    blocks: Sequence[str], told: str, pool: Pool, wanted: Callable[[], bool]
) -> Iterator[str]:
    """The replies of the replicas to the blocks, as they come; none more where none is `wanted`.

    StalledError where they wait for a node that is lost. It is a thread that waits for Ray: a reply
    may take minutes, and a stop is to be seen at once.
    """
    came: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    pipeline = _Pipeline(blocks, told, pool, uuid4().hex)
    reader = threading.Thread(
        target=_read, args=(pipeline, came), name="bakeoff-ray-reader", daemon=True
    )
    reader.start()
    stalled = _Stall()
    try:
        while wanted():
            try:
                one = came.get(timeout=_GLANCE)
            except queue.Empty:
                stalled.check()
                continue
            if one is None:
                return
            if isinstance(one, BaseException):
                raise one
            stalled.moved()
            yield one
    finally:
        _over.add(pipeline.name)
        reader.join(_ENDING)
        _over.discard(pipeline.name)


class _Stall:
    """Sees that what is left waits for a node that is lost.

    A block stays with its replica. Where a lost node leaves no room for that one, Ray waits until
    another node joins; what is owed is then better given to the others.
    """

    def __init__(self) -> None:
        self._nodes = ray_session.nodes()
        self._moved = time.monotonic()

    def moved(self) -> None:
        """There was a reply."""
        self._moved = time.monotonic()

    def check(self) -> None:
        """StalledError where there was none for long, and a node is gone."""
        if time.monotonic() - self._moved < _PATIENCE:
            return
        if lost := self._nodes - ray_session.nodes():
            raise StalledError(f"lost nodes: {len(lost)}; what they had is asked anew")


def _read(pipeline: _Pipeline, came: "queue.SimpleQueue[str | BaseException | None]") -> None:
    try:
        for some in _batches(pipeline):
            for reply in some[COLUMN]:
                came.put(str(reply))
    except BaseException as error:
        came.put(error)
    else:
        came.put(None)


def _batches(pipeline: _Pipeline) -> Iterator[dict[str, Any]]:
    from ray.data import ActorPoolStrategy, DataContext, from_items
    from ray.util.annotations import RayDeprecationWarning

    # There is no other way to say how often a block is tried, and it is said to every caller.
    warnings.filterwarnings(
        "ignore", message="`ray_remote_args` is deprecated", category=RayDeprecationWarning
    )
    blocks, told, pool, name = pipeline
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # one that is lost keeps no other from being done
    context.custom_execution_callback_classes = [type("Ending", (Ending,), {"name": name})]
    least, most = (min(number, len(blocks)) for number in (pool.least, pool.most))
    with _context_lock, DataContext.current(context):
        # A row is a block: Ray cannot cut it otherwise, and it is tried again as a whole.
        source = from_items([{COLUMN: block} for block in blocks], override_num_blocks=len(blocks))
        done = source.map_batches(
            Replica,
            batch_size=1,
            fn_constructor_args=(told,),
            compute=ActorPoolStrategy(
                min_size=least,
                max_size=most,
                max_concurrent_calls_per_actor=pool.blocks,
                max_tasks_in_flight_per_actor=pool.blocks,  # one that only waits would die as well
            ),
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            max_task_retries=pool.retries,
        )
    # As blocks come: whoever fetches ahead keeps the last one back until there is another.
    yield from done.iter_batches(batch_size=None, prefetch_batches=0)
