"""One pipeline of Ray Data: blocks go out to a pool of replicas, and come back as they are done.

Knows Ray Data and nothing of prompts. What becomes of a replica that dies, of its blocks and of a
node that is lost is Ray's business: a block whose replica died is tried again as often as `Pool`
says, and is missing where it died each time.
"""

import queue
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from bakeoff.generators.ray_replica import COLUMN, Replica

_GLANCE = 0.2  # seconds between two looks at whether anybody still wants what comes

_context_lock = threading.Lock()  # Ray Data has one context for all threads


class Pool(NamedTuple):
    """How many replicas there are, what each needs, and on how many blocks it works at once."""

    least: int
    most: int
    cpus: float
    gpus: float
    blocks: int
    retries: int


def replies(
    blocks: Sequence[str], told: str, pool: Pool, wanted: Callable[[], bool]
) -> Iterator[str]:
    """The replies of the replicas to the blocks, as they come; none more where none is `wanted`.

    It is a thread that waits for Ray: a reply may take minutes, and a stop is to be seen at once.
    """
    came: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    over = threading.Event()

    def read() -> None:
        end: BaseException | None = None
        try:
            with closing(_rows(blocks, told, pool)) as rows:
                for row in rows:
                    if over.is_set():
                        break
                    came.put(str(row[COLUMN]))
        except BaseException as error:
            end = error
        came.put(end)
        if end is None or over.is_set():
            came.put(None)

    threading.Thread(target=read, name="bakeoff-ray", daemon=True).start()
    try:
        while wanted():
            try:
                one = came.get(timeout=_GLANCE)
            except queue.Empty:
                continue
            if one is None:
                return
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        over.set()


def _rows(blocks: Sequence[str], told: str, pool: Pool) -> Generator[dict[str, Any], None, None]:
    from ray.data import ActorPoolStrategy, DataContext, from_items
    from ray.util.annotations import RayDeprecationWarning

    # There is no other way to say how often a block is tried, and it is said to every caller.
    warnings.filterwarnings(
        "ignore", message="`ray_remote_args` is deprecated", category=RayDeprecationWarning
    )
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # one that is lost keeps no other from being done
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
    yield from done.iter_rows()
