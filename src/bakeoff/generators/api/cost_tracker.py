"""Costs of the requests to one model: reserved before a request, settled after it."""

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from bakeoff.records import Usage
from bakeoff.runtime import SpendLimit, UsageTotals

_TEMPLATE_TOKENS = 32  # per message, and once more: chat templates add fewer

CostFunction = Callable[[Usage], float | None]


class CostTracker:
    """Adds the costs of one model to its totals and to the spend limit of the run.

    `cost` returns US dollars, None if unknown. `batch_only`: replies take hours, so a reservation
    does not wait for others to be settled.
    """

    def __init__(
        self, spend_limit: SpendLimit, totals: UsageTotals, cost: CostFunction, *, batch_only: bool
    ) -> None:
        self.spend_limit = spend_limit
        self.totals = totals
        self.cost = cost
        self.batch_only = batch_only

    def reservation(self, request: Mapping[str, Any]) -> "Reservation":
        """Return a reservation for a request, which may be sent several times."""
        return Reservation(self, self._max_cost(request))

    def _max_cost(self, request: Mapping[str, Any]) -> float:
        """Return an upper bound in US dollars: a token per input byte, `max_tokens` output tokens.

        0 without a spend limit, and if the price is unknown.
        """
        if self.spend_limit.limit is None:
            return 0.0
        texts = {"messages": request["messages"], "format": request.get("response_format")}
        tokens = len(json.dumps(texts, ensure_ascii=False).encode(errors="replace"))
        tokens += _TEMPLATE_TOKENS * (1 + len(request["messages"]))
        return self.cost(Usage(input_tokens=tokens, output_tokens=request["max_tokens"])) or 0.0


class Reservation:
    """Reserves the highest cost of one request, each time that the request is sent.

    `async with` reserves it before the body, which waits for a permit, and releases it if the body
    raises. After the body the request is sent; call `settle` or `fail` once it has ended.
    """

    def __init__(self, tracker: CostTracker, max_cost: float) -> None:
        self._tracker = tracker
        self._max_cost = max_cost  # US dollars
        self._attempts = 0

    async def __aenter__(self) -> None:
        await self._tracker.spend_limit.reserve(self._max_cost, batch_only=self._tracker.batch_only)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:  # the request was not sent
            self._tracker.spend_limit.settle(self._max_cost, 0.0)
            return
        self._tracker.totals.requests += 1
        self._tracker.totals.retries += self._attempts > 0
        self._attempts += 1

    def settle(self, usage: Usage | None) -> None:
        """Count the cost of a reply: the reserved cost if its usage or price is unknown."""
        totals = self._tracker.totals
        cost = self._tracker.cost(usage) if usage else None
        known = cost is not None and totals.cost is not None
        totals.cost = (totals.cost or 0) + (cost or 0) if known else None
        self._tracker.spend_limit.settle(self._max_cost, self._max_cost if cost is None else cost)

    def fail(self, *, billed: bool) -> None:
        """Count a request without a reply, at its highest cost if it may be `billed`, else at 0."""
        self._tracker.totals.unanswered += billed
        self._tracker.spend_limit.settle(self._max_cost, self._max_cost if billed else 0.0)
