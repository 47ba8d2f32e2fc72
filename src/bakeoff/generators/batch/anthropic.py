"""Anthropic's batch API: a list of requests is sent, a stream of results received."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, JsonValue

from bakeoff.generators.api.errors import ApiError
from bakeoff.generators.batch.batches import BatchedApi
from bakeoff.generators.batch.journal import Batch
from bakeoff.generators.batch.provider import (
    CLOCK_SKEW,
    BatchProvider,
    BatchReply,
    BatchStatus,
    failed_reply,
)

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


_PATH = "/v1/messages/batches"


class _AnthropicCounts(BaseModel):
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def processed(self) -> int:
        """Number of requests that are finished."""
        return self.succeeded + self.errored + self.canceled + self.expired


class _AnthropicBatch(BaseModel):
    """A batch: https://docs.claude.com/en/api/retrieving-message-batches."""

    id: str
    created_at: datetime
    processing_status: str
    request_counts: _AnthropicCounts


class _AnthropicBatchPage(BaseModel):
    data: list[_AnthropicBatch]
    has_more: bool = False


class _Result(BaseModel):
    """The result of one request."""

    type: Literal["succeeded", "errored", "canceled", "expired"]
    message: JsonValue = None
    error: dict[str, JsonValue] = {}

    def reply(self) -> BatchReply:
        """Return the reply that a direct request would have had."""
        if self.type == "succeeded":
            return BatchReply(200, json.dumps(self.message).encode())
        if self.type == "errored":
            cause = self.error.get("error")
            kind = cause.get("type") if isinstance(cause, dict) else None
            return BatchReply(_STATUS.get(str(kind), 500), json.dumps(self.error).encode())
        if self.type == "expired":
            return failed_reply("batch_expired", "the batch ended before this request's turn came")
        return failed_reply(
            "batch_cancelled", "the batch was cancelled before this request's turn came"
        )


class _ResultLine(BaseModel):
    custom_id: str
    result: _Result


class AnthropicBatches(BatchProvider):
    """Anthropic's batch API."""

    max_requests = 100_000
    max_bytes = 256_000_000

    async def _create(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        del batch  # Anthropic stores no metadata
        items = b",".join(
            b'{"custom_id":%s,"params":%s}' % (json.dumps(id_).encode(), body)
            for id_, body in bodies.items()
        )
        reply = await self._http.post(_PATH, b'{"requests":[%s]}' % items)
        return _AnthropicBatch.model_validate_json(reply.body).id

    async def _find(self, batch: Batch) -> str | None:
        # Without metadata a batch is recognized by its time, size and requests; the requests can
        # be read only after it has ended.
        query: dict[str, str | int] = {"limit": 100}
        while True:
            page = _AnthropicBatchPage.model_validate_json(
                (await self._http.get(_PATH, **query)).body
            )
            for listed in page.data:  # newest first
                created_at = listed.created_at.timestamp()
                if created_at < batch.created_at - CLOCK_SKEW:
                    return None
                counts = listed.request_counts
                size = counts.processed + counts.processing
                in_time = created_at < batch.created_at + 2 * CLOCK_SKEW
                if size == len(batch.requests) and in_time and await self._contains(listed, batch):
                    return listed.id
            if not (page.has_more and page.data):
                return None
            query["after_id"] = page.data[-1].id

    async def _contains(self, listed: _AnthropicBatch, batch: Batch) -> bool:
        while listed.processing_status != "ended":
            await asyncio.sleep(self.poll)
            listed = await self._retrieve(listed.id)
        async with aclosing(self._results(listed.id)) as results:
            first, _ = await anext(results)
        return first in batch.requests

    async def _status(self, reference: str) -> BatchStatus:
        # `processed` stays 0 until the batch has ended: Anthropic updates its counts only then.
        try:
            batch = await self._retrieve(reference)
        except ApiError as error:
            if error.status == 404:
                return BatchStatus(missing=True)
            raise
        ended = batch.processing_status == "ended"
        return BatchStatus(batch.request_counts.processed, ended=ended)

    async def _retrieve(self, reference: str) -> _AnthropicBatch:
        reply = await self._http.get(f"{_PATH}/{quote(reference, safe='')}")
        return _AnthropicBatch.model_validate_json(reply.body)

    async def _results(self, reference: str) -> AsyncGenerator[tuple[str, BatchReply], None]:
        async for line in self._http.lines(f"{_PATH}/{quote(reference, safe='')}/results"):
            entry = _ResultLine.model_validate_json(line)
            yield entry.custom_id, entry.result.reply()


class BatchedAnthropic(BatchedApi):
    """`anthropic:NAME` with `--batch`."""

    provider = AnthropicBatches
