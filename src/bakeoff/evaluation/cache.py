"""Resume stored work: outcomes in the store are reused, only the others are requested."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from bakeoff.errors import ConfigError, StoppedError, WorkError
from bakeoff.records import Completion, Verdict, intern_fields_set
from bakeoff.runtime import Emit, Worker, halt, stoppable, tasks
from bakeoff.runtime.progress import Count, Stage
from bakeoff.runtime.timing import Work, timed
from bakeoff.storage import Store

I = TypeVar("I")  # noqa: E741 - the worker's input
R = TypeVar("R", bound=Completion | Verdict)

_WORK: dict[Stage, Work] = {"completion": "generate", "judgment": "judge"}


async def run_cached(
    worker: Worker[I, R],
    requests: Sequence[tuple[str, I]],
    store: Store,
    record_type: type[R],
    emit: Emit[R],
    count: Count,
) -> None:
    """Emit an outcome for every (key, item): from the store, else from the worker.

    Items with equal keys are requested and billed once. A record is committed to the store before
    it is emitted. A WorkError is emitted and not stored, so that the next run requests it again. A
    ConfigError of a worker that has already produced records stops the run; the remaining items
    are emitted as StoppedError.
    """
    stored = await store.load([key for key, _ in requests], record_type)
    missing: dict[str, list[int]] = {}  # indices by key
    for index, (key, _) in enumerate(requests):
        if key in stored:
            emit(index, intern_fields_set(stored[key]))
        else:
            missing.setdefault(key, []).append(index)
    if stored:
        count.kept(len(requests) - sum(map(len, missing.values())))
    keys, pending = list(missing), set(range(len(missing)))

    def emit_all(key: str, outcome: R | WorkError) -> None:
        for index in missing[key]:
            emit(index, outcome)

    async def emit_committed(key: str, record: R, commit: Awaitable[R]) -> None:
        emit_all(key, intern_fields_set(await commit))
        count.new(record, len(missing[key]))

    async with tasks() as commits:

        def take(position: int, outcome: R | WorkError) -> None:
            pending.discard(position)
            key = keys[position]
            if isinstance(outcome, WorkError):
                emit_all(key, outcome)
                count.new(outcome, len(missing[key]))
                return
            committed = emit_committed(key, outcome, store.keep(key, outcome))
            try:
                commits.create_task(committed)
            except RuntimeError:  # the run ends with an error; the record is committed anyway
                committed.close()

        if keys:
            items = [requests[missing[key][0]][1] for key in keys]
            if why := await _call_worker(worker, items, take, count):
                for position in tuple(pending):
                    take(position, StoppedError(why))
    if keys and halt().why is None:
        worker.kept()


async def _call_worker(
    worker: Worker[I, R], items: Sequence[I], take: Emit[R], count: Count
) -> str | None:
    """Pass the items to the worker; return the reason if the run was stopped, else None."""
    run = halt()
    if run.why is None:
        try:
            with timed(_WORK[count.stage]):
                await worker(items, take)
        except ConfigError as error:
            if not (count.worked and stoppable()):
                raise
            run.stop(str(error))
    return run.why
