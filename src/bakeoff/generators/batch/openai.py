"""OpenAI's batch API: a file of requests is uploaded, files of replies and errors downloaded."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, JsonValue

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
    from openai import AsyncOpenAI

_ENDPOINT: Final = "/v1/chat/completions"
_TAG = "bakeoff"  # key of the batch's metadata that holds `Batch.tag`
_ENDED = ("completed", "expired", "cancelled")
_OVER_QUOTA = ("token_limit_exceeded",)


class _Error(BaseModel):
    """Why a request has no reply."""

    code: str = "batch_missing"
    message: str = "the batch ended without a word on this request"


class _Response(BaseModel):
    """The reply of the model, or a refusal of the server."""

    status_code: int
    body: JsonValue


class _ResultLine(BaseModel):
    """A line of the output file or of the error file."""

    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


class OpenAIBatches(BatchProvider):
    """OpenAI's batch API, through an `openai.AsyncOpenAI` client."""

    sdk = "openai"
    max_requests = 50_000
    max_bytes = 200_000_000
    _client: "AsyncOpenAI"

    async def _create(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        lines = b"".join(_request_line(id_, body) for id_, body in bodies.items())
        file = await self._client.files.create(
            file=(f"bakeoff-{batch.tag}.jsonl", lines, "application/jsonl"), purpose="batch"
        )
        # If the reply is lost, a retry by the client would create a second batch.
        created = await self._client.with_options(max_retries=0).batches.create(
            input_file_id=file.id,
            endpoint=_ENDPOINT,
            completion_window="24h",
            metadata={_TAG: batch.tag},
        )
        return created.id

    async def _find(self, batch: Batch) -> str | None:
        async for listed in self._client.batches.list(limit=100):  # newest first
            if (listed.metadata or {}).get(_TAG) == batch.tag:
                return listed.id
            if listed.created_at < batch.created_at - CLOCK_SKEW:
                break
        return None

    async def _status(self, reference: str) -> BatchStatus:
        from openai import NotFoundError

        try:
            batch = await self._client.batches.retrieve(reference)
        except NotFoundError:
            return BatchStatus(missing=True)
        if batch.status == "failed":
            errors = (batch.errors and batch.errors.data) or []
            words = "; ".join(filter(None, (error.message for error in errors[:3])))
            over_quota = any(error.code in _OVER_QUOTA for error in errors)
            return BatchStatus(rejected=words or "it does not say why", over_quota=over_quota)
        counts = batch.request_counts
        processed = counts.completed + counts.failed if counts else 0
        return BatchStatus(processed, ended=batch.status in _ENDED)

    async def _results(self, reference: str) -> AsyncIterator[tuple[str, BatchReply]]:
        batch = await self._client.batches.retrieve(reference)
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            content = (await self._client.files.content(file)).content
            # Not `splitlines`: JSON may contain U+2028 and other line separators unescaped.
            for line in filter(None, content.split(b"\n")):
                yield _parse_result(line)


class BatchedOpenAI(BatchedApi):
    """`openai:NAME` with `--batch`; also `api:NAME?base_url=...&batch=true`."""

    provider = OpenAIBatches


def _request_line(request_id: str, body: bytes) -> bytes:
    head = json.dumps({"custom_id": request_id, "method": "POST", "url": _ENDPOINT})
    return head[:-1].encode() + b', "body": ' + body + b"}\n"


def _parse_result(line: bytes) -> tuple[str, BatchReply]:
    result = _ResultLine.model_validate_json(line)
    if result.response:
        body = json.dumps(result.response.body).encode()
        return result.custom_id, BatchReply(result.response.status_code, body)
    error = result.error or _Error()
    return result.custom_id, failed_reply(error.code, error.message)
