"""`?replicas=N`: a generator that runs replicas of a local backend on a Ray cluster.

This module runs in the driver, the process that stores the results. `pipeline.py` sends blocks of
prompts to the replicas; `replica.py` runs on the nodes of the cluster.
"""

import json
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field, JsonValue, field_validator

from bakeoff.config import Spec, split_options
from bakeoff.environment import check_extra
from bakeoff.errors import BackendError, ConfigError, StoppedError
from bakeoff.generators.ray import session as ray_session
from bakeoff.generators.ray.messages import decode_reply, encode_block
from bakeoff.generators.ray.pipeline import ReplicaPool, StalledError, stream_replies
from bakeoff.generators.ray.replica import replica_config
from bakeoff.plugins import GENERATORS, RunContext, backend_names, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import (
    Batched,
    ModelRequest,
    Traits,
    WorkQueue,
    current_stop_token,
    to_daemon_thread,
)
from bakeoff.runtime.capabilities import planned_requests
from bakeoff.runtime.work_queue import WorkItem

log = logging.getLogger(__name__)

_REMOTE_BACKENDS = {"api", "file"}  # replicas would not make them faster
_GPU_BACKENDS = {"hf", "reward", "vllm"}
_MAX_BLOCK_SIZE = 16  # prompts: the outcomes of a block arrive, or are lost, together
_MIN_CONCURRENT_BLOCKS = 8  # per replica, so that most of its engine is busy when one block ends
_BALANCE = 2  # a replica starts with 1/2 of its share; the rest is for replicas that finish first

PendingItems = dict[int, WorkItem[Prompt, Completion]]


