"""The one client of every server: hosted providers, OpenAI-compatible servers, our embedded one.

Knows requests and replies; not what a completion is for. When a server is asked, and once more, is
decided in `servers.py`; how a request goes there in `wire.py`.

What a server does not accept is learned from its own refusal: where it names an optional parameter
(a JSON schema, a seed, a temperature), that parameter is left out for the rest of the run.
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
from bakeoff.costs import Price, price_at, price_of
from bakeoff.environment import keys
from bakeoff.errors import BakeoffError, ConfigError, one_line, without
from bakeoff.generators import scoring
from bakeoff.generators.api.address import (
    base_url_of,
    is_here,
    is_place,
    listens,
    place,
    with_password,
)
from bakeoff.generators.api.client import client_of
from bakeoff.generators.api.cost_tracker import Till
from bakeoff.generators.api.errors import UnreadableError, meaning_of, refused_parameter, too_long
from bakeoff.generators.api.replies import said_in, usage_in
from bakeoff.generators.api.retries import Servers
from bakeoff.generators.api.transport import Heard, connections, marked
from bakeoff.plugins import Setting
from bakeoff.records import Completion, PrefixedPrompt, Prompt, Usage, content_key
from bakeoff.runtime import Ask, Caps, PerItem, Server, aside, pause
from bakeoff.runtime.timing import timed

if TYPE_CHECKING:
    from any_llm import AnyLLM
    from any_llm.types.completion import ChatCompletion

log = logging.getLogger(__name__)

_WEIGHING = ("api", "embedded", "vllm")  # they tell the log-probabilities of a given text
_OWN = ("embedded", "vllm")  # without an address they have a server of their own
_UNLIMITED = Caps(most=10**6, first=10**6)


class Api(PerItem[Prompt, Completion]):
    """A model behind a chat-completions server: `openai:gpt-4`, `api:NAME?base_url=http://...`."""

    weighs = True

    class Options(BaseModel):
        """Options of the spec. `timeout` is in seconds without a byte; a reply has to be whole
        within twice that. `delay` is in seconds too: between two requests.

        `base_url` may be given more than once: servers of the same model, of which the first is the
        one whose name completions are kept under. `max_concurrency`, `rpm` and `tpm` are requests
        in flight, requests and tokens a minute, at most: for this model alone, and at each server.
        `price` is US dollars for a million tokens read, and written: `price=0.5,1.5`.
        """

        model_config = ConfigDict(extra="forbid")

        base_url: str | None = None
        api_key_env: str | None = None
        timeout: float = Field(600.0, gt=0)
        retries: int = Field(6, ge=0)
        delay: float = Field(0.0, ge=0)
        max_concurrency: int | None = Field(None, ge=1)
        rpm: float | None = Field(None, gt=0)
        tpm: float | None = Field(None, gt=0)
        price: Price | None = None

        @field_validator("price", mode="before")
        @classmethod
        def _is_a_price(cls, given: object) -> object:
            return given.split(",") if isinstance(given, str) else given

        @field_validator("base_url")
        @classmethod
        def _is_an_address(cls, urls: str | None) -> str | None:
            """The first of the addresses, of which there may be several."""
            for url in (urls or "").split():
                if not (url.startswith(("http://", "https://")) and is_place(url)):
                    raise ValueError("write it as http://HOST:PORT/v1")
            return urls and urls.split()[0]

    def __init__(self, spec: Spec, setting: Setting) -> None:
        self._urls = tuple(spec.options.get("base_url", "").split())
        super().__init__(setting.lanes * max(1, len(self._urls)))
        self.options = parse_fields(self.Options, spec.options, where=spec.name)
        self.spec = spec
        self.sampling = setting.sampling
        if self.sampling.weigh and spec.backend not in _WEIGHING:
            raise ConfigError(
                f"{spec.name!r} cannot weigh completions: hosted models do not say how likely they "
                "find a text; take one of embedded:, hf:, or a vLLM server by api:"
            )
        self.identity: dict[str, JsonValue] = {
            "backend": spec.backend,
            "model": spec.target,
            "server": place(self.options.base_url or base_url_of(spec.backend)),
        }
        self.weights = content_key(self.identity)
        self.identity |= {"sampling": self.sampling.model_dump()}
        account = setting.purse.account("judgment" if setting.judging else "completion", spec.name)
        self._till = Till(setting.purse, account, self.due, patient=self.patient)
        servers, limits = self._asked_at(setting), setting.limits
        own = spec.backend in _OWN and not self._urls
        self._servers = Servers(
            spec.name, servers, limits, self.options.retries, self._till, own=own
        )
        self._llm: AnyLLM | None = None
        self._opening = asyncio.Lock()
        self._pace = asyncio.Lock()
        self._left_out: set[str] = set()
        self._each: dict[str, Any] = {}  # what goes with each request, beside what is asked
        self._keys: Sequence[str] = ()  # what nobody may read

    def _asked_at(self, setting: Setting) -> list[Server]:
        """The servers, shared with all who ask them in this run. Those that are its own it shares
        with nobody, nor what it may ask of one where that is said for this model alone.
        """
        options, limits, backend = self.options, setting.limits, self.spec.backend
        most, rpm = options.max_concurrency or setting.lanes, options.rpm or limits.rpm
        caps = Caps(most, rpm, options.tpm or limits.tpm)
        own: object = None
        if options.model_fields_set & {"max_concurrency", "rpm", "tpm"}:
            own = (self.spec.target, caps)
        if self.patient or (backend in _OWN and not self._urls):
            own = object()
        key = options.api_key_env and os.environ.get(options.api_key_env)
        return [
            limits.server((at, key, own), _UNLIMITED if self.patient else caps)
            for at in ([place(url) for url in self._urls] or [backend])
        ]

    async def prepare(self) -> None:
        """ConfigError where the key, the provider's package or the server is missing."""
        await self.opened()
        urls = self._urls or tuple(filter(None, [base_url_of(self.spec.backend)]))
        away = [str(place(url)) for url in urls if not await listens(url)]
        if urls and len(away) == len(urls):
            raise ConfigError(
                f"{self.spec.name!r} cannot be reached at {', '.join(away)}: start its server or "
                "check the address"
            )
        for at in away:
            log.warning("%s: nothing listens at %s: asking the others", self.spec.name, at)

    async def close(self) -> None:
        """Close the client's connections."""
        self._llm = None
        llms, self._servers.clients = self._servers.clients, ()
        for llm in llms:
            client = getattr(llm, "client", None)
            if client is not None and hasattr(client, "close"):
                await client.close()

    async def opened(self) -> "AnyLLM":
        """The client, connected when it is first needed; of several servers the first one's."""
        async with self._opening:
            if self._llm is None:
                self._keys = [*keys(), os.environ.get(self.options.api_key_env or "", "")]
                with timed("load"):
                    await aside(partial(import_module, "any_llm"))  # takes a second
                    self._servers.clients = await self._clients()
                self._llm = self._servers.clients[0]
            return self._llm

    async def _clients(self) -> "Sequence[AnyLLM]":
        if len(self._urls) < 2:
            return [await self.connect()]
        told = [server.told for server in self._servers.servers]
        return [self._client(url, heard) for url, heard in zip(self._urls, told, strict=True)]

    def transport(self) -> dict[str, Any]:
        """What the official client is made with beside its address and key."""
        return {"max_retries": 0, "timeout": self.options.timeout}  # `servers.py` tries again

    async def connect(self) -> "AnyLLM":
        """A client for the server, where there is one; asks nothing yet."""
        return self._client(self.options.base_url, self._servers.servers[0].told)

    def _client(self, url: str | None, heard: Heard) -> "AnyLLM":
        from any_llm import AnyLLM
        from any_llm.exceptions import MissingApiKeyError

        options, backend = self.options, self.spec.backend
        key = os.environ.get(options.api_key_env) if options.api_key_env else None
        if options.api_key_env and not key:
            raise ConfigError(f"{self.spec.name!r} needs a key: set {options.api_key_env}")
        if backend == "api":
            if not url:
                raise ConfigError(f"{self.spec.name!r} needs ?base_url=http://HOST:PORT/v1")
            return client_of(self.spec.name, url, key, self.transport(), heard)
        if url and with_password(url)[1]:
            raise ConfigError(f"{self.spec.name!r} takes a key, and no password in its address")
        try:
            known = AnyLLM.get_provider_class(backend)
            made = connections(backend, heard) | self.transport()
            if known.MAX_RETRIES_SUPPORT == "unsupported":
                made.pop("max_retries", None)
            if known.TIMEOUT_SUPPORT != "native":
                timeout = made.pop("timeout", None)
                self._each = {"timeout": timeout} if known.TIMEOUT_SUPPORT == "mapped" else {}
            return AnyLLM.create(backend, key, url, unified_exceptions=True, **made)
        except MissingApiKeyError as error:
            raise ConfigError(f"{self.spec.name!r} needs a key: set {error.env_var_name}") from None
        except ImportError:
            extra = f"any-llm-sdk[{self.spec.backend}]"
            raise ConfigError(f"{self.spec.name!r} needs: pip install '{extra}'") from None

    async def one(self, prompt: Prompt) -> Completion:
        """Ask for one completion. BackendError where there is none after the client's retries.

        A key that a server sends back is taken out of everything that it said.
        """
        await self.opened()
        try:
            try:
                return await self._ask(prompt)
            except UnreadableError:
                log.info("%s sent a reply that cannot be read: asking once more", self.spec.name)
                return await self._ask(prompt)
        except BakeoffError as error:
            error.hide(self._keys)
            raise

    async def _ask(self, prompt: Prompt) -> Completion:
        await self._keep_pace()
        if self.sampling.weigh:
            return Completion(text="", weight=await self.weigh(prompt))
        return self._completion(await self._reply(self.request(prompt)))

    async def weigh(self, prompt: Prompt) -> float:
        """The mean log-probability of the last turn's tokens; as vLLM tells it."""
        return await scoring.by_prompt_logprobs(prompt, self.request, self._reply)

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """The request's parameters, in any-llm's terms."""
        sampling = self.sampling
        messages = prompt.conversation()
        if self.spec.backend == "anthropic" and isinstance(prompt, PrefixedPrompt):
            messages[0] = marked(prompt)
        if sampling.system is not None:
            messages = [{"role": "system", "content": sampling.system}, *messages]
        asked: dict[str, Any] = {
            "model": self.spec.target,
            "messages": messages,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed_of(prompt.sample),
        }
        if sampling.schema_ is not None:
            schema = {"name": "verdict", "strict": True, "schema": sampling.schema_}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        if sampling.top_logprobs:
            asked |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
        if prompt.messages[-1].role == "assistant" and self.spec.backend in ("api", "vllm"):
            goes_on = {"continue_final_message": True, "add_generation_prompt": False}
            asked["extra_body"] = goes_on
        return {key: value for key, value in asked.items() if key not in self._left_out}

    async def _reply(self, asked: dict[str, Any]) -> "ChatCompletion":
        from any_llm.exceptions import AnyLLMError, InvalidRequestError, UnsupportedParameterError

        try:
            return await self._servers.reply(asked | self._each)
        except AnyLLMError as error:
            optional = isinstance(error, InvalidRequestError | UnsupportedParameterError)
            refused = refused_parameter(error, asked) if optional and not too_long(error) else None
            if refused is None:
                raise meaning_of(error, self.spec.name, reached=self._servers.reached) from None
            if refused == "logprobs":  # whoever asks for them can read nothing else
                raise ConfigError(
                    f"{self.spec.name!r} gives no log-probabilities ({one_line(error)}): read its "
                    "words, without ?verdict=logprob, or take another judge"
                ) from None
        if refused not in self._left_out:
            log.warning("%s does not accept %r: asking without it", self.spec.name, refused)
        self._left_out.add(refused)
        return await self._reply({k: v for k, v in asked.items() if k != refused})

    async def _keep_pace(self) -> None:
        if self.options.delay:
            async with self._pace:
                await pause(self.options.delay)

    def _completion(self, reply: "ChatCompletion") -> Completion:
        said = said_in(reply).model_copy(update=self._accounts(reply))
        words = "".join(filter(None, (said.text, said.raw, said.thinking, said.snapshot)))
        if without(words, self._keys) == words:
            return said
        return Completion.model_validate_json(without(said.model_dump_json(), self._keys))

    def _accounts(self, reply: "ChatCompletion") -> dict[str, object]:
        """Which model it says it was, and what it took."""
        usage = usage_in(reply)
        cost = self.price(usage) if usage else None
        return {"snapshot": reply.model or None, "usage": usage, "cost": cost}

    def asks(self, item: Prompt) -> Sequence[Ask]:
        """One request."""
        return [Ask(item, self.sampling)]

    def price(self, usage: Usage) -> float | None:
        """US dollars for what a request took; None where that is not known."""
        if self.options.price:
            return price_at(self.options.price, usage)
        if self.spec.backend in ("api", *_OWN):  # whose machine it is knows what it costs
            return None
        return self.listed(usage)

    def listed(self, usage: Usage) -> float | None:
        """The price by the public lists."""
        return price_of(self.spec.backend, self.spec.target, usage)

    def due(self, usage: Usage) -> float | None:
        """Nothing to a server on this machine, unless its price is given."""
        here = self._urls and all(map(is_here, self._urls)) and self.spec.backend in ("api", *_OWN)
        own = not self._urls and self.spec.backend in _OWN
        if self.options.price is None and (here or own):
            return 0.0
        return self.price(usage)
