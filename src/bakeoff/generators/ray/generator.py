"""A generator on a Ray cluster: a worker that holds workers, `?replicas=N` of any local one.

Knows what is asked and what came of it. Where a replica runs and what becomes of one that dies is
Ray's business (`ray_pipeline.py`), what it does is `ray_replica.py`'s. Results are kept by the
driver alone: a replica sees no store.
"""

import importlib.util
import json
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field, JsonValue, field_validator

from bakeoff.config import Spec, split_options
from bakeoff.errors import BackendError, ConfigError, StoppedError
from bakeoff.generators.ray import session as ray_session
from bakeoff.generators.ray.pipeline import Pool, StalledError, replies
from bakeoff.generators.ray.replica import described
from bakeoff.generators.ray.rows import block_of, outcomes_of
from bakeoff.plugins import GENERATORS, RunContext, names, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import Batched, ModelRequest, WorkQueue, current_stop_token, to_daemon_thread
from bakeoff.runtime.capabilities import planned_requests
from bakeoff.runtime.work_queue import WorkItem

log = logging.getLogger(__name__)

_ELSEWHERE = {"api", "file"}  # another machine would do it no faster
_ON_GPUS = {"hf", "reward", "vllm"}
_BLOCK = 16  # prompts, at most: they come back together, and are lost together
_BLOCKS = 8  # that a replica works on at once, at least: one that ends leaves the engine full
_SHARE = 2  # a replica gets at most half of its share at once: the rest is for who is free

Owed = dict[int, WorkItem[Prompt, Completion]]


