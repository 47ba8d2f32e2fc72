"""OpenAI's batch API: a file of requests is uploaded, files of replies and errors downloaded."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Final
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


class _OutputLine(BaseModel):
    """A line of the output file or of the error file."""

    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


class _CreatedObject(BaseModel):
    """A created file or batch."""

    id: str


class _BatchError(BaseModel):
    """Why a batch was rejected."""

    code: str | None = None
    message: str | None = None


class _BatchErrors(BaseModel):
    data: list[_BatchError] | None = None


class _OpenAICounts(BaseModel):
    completed: int = 0
    failed: int = 0


class _OpenAIBatch(_CreatedObject):
    """A batch: https://platform.openai.com/docs/api-reference/batch/object."""

    created_at: float
    status: str
    metadata: dict[str, str] | None = None
    errors: _BatchErrors | None = None
    request_counts: _OpenAICounts | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None


class _OpenAIBatchPage(BaseModel):
    data: list[_OpenAIBatch]
    has_more: bool = False


class OpenAIBatches(BatchProvider):
    """OpenAI's batch API."""

    max_requests = 50_000
    max_bytes = 200_000_000

    async def _create(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        from aiohttp import FormData

        lines = b"".join(_request_line(id_, body) for id_, body in bodies.items())
        form = FormData({"purpose": "batch"})
        form.add_field(
            "file", lines, filename=f"bakeoff-{batch.tag}.jsonl", content_type="application/jsonl"
        )
        file = _CreatedObject.model_validate_json((await self._http.post("/files", form)).body)
        wanted = {
            "input_file_id": file.id,
            "endpoint": _ENDPOINT,
            "completion_window": "24h",
            "metadata": {_TAG: batch.tag},
        }
        reply = await self._http.post("/batches", json.dumps(wanted).encode())
        return _CreatedObject.model_validate_json(reply.body).id

    async def _find(self, batch: Batch) -> str | None:
        query: dict[str, str | int] = {"limit": 100}
        while True:
            reply = await self._http.get("/batches", **query)
            page = _OpenAIBatchPage.model_validate_json(reply.body)
            for listed in page.data:  # newest first
                if (listed.metadata or {}).get(_TAG) == batch.tag:
                    return listed.id
                if listed.created_at < batch.created_at - CLOCK_SKEW:
                    return None
            if not (page.has_more and page.data):
                return None
            query["after"] = page.data[-1].id

    async def _status(self, reference: str) -> BatchStatus:
        try:
            batch = await self._retrieve(reference)
        except ApiError as error:
            if error.status == 404:
                return BatchStatus(missing=True)
            raise
        if batch.status == "failed":
            errors = (batch.errors and batch.errors.data) or []
            words = "; ".join(filter(None, (error.message for error in errors[:3])))
            over_quota = any(error.code in _OVER_QUOTA for error in errors)
            return BatchStatus(rejected=words or "it does not say why", over_quota=over_quota)
        counts = batch.request_counts
        processed = counts.completed + counts.failed if counts else 0
        return BatchStatus(processed, ended=batch.status in _ENDED)

    async def _retrieve(self, reference: str) -> _OpenAIBatch:
        reply = await self._http.get(f"/batches/{quote(reference, safe='')}")
        return _OpenAIBatch.model_validate_json(reply.body)

    async def _results(self, reference: str) -> AsyncIterator[tuple[str, BatchReply]]:
        batch = await self._retrieve(reference)
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            async for line in self._http.lines(f"/files/{quote(file, safe='')}/content"):
                yield _parse_result(line)


class BatchedOpenAI(BatchedApi):
    """`openai:NAME` with `--batch`; also `api:NAME?base_url=...&batch=true`."""

    provider = OpenAIBatches


def _request_line(request_id: str, body: bytes) -> bytes:
    head = json.dumps({"custom_id": request_id, "method": "POST", "url": _ENDPOINT})
    return head[:-1].encode() + b', "body": ' + body + b"}\n"


def _parse_result(line: bytes) -> tuple[str, BatchReply]:
    result = _OutputLine.model_validate_json(line)
    if result.response:
        body = json.dumps(result.response.body).encode()
        return result.custom_id, BatchReply(result.response.status_code, body)
    error = result.error or _Error()
    return result.custom_id, failed_reply(error.code, error.message)
