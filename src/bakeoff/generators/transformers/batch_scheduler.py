"""Continuous batching: adds waiting prompts to a running batch, the longest that fit first."""

import logging
from collections.abc import Callable
from functools import partial

from bakeoff.errors import BackendError
from bakeoff.generators.transformers import batch_memory
from bakeoff.generators.transformers.batch_memory import BatchBudget
from bakeoff.generators.transformers.generation_loop import GenerationLoop
from bakeoff.generators.transformers.sequences import RunningSequence
from bakeoff.generators.transformers.tokenization import EncodedPrompt
from bakeoff.records import Completion, Prompt
from bakeoff.runtime.work_queue import WorkQueue

log = logging.getLogger(__name__)

_REFILL_SHARE = 8  # refill when 1/8 as many can join as are running: each stop has a cost


class BatchScheduler:
    """Generates completions for the prompts of a queue.

    `encode` tokenizes a prompt and may raise BackendError, which is its outcome then.
    """

    def __init__(
        self,
        loop: GenerationLoop,
        budget: BatchBudget,
        encode: Callable[[Prompt], EncodedPrompt],
        name: str,
    ) -> None:
        self._loop = loop
        self._budget = budget
        self._encode = encode
        self._name = name  # of the model, for the log
        self._waiting: list[RunningSequence] = []
        self._full = False  # whether some waiting sequences did not fit into memory

    def work(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Run until the queue is empty. If memory runs out, continue with half of the batch."""
        while (new := self._next_batch(queue)) or self._loop.sequences:
            try:
                self._loop.generate(new, partial(self._should_stop, queue))
            except (RuntimeError, MemoryError) as error:
                if not batch_memory.is_out_of_memory(error):
                    raise
            else:
                continue
            # Outside the except clause: its traceback would keep the tensors of the failed batch.
            self._recover()

    def _next_batch(self, queue: WorkQueue[Prompt, Completion]) -> list[RunningSequence]:
        """Return the waiting sequences that join the running ones, the longest first."""
        for work_item in queue.take(max(0, self._budget.rows - len(self._waiting))):
            on_finish = partial(queue.put_outcome, work_item)
            try:
                prompt = self._encode(work_item.item)
                sequence = RunningSequence(prompt, on_finish, work_item.is_wanted)
            except BackendError as error:
                on_finish(error)
            else:
                self._waiting.append(sequence)
        self._waiting = [sequence for sequence in self._waiting if sequence.is_wanted()]
        self._waiting.sort(key=lambda sequence: -len(sequence.prompt.tokens))
        new: list[RunningSequence] = []
        if self._loop.can_join or not self._loop.sequences:
            while self._waiting and self._fits(new, self._waiting[0]):
                new.append(self._waiting.pop(0))
        self._full = bool(self._waiting)
        return new

    def _fits(self, new: list[RunningSequence], sequence: RunningSequence) -> bool:
        batch = [*self._loop.sequences, *new, sequence]
        # Without `can_join` no sequence leaves the batch early: all need the same length limit.
        limit = sequence.prompt.max_new_tokens
        uniform = self._loop.can_join or not new or new[0].prompt.max_new_tokens == limit
        width = max(member.max_length for member in batch)
        return uniform and self._budget.fits(len(batch), width)

    def _should_stop(self, queue: WorkQueue[Prompt, Completion], finished: int) -> bool:
        """Return whether to interrupt the loop: enough can join, or half have finished."""
        running = len(self._loop.sequences) - finished
        free_rows = finished if self._full else self._budget.rows - running
        joining = min(len(self._waiting) + len(queue), free_rows)
        return max(1, running // _REFILL_SHARE) <= joining or finished >= running

    def _recover(self) -> None:
        """Queue all running sequences again and halve the budget; one that ran alone fails."""
        batch_memory.free_device_memory()
        unfinished = self._loop.reset()
        width = max((sequence.max_length for sequence in unfinished), default=0)
        if len(unfinished) == 1:
            unfinished[0].finish(batch_memory.row_too_large(width))
        else:
            half = self._budget.halve(len(unfinished), width)
            log.warning("%s: out of memory, going on with batches of %d", self._name, half)
            self._waiting += unfinished
