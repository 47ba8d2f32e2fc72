"""What a run may spend and what it has: paid, and under way at its dearest.

Knows US dollars and tokens; not what is bought.
"""

import asyncio
from dataclasses import dataclass

from bakeoff.errors import StoppedError
from bakeoff.records import Usage
from bakeoff.runtime.cancellation import halt, unless_stopped

_NOTHING = Usage(input_tokens=0, output_tokens=0)


@dataclass
class Account:
    """What one model or judge has asked for in this run.

    `again` of the `requests` were made before, for the same item. `unanswered` had no reply that
    could be read: the provider may bill them all the same. `cost` is US dollars for those that were
    answered; None: the price of any is not known.
    """

    requests: int = 0
    again: int = 0
    unanswered: int = 0
    usage: Usage = _NOTHING
    cost: float | None = 0.0


class Purse:
    """At most `most` US dollars are spent, all requests under way being as dear as they can be.

    A request that was not answered counts as dear as it could have been.
    """

    def __init__(self, most: float | None = None) -> None:
        self.most = most
        self.accounts: dict[tuple[str, str], Account] = {}
        self._paid = 0.0
        self._held = 0.0
        self._under_way = 0
        self._waiting: list[asyncio.Future[object]] = []

    def account(self, stage: str, who: str) -> Account:
        """What is written down of a model or judge."""
        return self.accounts.setdefault((stage, who), Account())

    async def hold(self, dearest: float, *, patient: bool = False) -> None:
        """Lay aside what a request can cost. Where that is not left, what is under way may turn out
        cheaper: it waits for that, unless it is `patient`, and what is under way takes hours.

        Where even that would not do, the run is stopped: StoppedError.
        """
        if self.most is None:
            return
        while self._paid + self._held + dearest > self.most:
            if patient or not self._under_way:
                why = (
                    f"${self._paid:.4f} of --max-cost {self.most:g} are spent, and the next request"
                    f" can cost ${dearest:.4f}: the same command with more goes on"
                )
                halt().stop(why)
                raise StoppedError(why)
            waiter: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await unless_stopped(waiter)
        self._held += dearest
        self._under_way += 1

    def pay(self, dearest: float, cost: float) -> None:
        """What was laid aside for a request is free again, and what it did cost is paid."""
        self._paid += cost
        if self.most is None:
            return
        self._under_way -= 1
        self._held = self._held - dearest if self._under_way else 0.0  # sums leave a trace
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
