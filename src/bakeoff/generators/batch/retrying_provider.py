"""A provider's batches, asked again while the provider is busy or out of reach.

Knows what an error means for a run that may last a day; not what is sent.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from bakeoff.errors import ConfigError, one_line
from bakeoff.generators.api.errors import meaning_of
from bakeoff.generators.batch.journal import Batch
from bakeoff.generators.batch.provider import Carrier, Reply, State

if TYPE_CHECKING:
    from any_llm.exceptions import AnyLLMError

log = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE = 3600.0  # seconds that a provider may be out of reach
_LISTED = 30.0  # seconds that a provider may take to list what it took
_RECENT = 3600.0  # seconds after which it does so at once
_PASSING = (408, 409, 425, 429)  # beside those that are the server's own fault


class Patience:
    """A carrier whose every method raises ConfigError in the end, and nothing else.

    `pause` is the seconds between two attempts.
    """

    def __init__(self, name: str, carrier: Carrier, pause: float) -> None:
        self.most, self.largest = carrier.most, carrier.largest
        self.pause = pause
        self._name = name
        self._carrier = carrier

    async def send(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        """What the provider calls the batch: it has one, however often the connection breaks."""
        tried = False

        async def send() -> str:
            nonlocal tried
            if tried and (found := await self.find(batch)):
                return found
            tried = True
            return await self._carrier.send(batch, bodies)

        return await self._patiently(send)

    async def find(self, batch: Batch) -> str | None:
        """What the provider calls a batch that may have been sent a moment ago."""
        recent = time.time() - batch.at < _RECENT
        until = time.monotonic() + (min(_LISTED, 10 * self.pause) if recent else 0)
        while True:
            found = await self._patiently(lambda: self._carrier.find(batch))
            if found or time.monotonic() >= until:
                return found
            await asyncio.sleep(min(_LISTED / 10, self.pause))

    async def look(self, reference: str) -> State:
        """How far a batch is."""
        return await self._patiently(lambda: self._carrier.look(reference))

    async def hand_out(self, reference: str, take: Callable[[str, Reply], None]) -> None:
        """Give `take` what came of each request; more than once, where the connection breaks."""

        async def read() -> None:
            async for id_, reply in self._carrier.replies(reference):
                take(id_, reply)
                await asyncio.sleep(0)  # who has a reply goes on, before the next one is read

        await self._patiently(read)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        from any_llm.exceptions import AnyLLMError

        began = None
        while True:
            try:
                return await work()
            except AnyLLMError as error:
                status, now = error.status_code, time.monotonic()
                if status is not None and status not in _PASSING and status < 500:
                    raise self._meaning(error) from None
                if began is None:
                    log.warning("%s: no word of its batches (%s)", self._name, one_line(error))
                    began = now
                if now - began > _PATIENCE:
                    raise ConfigError(
                        f"{self._name!r} is out of reach ({one_line(error)}); what was sent goes "
                        "on there: run the same command later"
                    ) from None
            await asyncio.sleep(self.pause)

    def _meaning(self, error: "AnyLLMError") -> ConfigError:
        meant = meaning_of(error, self._name, reached=True)
        if isinstance(meant, ConfigError):
            return meant
        return ConfigError(f"{self._name!r}: its batches cannot be used ({one_line(error)})")
