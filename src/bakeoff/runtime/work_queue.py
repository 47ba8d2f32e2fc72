"""What crosses between the event loop, where calls wait, and an engine's thread. Knows no engine.

A call puts in a ticket for each of its items; the engine takes tickets and gives outcomes for them.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from bakeoff.errors import StoppedError, WorkError

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - its result

Emit = Callable[[int, O | WorkError], None]  # called with the index of an item and its outcome


class Call(Generic[I, O]):
    """One call of a worker, in its event loop: waits until it has all outcomes."""

    def __init__(self, items: Sequence[I], emit: Emit[O]) -> None:
        self.tickets = [Ticket(self, index, item) for index, item in enumerate(items)]
        self.gone = False  # whether nobody waits any more
        self._emit = emit
        self._owed = len(items)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def over(self) -> None:
        """Wait for all outcomes. Raises what `emit` raised, or what ended the engine."""
        try:
            if self._owed:
                await self._over
        finally:
            self.gone = True

    def fail(self, error: BaseException) -> None:
        """End it in this error. In its event loop."""
        if not (self.gone or self._over.done()):
            self._over.set_exception(error)

    def receive(self, index: int, outcome: O | WorkError) -> None:
        """Emit an outcome, unless nobody waits for it. From any thread."""
        self._loop.call_soon_threadsafe(self._receive, index, outcome)

    def _receive(self, index: int, outcome: O | WorkError) -> None:
        if self.gone or self._over.done():
            return
        try:
            self._emit(index, outcome)
        except Exception as error:
            self.fail(error)
            return
        self._owed -= 1
        if not self._owed:
            self._over.set_result(None)


class Ticket(Generic[I, O]):
    """One item of a call on its way through the engine."""

    def __init__(self, call: Call[I, O], index: int, item: I) -> None:
        self.call = call
        self.index = index
        self.item = item

    def wanted(self) -> bool:
        """Whether somebody still waits for its outcome."""
        return not self.call.gone


class Feed(Generic[I, O]):
    """The tickets that wait for the engine, those of the largest rank first."""

    def __init__(self, rank: Callable[[I], int]) -> None:
        self._rank = rank
        self._lock = threading.Lock()
        self._waiting: list[Ticket[I, O]] = []
        self._out: dict[Ticket[I, O], None] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, tickets: Sequence[Ticket[I, O]]) -> None:
        """Let these wait too; of one rank, those come first that were there first."""
        with self._lock:
            self._waiting += tickets
            self._waiting.sort(key=lambda ticket: self._rank(ticket.item), reverse=True)

    def drop_unwanted(self) -> None:
        """Forget those that nobody waits for."""
        with self._lock:
            self._waiting = [ticket for ticket in self._waiting if ticket.wanted()]

    def refuse(self, call: Call[I, O], error: StoppedError) -> None:
        """Take none of a call's any more that still wait: each ends in this error."""
        with self._lock:
            refused = [ticket for ticket in self._waiting if ticket.call is call]
            self._waiting = [ticket for ticket in self._waiting if ticket.call is not call]
        for ticket in refused:
            call.receive(ticket.index, error)

    def take(self, most: int) -> list[Ticket[I, O]]:
        """Up to so many of them, for the engine."""
        with self._lock:
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
            self._out |= dict.fromkeys(taken)
        return taken

    def give(self, ticket: Ticket[I, O], outcome: O | WorkError) -> None:
        """Leave what came of one that was taken."""
        with self._lock:
            del self._out[ticket]
        ticket.call.receive(ticket.index, outcome)

    def lost(self) -> list[Ticket[I, O]]:
        """Those that were taken and of which nothing came, when the engine has stopped."""
        with self._lock:
            lost, self._out = list(self._out), {}
        return lost
