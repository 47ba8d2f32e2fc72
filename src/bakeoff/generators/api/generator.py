"""The generator of every server: hosted providers, OpenAI-compatible servers, local engines.

If a server refuses an optional parameter by name (a JSON schema, a seed, a temperature), requests
are sent without it from then on.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from bakeoff.config import Spec, parse_fields
from bakeoff.costs import Price, cost_at, listed_cost
from bakeoff.environment import credentials
from bakeoff.errors import BakeoffError, ConfigError, one_line
from bakeoff.generators import scoring
from bakeoff.generators.api.address import (
    base_url_from_environment,
    is_listening,
    is_loopback,
    is_valid_url,
    public_url,
)
from bakeoff.generators.api.anthropic_format import with_cache_mark
from bakeoff.generators.api.cost_tracker import CostTracker
from bakeoff.generators.api.errors import (
    ApiError,
    UnreadableError,
    refused_parameter,
    to_exception,
)
from bakeoff.generators.api.retries import ServerPool
from bakeoff.generators.thinking import make_completion
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, PrefixedPrompt, Prompt, Usage, content_key
from bakeoff.redact import redact
from bakeoff.runtime import LimitConfig, ModelRequest, PerItem, Server, Traits
from bakeoff.runtime.cancellation import sleep_or_stop
from bakeoff.runtime.tasks import to_daemon_thread
from bakeoff.runtime.timing import timed

if TYPE_CHECKING:  # aiohttp is imported when the first client is opened
    from bakeoff.generators.api.client import ChatClient, RateLimitCallback
    from bakeoff.generators.api.replies import ChatReply

log = logging.getLogger(__name__)

_SCORING = ("api", "embedded", "vllm")  # backends that can score given texts
_LOCAL = ("embedded", "vllm")  # backends that start a server if no address is given
_UNLIMITED = LimitConfig(max_concurrency=10**6)


class Api(PerItem[Prompt, Completion]):
    """A model behind a chat-completions server: `openai:gpt-4`, `api:NAME?base_url=http://...`."""

    traits = Traits(can_score=True)

    class Options(BaseModel):
        """Options of the spec; `max_concurrency`, `rpm` and `tpm` are per server.

        `base_url` may be given more than once, for servers of the same model; completions are
        stored under the first. `price=0.5,1.5` are US dollars per million input and output tokens.
        """

        model_config = ConfigDict(extra="forbid")

        base_url: str | None = None
        api_key_env: str | None = None  # environment variable with the API key
        timeout: float = Field(600.0, gt=0)  # seconds without a byte; twice that for a whole reply
        retries: int = Field(6, ge=0)  # of a request, after transient failures
        delay: float = Field(0.0, ge=0)  # seconds between two requests
        max_concurrency: int | None = Field(None, ge=1)  # requests in flight
        rpm: float | None = Field(None, gt=0)  # requests per minute
        tpm: float | None = Field(None, gt=0)  # tokens per minute, in and out
        price: Price | None = None

        @field_validator("price", mode="before")
        @classmethod
        def _split_price(cls, value: object) -> object:
            return value.split(",") if isinstance(value, str) else value

        @field_validator("base_url")
        @classmethod
        def _check_urls(cls, urls: str | None) -> str | None:
            """Check all addresses, which spaces separate; return the first."""
            for url in (urls or "").split():
                if not (url.startswith(("http://", "https://")) and is_valid_url(url)):
                    raise ValueError("write it as http://HOST:PORT/v1")
            return urls and urls.split()[0]

    def __init__(self, spec: Spec, context: RunContext) -> None:
        self._urls = tuple(spec.options.get("base_url", "").split())
        super().__init__(context.max_concurrency * max(1, len(self._urls)))
        self.options = parse_fields(self.Options, spec.options, where=spec.name)
        self.spec = spec
        self.sampling = context.sampling
        if self.sampling.score_only and spec.backend not in _SCORING:
            raise ConfigError(
                f"{spec.name!r} cannot weigh completions: hosted models do not say how likely they "
                "find a text; take one of embedded:, hf:, or a vLLM server by api:"
            )
        base_url = self.options.base_url or base_url_from_environment(spec.backend)
        self.identity: dict[str, JsonValue] = {
            "backend": spec.backend,
            "model": spec.target,
            "server": public_url(base_url),
        }
        self.weights = content_key(self.identity)
        self.identity |= {"sampling": self.sampling.model_dump()}
        limit, stage = context.spend_limit, "judgment" if context.for_judge else "completion"
        totals, batch_only = limit.totals_of(stage, spec.name), self.traits.batch_only
        costs = CostTracker(limit, totals, self.estimate_cost, batch_only=batch_only)
        self._managed = spec.backend in _LOCAL and not self._urls  # this process starts the server
        servers, retries = self._shared_servers(context), self.options.retries
        self._pool = ServerPool(
            spec.name, servers, context.rate_limits, retries, costs, managed=self._managed
        )
        self._is_open = False
        self._opening = asyncio.Lock()
        self._delaying = asyncio.Lock()
        self._unsupported: set[str] = set()  # parameters that the server refused
        self._secrets: Sequence[str] = ()

    def _shared_servers(self, context: RunContext) -> list[Server]:
        """Return the servers from the registry of the run, which shares their limits among models.

        Servers that this process starts are not shared, nor are limits of this model's options.
        """
        options, rate_limits, backend = self.options, context.rate_limits, self.spec.backend
        limits = LimitConfig(
            options.max_concurrency or context.max_concurrency,
            options.rpm or rate_limits.rpm,
            options.tpm or rate_limits.tpm,
        )
        owner: object = None
        if options.model_fields_set & {"max_concurrency", "rpm", "tpm"}:
            owner = (self.spec.target, limits)
        if self.traits.batch_only or self._managed:
            owner = object()
        key = options.api_key_env and os.environ.get(options.api_key_env)
        return [
            rate_limits.server(
                (address, key, owner), _UNLIMITED if self.traits.batch_only else limits
            )
            for address in ([public_url(url) for url in self._urls] or [backend])
        ]

    async def prepare(self) -> None:
        """Check the key, the provider's package, and that a server listens; else ConfigError."""
        await self.open()
        urls = self._urls or tuple(filter(None, [base_url_from_environment(self.spec.backend)]))
        silent = [str(public_url(url)) for url in urls if not await is_listening(url)]
        if urls and len(silent) == len(urls):
            raise ConfigError(
                f"{self.spec.name!r} cannot be reached at {', '.join(silent)}: start its server or "
                "check the address"
            )
        for url in silent:
            log.warning("%s: nothing listens at %s: asking the others", self.spec.name, url)

    async def close(self) -> None:
        """Close the connections of all clients."""
        self._is_open = False
        clients, self._pool.clients = self._pool.clients, ()
        for client in clients:
            await client.close()

    async def open(self) -> "ChatClient":
        """Create the clients on the first call; return that of the first server."""
        if not self._is_open:
            async with self._opening:
                if not self._is_open:
                    await self._open()
        return self._pool.clients[0]

    async def _open(self) -> None:
        key = os.environ.get(self.options.api_key_env or "", "")
        self._secrets = [*credentials(), key]
        with timed("load"):
            await to_daemon_thread(partial(import_module, "bakeoff.generators.api.client"))
            self._pool.clients = await self._clients()
        self._is_open = True

    async def _clients(self) -> "Sequence[ChatClient]":
        if len(self._urls) < 2:
            return [await self.connect()]
        callbacks = [server.update_quotas for server in self._pool.servers]
        return [
            self.new_client(url, callback)
            for url, callback in zip(self._urls, callbacks, strict=True)
        ]

    async def connect(self) -> "ChatClient":
        """Return a client of the server; local backends start the server first."""
        return self.new_client(self.options.base_url, self._pool.servers[0].update_quotas)

    def new_client(self, url: str | None, on_quota: "RateLimitCallback") -> "ChatClient":
        """Return a client of the server at `url`, or of the provider. Raises ConfigError."""
        from bakeoff.generators.api.client import open_client

        options, spec = self.options, self.spec
        return open_client(
            spec.name, spec.backend, url, options.api_key_env, options.timeout, on_quota
        )

    async def process(self, prompt: Prompt) -> Completion:
        """Return a completion. Raises BackendError after the last retry.

        API keys are redacted from the completion and the exception, as a server may echo them.
        """
        await self.open()
        try:
            try:
                return await self._complete(prompt)
            except UnreadableError:
                log.info("%s sent a reply that cannot be read: asking once more", self.spec.name)
                return await self._complete(prompt)
        except BakeoffError as error:
            error.redact(self._secrets)
            raise

    async def _complete(self, prompt: Prompt) -> Completion:
        await self._wait_delay()
        if self.sampling.score_only:
            return Completion(text="", score=await self.score(prompt))
        return self._parse(await self._send(self.request(prompt)))

    async def score(self, prompt: Prompt) -> float:
        """Return the mean log-probability of the last turn's tokens, by vLLM's extension."""
        return await scoring.score_by_prompt_logprobs(prompt, self.request, self._send)

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """Return the body of a chat completion in OpenAI's format, with `max_tokens`."""
        sampling = self.sampling
        messages = prompt.conversation()
        if self.spec.backend == "anthropic" and isinstance(prompt, PrefixedPrompt):
            messages[0] = with_cache_mark(prompt)
        if sampling.system is not None:
            messages = [{"role": "system", "content": sampling.system}, *messages]
        request: dict[str, Any] = {
            "model": self.spec.target,
            "messages": messages,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed_of(prompt.sample),
        }
        if sampling.schema_ is not None:
            schema = {"name": "verdict", "strict": True, "schema": sampling.schema_}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        if sampling.top_logprobs:
            request |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
        if prompt.messages[-1].role == "assistant" and self.spec.backend in ("api", "vllm"):
            request |= {"continue_final_message": True, "add_generation_prompt": False}
        return {key: value for key, value in request.items() if key not in self._unsupported}

    async def _send(self, request: dict[str, Any]) -> "ChatReply":
        try:
            return await self._pool.send(request)
        except ApiError as error:
            refused = refused_parameter(error, request)
            if refused is None:
                raise to_exception(error, self.spec.name, reached=self._pool.reached) from None
            if refused == "logprobs":  # a judge that requests them needs them
                raise ConfigError(
                    f"{self.spec.name!r} gives no log-probabilities ({one_line(error)}): read its "
                    "words, without ?verdict=logprob, or take another judge"
                ) from None
        if refused not in self._unsupported:
            log.warning("%s does not accept %r: asking without it", self.spec.name, refused)
        self._unsupported.add(refused)
        return await self._send({k: v for k, v in request.items() if k != refused})

    async def _wait_delay(self) -> None:
        if self.options.delay:
            async with self._delaying:
                await sleep_or_stop(self.options.delay)

    def _parse(self, reply: "ChatReply") -> Completion:
        usage = reply.usage
        completion = make_completion(
            reply.text,
            finish=reply.finish,
            tokens=usage.output_tokens if usage else None,
            thinking=reply.thinking,
            top_logprobs=reply.top_logprobs,
        ).with_usage(reply.snapshot, usage, self.cost(usage) if usage else None)
        texts = (completion.text, completion.raw, completion.thinking, completion.snapshot)
        text = "".join(filter(None, texts))
        if redact(text, self._secrets) == text:
            return completion
        return Completion.model_validate_json(redact(completion.model_dump_json(), self._secrets))

    def requests(self, item: Prompt) -> Sequence[ModelRequest]:
        """Return one request: the prompt."""
        return [ModelRequest(item, self.sampling)]

    def cost(self, usage: Usage) -> float | None:
        """Return US dollars for `usage`; None if unknown: no given or listed price."""
        if self.options.price:
            return cost_at(self.options.price, usage)
        if self.spec.backend in ("api", *_LOCAL):
            return None
        return self.list_price(usage)

    def list_price(self, usage: Usage) -> float | None:
        """Return US dollars by the public price lists; None if the model is unlisted."""
        return listed_cost(self.spec.backend, self.spec.target, usage)

    def estimate_cost(self, usage: Usage) -> float | None:
        """Return `cost`, or 0 for a server on this machine without a given price."""
        unlisted = self.spec.backend in ("api", *_LOCAL)
        local = unlisted and self._urls and all(map(is_loopback, self._urls))
        if self.options.price is None and (self._managed or local):
            return 0.0
        return self.cost(usage)