class RayGenerator(Batched[Prompt, Completion]):
    """`BACKEND:MODEL?replicas=4` or `?replicas=2-8`: replicas of a model on the cluster's nodes.

    The identity is that of the model, so that a run can be resumed with or without a cluster.
    """

    class Options(BaseModel):
        """Options of the spec in addition to those of its backend."""

        replicas: tuple[int, int]
        """Smallest and largest number of replicas."""
        cpus: float = Field(1.0, gt=0, allow_inf_nan=False)
        """CPUs of a node that each replica reserves."""
        gpus: float | None = Field(None, ge=0, allow_inf_nan=False)
        """GPUs of a node that each replica reserves.

        None: vLLM's tensor_parallel_size, or 1 for other backends that use a GPU; 0 if the cluster
        has none.
        """

        @field_validator("replicas", mode="before")
        @classmethod
        def _parse_range(cls, text: str) -> tuple[int, int]:
            match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
            smallest, largest = (int(n or match[1]) for n in match.groups()) if match else (0, 0)
            if not 1 <= smallest <= largest:
                raise ValueError("a number of at least 1 is wanted, or two, as in 2-8")
            return smallest, largest

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(batch_size=1)
        self.options, self.spec = split_options(self.Options, spec)
        self._context = context
        _check_replicable(self.spec)
        if self.spec.backend == "embedded":  # by default each replica would use all cores of a node
            options = {"threads": str(math.ceil(self.options.cpus))} | self.spec.options
            self.spec = self.spec.with_options(options)
        self.generator = open_generator(self.spec, context)

    @property
    def traits(self) -> Traits:  # type: ignore[override]
        """The backend's traits; exclusive, as the replicas take the whole cluster."""
        return replace(self.generator.traits, exclusive=True, keep_loaded=False)

    @property
    def identity(self) -> JsonValue:  # type: ignore[override]
        """The backend's identity: the number of replicas does not change a completion."""
        return self.generator.identity

    def requests(self, item: Prompt) -> Sequence[ModelRequest]:
        """Return the backend's requests for a prompt."""
        return planned_requests(self.generator, item)

    def sort_key(self, item: Prompt) -> int:
        """Return the backend's sort key, so that prompts are sorted before they are distributed."""
        return self.generator.sort_key(item) if isinstance(self.generator, Batched) else 0

    async def prepare(self) -> None:
        """Join or start the cluster.

        Raises ConfigError if it cannot be reached, or if no node has the resources for a replica.
        On a cluster that was started here the backend is prepared here, too; on any other cluster
        each replica prepares its own.
        """
        await to_daemon_thread(self._join_session)
        if ray_session.owns_cluster():
            await self.generator.prepare()
        await to_daemon_thread(self._check_resources)

    async def close(self) -> None:
        """Wait for the pipeline to end, and leave the Ray session."""
        await super().close()
        await to_daemon_thread(lambda: ray_session.leave(self))
        await self.generator.close()

    def process_batch(self, items: Sequence[Prompt]) -> Sequence[Completion]:
        """Not used: `process_queue` is overridden."""
        raise NotImplementedError

    def process_queue(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Run all queued prompts through a pipeline, and those of lost blocks through a second one.

        In the second pipeline a replica has one block at a time: of the blocks that were lost with
        a replica, only the one that crashes it again fails.
        """
        self._join_session()
        pending: PendingItems = dict(enumerate(queue.take(len(queue))))
        size, pool = self._pool(len(pending))
        blocks = [list(pending)[start : start + size] for start in range(0, len(pending), size)]
        one_at_a_time = pool._replace(concurrent_blocks=1, max_retries=0)
        self._run_pipeline(queue, pending, blocks, pool)
        while _is_wanted(pending) and not self._run_pipeline(queue, pending, blocks, one_at_a_time):
            log.info("%s: %d prompts are asked anew", self.spec.name, len(pending))
        reason = current_stop_token().reason
        for work_item in pending.values():
            lost = BackendError("its block failed twice on the cluster: each time its replica died")
            queue.put_outcome(work_item, StoppedError(reason) if reason else lost)

    def _run_pipeline(
        self,
        queue: WorkQueue[Prompt, Completion],
        pending: PendingItems,
        blocks: list[list[int]],
        pool: ReplicaPool,
    ) -> bool:
        """Put outcomes as they arrive; items without one stay in `pending`.

        Returns False if the pipeline stalled because of a lost node.
        """
        config = json.dumps(replica_config(self.spec, self._context, self.identity))
        items = [[(n, pending[n].item) for n in block if n in pending] for block in blocks]
        encoded = [encode_block(block) for block in items if block]
        try:
            for reply in stream_replies(encoded, config, pool, lambda: _is_wanted(pending)):
                for number, outcome in decode_reply(reply):
                    if work_item := pending.pop(number, None):  # Ray may deliver a reply twice
                        queue.put_outcome(work_item, outcome)
        except StalledError as error:
            log.warning("%s: %s", self.spec.name, error)
            return False
        return True

    def _pool(self, items: int) -> tuple[int, ReplicaPool]:
        """Return the number of prompts per block, and the pool of replicas.

        A replica gets as many prompts as may be in flight, but at most half of its share of all
        items at first: the other half is for the replicas that finish first.
        """
        smallest, largest = self.options.replicas
        in_flight = min(self._context.max_concurrency, max(1, items // (_BALANCE * largest)))
        size = max(1, min(_MAX_BLOCK_SIZE, in_flight // _MIN_CONCURRENT_BLOCKS))
        pool = ReplicaPool(
            min_size=smallest,
            max_size=largest,
            cpus=self.options.cpus,
            gpus=self._gpus(),
            concurrent_blocks=math.ceil(in_flight / size),
            max_retries=1,
        )
        return size, pool

    def _gpus(self) -> float:
        """Return the number of GPUs that each replica reserves."""
        if self.options.gpus is not None:
            return self.options.gpus
        if self.spec.backend not in _GPU_BACKENDS or not ray_session.gpu_count():
            return 0.0
        return float(self.spec.options.get("tensor_parallel_size", 1))

    def _join_session(self) -> None:
        check_extra("ray", f"{self.spec.name!r} with ?replicas=")
        ray_session.join(self, self._context.ray)

    def _check_resources(self) -> None:
        cpus, gpus = self.options.cpus, self._gpus()
        if ray_session.fits_on_a_node(cpus, gpus):
            return
        problem = f"{self.spec.name!r}: no node has {cpus:g} CPUs and {gpus:g} GPUs for a replica"
        if ray_session.owns_cluster():
            raise ConfigError(f"{problem}: ask for fewer with ?cpus= and ?gpus=")
        log.warning("%s: waiting until one joins the cluster", problem)


def _is_wanted(pending: PendingItems) -> bool:
    """Return whether the run is not stopped and a caller still waits for a pending item."""
    return current_stop_token().reason is None and any(
        work_item.is_wanted() for work_item in pending.values()
    )


def _check_replicable(spec: Spec) -> None:
    """Raise ConfigError for a model that does not run on this machine, and for certain options."""
    options, name = spec.options, spec.name
    if "batch" in options:
        raise ConfigError(f"{name!r}: who is asked in batches has no replicas: leave out one")
    hosted = spec.backend in _REMOTE_BACKENDS or spec.backend not in backend_names(GENERATORS)
    if hosted or "base_url" in options:
        raise ConfigError(
            f"{name!r}: replicas are of models that run here; a server has as many as it has"
        )
    if "devices" in options:
        raise ConfigError(f"{name!r}: Ray says which GPUs a replica has: leave out devices")
