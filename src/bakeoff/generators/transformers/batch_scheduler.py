"""What is written next: rows that wait, the longest first, as many as memory holds.

Knows calls and memory; not how a completion is drawn.
"""

import logging
from collections.abc import Callable
from functools import partial

from bakeoff.errors import BackendError
from bakeoff.generators.transformers import batch_memory
from bakeoff.generators.transformers.batch_memory import Budget
from bakeoff.generators.transformers.generation_loop import Scribe
from bakeoff.generators.transformers.sequences import Run
from bakeoff.generators.transformers.tokenization import Row
from bakeoff.records import Completion, Prompt
from bakeoff.runtime.work_queue import WorkQueue

log = logging.getLogger(__name__)

_SOME = 8  # one of so many has to end before it pays to stop the others for those that wait


class Desk:
    """Keeps a scribe busy with the prompts of a feed. `row_of` makes tokens of one."""

    def __init__(
        self, scribe: Scribe, budget: Budget, row_of: Callable[[Prompt], Row], name: str
    ) -> None:
        self._scribe = scribe
        self._budget = budget
        self._row_of = row_of
        self._name = name
        self._queue: list[Run] = []
        self._full = False  # whether there was no room for all that waited

    def work(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Write until nothing waits. Where memory runs out, go on with half as much at once."""
        while (new := self._next(queue)) or self._scribe.runs:
            try:
                self._scribe.write(new, partial(self._pays, queue))
            except (RuntimeError, MemoryError) as error:
                if not batch_memory.out_of_memory(error):
                    raise
            else:
                continue
            # Not inside the except clause: its traceback would keep the tensors of the failed try.
            self._give_way()

    def _next(self, queue: WorkQueue[Prompt, Completion]) -> list[Run]:
        """What is to be taken up beside what is under way."""
        for work_item in queue.take(max(0, self._budget.rows - len(self._queue))):
            give = partial(queue.put_outcome, work_item)
            try:
                self._queue.append(Run(self._row_of(work_item.item), give, work_item.is_wanted))
            except BackendError as error:
                give(error)
        self._queue = [run for run in self._queue if run.wanted()]
        self._queue.sort(key=lambda run: -len(run.row.tokens))
        new: list[Run] = []
        if self._scribe.joins or not self._scribe.runs:
            while self._queue and self._fits(new, self._queue[0]):
                new.append(self._queue.pop(0))
        self._full = bool(self._queue)
        return new

    def _fits(self, new: list[Run], run: Run) -> bool:
        beside = [*self._scribe.runs, *new]
        # Of a cache that is not ours to shift a run cannot be taken out that has no room left.
        alike = self._scribe.joins or not new or new[0].row.room == run.row.room
        width = max(one.width for one in [*beside, run])
        return alike and self._budget.fits(len(beside) + 1, width)

    def _pays(self, queue: WorkQueue[Prompt, Completion], over: int) -> bool:
        """Whether to stop now, for those that wait or for a smaller batch."""
        going = len(self._scribe.runs) - over
        free = over if self._full else self._budget.rows - going
        ready = min(len(self._queue) + len(queue), free)
        return max(1, going // _SOME) <= ready or over >= going

    def _give_way(self) -> None:
        batch_memory.free()
        back = self._scribe.drop()
        width = max((run.width for run in back), default=0)
        if len(back) == 1:
            back[0].end(batch_memory.too_large(width))
        else:
            half = self._budget.halve(len(back), width)
            log.warning("%s: out of memory, going on with batches of %d", self._name, half)
            self._queue += back
