"""The servers of one model, asked as if they were one: which is asked when, and again if it fails.

Knows which failures pass and for how long to wait; not what is asked.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError
from bakeoff.generators.api.cost_tracker import Till
from bakeoff.generators.api.errors import Trouble, trouble_of
from bakeoff.generators.api.replies import usage_in
from bakeoff.generators.api.transport import send
from bakeoff.runtime import (
    Permit,
    RateLimits,
    RequestQueue,
    Server,
    ServerUnavailableError,
    sleep_or_stop,
)

if TYPE_CHECKING:
    from any_llm import AnyLLM
    from any_llm.exceptions import AnyLLMError
    from any_llm.types.completion import ChatCompletion

log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0  # seconds until a request that failed is made again
_LONGEST_TOLD = 60.0  # seconds, where the server says how long
_GONE = (502, 503)  # what a proxy says whose server is not there;
_SEVERAL = 4  # requests of which it does, while none is served: it may not like one of them
_REFUSALS = 4  # times that a request is refused while others are served; then it fails as others


class Servers:
    """A request goes to the server that has most room, and waits its turn for that.

    That a server has too much to do (429, or a 503 or 529 which says so) is no failure: the request
    is made again when it takes some, however often that needs to be, unless others are served all
    the while. What else may pass (timeouts, 5xx, a lost connection) is tried again `retries` times.
    A server that is not there is left out for a while where there are others, and waited for where
    it has replied before; so is one behind a proxy that says so of several requests, and serves
    none. What nobody has taken for ten minutes fails.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[Server],
        rate_limits: RateLimits,
        retries: int,
        till: Till,
        *,
        own: bool,
    ) -> None:
        self.servers = tuple(servers)
        self.clients: Sequence[AnyLLM] = ()  # in the order of the servers, once they are open
        self.reached = False  # whether any has replied
        self._name = name
        self._rate_limits = rate_limits
        self._retries = retries
        self._till = till
        self._own = own  # whoever started the server knows whether it comes back
        self._queue = RequestQueue(servers)
        self._served = 0  # requests
        self._failing: set[_Effort] = set()  # that a proxy had no server for, since one was served
        self._last: AnyLLMError | None = None

    async def reply(self, asked: dict[str, Any]) -> "ChatCompletion":
        """The reply to a request in any-llm's terms. AnyLLMError where there is none, StoppedError
        where the run is stopped before it is sent.
        """
        from any_llm.exceptions import AnyLLMError

        number, effort = self._rate_limits.next_number(), _Effort(self._served)
        charge = self._till.charge(asked)
        while True:
            async with charge:
                permit = await self._acquire(number)
            try:
                reply = await send(self.clients[permit.index], asked)
            except AnyLLMError as error:
                self._last, trouble = error, self._seen(effort, error)
                charge.failed(billed=error.status_code is None and trouble.kind != "lost")
                _end(permit, trouble)
                wait = self._again(effort, trouble)
                if wait is None:
                    self._failing.discard(effort)
                    raise
                await sleep_or_stop(wait)
                if effort.refused > 1:  # another one tries whether it takes any
                    number = self._rate_limits.next_number()
            except BaseException:
                charge.failed(billed=True)
                permit.failed()
                raise
            else:
                charge.paid(usage_in(reply))
                permit.completed(reply.usage.total_tokens if reply.usage else None)
                self.reached, self._served = True, self._served + 1
                self._failing.clear()
                return reply

    def _seen(self, effort: "_Effort", error: "AnyLLMError") -> Trouble:
        """What a failure means, once it is known how others fare: a request that alone is refused
        again and again (one that is too large for a limit) must not slow down the others. And where
        several have failed in vain because a proxy has no server, that is not theirs to pay for.
        """
        trouble = trouble_of(error)
        if trouble.kind == "passing" and error.status_code in _GONE and self.reached:
            self._failing.add(effort)
            worn = effort.tries >= self._retries
            gone = len(self._failing) >= _SEVERAL
            return Trouble("lost") if worn and gone else trouble
        if trouble.kind not in ("refused", "busy"):
            return trouble
        effort.refused += 1
        effort.refusals += self._served > effort.served
        effort.served = self._served
        return trouble if effort.refusals <= _REFUSALS else Trouble("passing", trouble.after)

    def _again(self, effort: "_Effort", trouble: Trouble) -> float | None:
        """In how many seconds the request may wait for a turn again; None: it has failed."""
        if trouble.kind in ("refused", "busy"):
            return 0.0
        if trouble.kind == "lost" and (self._others() or (self.reached and not self._own)):
            return 0.0  # the gate waits for it, and says when that is hopeless
        effort.tries += 1
        if trouble.kind == "final" or effort.tries > self._retries:
            return None
        return _pause(effort.tries, trouble.after) if trouble.kind == "passing" else 0.0

    async def _acquire(self, number: int) -> Permit:
        try:
            return await self._queue.acquire(number)
        except ServerUnavailableError as error:
            log.warning("%s takes no requests (%s): what is missing fails", self._name, error)
            if self._last is not None:
                raise self._last from None
            raise BackendError(f"the server takes no requests ({error})", status=429) from None

    def _others(self) -> bool:
        """Whether a server is there while one is not."""
        return any(not server.unreachable for server in self.servers)


@dataclass(eq=False)
class _Effort:
    """How one request has fared: `served` is how many of all were, when it was last refused."""

    served: int
    refused: int = 0  # times,
    refusals: int = 0  # and of these while others were served
    tries: int = 0


def _pause(tries: int, told: float | None) -> float:
    """Seconds to wait after so many tries."""
    if told is not None:
        return min(_LONGEST_TOLD, told)
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (tries - 1))


def _end(permit: Permit, trouble: Trouble) -> None:
    if trouble.kind == "refused":
        permit.rate_limited(trouble.after)
    elif trouble.kind == "busy":
        permit.overloaded(trouble.after)
    elif trouble.kind == "lost":
        permit.connection_lost()
    else:
        permit.failed()
