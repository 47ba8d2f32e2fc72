"""What each request of a model can cost, and what it did cost, written down and kept within limits.

Knows tokens and prices; not what is asked for, nor how it is sent.
"""

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from bakeoff.records import Usage
from bakeoff.runtime import SpendLimit, UsageTotals

_FRAME = 32  # tokens around a message, and around all: chat templates are shorter

Price = Callable[[Usage], float | None]


class Till:
    """Where a model pays: from the purse of the run, at its price, on its account.

    `patient`: what is under way takes hours, and is not waited for.
    """

    def __init__(
        self, spend_limit: SpendLimit, account: UsageTotals, price: Price, *, batch_only: bool
    ) -> None:
        self.spend_limit = spend_limit
        self.account = account
        self.price = price
        self.batch_only = batch_only

    def charge(self, asked: Mapping[str, Any]) -> "Charge":
        """The bill of one request, which may have to be made several times."""
        return Charge(self, self._dearest(asked))

    def _dearest(self, asked: Mapping[str, Any]) -> float:
        """US dollars that it can cost: a token is at least a byte, and as many may be written as it
        asks for. Without a limit nobody needs to know.
        """
        if self.spend_limit.limit is None:
            return 0.0
        texts = {"messages": asked["messages"], "format": asked.get("response_format")}
        read = len(json.dumps(texts, ensure_ascii=False).encode(errors="replace"))
        read += _FRAME * (1 + len(asked["messages"]))
        return self.price(Usage(input_tokens=read, output_tokens=asked["max_tokens"])) or 0.0


class Charge:
    """One request's bill: `async with` lays aside what it can cost while it waits for its turn.

    Every time that it was sent has to end as `paid` or as `failed`.
    """

    def __init__(self, till: Till, dearest: float) -> None:
        self._till = till
        self._dearest = dearest
        self._times = 0

    async def __aenter__(self) -> None:
        await self._till.spend_limit.reserve(self._dearest, batch_only=self._till.batch_only)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is not None:  # it had no turn, and was not sent
            self._till.spend_limit.settle(self._dearest, 0.0)
            return
        self._till.account.requests += 1
        self._till.account.retries += self._times > 0
        self._times += 1

    def paid(self, usage: Usage | None) -> None:
        """There is a reply, which took so much; where it does not say, as much as it could."""
        account = self._till.account
        cost = self._till.price(usage) if usage else None
        if usage:
            account.usage += usage
        known = cost is not None and account.cost is not None
        account.cost = (account.cost or 0) + (cost or 0) if known else None
        self._till.spend_limit.settle(self._dearest, self._dearest if cost is None else cost)

    def failed(self, *, billed: bool) -> None:
        """There is no reply; `billed` says that it may have to be paid for all the same."""
        self._till.account.unanswered += billed
        self._till.spend_limit.settle(self._dearest, self._dearest if billed else 0.0)
