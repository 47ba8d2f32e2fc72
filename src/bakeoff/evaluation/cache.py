"""Cached calls of workers: outcomes in the store are reused, new ones are stored."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from pydantic import JsonValue

from bakeoff.errors import ConfigError, StoppedError, WorkError
from bakeoff.records import Completion, Pair, Stage, Verdict, content_key, intern_fields_set
from bakeoff.runtime import (
    Emit,
    Worker,
    current_stop_token,
    has_stop_token,
    notify_committed,
    task_group,
)
from bakeoff.runtime.progress import ProgressCounter
from bakeoff.runtime.timing import WorkKind, timed
from bakeoff.storage import Store

I = TypeVar("I")  # noqa: E741 - the worker's input
R = TypeVar("R", bound=Completion | Verdict)

_WORK: dict[Stage, WorkKind] = {"completion": "generate", "judgment": "judge"}


async def run_cached(
    worker: Worker[I, R],
    requests: Sequence[tuple[str, I]],
    store: Store,
    record_type: type[R],
    emit: Emit[R],
    count: ProgressCounter,
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
        count.add_stored(len(requests) - sum(map(len, missing.values())))
    keys, pending = list(missing), set(range(len(missing)))  # positions without an outcome

    def emit_all(key: str, outcome: R | WorkError) -> None:
        for index in missing[key]:
            emit(index, outcome)

    async def emit_committed(key: str, record: R, commit: Awaitable[R]) -> None:
        emit_all(key, intern_fields_set(await commit))
        count.add_new(record, len(missing[key]))

    async with task_group() as commits:

        def take(position: int, outcome: R | WorkError) -> None:
            pending.discard(position)
            key = keys[position]
            if isinstance(outcome, WorkError):
                emit_all(key, outcome)
                count.add_new(outcome, len(missing[key]))
                return
            committed = emit_committed(key, outcome, store.put_soon(key, outcome))
            try:
                commits.create_task(committed)
            except RuntimeError:  # the run ends with an error; the record is committed anyway
                committed.close()

        if keys:
            items = [requests[missing[key][0]][1] for key in keys]
            if reason := await _call_worker(worker, items, take, count):
                for position in tuple(pending):
                    take(position, StoppedError(reason))
    if keys and current_stop_token().reason is None:
        notify_committed(worker)


async def _call_worker(
    worker: Worker[I, R], items: Sequence[I], take: Emit[R], count: ProgressCounter
) -> str | None:
    """Pass the items to the worker; return the reason if the run was stopped, else None."""
    token = current_stop_token()
    if token.reason is None:
        try:
            with timed(_WORK[count.stage]):
                await worker(items, take)
        except ConfigError as error:
            if not (count.has_results and has_stop_token()):
                raise
            token.stop(str(error))
    return token.reason


def verdict_key(identity: JsonValue, pair: Pair, repeat: int) -> str:
    """Return the store key of a verdict: a hash of the judge's identity and of what it sees."""
    prompt = pair.prompt
    content: list[JsonValue] = [prompt.conversation(), prompt.reference, pair.first, pair.second]
    if prompt.criteria:
        content.append([criterion.model_dump() for criterion in prompt.criteria])
    return content_key("verdict", identity, content, repeat)
