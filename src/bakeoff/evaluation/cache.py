"""The one place where work meets the store: what is there is not asked for again.

What is new is kept the moment it exists, and what failed is asked again next time. Knows keys and
workers; not what is asked, nor in what order.
"""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from bakeoff.errors import ConfigError, StoppedError, WorkError
from bakeoff.records import Completion, Verdict, intern_fields_set
from bakeoff.runtime import (
    Emit,
    Worker,
    current_stop_token,
    has_stop_token,
    notify_committed,
    task_group,
)
from bakeoff.runtime.progress import ProgressCounter, Stage
from bakeoff.runtime.timing import WorkKind, timed
from bakeoff.storage import Store

I = TypeVar("I")  # noqa: E741 - what goes into a worker
R = TypeVar("R", bound=Completion | Verdict)

_WORK: dict[Stage, WorkKind] = {"completion": "generate", "judgment": "judge"}


async def fill(
    worker: Worker[I, R],
    asks: Sequence[tuple[str, I]],
    store: Store,
    as_: type[R],
    emit: Emit[R],
    count: ProgressCounter,
) -> None:
    """Emit an outcome for every (key, item): from the store, or else from the worker.

    What has one key is asked, and counted as paid, once. A new record is kept before it is emitted;
    a WorkError is emitted and not kept. A ConfigError of a worker that has worked already stops the
    run: what it owes is emitted as stopped.
    """
    found = await store.load([key for key, _ in asks], as_)
    owed: dict[str, list[int]] = {}
    for index, (key, _) in enumerate(asks):
        if key in found:
            emit(index, intern_fields_set(found[key]))
        else:
            owed.setdefault(key, []).append(index)
    if found:
        count.add_stored(len(asks) - sum(map(len, owed.values())))
    keys, due = list(owed), set(range(len(owed)))

    def tell(key: str, outcome: R | WorkError, kept: R | WorkError) -> None:
        for index in owed[key]:
            emit(index, kept)
        count.add_new(outcome, len(owed[key]))

    async def told(key: str, outcome: R, kept: Awaitable[R]) -> None:
        tell(key, outcome, intern_fields_set(await kept))

    async with task_group() as keeping:

        def take(position: int, outcome: R | WorkError) -> None:
            due.discard(position)
            if isinstance(outcome, WorkError):
                tell(keys[position], outcome, outcome)
            else:
                key = keys[position]
                telling = told(key, outcome, store.put_soon(key, outcome))
                try:
                    keeping.create_task(telling)
                except RuntimeError:  # the run is ending in an error: it is kept all the same
                    telling.close()

        if keys:
            items = [asks[owed[key][0]][1] for key in keys]
            if why := await _put_through(worker, items, take, count):
                for position in tuple(due):
                    take(position, StoppedError(why))
    if keys and current_stop_token().reason is None:
        notify_committed(worker)


async def _put_through(
    worker: Worker[I, R], items: Sequence[I], take: Emit[R], count: ProgressCounter
) -> str | None:
    """Have a worker do its work; why the run was stopped, where it was."""
    run = current_stop_token()
    if run.reason is None:
        try:
            with timed(_WORK[count.stage]):
                await worker(items, take)
        except ConfigError as error:
            if not (count.has_results and has_stop_token()):
                raise
            run.stop(str(error))
    return run.reason
