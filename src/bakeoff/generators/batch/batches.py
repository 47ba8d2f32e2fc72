"""Hosted models through a provider's batch API: half the price, replies within a day.

Requests are built, and replies parsed, by the same code as for direct requests: the client puts
each request into a `BatchQueue`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bakeoff.config import Spec
from bakeoff.costs import listed_cost
from bakeoff.errors import BakeoffError, ConfigError, WorkError
from bakeoff.generators.api.generator import Api
from bakeoff.generators.batch.journal import BatchJournal
from bakeoff.generators.batch.provider import BatchProvider
from bakeoff.generators.batch.resumable_queue import BatchQueue
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt, Usage, content_key
from bakeoff.runtime import Emit, current_stop_token, outcome_of, task_group

if TYPE_CHECKING:  # aiohttp is imported when the first client is opened
    from bakeoff.generators.api.client import ChatClient, WireFormat
    from bakeoff.generators.api.replies import ChatReply

_MAX_PENDING = 25_000  # requests that wait for a reply; each takes about 30 kB of memory
_KEY = "batch_key"  # field of a request for `QueuedClient`; not sent to the provider
_KEY_LENGTH = 48  # hexadecimal digits; Anthropic limits the id of a request to 64 characters


class BatchedApi(Api):
    """Base of hosted models whose requests go through their provider's batch API.

    The worker is `batch_only`: all items have to be in one call. The first request of a run is sent
    directly, so that refused parameters and a wrong key or name are known within seconds.
    """

    traits = replace(Api.traits, batch_only=True)
    tokens_in_progress = 0
    provider: ClassVar[type[BatchProvider]]

    class Options(Api.Options):
        """Options of the spec."""

        poll: float = Field(60.0, gt=0)  # maximum seconds between two polls of a batch
        batch_size: int | None = Field(None, ge=1)  # maximum requests per batch

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context)
        if len(self._urls) > 1:
            raise ConfigError(f"{spec.name!r}: one server is asked in batches, not several")
        batch_options = self.Options.model_fields.keys() - Api.Options.model_fields.keys()
        shared = {key: value for key, value in spec.options.items() if key not in batch_options}
        self._direct = Api(spec.with_options(shared), context)
        self._unsupported = self._direct._unsupported
        self._for_judge = context.for_judge
        self._journal = BatchJournal(context.store, content_key(self.weights))
        self._queue: BatchQueue | None = None
        self._probed = False  # whether this or an earlier run has sent a request
        self._unstored = False  # whether an outcome may not be in the store yet

    @property
    def remote_done(self) -> int:
        """Number of requests in running batches that the provider has processed."""
        return self._queue.processed if self._queue else 0

    async def prepare(self) -> None:
        """Check the key, the provider's package, and that a server listens; else ConfigError."""
        await self._direct.prepare()

    def on_committed(self) -> None:
        """Record that all outcomes are in the store."""
        self._unstored = False

    async def close(self) -> None:
        """Close all connections; record finished batches if all outcomes are in the store."""
        queue, self._queue = self._queue, None
        if queue:
            await queue.close(stored=not self._unstored)
        await super().close()
        await self._direct.close()

    async def connect(self) -> "ChatClient":
        """Return a client that puts requests into the queue; resume batches of earlier runs."""
        from bakeoff.generators.api.client import HttpChatClient

        direct = await self._direct.open()
        if not isinstance(direct, HttpChatClient):
            raise ConfigError(f"{self.spec.name!r} has no batches that we know of")
        provider = self.provider(self.spec.name, direct.http, self.options.poll)
        if self.options.batch_size:
            provider.max_requests = min(provider.max_requests, self.options.batch_size)
        self._queue = BatchQueue(self.spec.name, provider, self._journal, self._unsupported)
        await self._queue.open()
        return QueuedClient(self._queue, direct.wire_format)

    async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
        """Emit every outcome when its batch has ended."""
        self._unstored = True
        await self.open()
        queue, waiting = self._queue, list(enumerate(items))
        assert queue is not None  # noqa: S101 - set by `connect`
        if not self._probed and not any(queue.was_sent(self._key(item)) for item in items):
            for index, item in waiting[:1]:
                emit(index, await outcome_of(self._direct.process(item)))
            waiting = waiting[1:]
        self._probed = True
        await self._run(queue, waiting, emit)

    async def _run(
        self, queue: BatchQueue, items: Sequence[tuple[int, Prompt]], emit: Emit[Completion]
    ) -> None:
        waiting, callers = iter(items), min(_MAX_PENDING, len(items))

        async def call() -> None:
            nonlocal callers
            for index, item in waiting:
                emit(index, await outcome_of(self.process(item)))
            callers -= 1
            queue.remove_callers(1)

        queue.add_callers(callers)
        try:
            with current_stop_token().on_stop(queue.stop):
                async with task_group() as group:
                    for _ in range(callers):
                        group.create_task(call())
        finally:
            queue.remove_callers(callers)

    async def process(self, prompt: Prompt) -> Completion:
        """Return the completion of a prompt. Raises the error that stopped the queue, if any."""
        try:
            return await super().process(prompt)
        except WorkError:
            if self._queue and self._queue.error:
                if isinstance(self._queue.error, BakeoffError):
                    self._queue.error.redact(self._secrets)
                raise self._queue.error from None
            raise

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """Return the parameters of a direct request, and its key in the queue."""
        return super().request(prompt) | {_KEY: self._key(prompt)}

    def _key(self, prompt: Prompt) -> str:
        # A judge's prompt is identified by its id: its text contains a random delimiter.
        named = prompt.id if self._for_judge else content_key(prompt.conversation())
        return content_key(self.identity, named).rpartition(":")[2][:_KEY_LENGTH]

    async def _wait_delay(self) -> None:
        """Do not wait: `delay` applies to direct requests only."""

    def list_price(self, usage: Usage) -> float | None:
        """Return US dollars by the price lists for batches; None if the model is unlisted."""
        return listed_cost(self.spec.backend, self.spec.target, usage, "batch")


class QueuedClient:
    """Client that puts requests into a `BatchQueue`; see `ChatClient`."""

    def __init__(self, queue: BatchQueue, wire_format: "WireFormat") -> None:
        self._queue = queue
        self._wire_format = wire_format

    async def complete(self, request: dict[str, Any]) -> "ChatReply":
        """Return the reply from the request's batch. Raises ApiError, UnreadableError."""
        from bakeoff.generators.api.http_client import status_error

        key = request[_KEY]
        body = self._wire_format.body({k: v for k, v in request.items() if k != _KEY})
        reply = await self._queue.submit(key, body)
        if reply.status >= 300:
            raise status_error(reply.status, reply.body, {"x-should-retry": "false"})
        return self._wire_format.parse(reply.body)

    async def close(self) -> None:
        """Do nothing: the queue and the direct client are closed by their owner."""
