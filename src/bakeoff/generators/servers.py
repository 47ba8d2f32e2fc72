"""The servers of one model, asked as if they were one: which is asked when, and again if it fails.

Knows which failures pass and for how long to wait; not what is asked.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError
from bakeoff.generators.api_errors import Trouble, trouble_of
from bakeoff.generators.wire import send
from bakeoff.work import Gate, HopelessError, Limits, Server, Turn

if TYPE_CHECKING:
    from any_llm import AnyLLM
    from any_llm.exceptions import AnyLLMError
    from any_llm.types.completion import ChatCompletion

log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0  # seconds until a request that failed is made again
_LONGEST_TOLD = 60.0  # seconds, where the server says how long


class Servers:
    """A request goes to the server that has most room, and waits its turn for that.

    That a server has too much to do (429, or a 503 or 529 which says so) is no failure: the request
    is made again when it takes some, however often that needs to be. What else may pass (timeouts,
    5xx, a lost connection) is tried again `retries` times. A server that is not there is left out
    for a while where there are others. What nobody has taken for ten minutes fails.
    """

    def __init__(self, name: str, servers: Sequence[Server], limits: Limits, retries: int) -> None:
        self.servers = tuple(servers)
        self.clients: Sequence[AnyLLM] = ()  # in the order of the servers, once they are open
        self.reached = False  # whether any has replied
        self._name = name
        self._limits = limits
        self._retries = retries
        self._gate = Gate(servers)
        self._last: AnyLLMError | None = None

    async def reply(self, asked: dict[str, Any]) -> "ChatCompletion":
        """The reply to a request in any-llm's terms. AnyLLMError where there is none."""
        from any_llm.exceptions import AnyLLMError

        ticket, tries = self._limits.ticket(), 0
        while True:
            turn = await self._turn(ticket)
            try:
                reply = await send(self.clients[turn.index], asked)
            except AnyLLMError as error:
                self._last, trouble = error, trouble_of(error)
                _end(turn, trouble)
                if trouble.kind == "refused" or (trouble.kind == "lost" and self._others()):
                    continue
                tries += 1
                if trouble.kind == "final" or tries > self._retries:
                    raise
                if trouble.kind == "passing":
                    await asyncio.sleep(_pause(tries, trouble.after))
            except BaseException:
                turn.dropped()
                raise
            else:
                turn.served(reply.usage.total_tokens if reply.usage else None)
                self.reached = True
                return reply

    async def _turn(self, ticket: int) -> Turn:
        try:
            return await self._gate.turn(ticket)
        except HopelessError as error:
            log.warning("%s takes no requests (%s): what is missing fails", self._name, error)
            if self._last is not None:
                raise self._last from None
            raise BackendError(f"the server takes no requests ({error})", status=429) from None

    def _others(self) -> bool:
        """Whether a server is there while one is not."""
        return any(not server.away for server in self.servers)


def _pause(tries: int, told: float | None) -> float:
    """Seconds to wait after so many tries."""
    if told is not None:
        return min(_LONGEST_TOLD, told)
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (tries - 1))


def _end(turn: Turn, trouble: Trouble) -> None:
    if trouble.kind == "refused":
        turn.refused(trouble.after)
    elif trouble.kind == "lost":
        turn.lost()
    else:
        turn.dropped()
