"""A Ray Data pipeline: sends blocks to a pool of replicas, and yields replies as they complete.

Ray restarts replicas that die, and retries their blocks `ReplicaPool.max_retries` times. A block
whose replica died each time has no reply.
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

_POLL_SECONDS = 0.2
_SHUTDOWN_SECONDS = 30.0  # for a cancelled pipeline to release its replicas
_STALL_SECONDS = 600.0  # without a reply, after which a pipeline with a lost node has stalled

_context_lock = threading.Lock()  # Ray Data has one context for all threads
_cancelled: set[str] = set()  # names of the cancelled pipelines


class ReplicaPool(NamedTuple):
    """Size of a pool of replicas, and resources and limits of each replica."""

    min_size: int
    max_size: int
    cpus: float
    gpus: float
    concurrent_blocks: int
    """Blocks that a replica processes at the same time, at most."""
    max_retries: int
    """Retries of a block whose replica died."""


class _Job(NamedTuple):
    blocks: Sequence[str]
    replica_config: str
    pool: ReplicaPool
    name: str


class CancelledPipelineError(Exception):
    """Raised within a pipeline to end it, as Ray has no other way while it waits for a reply."""


class StalledError(Exception):
    """The remaining blocks wait for a node that is lost."""


class CancelCallback:
    """Execution callback of Ray Data that ends the pipeline `name` if it is cancelled."""

    name = ""

    def before_execution_starts(self, executor: object) -> None:
        """Do nothing."""

    def on_execution_step(self, executor: object) -> None:
        """Raise CancelledPipelineError if the pipeline is cancelled; Ray releases its replicas."""
        del executor
        if self.name in _cancelled:
            raise CancelledPipelineError

    def after_execution_succeeds(self, executor: object) -> None:
        """Do nothing."""

    def after_execution_fails(self, executor: object, error: Exception) -> None:
        """Do nothing."""


def stream_replies(
    blocks: Sequence[str], replica_config: str, pool: ReplicaPool, is_wanted: Callable[[], bool]
) -> Iterator[str]:
    """Yield the replies of the replicas as they arrive, until `is_wanted()` returns False.

    Raises StalledError if the remaining blocks wait for a lost node, and any exception of the
    pipeline. A thread waits for Ray: a reply may take minutes, and a stop has to be immediate.
    """
    results: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    job = _Job(blocks, replica_config, pool, uuid4().hex)
    reader = threading.Thread(
        target=_read, args=(job, results), name="bakeoff-ray-reader", daemon=True
    )
    reader.start()
    stall_detector = StallDetector()
    try:
        while is_wanted():
            try:
                result = results.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                stall_detector.check()
                continue
            if result is None:
                return
            if isinstance(result, BaseException):
                raise result
            stall_detector.reset()
            yield result
    finally:
        _cancelled.add(job.name)
        reader.join(_SHUTDOWN_SECONDS)
        _cancelled.discard(job.name)


class StallDetector:
    """Detects that the remaining blocks wait for a lost node.

    A block stays assigned to its replica. If no other node has the resources for that replica, Ray
    waits until one joins. It is faster to send the prompts to the remaining replicas again.
    """

    def __init__(self) -> None:
        self._nodes = ray_session.alive_nodes()
        self._last_reply = time.monotonic()

    def reset(self) -> None:
        """Record a reply."""
        self._last_reply = time.monotonic()

    def check(self) -> None:
        """Raise StalledError if a node is lost and no reply has arrived for `_STALL_SECONDS`."""
        if time.monotonic() - self._last_reply < _STALL_SECONDS:
            return
        if lost := self._nodes - ray_session.alive_nodes():
            raise StalledError(f"lost nodes: {len(lost)}; what they had is asked anew")


def _read(job: _Job, results: "queue.SimpleQueue[str | BaseException | None]") -> None:
    """Put the replies into a queue, and at last None or the exception of the pipeline."""
    try:
        for batch in _run(job):
            for reply in batch[COLUMN]:
                results.put(str(reply))
    except BaseException as error:
        results.put(error)
    else:
        results.put(None)


def _run(job: _Job) -> Iterator[dict[str, Any]]:
    from ray.data import ActorPoolStrategy, DataContext, from_items
    from ray.util.annotations import RayDeprecationWarning

    # `max_task_retries` has no other parameter yet, and this one causes a warning.
    warnings.filterwarnings(
        "ignore", message="`ray_remote_args` is deprecated", category=RayDeprecationWarning
    )
    blocks, replica_config, pool, name = job
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # unlimited: a lost block does not end the pipeline
    callback = type("CancelCallback", (CancelCallback,), {"name": name})
    context.custom_execution_callback_classes = [callback]
    with _context_lock, DataContext.current(context):
        # One row per block, as Ray does not split rows.
        source = from_items([{COLUMN: block} for block in blocks], override_num_blocks=len(blocks))
        done = source.map_batches(
            Replica,
            batch_size=1,
            fn_constructor_args=(replica_config,),
            compute=ActorPoolStrategy(
                min_size=min(pool.min_size, len(blocks)),
                max_size=min(pool.max_size, len(blocks)),
                max_concurrent_calls_per_actor=pool.concurrent_blocks,
                # No block waits in a replica's queue, where it would be lost with the replica.
                max_tasks_in_flight_per_actor=pool.concurrent_blocks,
            ),
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            max_task_retries=pool.max_retries,
        )
    # With prefetching, a reply would be yielded only after the next one has arrived.
    yield from done.iter_batches(batch_size=None, prefetch_batches=0)
