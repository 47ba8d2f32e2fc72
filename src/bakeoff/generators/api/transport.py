"""Send one request to a server through the official clients and parse its reply."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from bakeoff.errors import ConfigError, one_line
from bakeoff.generators.api.address import is_loopback, split_credentials
from bakeoff.generators.api.errors import UnreadableError
from bakeoff.generators.api.quota_headers import parse_quotas
from bakeoff.records import PrefixedPrompt
from bakeoff.runtime import Quota

if TYPE_CHECKING:  # importing any-llm takes a second, so functions do it when they run
    from any_llm import AnyLLM
    from any_llm.types.completion import ChatCompletion
    from openai import AsyncOpenAI

RateLimitCallback = Callable[[Quota | None, Quota | None], None]  # quota of requests, of tokens

_TOTAL_TIMEOUT = 2  # times the read timeout, within which a reply has to be complete
_MAX_REPLY_BYTES = 64 * 2**20  # decompressed

_CHAT_PATHS = ("/chat/completions", "/messages")  # only their replies are limited in size

# Fields of a message in which servers return a model's thinking.
_THINKING_FIELDS = ("reasoning_content", "thinking")


def compatible_client(
    name: str,
    base_url: str,
    key: str | None,
    options: Mapping[str, Any],
    on_quota: RateLimitCallback | None = None,
) -> "AnyLLM":
    """Return a client of an OpenAI-compatible server, with the official client's `options`.

    `name` is the model's, for messages. Raises ConfigError for a `key` beside a password in
    `base_url`.
    """
    from any_llm import AnyLLM

    base_url, login = split_credentials(base_url)
    if login and key:
        raise ConfigError(f"{name!r} has a key and a password in its address: leave one out")
    connection = http_client_options("openai", on_quota, proxies=not is_loopback(base_url))
    headers = {"default_headers": login} if login else {}
    return AnyLLM.create_openai_compatible(
        name, base_url, key, unified_exceptions=True, **(connection | dict(options) | headers)
    )


def http_client_options(
    provider: str, on_quota: RateLimitCallback | None, *, proxies: bool = True
) -> dict[str, Any]:
    """Return the `http_client` option of OpenAI's or Anthropic's client; {} for other providers.

    The HTTP client is aiohttp's, which takes a third of the time of httpx. `on_quota` is called
    with the quotas in a reply's headers. `proxies`: use those of the environment variables.
    """
    base: Any
    httpx_module: Any
    if provider == "anthropic":
        import httpx
        from anthropic import DefaultAioHttpClient as AnthropicHttpClient

        base, httpx_module = AnthropicHttpClient, httpx
    elif provider == "openai":
        import httpx2
        from openai import DefaultAioHttpClient as OpenAIHttpClient

        base, httpx_module = OpenAIHttpClient, httpx2
    else:
        return {}
    http_client = _http_client_class(base, httpx_module.RemoteProtocolError, on_quota)
    context = httpx_module.create_ssl_context()
    return {"http_client": http_client(trust_env=proxies, verify=context)}


def _http_client_class(
    base: Any, protocol_error: Callable[[str], Exception], on_quota: RateLimitCallback | None
) -> Any:
    """Return a subclass of `base` that raises `protocol_error` for malformed HTTP.

    aiohttp's adapter does not convert that error. It is also raised for replies that are incomplete
    after twice the read timeout, and for those of more than 64 MB.
    """
    from aiohttp import ClientError

    class HttpClient(base):  # type: ignore[misc] # of a package that is imported when needed
        async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            read_timeout = request.extensions.get("timeout", {}).get("read")
            limit = None if stream or read_timeout is None else _TOTAL_TIMEOUT * read_timeout
            try:
                async with asyncio.timeout(limit):
                    response = await super().send(request, stream=True, **options)
                    if not stream:
                        await _read(response, protocol_error)
            except ClientError as error:
                raise protocol_error(str(error)) from error
            except TimeoutError as error:
                message = f"the reply was not whole within {limit} seconds"
                raise protocol_error(message) from error
            quotas = parse_quotas(response.headers)
            if on_quota is not None and quotas != (None, None):
                on_quota(*quotas)
            return response

    return HttpClient


async def _read(response: Any, protocol_error: Callable[[str], Exception]) -> None:
    """Read the body up to the size limit, as a server must not exhaust the memory."""
    body = bytearray()
    limit = _MAX_REPLY_BYTES if response.request.url.path.endswith(_CHAT_PATHS) else None
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if limit is not None and len(body) > limit:
                raise protocol_error(f"the reply is larger than {limit >> 20} MB")
    finally:
        await response.aclose()
    response._content = bytes(body)  # as httpx's own `aread` does, which has no limit


async def send(llm: "AnyLLM", request: dict[str, Any]) -> "ChatCompletion":
    """Send a request once; `request` has any-llm's parameters. Raises AnyLLMError, UnreadableError.

    For OpenAI-compatible servers, the official client's `post` takes 0.6 ms of CPU time. any-llm
    would take 1.1 ms with its typed methods, which walk every schema and copy the reply twice.
    """
    from any_llm.providers.openai.custom import OpenAICompatibleProvider
    from any_llm.providers.openai.openai import OpenaiProvider

    if isinstance(llm, OpenAICompatibleProvider | OpenaiProvider):
        return await _post(llm, dict(request))
    try:
        reply: ChatCompletion = await llm.acompletion(**request)
    except ValidationError as error:  # any-llm converts every other exception
        raise UnreadableError(f"not a chat completion: {_parse_failure(error)}") from None
    return reply


async def _post(llm: Any, body: dict[str, Any]) -> "ChatCompletion":
    from any_llm.types.completion import ChatCompletion
    from any_llm.utils.exception_handler import convert_exception
    from httpx2 import Response
    from openai import OpenAIError

    client: AsyncOpenAI = llm.client
    headers = body.pop("extra_headers", {})
    body |= body.pop("extra_body", {})
    body["max_completion_tokens"] = body.pop("max_tokens")
    try:
        response = await client.post(
            "/chat/completions", body=body, cast_to=Response, options={"headers": headers}
        )
    except OpenAIError as error:
        raise convert_exception(error, llm.PROVIDER_NAME) from error
    reply: Any = None
    try:
        reply = response.json()
        return ChatCompletion.model_validate(_normalize(reply))
    except (ValueError, RecursionError) as error:  # pydantic's is a ValueError
        raise UnreadableError(f"not a chat completion: {_parse_failure(error, reply)}") from None


def _parse_failure(error: Exception, reply: Any = None) -> str:
    """Return why a reply cannot be parsed: the error message in it, if there is one."""
    reported = reply.get("error") if isinstance(reply, dict) else None
    if reported:
        message = reported.get("message") if isinstance(reported, dict) else reported
        return " ".join(str(message).split())[:300]
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
    return one_line(error)


def _normalize(reply: Any) -> Any:
    """Return a reply with the fields that some servers omit, and with the thinking in `reasoning`.

    A reply that is not an object is returned unchanged; its validation fails.
    """
    if not isinstance(reply, dict):
        return reply
    choices, usage = reply.get("choices"), reply.get("usage")
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict) and not message.get("reasoning"):
            message["reasoning"] = next(filter(None, map(message.get, _THINKING_FIELDS)), None)
    counts = usage if isinstance(usage, dict) else {}
    has_usage = counts.get("prompt_tokens") is not None
    return {
        "id": "",
        **reply,
        "object": "chat.completion",
        "created": 0,
        "model": reply.get("model") or "",
        "usage": {"total_tokens": 0, **counts} if has_usage else None,
    }


def with_cache_mark(prompt: PrefixedPrompt) -> JsonValue:
    """Return the first turn with `cache_control` after the lines that other prompts share.

    Anthropic caches the text before it, if that is long enough.
    """
    first = prompt.messages[0]
    end = first.content.rfind("\n", 0, prompt.shared) + 1  # not within a word
    head, rest = first.content[:end], first.content[end:]
    if not (head.strip() and rest.strip()):  # Anthropic rejects a block without text
        return {"role": first.role, "content": first.content}
    block: JsonValue = {"type": "text", "text": head, "cache_control": {"type": "ephemeral"}}
    return {"role": first.role, "content": [block, {"type": "text", "text": rest}]}
