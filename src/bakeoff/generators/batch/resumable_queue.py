"""The queue that collects requests, submits them in batches and returns their replies.

It resumes the batches that an earlier run left unfinished, by their entries in the journal.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bakeoff.errors import ConfigError
from bakeoff.generators.batch.journal import BatchJournal, JournalEntry
from bakeoff.generators.batch.provider import (
    BatchProvider,
    BatchReply,
    BatchStatus,
    chunks,
    failed_reply,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_POLL = 2.0  # seconds from submission to the first poll
_POLL_GROWTH = 1.5  # factor by which each pause is longer than the previous one
_LOG_INTERVAL = 30.0  # seconds between two log lines on the progress of a batch
_MISSING = failed_reply("batch_missing", "the batch ended without a word on this request")
_STOPPED = failed_reply("batch_stopped", "the run was stopped")


@dataclass
class _PendingRequest:
    """A request whose caller awaits `reply`."""

    body: bytes
    reply: asyncio.Future[BatchReply]


@dataclass(eq=False)
class _ActiveBatch:
    """A submitted batch."""

    entry: JournalEntry
    task: asyncio.Task[None] | None = None
    """Polls the batch; None until a caller awaits one of its replies."""
    processed: int = 0
    """Number of requests that the provider has processed."""
    ended: bool = False
    """Whether all its replies are delivered."""
    logged: tuple[float, int] = (0.0, 0)  # time and `processed` of the last log line

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of its requests."""
        return self.entry.batch.requests


