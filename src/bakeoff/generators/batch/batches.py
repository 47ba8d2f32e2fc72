"""A hosted model that is asked in batches: half the price, and replies within a day.

A request is made, and a reply read, by the same code as directly: what stands in the official
client's place for a connection takes each request to the desk, where batches are made of them.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import Field

from bakeoff.config import Spec
from bakeoff.costs import price_of
from bakeoff.errors import BakeoffError, ConfigError, WorkError
from bakeoff.generators.api.generator import Api
from bakeoff.generators.batch.batch_queue import Desk
from bakeoff.generators.batch.journal import Notes
from bakeoff.generators.batch.provider import Carrier
from bakeoff.generators.batch.retrying_provider import Patience
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt, Usage, content_key
from bakeoff.runtime import Emit, current_stop_token, outcome_of, task_group

if TYPE_CHECKING:
    from any_llm import AnyLLM

_AT_ONCE = 25_000  # requests that wait for a reply: each takes about 30 kB here
_KEY = "X-Bakeoff-Key"  # goes no further than to the desk
_KEY_LENGTH = 48  # hexadecimal digits; an id may have 64 characters with Anthropic


class InBatches(Api):
    """Asks in batches; a subclass says whose. Needs everything in one call: it is `patient`.

    The first request of a run is made directly. What the server refuses by name, a wrong key and a
    wrong name are learned from it in a second and not in a day.
    """

    traits = replace(Api.traits, batch_only=True)

    class Options(Api.Options):
        """Options of the spec. `poll` is the seconds between two looks at a batch, at most;
        `batch_size` is how many requests go into one, at most.
        """

        poll: float = Field(60.0, gt=0)
        batch_size: int | None = Field(None, ge=1)

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context)
        own = self.Options.model_fields.keys() - Api.Options.model_fields.keys()
        rest = {key: value for key, value in spec.options.items() if key not in own}
        self._direct = Api(spec.model_copy(update={"options": rest}), context)
        if len(self._urls) > 1:
            raise ConfigError(f"{spec.name!r}: one server is asked in batches, not several")
        self._left_out = self._direct._left_out
        self._for_judge = context.for_judge
        self._notes = Notes(context.store, content_key(self.weights))
        self._desk: Desk | None = None
        self._known = False  # what the server takes
        self._owed = False  # whether something was asked for that is not in the store

    @abstractmethod
    def carrier(self, client: Any) -> Carrier:
        """The provider's batches, by its official client."""

    tokens_in_progress = 0

    @property
    def remote_done(self) -> int:
        """How many requests of those under way the provider is through with."""
        return self._desk.through if self._desk else 0

    async def prepare(self) -> None:
        """As directly."""
        await self._direct.prepare()

    def on_committed(self) -> None:
        """All that came of what was sent is in the store."""
        self._owed = False

    async def close(self) -> None:
        """Close the connections, and forget the batches if all that came of them was taken."""
        desk, self._desk = self._desk, None
        if desk:
            await desk.close(settled=not self._owed)
        await super().close()
        await self._direct.close()

    async def connect(self) -> "AnyLLM":
        """A client whose requests go to the desk; it takes up what an earlier run left there."""
        client: Any = getattr(await self._direct.opened(), "client")  # noqa: B009 - of two kinds
        client = client.with_options(max_retries=self.options.retries)
        patience = Patience(self.spec.name, self.carrier(client), self.options.poll)
        if self.options.batch_size:
            patience.most = min(patience.most, self.options.batch_size)
        self._desk = Desk(self.spec.name, patience, self._notes)
        await self._desk.open()
        self._left_out |= self._desk.without
        self._desk.without = self._left_out
        return await super().connect()

    def transport(self) -> dict[str, Any]:
        """As directly, but for the connection."""
        assert self._desk is not None  # noqa: S101 - `connect` made it
        return super().transport() | {"http_client": httpx.AsyncClient(transport=_Line(self._desk))}

    async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
        """Emit every item's outcome: when its batch has ended, or the second one after that."""
        self._owed = True
        await self.opened()
        desk, waiting = self._desk, list(enumerate(items))
        assert desk is not None  # noqa: S101 - it was opened
        if not self._known and not any(desk.holds(self._key(item)) for item in items):
            for index, item in waiting[:1]:
                emit(index, await outcome_of(self._direct.process(item)))
            waiting = waiting[1:]
        self._known = True
        await self._by(desk, waiting, emit)

    async def _by(
        self, desk: Desk, items: Sequence[tuple[int, Prompt]], emit: Emit[Completion]
    ) -> None:
        waiting, lanes = iter(items), min(_AT_ONCE, len(items))

        async def lane() -> None:
            nonlocal lanes
            for index, item in waiting:
                emit(index, await outcome_of(self.process(item)))
            lanes -= 1
            desk.leave(1)

        desk.asking += lanes
        try:
            with current_stop_token().on_stop(desk.stop):
                async with task_group() as group:
                    for _ in range(lanes):
                        group.create_task(lane())
        finally:
            desk.leave(lanes)

    async def process(self, prompt: Prompt) -> Completion:
        """The reply to a prompt. What stopped the desk is raised, whatever the reply."""
        try:
            return await super().process(prompt)
        except WorkError:
            if self._desk and self._desk.trouble:
                if isinstance(self._desk.trouble, BakeoffError):
                    self._desk.trouble.hide(self._keys)
                raise self._desk.trouble from None
            raise

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """As directly, with the key under which the desk knows it."""
        return super().request(prompt) | {"extra_headers": {_KEY: self._key(prompt)}}

    def _key(self, prompt: Prompt) -> str:
        """A judge's prompt is known by its id: its words hold a random number."""
        named = prompt.id if self._for_judge else content_key(prompt.conversation())
        return content_key(self.identity, named).rpartition(":")[2][:_KEY_LENGTH]

    async def _keep_pace(self) -> None:
        """A batch needs none."""

    def listed(self, usage: Usage) -> float | None:
        """As directly, at the price of batches."""
        return price_of(self.spec.backend, self.spec.target, usage, "batch")


class _Line(httpx.AsyncBaseTransport):
    """Takes a request to the desk, and brings the reply as if a server had sent it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await self._desk.ask(request.headers[_KEY], await request.aread())
        headers = {"content-type": "application/json", "x-should-retry": "false"}
        return httpx.Response(reply.status, headers=headers, content=reply.body)
