"""How one request goes to a server and its reply comes back, by the official clients.

Knows clients and the chat-completions format; not when to ask, nor what to do where it fails.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from bakeoff.errors import one_line
from bakeoff.generators.api.errors import UnreadableError
from bakeoff.generators.api.quota_headers import quotas_in
from bakeoff.records import PrefixedPrompt
from bakeoff.runtime import Quota

if TYPE_CHECKING:
    from any_llm import AnyLLM
    from any_llm.types.completion import ChatCompletion
    from openai import AsyncOpenAI

Heard = Callable[[Quota | None, Quota | None], None]

_WHOLE = 2  # times the timeout, which is that of a silence, after which a reply has to be whole
_LARGEST = 64 * 2**20  # bytes of a reply, unpacked

_CHATS = ("/chat/completions", "/messages")  # what else is asked for may be of any size

# Where a server writes what its model thought, beside what it said.
_THOUGHT = ("reasoning_content", "thinking")


def connections(provider: str, heard: Heard | None, *, proxies: bool = True) -> dict[str, Any]:
    """What the official client of OpenAI or Anthropic is made with for its connections.

    aiohttp's take a third of the time of httpx's own, and with 256 at once less than that. `heard`
    is told what is left of requests and of tokens, where a server says so. `proxies` are those that
    the environment names; which certificates are trusted it says in any case.
    """
    kind: Any
    of: Any
    if provider == "anthropic":
        import httpx
        from anthropic import DefaultAioHttpClient as OfAnthropic

        kind, of = OfAnthropic, httpx
    elif provider == "openai":
        import httpx2
        from openai import DefaultAioHttpClient as OfOpenAI

        kind, of = OfOpenAI, httpx2
    else:
        return {}
    made = _client(kind, of.RemoteProtocolError, heard)
    return {"http_client": made(trust_env=proxies, verify=of.create_ssl_context())}


def _client(kind: Any, broken: Callable[[str], Exception], heard: Heard | None) -> Any:
    """Connections of one kind; a reply that is no HTTP is `broken`, which these do not say, and so
    is one that comes in drips for ever, or is larger than any chat completion.
    """
    from aiohttp import ClientError

    class Connections(kind):  # type: ignore[misc] # of a package that is imported when needed
        async def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
            silence = request.extensions.get("timeout", {}).get("read")
            limit = None if stream or silence is None else _WHOLE * silence
            try:
                async with asyncio.timeout(limit):
                    response = await super().send(request, stream=True, **more)
                    if not stream:
                        await _read(response, broken)
            except ClientError as error:
                raise broken(str(error)) from error
            except TimeoutError as error:
                raise broken(f"the reply was not whole within {limit} seconds") from error
            quotas = quotas_in(response.headers)
            if heard is not None and quotas != (None, None):
                heard(*quotas)
            return response

    return Connections


async def _read(response: Any, broken: Callable[[str], Exception]) -> None:
    """Take in the body, and no more than may be: a server must not fill the memory."""
    held = bytearray()
    most = _LARGEST if response.request.url.path.endswith(_CHATS) else None
    try:
        async for part in response.aiter_bytes():
            held += part
            if most is not None and len(held) > most:
                raise broken(f"the reply is larger than {most >> 20} MB")
    finally:
        await response.aclose()
    response._content = bytes(held)  # as its own `aread` leaves it, which takes any size


async def send(llm: "AnyLLM", asked: dict[str, Any]) -> "ChatCompletion":
    """Send a request in any-llm's terms, once. AnyLLMError, or UnreadableError.

    OpenAI and those who speak its format get it as it is, by the official client: any-llm would
    give it to that client's typed methods, which walk through every schema each time, and copy the
    reply twice. That takes 1.1 ms of a processor instead of 0.6, and nothing comes of it.
    """
    from any_llm.providers.openai.custom import OpenAICompatibleProvider
    from any_llm.providers.openai.openai import OpenaiProvider

    if isinstance(llm, OpenAICompatibleProvider | OpenaiProvider):
        return await _post(llm, dict(asked))
    try:
        reply: ChatCompletion = await llm.acompletion(**asked)
    except ValidationError as error:  # any-llm makes an error of its own of all others
        raise UnreadableError(f"not a chat completion: {_flaw(error)}") from None
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
        reply = await client.post(
            "/chat/completions", body=body, cast_to=Response, options={"headers": headers}
        )
    except OpenAIError as error:
        raise convert_exception(error, llm.PROVIDER_NAME) from error
    found: Any = None
    try:
        found = reply.json()
        return ChatCompletion.model_validate(_normal(found))
    except (ValueError, RecursionError) as error:  # pydantic's is a ValueError
        raise UnreadableError(f"not a chat completion: {_flaw(error, found)}") from None


def _flaw(error: Exception, found: Any = None) -> str:
    """What is wrong with a reply: where that says by itself that it is an error, its own words."""
    own = found.get("error") if isinstance(found, dict) else None
    if own:
        return " ".join(str(own.get("message") if isinstance(own, dict) else own).split())[:300]
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
    return one_line(error)


def _normal(found: Any) -> Any:
    """A reply as it should be: with what some servers leave out, and the thinking in one place.

    What has another shape stays as it is, for the model to refuse.
    """
    if not isinstance(found, dict):
        return found
    choices, usage = found.get("choices"), found.get("usage")
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict) and not message.get("reasoning"):
            message["reasoning"] = next(filter(None, map(message.get, _THOUGHT)), None)
    counts = usage if isinstance(usage, dict) else {}
    told = counts.get("prompt_tokens") is not None
    return {
        "id": "",
        **found,
        "object": "chat.completion",
        "created": 0,
        "model": found.get("model") or "",
        "usage": {"total_tokens": 0, **counts} if told else None,
    }


def marked(prompt: PrefixedPrompt) -> JsonValue:
    """The first turn with a mark behind the lines that others share: Anthropic keeps what is
    marked, where it is long enough.
    """
    first = prompt.messages[0]
    end = first.content.rfind("\n", 0, prompt.shared) + 1  # no word is torn apart
    head, rest = first.content[:end], first.content[end:]
    if not (head.strip() and rest.strip()):  # a block without a text is an error
        return {"role": first.role, "content": first.content}
    kept: JsonValue = {"type": "text", "text": head, "cache_control": {"type": "ephemeral"}}
    return {"role": first.role, "content": [kept, {"type": "text", "text": rest}]}