class BatchQueue:
    """Queue of requests to one model.

    A batch is submitted as soon as all callers, announced with `add_callers`, wait in `submit`.
    `unsupported` is the set of parameters that the server has refused; the journal has those of
    each batch, and `open` adds those of unfinished batches.
    """

    def __init__(
        self, name: str, provider: BatchProvider, journal: BatchJournal, unsupported: set[str]
    ) -> None:
        self.error: Exception | None = None
        """The error that stopped the queue."""
        self._name = name
        self._provider = provider
        self._journal = journal
        self._unsupported = unsupported
        self._callers = 0
        self._max_requests = provider.max_requests
        self._delivering = 0  # batches whose results are being delivered
        self._journal_lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(1000)  # of batches that run at the same time
        self._sequential = False  # one batch at a time, as the provider's quota was exceeded
        self._copies: Counter[str] = Counter()  # number of submissions of a key
        self._pending: dict[str, _PendingRequest] = {}
        self._unsent: list[str] = []
        self._early_replies: dict[str, BatchReply] = {}  # to requests that are not submitted yet
        self._batches: dict[str, _ActiveBatch] = {}  # by request id
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Resume the batches that an earlier run left unfinished."""
        entries = await self._with_journal(self._journal.unfinished)
        for entry in entries:
            self._batches |= dict.fromkeys(entry.batch.requests, _ActiveBatch(entry))
        if entries:  # a resumed request has to have the same parameters as before
            self._unsupported |= set(entries[0].batch.unsupported)

    def was_sent(self, key: str) -> bool:
        """Return whether an earlier run has submitted this request."""
        return _request_id(key, 0) in self._batches

    async def close(self, *, stored: bool) -> None:
        """Stop polling. `stored`: all results are in the store; record the batches as finished."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        polled = self._polled()
        if stored:
            for batch in polled:
                await self._with_journal(self._journal.finish, batch.entry)
        elif running := [batch for batch in polled if not batch.ended]:
            log.warning(
                "%s: what was sent goes on at the provider (%s); the same command fetches it",
                self._name,
                ", ".join(batch.entry.reference or "just sent" for batch in running),
            )

    @property
    def processed(self) -> int:
        """Number of requests in running batches that the provider has processed."""
        return sum(batch.processed for batch in self._polled() if not batch.ended)

    async def submit(self, key: str, body: bytes) -> BatchReply:
        """Return the reply to a request when its batch has ended.

        The n-th submission of a key is the same request in every run, and another one than the
        submissions before.
        """
        if self.error:
            return _STOPPED
        request_id = _request_id(key, self._copies[key])
        self._copies[key] += 1
        batch = self._batches.get(request_id)
        if request_id in self._early_replies or (batch and batch.ended):
            return self._early_replies.pop(request_id, _MISSING)
        pending = _PendingRequest(body, asyncio.get_running_loop().create_future())
        self._pending[request_id] = pending
        if batch is None:
            self._unsent.append(request_id)
        elif batch.task is None:
            batch.task = self._start(self._resume(batch))
        self._send_if_complete()
        try:
            return await pending.reply
        finally:
            self._pending.pop(request_id, None)

    def stop(self, error: Exception) -> None:
        """Fail all pending requests; submitted batches continue at the provider."""
        self.error = self.error or error
        for request_id in list(self._pending):
            self._deliver(request_id, _STOPPED)

    def add_callers(self, count: int) -> None:
        """Announce `count` tasks that are going to submit requests."""
        self._callers += count

    def remove_callers(self, count: int) -> None:
        """Withdraw `count` tasks that will not submit any more requests."""
        self._callers -= count
        self._send_if_complete()

    def _send_if_complete(self) -> None:
        """Submit the unsent requests, if all callers wait and no replies are being delivered."""
        if self._delivering or not self._unsent or len(self._pending) < self._callers:
            return
        unsent, self._unsent = self._unsent, []
        bodies = {id_: self._pending[id_].body for id_ in unsent if id_ in self._pending}
        for chunk in chunks(bodies, self._max_requests, self._provider.max_bytes):
            self._start(self._send(chunk))

    async def _send(self, bodies: Mapping[str, bytes]) -> None:
        async with self._slots:
            if len(bodies) > self._max_requests:  # lowered while this waited for a slot
                self._collect(bodies)
                return
            entry = await self._with_journal(
                self._journal.begin, list(bodies), sorted(self._unsupported)
            )
            batch = _ActiveBatch(entry, asyncio.current_task())
            self._batches |= dict.fromkeys(bodies, batch)
            reference = await self._provider.create(entry.batch, bodies)
            await self._with_journal(self._journal.submitted, entry, reference)
            log.info(
                "%s: sent %d requests as %s; it may take up to a day: Ctrl-C leaves it running, "
                "and the same command goes on",
                *(self._name, len(bodies), reference),
            )
            await self._poll(batch, reference)

    async def _resume(self, batch: _ActiveBatch) -> None:
        """Poll a batch of an earlier run; resend its requests if it was never created."""
        entry = batch.entry
        reference = entry.reference or await self._provider.find(entry.batch)
        if reference is None:
            await self._resend(batch)
            return
        if entry.reference is None:
            await self._with_journal(self._journal.submitted, entry, reference)
        log.info("%s: going on with %s", self._name, reference)
        await self._poll(batch, reference)

    async def _poll(self, batch: _ActiveBatch, reference: str) -> None:
        """Poll until the batch has ended, then deliver its results."""
        pause = min(_FIRST_POLL, self._provider.poll)
        while not (status := await self._provider.status(reference)).ended:
            batch.processed = status.processed
            self._log_progress(batch)
            if status.missing:
                log.warning("%s: %s is gone from the provider: asking anew", self._name, reference)
                await self._resend(batch)
                return
            if status.rejected:
                await self._handle_rejection(batch, status)
                return
            await asyncio.sleep(pause)
            pause = min(pause * _POLL_GROWTH, self._provider.poll)
        self._delivering += 1  # requests that callers submit again form one batch afterwards
        await self._provider.fetch_results(reference, self._receive)
        self._delivering -= 1
        batch.ended = True
        for request_id in batch.ids:
            self._deliver(request_id, _MISSING)
        self._send_if_complete()

    def _receive(self, request_id: str, reply: BatchReply) -> None:
        """Deliver a reply, or keep it until the request is submitted."""
        if not self._deliver(request_id, reply) and request_id in self._batches:
            self._early_replies[request_id] = reply

    def _deliver(self, request_id: str, reply: BatchReply) -> bool:
        """Deliver a reply to the caller that awaits it; return False if there is none."""
        pending = self._pending.pop(request_id, None)
        if pending is None or pending.reply.done():
            return False
        pending.reply.set_result(reply)
        return True

    async def _handle_rejection(self, batch: _ActiveBatch, status: BatchStatus) -> None:
        """Resend a batch in halves, one after the other, if it exceeded the provider's quota.

        Raises ConfigError for a batch that was rejected for another reason, or cannot be halved.
        """
        count = len(batch.ids)
        alone = not [other for other in self._polled() if not other.ended and other is not batch]
        if not status.over_quota or (count == 1 and alone):
            await self._with_journal(self._journal.finish, batch.entry)
            raise ConfigError(
                f"{self._name!r}: the provider does not take {batch.entry.reference} "
                f"({status.rejected}): mend that, then run again"
            )
        log.warning(
            "%s: %d requests are too many at once (%s): sending fewer, one batch after the other",
            *(self._name, count, status.rejected),
        )
        self._max_requests = max(1, min(self._max_requests, count // 2))
        if not self._sequential:
            self._sequential, self._slots = True, asyncio.Semaphore(1)
        await asyncio.sleep(self._provider.poll)
        await self._resend(batch)

    async def _resend(self, batch: _ActiveBatch) -> None:
        """Record a batch as finished, and queue its pending requests again."""
        await self._with_journal(self._journal.finish, batch.entry)
        for request_id in batch.ids:
            self._batches.pop(request_id, None)
        self._collect(batch.ids)

    def _collect(self, request_ids: Iterable[str]) -> None:
        self._unsent += [id_ for id_ in request_ids if id_ in self._pending]
        self._send_if_complete()

    def _log_progress(self, batch: _ActiveBatch) -> None:
        (logged_at, processed), now = batch.logged, time.monotonic()
        if batch.processed != processed and now - logged_at >= _LOG_INTERVAL:
            batch.logged = (now, batch.processed)
            reference, total = batch.entry.reference, len(batch.ids)
            log.info("%s: %s: %d of %d", self._name, reference, batch.processed, total)

    def _polled(self) -> list[_ActiveBatch]:
        """Return the batches that this run polls or has polled."""
        return list(dict.fromkeys(batch for batch in self._batches.values() if batch.task))

    async def _with_journal(self, method: Callable[..., T], *args: object) -> T:
        """Call a method of the journal in a thread, never two at the same time."""
        async with self._journal_lock:
            return await asyncio.to_thread(method, *args)

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._stop_on_error(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop_on_error(self, work: Coroutine[object, object, None]) -> None:
        """Run `work`; an exception stops the queue, and `BatchedApi.process` raises it."""
        try:
            await work
        except Exception as error:
            self.stop(error)


def _request_id(key: str, copy: int) -> str:
    """Return the id of a request at the provider; `copy` counts submissions of the same key."""
    return f"{key}-{copy}"
