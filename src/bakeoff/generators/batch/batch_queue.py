"""Gathers requests until all that are on their way wait here, sends them off in batches, and gives
each its reply, however much later. Knows ids and bytes; no provider, and not what is asked.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bakeoff.errors import ConfigError
from bakeoff.generators.batch.journal import Noted, Notes
from bakeoff.generators.batch.provider import Reply, State, parts, unanswered
from bakeoff.generators.batch.retrying_provider import Patience

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST = 2.0  # seconds from sending to the first look
_SLOWER = 1.5  # each look so much later than the one before
_TOLD = 30.0  # seconds between two lines on how far a batch is
_MISSING = unanswered("batch_missing", "the batch ended without a word on this request")
_STOPPED = unanswered("batch_stopped", "the run was stopped")


@dataclass
class _Waiting:
    """A request whose reply is due."""

    body: bytes
    reply: asyncio.Future[Reply]


@dataclass(eq=False)
class _Sent:
    """A batch under way, and the task that follows it, once anybody waits for a reply."""

    noted: Noted
    task: asyncio.Task[None] | None = None
    through: int = 0
    ended: bool = False
    told: tuple[float, int] = (0.0, 0)

    @property
    def ids(self) -> tuple[str, ...]:
        """Its requests."""
        return self.noted.batch.requests


class Desk:
    """`ask` for a reply. `asking` says how many are on their way here or wait, `trouble` what
    nobody can be given a reply for any more; `without` are the parameters that were refused.
    """

    def __init__(self, name: str, carrier: Patience, notes: Notes) -> None:
        self.asking = 0
        self.trouble: Exception | None = None
        self.without: set[str] = set()
        self._name = name
        self._carrier = carrier
        self._notes = notes
        self._pause = carrier.pause
        self._most = carrier.most
        self._crowded = False
        self._handing = 0  # batches that are being handed out
        self._noting = asyncio.Lock()
        self._room = asyncio.Semaphore(1000)
        self._copies: Counter[str] = Counter()
        self._waiting: dict[str, _Waiting] = {}
        self._gathered: list[str] = []
        self._kept: dict[str, Reply] = {}  # what came of requests that nobody has asked yet
        self._sent: dict[str, _Sent] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take up what an earlier run left under way."""
        left = await self._note(self._notes.unsettled)
        for noted in left:
            self._sent |= dict.fromkeys(noted.batch.requests, _Sent(noted))
        if left:  # what was refused after the first one is refused again as it was then
            self.without |= set(left[0].batch.without)

    def holds(self, key: str) -> bool:
        """Whether an earlier run sent this request."""
        return _id(key, 0) in self._sent

    async def close(self, *, settled: bool) -> None:
        """Follow nothing any further. `settled`: what came of it all is kept elsewhere."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        followed = self._followed()
        if settled:
            for sent in followed:
                await self._note(self._notes.settle, sent.noted)
        elif away := [sent for sent in followed if not sent.ended]:
            log.warning(
                "%s: what was sent goes on at the provider (%s); the same command fetches it",
                self._name,
                ", ".join(sent.noted.reference or "just sent" for sent in away),
            )

    @property
    def through(self) -> int:
        """How many requests of the batches under way are through at the provider."""
        return sum(sent.through for sent in self._followed() if not sent.ended)

    async def ask(self, key: str, body: bytes) -> Reply:
        """The reply to a request, when its batch has ended.

        One key asked again is a request of its own, in this run and in one that takes it up.
        """
        if self.trouble:
            return _STOPPED
        id_ = _id(key, self._copies[key])
        self._copies[key] += 1
        sent = self._sent.get(id_)
        if id_ in self._kept or (sent and sent.ended):
            return self._kept.pop(id_, _MISSING)
        waiting = _Waiting(body, asyncio.get_running_loop().create_future())
        self._waiting[id_] = waiting
        if sent is None:
            self._gathered.append(id_)
        elif sent.task is None:
            sent.task = self._start(self._take_up(sent))
        self._cut()
        try:
            return await waiting.reply
        finally:
            self._waiting.pop(id_, None)

    def stop(self, error: Exception) -> None:
        """Nobody waits any more; what was sent goes on at the provider."""
        self.trouble = self.trouble or error
        for id_ in list(self._waiting):
            self._hand(id_, _STOPPED)

    def leave(self, count: int) -> None:
        """So many are not on their way here any more."""
        self.asking -= count
        self._cut()

    def _cut(self) -> None:
        """Send what was gathered, if nothing else is on its way here or may soon be."""
        if self._handing or not self._gathered or len(self._waiting) < self.asking:
            return
        gathered, self._gathered = self._gathered, []
        bodies = {id_: self._waiting[id_].body for id_ in gathered if id_ in self._waiting}
        for part in parts(bodies, self._most, self._carrier.largest):
            self._start(self._post(part))

    async def _post(self, bodies: Mapping[str, bytes]) -> None:
        async with self._room:
            if len(bodies) > self._most:  # found to be too many while this waited
                self._gather(bodies)
                return
            noted = await self._note(self._notes.intend, list(bodies), sorted(self.without))
            sent = _Sent(noted, asyncio.current_task())
            self._sent |= dict.fromkeys(bodies, sent)
            reference = await self._carrier.send(noted.batch, bodies)
            await self._note(self._notes.posted, noted, reference)
            log.info(
                "%s: sent %d requests as %s; it may take up to a day: Ctrl-C leaves it running, "
                "and the same command goes on",
                *(self._name, len(bodies), reference),
            )
            await self._follow(sent, reference)

    async def _take_up(self, sent: _Sent) -> None:
        """Follow a batch of an earlier run; ask anew where it did not come to be."""
        noted = sent.noted
        reference = noted.reference or await self._carrier.find(noted.batch)
        if reference is None:
            await self._again(sent)
            return
        if noted.reference is None:
            await self._note(self._notes.posted, noted, reference)
        log.info("%s: going on with %s", self._name, reference)
        await self._follow(sent, reference)

    async def _follow(self, sent: _Sent, reference: str) -> None:
        """Look until it has ended, and hand out what came of it."""
        pause = min(_FIRST, self._pause)
        while not (state := await self._carrier.look(reference)).ended:
            sent.through = state.through
            self._tell(sent)
            if state.gone:
                log.warning("%s: %s is gone from the provider: asking anew", self._name, reference)
                await self._again(sent)
                return
            if state.refused:
                await self._refused(sent, state)
                return
            await asyncio.sleep(pause)
            pause = min(pause * _SLOWER, self._pause)
        self._handing += 1  # what comes back with a refusal is asked again in one batch
        await self._carrier.hand_out(reference, self._take)
        self._handing -= 1
        sent.ended = True
        for id_ in sent.ids:
            self._hand(id_, _MISSING)
        self._cut()

    def _take(self, id_: str, reply: Reply) -> None:
        """Hand on what came of a request, or keep it for whoever asks it later."""
        if not self._hand(id_, reply) and id_ in self._sent:
            self._kept[id_] = reply

    def _hand(self, id_: str, reply: Reply) -> bool:
        """Give a reply to whoever waits for it; whether anybody does."""
        waiting = self._waiting.pop(id_, None)
        if waiting is None or waiting.reply.done():
            return False
        waiting.reply.set_result(reply)
        return True

    async def _refused(self, sent: _Sent, state: State) -> None:
        """The provider took none of it: too much at once is sent in parts, anything else ends."""
        count = len(sent.ids)
        alone = not [other for other in self._followed() if not other.ended and other is not sent]
        if not state.crowded or (count == 1 and alone):
            await self._note(self._notes.settle, sent.noted)
            raise ConfigError(
                f"{self._name!r}: the provider does not take {sent.noted.reference} "
                f"({state.refused}): mend that, then run again"
            )
        log.warning(
            "%s: %d requests are too many at once (%s): sending fewer, one batch after the other",
            *(self._name, count, state.refused),
        )
        self._most = max(1, min(self._most, count // 2))
        if not self._crowded:
            self._crowded, self._room = True, asyncio.Semaphore(1)
        await asyncio.sleep(self._pause)
        await self._again(sent)

    async def _again(self, sent: _Sent) -> None:
        """Ask anew for what somebody waits for."""
        await self._note(self._notes.settle, sent.noted)
        for id_ in sent.ids:
            self._sent.pop(id_, None)
        self._gather(sent.ids)

    def _gather(self, ids: Iterable[str]) -> None:
        self._gathered += [id_ for id_ in ids if id_ in self._waiting]
        self._cut()

    def _tell(self, sent: _Sent) -> None:
        (at, through), now = sent.told, time.monotonic()
        if sent.through != through and now - at >= _TOLD:
            sent.told = (now, sent.through)
            through, total = sent.through, len(sent.ids)
            log.info("%s: %s: %d of %d", self._name, sent.noted.reference, through, total)

    def _followed(self) -> list[_Sent]:
        """The batches that somebody of this run waits for, or waited."""
        return list(dict.fromkeys(sent for sent in self._sent.values() if sent.task))

    async def _note(self, work: Callable[..., T], *given: object) -> T:
        async with self._noting:
            return await asyncio.to_thread(work, *given)

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """Do it; what it raises is for those who wait, who would wait for ever."""
        try:
            await work
        except Exception as error:  # raised by whoever asked
            self.stop(error)


def _id(key: str, copy: int) -> str:
    """What a provider is told: the same key may be asked more than once."""
    return f"{key}-{copy}"
