"""The base class of providers' batch APIs, with retries."""

import asyncio
import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import ValidationError

from bakeoff.errors import ConfigError, one_line
from bakeoff.generators.api.errors import ApiError, to_exception
from bakeoff.generators.batch.journal import Batch

if TYPE_CHECKING:  # aiohttp is imported when the first client is opened
    from bakeoff.generators.api.http_client import HttpClient

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOCK_SKEW = 3600.0  # seconds that the clocks of provider and client may differ

_MAX_OUTAGE = 3600.0  # seconds that a provider may be unreachable
# A provider lists a batch at most 30 seconds after it accepted it: lookups, and the seconds between
# two. Their number is fixed, so that a suspended process does not give up after fewer.
_LOOKUPS, _LOOKUP_PAUSE = 11, 3.0
_RECENT = 3600.0  # age in seconds up to which a batch may not be listed yet
_RETRIABLE = (408, 409, 425, 429)  # and every status from 500 on
_ENVELOPE = 200  # bytes around the body of a request; neither provider needs more


class BatchReply(NamedTuple):
    """The reply to one request in a batch."""

    status: int  # the HTTP status that a direct request would have had
    body: bytes  # JSON


class BatchStatus(NamedTuple):
    """The state of a batch at its provider."""

    processed: int = 0  # requests that are finished, with or without an error
    ended: bool = False  # no more requests will be processed
    rejected: str | None = None  # why the provider did not accept the batch
    over_quota: bool = False  # rejected for its size: a smaller or later batch may be accepted
    missing: bool = False  # the provider does not know the batch


class BatchProvider(ABC):
    """The batch API of one provider.

    The public methods retry for an hour if the provider is busy or unreachable, every `poll`
    seconds. They raise ConfigError after that, or if the provider rejects the call. The private
    methods, which subclasses implement, try once.
    """

    max_requests: int  # per batch
    max_bytes: int  # per batch

    def __init__(self, name: str, http: "HttpClient", poll: float) -> None:
        self.poll = poll
        self._name = name
        self._http = http

    @abstractmethod
    async def _create(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        """Submit requests, by their ids; return the provider's id of the batch."""

    @abstractmethod
    async def _find(self, batch: Batch) -> str | None:
        """Return the provider's id of a batch; None if it was not submitted."""

    @abstractmethod
    async def _status(self, reference: str) -> BatchStatus:
        """Return the state of a batch."""

    @abstractmethod
    def _results(self, reference: str) -> AsyncIterator[tuple[str, BatchReply]]:
        """Yield request id and reply of every request of an ended batch, in any order."""

    async def create(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        """Submit `bodies` by request id; return the provider's id of the batch.

        After a lost connection the batch may exist: it is searched for before another attempt.
        """
        attempted = False

        async def attempt() -> str:
            nonlocal attempted
            if attempted and (reference := await self.find(batch)):
                return reference
            attempted = True
            return await self._create(batch, bodies)

        return await self._retry(attempt)

    async def find(self, batch: Batch) -> str | None:
        """Return the provider's id of a batch; None if it was not submitted."""
        recent = time.time() - batch.created_at < _RECENT
        for remaining in reversed(range(_LOOKUPS if recent else 1)):
            if reference := await self._retry(lambda: self._find(batch)):
                return reference
            if remaining:
                await asyncio.sleep(min(_LOOKUP_PAUSE, self.poll))
        return None

    async def status(self, reference: str) -> BatchStatus:
        """Return the state of a batch."""
        return await self._retry(lambda: self._status(reference))

    async def fetch_results(
        self, reference: str, receive: Callable[[str, BatchReply], None]
    ) -> None:
        """Call `receive(request id, reply)` for every result of a batch.

        After a lost connection all results are read again: `receive` may get a result twice.
        """

        async def attempt() -> None:
            async for request_id, reply in self._results(reference):
                receive(request_id, reply)
                await asyncio.sleep(0)  # the receiver continues before the next result is read

        await self._retry(attempt)

    async def _retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        down_since = None
        while True:
            try:
                return await attempt()
            except (ApiError, ValidationError) as error:  # the second: its reply cannot be parsed
                failure = error if isinstance(error, ApiError) else ApiError(one_line(error))
            status, now = failure.status, time.monotonic()
            if status is not None and status not in _RETRIABLE and status < 500:
                raise self._rejection(failure)
            if down_since is None:
                log.warning("%s: no word of its batches (%s)", self._name, one_line(failure))
                down_since = now
            if now - down_since > _MAX_OUTAGE:
                raise ConfigError(
                    f"{self._name!r} is out of reach ({one_line(failure)}); what was sent goes "
                    "on there: run the same command later"
                )
            await asyncio.sleep(self.poll)

    def _rejection(self, error: ApiError) -> ConfigError:
        meant = to_exception(error, self._name, reached=True)
        if isinstance(meant, ConfigError):
            return meant
        return ConfigError(f"{self._name!r}: its batches cannot be used ({one_line(error)})")


def failed_reply(code: str, message: str) -> BatchReply:
    """Return a reply for a request that its batch did not process; `code` begins with `batch_`.

    The status is 504. The body has the error format of both providers.
    """
    error = {"type": code, "code": code, "message": message}
    return BatchReply(504, json.dumps({"type": "error", "error": error}).encode())


def chunks(
    bodies: Mapping[str, bytes], max_requests: int, max_bytes: int
) -> Iterator[dict[str, bytes]]:
    """Yield the requests, in order, in chunks of at most `max_requests` and `max_bytes`.

    A request that is larger than `max_bytes` is a chunk by itself.
    """
    chunk: dict[str, bytes] = {}
    size = 0
    for request_id, body in bodies.items():
        added = len(body) + len(request_id) + _ENVELOPE
        if chunk and (len(chunk) == max_requests or size + added > max_bytes):
            yield chunk
            chunk, size = {}, 0
        chunk[request_id] = body
        size += added
    if chunk:
        yield chunk
