"""Anthropic's batch API: a list of requests is sent, a stream of results received."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from bakeoff.generators.batch.batches import BatchedApi
from bakeoff.generators.batch.journal import Batch
from bakeoff.generators.batch.provider import (
    CLOCK_SKEW,
    BatchProvider,
    BatchReply,
    BatchStatus,
    failed_reply,
)

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types.messages import MessageBatch, MessageBatchResult

# HTTP status of a direct request by the type of its error; errors in a batch have the type only.
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


class AnthropicBatches(BatchProvider):
    """Anthropic's batch API, through an `anthropic.AsyncAnthropic` client."""

    sdk = "anthropic"
    max_requests = 100_000
    max_bytes = 256_000_000
    _client: "AsyncAnthropic"

    async def _create(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        del batch  # Anthropic stores no metadata
        requests: list[Any] = [
            {"custom_id": id_, "params": json.loads(body)} for id_, body in bodies.items()
        ]
        # If the reply is lost, a retry by the client would create a second batch.
        client = self._client.with_options(max_retries=0)
        return (await client.messages.batches.create(requests=requests)).id

    async def _find(self, batch: Batch) -> str | None:
        # Without metadata a batch is recognized by its time, size and requests; the requests can
        # be read only after it has ended.
        async for listed in self._client.messages.batches.list(limit=100):  # newest first
            created_at = listed.created_at.timestamp()
            if created_at < batch.created_at - CLOCK_SKEW:
                break
            size = _processed(listed) + listed.request_counts.processing
            in_time = created_at < batch.created_at + 2 * CLOCK_SKEW
            if size == len(batch.requests) and in_time and await self._contains(listed, batch):
                return listed.id
        return None

    async def _contains(self, listed: "MessageBatch", batch: Batch) -> bool:
        while listed.processing_status != "ended":
            await asyncio.sleep(self.poll)
            listed = await self._client.messages.batches.retrieve(listed.id)
        results = await self._client.messages.batches.results(listed.id)
        try:
            first = await anext(results)
        finally:
            await results.close()
        return first.custom_id in batch.requests

    async def _status(self, reference: str) -> BatchStatus:
        # `processed` stays 0 until the batch has ended: Anthropic updates its counts only then.
        from anthropic import NotFoundError

        try:
            batch = await self._client.messages.batches.retrieve(reference)
        except NotFoundError:
            return BatchStatus(missing=True)
        return BatchStatus(_processed(batch), ended=batch.processing_status == "ended")

    async def _results(self, reference: str) -> AsyncIterator[tuple[str, BatchReply]]:
        async for entry in await self._client.messages.batches.results(reference):
            yield entry.custom_id, _reply(entry.result)


class BatchedAnthropic(BatchedApi):
    """`anthropic:NAME` with `--batch`."""

    provider = AnthropicBatches


def _processed(batch: "MessageBatch") -> int:
    counts = batch.request_counts
    return counts.succeeded + counts.errored + counts.canceled + counts.expired


def _reply(result: "MessageBatchResult") -> BatchReply:
    if result.type == "succeeded":
        return BatchReply(200, result.message.to_json(indent=None).encode())
    if result.type == "errored":
        return BatchReply(
            _STATUS.get(result.error.error.type, 500), result.error.to_json(indent=None).encode()
        )
    if result.type == "expired":
        return failed_reply("batch_expired", "the batch ended before this request's turn came")
    return failed_reply(
        "batch_cancelled", "the batch was cancelled before this request's turn came"
    )
