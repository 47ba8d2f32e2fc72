"""The spending limit of a run, and the totals of what each model and judge has used."""

import asyncio
from dataclasses import dataclass

from bakeoff.errors import StoppedError
from bakeoff.runtime.cancellation import current_stop_token, wait_or_stop


@dataclass
class UsageTotals:
    """What one model or judge has requested in this run."""

    requests: int = 0
    """Requests sent, retries included."""
    retries: int = 0
    """Those of `requests` that repeat an earlier one for the same item."""
    unanswered: int = 0
    """Requests without a readable reply, which the provider may have billed."""
    cost: float | None = 0.0
    """US dollars for the answered requests; None if a price is unknown."""


class SpendLimit:
    """Keeps a run within `limit` US dollars; None: no limit.

    Requests in flight, and those without a reply, count at the highest cost that they can have.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.totals: dict[tuple[str, str], UsageTotals] = {}
        self._paid = 0.0
        self._reserved = 0.0
        self._reservations = 0
        self._waiting: list[asyncio.Future[object]] = []

    def totals_of(self, stage: str, name: str) -> UsageTotals:
        """Return the totals of a model (`completion`) or judge (`judgment`), created on demand."""
        return self.totals.setdefault((stage, name), UsageTotals())

    async def reserve(self, max_cost: float, *, batch_only: bool = False) -> None:
        """Reserve `max_cost` US dollars for one request.

        If that exceeds the limit, waits until requests in flight are settled, as they often cost
        less than reserved. If none is in flight, stops the run and raises StoppedError;
        `batch_only` does so at once, as replies take hours.
        """
        if self.limit is None:
            return
        while self._paid + self._reserved + max_cost > self.limit:
            if batch_only or not self._reservations:
                reason = (
                    f"${self._paid:.4f} of --max-cost {self.limit:g} are spent, and the next "
                    f"request can cost ${max_cost:.4f}: the same command with more goes on"
                )
                current_stop_token().stop(reason)
                raise StoppedError(reason)
            waiter: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await wait_or_stop(waiter)
        self._reserved += max_cost
        self._reservations += 1

    def settle(self, max_cost: float, cost: float) -> None:
        """Release the reservation of `max_cost` and count `cost` as spent."""
        self._paid += cost
        if self.limit is None:
            return
        self._reservations -= 1
        # With none left it is exactly 0: floating-point sums drift.
        self._reserved = self._reserved - max_cost if self._reservations else 0.0
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
