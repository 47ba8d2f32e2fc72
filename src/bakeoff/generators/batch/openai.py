"""OpenAI's batches: a file of requests in, a file of replies and one of errors out.

Knows that interface, as the official client speaks it; not what is asked.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, JsonValue

from bakeoff.generators.batch.batches import InBatches
from bakeoff.generators.batch.journal import Batch
from bakeoff.generators.batch.provider import Reply, State, unanswered, unified

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_ENDPOINT: Final = "/v1/chat/completions"
_TAG = "bakeoff"  # in a batch's metadata
_SKEW = 3600.0  # seconds that its clock and ours may differ
_ENDED = ("completed", "expired", "cancelled")
_CROWDED = ("token_limit_exceeded",)


class _Error(BaseModel):
    """Why a request has no reply."""

    code: str = "batch_missing"
    message: str = "the batch ended without a word on this request"


class _Response(BaseModel):
    """A reply of the model's, or a refusal."""

    status_code: int
    body: JsonValue


class _Line(BaseModel):
    """What came of one request."""

    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


class Files:
    """Speaks the interface; `client` is the official one."""

    most = 50_000
    largest = 200_000_000

    def __init__(self, client: "AsyncOpenAI") -> None:
        self._client = client

    async def send(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        """Upload the requests, and make a batch of them."""
        lines = b"".join(_line(id_, body) for id_, body in bodies.items())
        with unified("openai"):
            file = await self._client.files.create(
                file=(f"bakeoff-{batch.tag}.jsonl", lines, "application/jsonl"), purpose="batch"
            )
            # Its own attempts would make a second batch where a first one's reply was lost.
            sent = await self._client.with_options(max_retries=0).batches.create(
                input_file_id=file.id,
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={_TAG: batch.tag},
            )
        return sent.id

    async def find(self, batch: Batch) -> str | None:
        """The batch whose metadata hold the tag."""
        with unified("openai"):
            async for found in self._client.batches.list(limit=100):
                if (found.metadata or {}).get(_TAG) == batch.tag:
                    return found.id
                if found.created_at < batch.at - _SKEW:
                    break
        return None

    async def look(self, reference: str) -> State:
        """How far it is."""
        from openai import NotFoundError

        with unified("openai"):
            try:
                found = await self._client.batches.retrieve(reference)
            except NotFoundError:
                return State(gone=True)
        if found.status == "failed":
            errors = (found.errors and found.errors.data) or []
            words = "; ".join(filter(None, (error.message for error in errors[:3])))
            crowded = any(error.code in _CROWDED for error in errors)
            return State(refused=words or "it does not say why", crowded=crowded)
        counts = found.request_counts
        through = counts.completed + counts.failed if counts else 0
        return State(through, ended=found.status in _ENDED)

    async def replies(self, reference: str) -> AsyncIterator[tuple[str, Reply]]:
        """The lines of both files."""
        with unified("openai"):
            found = await self._client.batches.retrieve(reference)
            for file in filter(None, (found.output_file_id, found.error_file_id)):
                content = (await self._client.files.content(file)).content
                # Not by `splitlines`: JSON may hold a line separator of Unicode's as it is.
                for line in filter(None, content.split(b"\n")):
                    yield _read(line)


class OpenAI(InBatches):
    """`openai:NAME` with `--batch`; `api:NAME?base_url=...&batch=true` speaks the same."""

    def carrier(self, client: Any) -> Files:
        """Files of requests."""
        return Files(client)


def _line(id_: str, body: bytes) -> bytes:
    head = json.dumps({"custom_id": id_, "method": "POST", "url": _ENDPOINT})
    return head[:-1].encode() + b', "body": ' + body + b"}\n"


def _read(line: bytes) -> tuple[str, Reply]:
    found = _Line.model_validate_json(line)
    if found.response:
        body = json.dumps(found.response.body).encode()
        return found.custom_id, Reply(found.response.status_code, body)
    error = found.error or _Error()
    return found.custom_id, unanswered(error.code, error.message)
