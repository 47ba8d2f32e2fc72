"""Anthropic's message batches: a list of requests in, a stream of results out.

Knows that interface, as the official client speaks it; not what is asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from bakeoff.generators.batch.batches import InBatches
from bakeoff.generators.batch.journal import Batch
from bakeoff.generators.batch.provider import Reply, State, unanswered, unified

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types.messages import MessageBatch, MessageBatchResult

_SKEW = 3600.0  # seconds that its clock and ours may differ, and that sending may take
# The errors of one request have no status in a batch; these are the ones that they have without.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Messages:
    """Speaks the interface; `client` is the official one."""

    most = 100_000
    largest = 256_000_000

    def __init__(self, client: "AsyncAnthropic", pause: float) -> None:
        self._client = client
        self._pause = pause

    async def send(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        """Make a batch of the requests."""
        del batch  # Anthropic keeps no tag
        requests: list[Any] = [
            {"custom_id": id_, "params": json.loads(body)} for id_, body in bodies.items()
        ]
        with unified("anthropic"):
            # Its own attempts would make a second batch where a first one's reply was lost.
            client = self._client.with_options(max_retries=0)
            return (await client.messages.batches.create(requests=requests)).id

    async def find(self, batch: Batch) -> str | None:
        """The batch of that time and size that holds these requests.

        Which requests a batch holds is not told before it has ended: until then it is waited for.
        """
        with unified("anthropic"):
            async for found in self._client.messages.batches.list(limit=100):
                made = found.created_at.timestamp()
                if made < batch.at - _SKEW:
                    break
                of_size = _through(found) + found.request_counts.processing == len(batch.requests)
                if of_size and made < batch.at + 2 * _SKEW and await self._holds(found, batch):
                    return found.id
        return None

    async def _holds(self, found: "MessageBatch", batch: Batch) -> bool:
        while found.processing_status != "ended":
            await asyncio.sleep(self._pause)
            found = await self._client.messages.batches.retrieve(found.id)
        results = await self._client.messages.batches.results(found.id)
        try:
            first = await anext(results)
        finally:
            await results.close()
        return first.custom_id in batch.requests

    async def look(self, reference: str) -> State:
        """How far it is. Anthropic tells of no request before all are through."""
        from anthropic import NotFoundError

        with unified("anthropic"):
            try:
                found = await self._client.messages.batches.retrieve(reference)
            except NotFoundError:
                return State(gone=True)
        return State(_through(found), ended=found.processing_status == "ended")

    async def replies(self, reference: str) -> AsyncIterator[tuple[str, Reply]]:
        """The results."""
        with unified("anthropic"):
            async for found in await self._client.messages.batches.results(reference):
                yield found.custom_id, _read(found.result)


class Anthropic(InBatches):
    """`anthropic:NAME` with `--batch`."""

    def carrier(self, client: Any) -> Messages:
        """Message batches."""
        return Messages(client, self.options.poll)


def _through(found: "MessageBatch") -> int:
    counts = found.request_counts
    return counts.succeeded + counts.errored + counts.canceled + counts.expired


def _read(result: "MessageBatchResult") -> Reply:
    if result.type == "succeeded":
        return Reply(200, result.message.to_json(indent=None).encode())
    if result.type == "errored":
        return Reply(
            _STATUS.get(result.error.error.type, 500), result.error.to_json(indent=None).encode()
        )
    if result.type == "expired":
        return unanswered("batch_expired", "the batch ended before this request's turn came")
    return unanswered("batch_cancelled", "the batch was cancelled before this request's turn came")