class Replicated(Batched[Prompt, Completion]):
    """`BACKEND:MODEL?replicas=4` or `?replicas=2-8`: so many of it, on whatever nodes there are.

    It is the same model by all that identifies it: a run may go on with or without a cluster.
    """

    class Options(BaseModel):
        """Options of the spec beside those of its backend: what each replica needs of a node.

        `replicas` is how many there are, or the least and the most. `gpus` is by default what vLLM
        spreads one model over, 1 for others that use one where the cluster has any, else 0.
        """

        replicas: tuple[int, int]
        cpus: float = Field(1.0, gt=0, allow_inf_nan=False)
        gpus: float | None = Field(None, ge=0, allow_inf_nan=False)

        @field_validator("replicas", mode="before")
        @classmethod
        def _range(cls, said: str) -> tuple[int, int]:
            found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", said)
            least, most = (int(n or found[1]) for n in found.groups()) if found else (0, 0)
            if not 1 <= least <= most:
                raise ValueError("a number of at least 1 is wanted, or two, as in 2-8")
            return least, most

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(batch_size=1)
        self.options, self.spec = split_options(self.Options, spec)
        self._context = context
        _check(self.spec)
        if self.spec.backend == "embedded":  # it would take all cores, beside its neighbours
            threads = {"threads": str(math.ceil(self.options.cpus))} | self.spec.options
            self.spec = self.spec.model_copy(update={"options": threads})
        self.generator = open_generator(self.spec, context)
        self.traits = replace(self.generator.traits, exclusive=True, keep_loaded=False)

    @property
    def identity(self) -> JsonValue:  # type: ignore[override]
        """The generator's: how many of it there are changes no completion."""
        return self.generator.identity

    def requests(self, item: Prompt) -> Sequence[ModelRequest]:
        """The generator's."""
        return planned_requests(self.generator, item)

    def sort_key(self, item: Prompt) -> int:
        """The generator's: who sorts what waits has it sorted over all replicas."""
        return self.generator.sort_key(item) if isinstance(self.generator, Batched) else 0

    async def prepare(self) -> None:
        """Join or start the cluster. ConfigError where there is none, or no node for a replica.

        On a cluster of our own what the generator needs is looked for here: it is this machine that
        will need it. Elsewhere each replica looks for itself.
        """
        await to_daemon_thread(self._enter)
        if ray_session.ours():
            await self.generator.prepare()
        await to_daemon_thread(self._check_room)

    async def close(self) -> None:
        """End the pipeline; and the cluster, where it is ours and nobody else here needs it."""
        await super().close()
        await to_daemon_thread(lambda: ray_session.leave(self))
        await self.generator.close()

    def process_batch(self, items: Sequence[Prompt]) -> Sequence[Completion]:
        """Not used: `process_queue` takes what waits."""
        raise NotImplementedError

    def process_queue(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Put everything that waits through one pipeline, and what was lost through another.

        In that one a replica has one block at a time: where several died with it, all but the one
        that killed it come through.
        """
        self._enter()
        owed: Owed = dict(enumerate(queue.take(len(queue))))
        size, pool = self._pool(len(owed))
        blocks = [list(owed)[start : start + size] for start in range(0, len(owed), size)]
        alone = pool._replace(blocks=1, retries=0)
        self._put_through(queue, owed, blocks, pool)
        while _wanted(owed) and not self._put_through(queue, owed, blocks, alone):
            log.info("%s: %d prompts are asked anew", self.spec.name, len(owed))
        why = current_stop_token().reason
        for work_item in owed.values():
            lost = BackendError("its block failed twice on the cluster: each time its replica died")
            queue.put_outcome(work_item, StoppedError(why) if why else lost)

    def _put_through(
        self, queue: WorkQueue[Prompt, Completion], owed: Owed, blocks: list[list[int]], pool: Pool
    ) -> bool:
        """Give what comes of blocks as it comes; what nothing came of stays owed.

        False where a lost node kept it from going on.
        """
        told = json.dumps(described(self.spec, self._context, self.identity))
        sent = [[(n, owed[n].item) for n in block if n in owed] for block in blocks]
        rows = [block_of(items) for items in sent if items]
        try:
            for reply in replies(rows, told, pool, lambda: _wanted(owed)):
                for number, outcome in outcomes_of(reply):
                    if work_item := owed.pop(number, None):  # once, whatever Ray repeats
                        queue.put_outcome(work_item, outcome)
        except StalledError as error:
            log.warning("%s: %s", self.spec.name, error)
            return False
        return True

    def _pool(self, items: int) -> tuple[int, Pool]:
        """How many prompts make a block, and who works on how many of those at once.

        As many prompts as may be in flight are given to a replica, but where there are few of them
        at most half of its share: the other half is for who is done first.
        """
        least, most = self.options.replicas
        flight = min(self._context.max_concurrency, max(1, items // (_SHARE * most)))
        size = max(1, min(_BLOCK, flight // _BLOCKS))
        blocks = math.ceil(flight / size)
        return size, Pool(least, most, self.options.cpus, self._gpus(), blocks, retries=1)

    def _gpus(self) -> float:
        """How many GPUs each replica needs."""
        if self.options.gpus is not None:
            return self.options.gpus
        if self.spec.backend not in _ON_GPUS or not ray_session.gpus():
            return 0.0
        return float(self.spec.options.get("tensor_parallel_size", 1))

    def _enter(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(f"{self.spec.name!r} with ?replicas= needs: install bakeoff[ray]")
        ray_session.enter(self, self._context.ray)

    def _check_room(self) -> None:
        cpus, gpus = self.options.cpus, self._gpus()
        if ray_session.fits(cpus, gpus):
            return
        why = f"{self.spec.name!r}: no node has {cpus:g} CPUs and {gpus:g} GPUs for a replica"
        if ray_session.ours():
            raise ConfigError(f"{why}: ask for fewer with ?cpus= and ?gpus=")
        log.warning("%s: waiting until one joins the cluster", why)


def _wanted(owed: Owed) -> bool:
    """Whether somebody still waits for what is owed, and the run goes on."""
    return current_stop_token().reason is None and any(
        work_item.is_wanted() for work_item in owed.values()
    )


def _check(spec: Spec) -> None:
    """ConfigError where replicas make no sense."""
    options, name = spec.options, spec.name
    if "batch" in options:
        raise ConfigError(f"{name!r}: who is asked in batches has no replicas: leave out one")
    hosted = spec.backend in _ELSEWHERE or spec.backend not in names(GENERATORS)
    if hosted or "base_url" in options:
        raise ConfigError(
            f"{name!r}: replicas are of models that run here; a server has as many as it has"
        )
    if "devices" in options:
        raise ConfigError(f"{name!r}: Ray says which GPUs a replica has: leave out devices")
