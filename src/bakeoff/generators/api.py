"""The one client of every server: hosted providers, OpenAI-compatible servers, our embedded one.

Retries, timeouts and Retry-After are the official client's, configured here. Knows requests and
replies; not what a completion is for.

What a server does not accept is learned from its own refusal: where it names an optional parameter
(a JSON schema, a seed, a temperature), that parameter is left out for the rest of the run.
"""

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from bakeoff.config import Spec, parse_fields
from bakeoff.costs import price_of
from bakeoff.errors import ConfigError, one_line
from bakeoff.generators import weighing
from bakeoff.generators.address import base_url_of, listens, place
from bakeoff.generators.api_errors import (
    UnreadableError,
    meaning_of,
    refused_parameter,
    too_long,
)
from bakeoff.plugins import Setting
from bakeoff.records import Completion, Finish, Prompt, Usage, content_key
from bakeoff.thinking import completion_of
from bakeoff.work import PerItem

if TYPE_CHECKING:
    from any_llm import AnyLLM
    from any_llm.types.completion import ChatCompletion, Choice

log = logging.getLogger(__name__)

_WEIGHING = ("api", "embedded", "vllm")  # they tell the log-probabilities of a given text
_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused"}


class Api(PerItem[Prompt, Completion]):
    """A model behind a chat-completions server: `openai:gpt-4`, `api:NAME?base_url=http://...`."""

    weighs = True

    class Options(BaseModel):
        """Options of the spec. `timeout` is in seconds, `delay` too: between two requests."""

        model_config = ConfigDict(extra="forbid")

        base_url: str | None = None
        api_key_env: str | None = None
        timeout: float = Field(600.0, gt=0)
        retries: int = Field(6, ge=0)

        @field_validator("base_url")
        @classmethod
        def _is_an_address(cls, url: str | None) -> str | None:
            place(url)  # a port that is no number is a ValueError
            if url is not None and not url.startswith(("http://", "https://")):
                raise ValueError("write it as http://HOST:PORT/v1")
            return url

        delay: float = Field(0.0, ge=0)

    def __init__(self, spec: Spec, setting: Setting) -> None:
        super().__init__(setting.lanes)
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
        self._llm: AnyLLM | None = None
        self._opening = asyncio.Lock()
        self._pace = asyncio.Lock()
        self._left_out: set[str] = set()
        self._reached = False

    async def prepare(self) -> None:
        """ConfigError where the key, the provider's package or the server is missing."""
        self._llm = self._llm or await self.connect()
        url = self.options.base_url or base_url_of(self.spec.backend)
        if url and not await listens(url):
            raise ConfigError(
                f"{self.spec.name!r} cannot be reached at {place(url)}: start its server or check "
                "the address"
            )

    async def close(self) -> None:
        """Close the client's connections."""
        llm, self._llm = self._llm, None
        client = getattr(llm, "client", None)
        if client is not None and hasattr(client, "close"):
            await client.close()

    async def connect(self) -> "AnyLLM":
        """A client for the server; asks nothing yet."""
        from any_llm import AnyLLM
        from any_llm.exceptions import MissingApiKeyError

        options = self.options
        key = os.environ.get(options.api_key_env) if options.api_key_env else None
        if options.api_key_env and not key:
            raise ConfigError(f"{self.spec.name!r} needs a key: set {options.api_key_env}")
        if self.spec.backend == "api":
            if not options.base_url:
                raise ConfigError(f"{self.spec.name!r} needs ?base_url=http://HOST:PORT/v1")
            return client_of(self.spec.name, options.base_url, key, options)
        try:
            return AnyLLM.create(
                self.spec.backend,
                key,
                options.base_url,
                unified_exceptions=True,
                max_retries=options.retries,
                timeout=options.timeout,
            )
        except MissingApiKeyError as error:
            raise ConfigError(f"{self.spec.name!r} needs a key: set {error.env_var_name}") from None
        except ImportError:
            extra = f"any-llm-sdk[{self.spec.backend}]"
            raise ConfigError(f"{self.spec.name!r} needs: pip install '{extra}'") from None

    async def one(self, prompt: Prompt) -> Completion:
        """Ask for one completion. BackendError where there is none after the client's retries."""
        async with self._opening:
            self._llm = self._llm or await self.connect()
        try:
            return await self._ask(prompt)
        except UnreadableError:
            log.info("%s sent a reply that cannot be read: asking once more", self.spec.name)
            return await self._ask(prompt)

    async def _ask(self, prompt: Prompt) -> Completion:
        await self._keep_pace()
        if self.sampling.weigh:
            return Completion(text="", weight=await self.weigh(prompt))
        return self._completion(await self._reply(self.request(prompt)))

    async def weigh(self, prompt: Prompt) -> float:
        """The mean log-probability of the last turn's tokens; as vLLM tells it."""
        return await weighing.by_prompt_logprobs(prompt, self.request, self._reply)

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """The request's parameters, in any-llm's terms."""
        sampling = self.sampling
        messages = prompt.conversation()
        if sampling.system is not None:
            messages = [{"role": "system", "content": sampling.system}, *messages]
        asked: dict[str, Any] = {
            "model": self.spec.target,
            "messages": messages,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        if sampling.schema_ is not None:
            schema = {"name": "verdict", "strict": True, "schema": sampling.schema_}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        if sampling.top:
            asked |= {"logprobs": True, "top_logprobs": sampling.top}
        if prompt.messages[-1].role == "assistant" and self.spec.backend in ("api", "vllm"):
            goes_on = {"continue_final_message": True, "add_generation_prompt": False}
            asked["extra_body"] = goes_on
        return {key: value for key, value in asked.items() if key not in self._left_out}

    async def _reply(self, asked: dict[str, Any]) -> "ChatCompletion":
        from any_llm.exceptions import AnyLLMError, InvalidRequestError, UnsupportedParameterError

        assert self._llm is not None  # noqa: S101 - `one` opened it
        try:
            reply: ChatCompletion = await self._llm.acompletion(**asked)
        except (InvalidRequestError, UnsupportedParameterError) as error:
            refused = None if too_long(error) else refused_parameter(error, asked)
            if refused is None:
                raise meaning_of(error, self.spec.name, reached=self._reached) from None
            if refused == "logprobs":  # whoever asks for them can read nothing else
                raise ConfigError(
                    f"{self.spec.name!r} gives no log-probabilities ({one_line(error)}): read its "
                    "words, without ?verdict=logprob, or take another judge"
                ) from None
            if refused not in self._left_out:
                log.warning("%s does not accept %r: asking without it", self.spec.name, refused)
            self._left_out.add(refused)
            return await self._reply({k: v for k, v in asked.items() if k != refused})
        except AnyLLMError as error:
            raise meaning_of(error, self.spec.name, reached=self._reached) from None
        except ValidationError as error:
            raise UnreadableError(f"not a chat completion: {one_line(error)}") from None
        self._reached = True
        return reply

    async def _keep_pace(self) -> None:
        if self.options.delay:
            async with self._pace:
                await asyncio.sleep(self.options.delay)

    def _completion(self, reply: "ChatCompletion") -> Completion:
        if not reply.choices:
            raise UnreadableError("the reply holds no choice")
        choice = reply.choices[0]
        message = choice.message
        finish = _FINISH.get(choice.finish_reason, "unknown")
        said = completion_of(
            message.content or message.refusal or "",
            finish="refused" if message.refusal else finish,
            tokens=max(0, reply.usage.completion_tokens) if reply.usage else None,
            thinking=message.reasoning.content if message.reasoning else None,
            top=_top(choice),
        )
        return said.model_copy(update=self._accounts(reply))

    def _accounts(self, reply: "ChatCompletion") -> dict[str, object]:
        """Which model it says it was, and what it took."""
        usage = _usage(reply)
        hosted = usage and self.spec.backend not in ("api", "embedded")
        cost = price_of(self.spec.backend, self.spec.target, usage) if usage and hosted else None
        return {"snapshot": reply.model or None, "usage": usage, "cost": cost}


def client_of(name: str, base_url: str, key: str | None, options: Api.Options) -> "AnyLLM":
    """A client of any OpenAI-compatible server, with the official client's own retries."""
    from any_llm import AnyLLM

    return AnyLLM.create_openai_compatible(
        name,
        base_url,
        key,
        unified_exceptions=True,
        max_retries=options.retries,
        timeout=options.timeout,
    )


def _top(choice: "Choice") -> dict[str, float] | None:
    """The likeliest first tokens and their log-probabilities, where the server gave them."""
    tokens = choice.logprobs.content if choice.logprobs else None
    return {top.token: top.logprob for top in tokens[0].top_logprobs} if tokens else None


def _usage(reply: "ChatCompletion") -> Usage | None:
    told = reply.usage
    if told is None:
        return None
    details = told.prompt_tokens_details
    cached = details.cached_tokens if details else None
    return Usage(
        input=max(0, told.prompt_tokens),
        output=max(0, told.completion_tokens),
        cached=max(0, cached or 0),
    )
