"""Cached calls of workers: outcomes in the store are reused, new ones are stored."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

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
    if missing:
        items = [requests[indices[0]][1] for indices in missing.values()]
        uncached: _Uncached[R] = _Uncached(missing, store, emit, count)
        await uncached.run(worker, items)
        if current_stop_token().reason is None:
            notify_committed(worker)


class _Uncached(Generic[R]):
    """The requests of one call that the store lacks, by key with the indices of their items."""

    def __init__(
        self,
        missing: Mapping[str, Sequence[int]],
        store: Store,
        emit: Emit[R],
        count: ProgressCounter,
    ) -> None:
        self._missing = missing
        self._keys = list(missing)
        self._store = store
        self._emit = emit
        self._count = count
        self._unanswered = set(range(len(missing)))  # positions in `_keys`
        self._uncommitted: dict[asyncio.Future[R], tuple[str, R]] = {}
        self._all_committed: asyncio.Future[None] | None = None
        self._group: asyncio.TaskGroup

    async def run(self, worker: Worker[I, R], items: Sequence[I]) -> None:
        """Emit an outcome for every item; raise the first error of the worker, store or `emit`."""
        try:
            async with task_group() as self._group:
                if reason := await self._call(worker, items):
                    for position in tuple(self._unanswered):
                        self._take(position, StoppedError(reason))
                if self._uncommitted:
                    self._all_committed = asyncio.get_running_loop().create_future()
                    await self._all_committed
        finally:  # after an error, or cancelled: the records are written, and not emitted
            abandoned, self._uncommitted = self._uncommitted, {}
            for future in abandoned:
                future.cancel()

    async def _call(self, worker: Worker[I, R], items: Sequence[I]) -> str | None:
        """Pass the items to the worker; return the reason if the run was stopped, else None."""
        token = current_stop_token()
        if token.reason is None:
            try:
                with timed(_WORK[self._count.stage]):
                    await worker(items, self._take)
            except ConfigError as error:
                has_results = self._uncommitted or self._count.has_results
                if not (has_results and has_stop_token()):
                    raise
                token.stop(str(error))
        return token.reason

    def _take(self, position: int, outcome: R | WorkError) -> None:
        """Emit a failure now, and a record when it is committed."""
        self._unanswered.discard(position)
        key = self._keys[position]
        if isinstance(outcome, WorkError):
            self._emit_all(key, outcome, outcome)
            return
        future = self._store.put_soon(key, outcome)
        self._uncommitted[future] = key, outcome
        future.add_done_callback(self._emit_committed)

    def _emit_committed(self, future: asyncio.Future[R]) -> None:
        """Emit a record; end the call if its commit failed, or if `emit` raises."""
        if future not in self._uncommitted:  # abandoned
            return
        key, record = self._uncommitted.pop(future)
        try:
            self._emit_all(key, intern_fields_set(future.result()), record)
        except Exception as error:
            with suppress(RuntimeError):  # the call ends with an earlier error
                self._group.create_task(_raise(error))
            return
        if self._all_committed is not None and not self._uncommitted:
            self._all_committed.set_result(None)

    def _emit_all(self, key: str, outcome: R | WorkError, new: R | WorkError) -> None:
        """Emit `outcome` for all items with this key, and count `new`, which has its cost."""
        indices = self._missing[key]
        for index in indices:
            self._emit(index, outcome)
        self._count.add_new(new, len(indices))


async def _raise(error: Exception) -> None:
    raise error


def verdict_key(judge_key: str, pair: Pair, repeat: int) -> str:
    """Return the store key of a verdict: a hash of the judge and of what it sees.

    `judge_key` is the `content_key` of the judge's identity.
    """
    prompt = pair.prompt
    content: list[JsonValue] = [prompt.conversation(), prompt.reference, pair.first, pair.second]
    if prompt.criteria:
        content.append([criterion.model_dump() for criterion in prompt.criteria])
    return content_key("verdict", judge_key, content, repeat)
