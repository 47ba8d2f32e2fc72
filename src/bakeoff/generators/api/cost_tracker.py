"""Costs of the requests to one model: reserved before, settled after each request."""

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from bakeoff.records import Usage
from bakeoff.runtime import SpendLimit, UsageTotals

_TEMPLATE_TOKENS = 32  # around a message, and around all: chat templates use fewer

CostFunction = Callable[[Usage], float | None]


class CostTracker:
    """Adds the costs of one model to its `account` and to the spend limit of the run.

    `patient`: requests take hours, so a reservation does not wait for others to be settled.
    """

    def __init__(
        self, spend_limit: SpendLimit, account: UsageTotals, cost: CostFunction, *, batch_only: bool
    ) -> None:
        self.spend_limit = spend_limit
        self.account = account
        self.cost = cost
        self.batch_only = batch_only

    def reservation(self, request: Mapping[str, Any]) -> "Reservation":
        """Return the reservation of a request, which may be sent several times."""
        return Reservation(self, self._max_cost(request))

    def _max_cost(self, request: Mapping[str, Any]) -> float:
        """Upper bound in US dollars: one input token per byte, and `max_tokens` output tokens.

        0 without a spend limit.
        """
        if self.spend_limit.limit is None:
            return 0.0
        texts = {"messages": request["messages"], "format": request.get("response_format")}
        tokens = len(json.dumps(texts, ensure_ascii=False).encode(errors="replace"))
        tokens += _TEMPLATE_TOKENS * (1 + len(request["messages"]))
        return self.cost(Usage(input_tokens=tokens, output_tokens=request["max_tokens"])) or 0.0


class Reservation:
    """The upper bound of one request's cost, held back from the spend limit.

    `async with` reserves it while the request waits for a permit, and releases it if that raises.
    Each time the request was sent, `settle` or `fail` has to be called.
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
        self._tracker.account.requests += 1
        self._tracker.account.retries += self._attempts > 0
        self._attempts += 1

    def settle(self, usage: Usage | None) -> None:
        """Pay for a reply; the upper bound if its usage or price is unknown."""
        account = self._tracker.account
        cost = self._tracker.cost(usage) if usage else None
        known = cost is not None and account.cost is not None
        account.cost = (account.cost or 0) + (cost or 0) if known else None
        self._tracker.spend_limit.settle(self._max_cost, self._max_cost if cost is None else cost)

    def fail(self, *, billed: bool) -> None:
        """Release a request without a reply; `billed`: the provider may charge for it."""
        self._tracker.account.unanswered += billed
        self._tracker.spend_limit.settle(self._max_cost, self._max_cost if billed else 0.0)
