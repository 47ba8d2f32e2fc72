"""Clients that send one chat request to a server and parse the reply."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from bakeoff.errors import ConfigError
from bakeoff.generators.api import anthropic_format
from bakeoff.generators.api.address import (
    PROVIDER_URLS,
    base_url_from_environment,
    split_credentials,
)
from bakeoff.generators.api.errors import ApiError
from bakeoff.generators.api.http_client import MAX_REPLY_BYTES, HttpClient
from bakeoff.generators.api.quota_headers import parse_quotas
from bakeoff.generators.api.replies import ChatReply, parse_chat_completion
from bakeoff.runtime import Quota

_SERVERS = ("api", "embedded", "vllm")  # backends of servers at an address

RateLimitCallback = Callable[[Quota | None, Quota | None], None]  # quota of requests, of tokens


class ChatClient(Protocol):
    """Client of one server."""

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """Send a request once and return the reply.

        `request` is the body of a chat completion in OpenAI's format, with `max_tokens`. Raises
        ApiError, or UnreadableError if the reply is no chat completion.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class WireFormat(NamedTuple):
    """The format of a provider's requests and replies."""

    path: str
    """Path of chat requests, after the base URL."""
    encode: Callable[[dict[str, Any]], dict[str, Any]]
    """Returns the body of a request."""
    parse: Callable[[bytes], ChatReply]
    """Parses the body of a reply; raises UnreadableError."""

    def body(self, request: dict[str, Any]) -> bytes:
        """Return the body of a request as JSON."""
        return json.dumps(self.encode(request), separators=(",", ":")).encode()


def _chat_request(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with the current name of `max_tokens`."""
    body = dict(request)
    body["max_completion_tokens"] = body.pop("max_tokens")
    return body


OPENAI = WireFormat("/chat/completions", _chat_request, parse_chat_completion)
ANTHROPIC = WireFormat(
    "/v1/messages", anthropic_format.message_request, anthropic_format.parse_message
)


class HttpChatClient:
    """Client of a server with OpenAI's or Anthropic's API.

    `on_quota` is called with the quotas in a reply's headers.
    """

    def __init__(
        self,
        http: HttpClient,
        wire_format: WireFormat,
        on_quota: RateLimitCallback | None = None,
    ) -> None:
        self.http = http
        self.wire_format = wire_format
        self._on_quota = on_quota

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """Send a request once and return the reply; see `ChatClient`."""
        body = self.wire_format.body(request)
        try:
            reply = await self.http.post(self.wire_format.path, body, limit=MAX_REPLY_BYTES)
        except ApiError as error:
            self._report_quotas(error.headers)
            raise
        self._report_quotas(reply.headers)
        return self.wire_format.parse(reply.body)

    def _report_quotas(self, headers: Mapping[str, str]) -> None:
        quotas = parse_quotas(headers)
        if self._on_quota is not None and quotas != (None, None):
            self._on_quota(*quotas)

    async def close(self) -> None:
        """Close the connections."""
        await self.http.close()


def open_client(
    name: str,
    backend: str,
    url: str | None,
    key_variable: str | None,
    timeout: float,
    on_quota: RateLimitCallback,
) -> ChatClient:
    """Return a client of the server at `url`, or of the provider `backend`.

    `name` is the model's, for messages. `key_variable` names the environment variable of the key,
    None: the provider's usual one. `timeout` in seconds is that of `HttpClient`. Raises ConfigError
    without a valid key, without a package that the provider needs, for a server without an address,
    and for a key beside a password in the address.
    """
    key = _read_key(name, key_variable) if key_variable else None
    if backend in _SERVERS:
        if not url:
            raise ConfigError(f"{name!r} needs ?base_url=http://HOST:PORT/v1")
        return openai_client(name, url, key, timeout, on_quota)
    if url and split_credentials(url)[1]:
        raise ConfigError(f"{name!r} takes a key, and no password in its address")
    if backend not in PROVIDER_URLS:
        from bakeoff.generators.api.any_llm_client import AnyLlmClient  # takes a second

        return AnyLlmClient(name, backend, key, url, timeout)
    key = key or _read_key(name, f"{backend.upper()}_API_KEY")
    url = url or base_url_from_environment(backend) or PROVIDER_URLS[backend]
    if backend == "anthropic":
        headers = {"x-api-key": key, "anthropic-version": anthropic_format.VERSION}
        return HttpChatClient(HttpClient(url, headers, timeout), ANTHROPIC, on_quota)
    names = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    headers = {header: os.environ[name] for header, name in names.items() if os.environ.get(name)}
    return openai_client(name, url, key, timeout, on_quota, headers)


def _read_key(name: str, variable: str) -> str:
    """Return the key in an environment variable. Raises ConfigError if it cannot be one."""
    key = os.environ.get(variable)
    if not key:
        raise ConfigError(f"{name!r} needs a key: set {variable}")
    if not (key.isascii() and key.isprintable() and " " not in key):  # cannot be in a header
        raise ConfigError(
            f"{name!r} cannot use the key in {variable}: it has a space, a line break or a "
            "character that is not ASCII; set the key alone"
        )
    return key


def openai_client(
    name: str,
    base_url: str,
    key: str | None,
    timeout: float,
    on_quota: RateLimitCallback | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpChatClient:
    """Return a client of a server with OpenAI's API.

    `name` is the model's, for messages; `timeout` in seconds is that of `HttpClient`. Raises
    ConfigError for a `key` beside a password in `base_url`.
    """
    if key and split_credentials(base_url)[1]:
        raise ConfigError(f"{name!r} has a key and a password in its address: leave one out")
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    http = HttpClient(base_url, {**authorization, **(headers or {})}, timeout)
    return HttpChatClient(http, OPENAI, on_quota)
