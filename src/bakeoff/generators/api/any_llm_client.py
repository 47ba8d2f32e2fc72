"""Clients of the hosted providers beside OpenAI and Anthropic, through any-llm (an extra)."""

from typing import Any

from any_llm import AnyLLM
from any_llm.exceptions import (
    AnyLLMError,
    InvalidRequestError,
    MissingApiKeyError,
    UnsupportedParameterError,
)
from any_llm.providers.openai.base import BaseOpenAIProvider
from pydantic import ValidationError

from bakeoff.errors import ConfigError, one_line
from bakeoff.generators.api.errors import ApiError, ConnectError, UnreadableError
from bakeoff.generators.api.replies import ChatReply, parse_chat_completion


class AnyLlmClient:
    """Client of one provider; see `bakeoff.generators.api.client.ChatClient`.

    `name` is the model's, for messages; `timeout` is in seconds, where the provider's package has
    one. Raises ConfigError if that package or the key is missing.
    """

    def __init__(
        self, name: str, provider: str, key: str | None, url: str | None, timeout: float
    ) -> None:
        self._request_options: dict[str, Any] = {}
        try:
            provider_class = AnyLLM.get_provider_class(provider)
            options: dict[str, Any] = {"max_retries": 0, "timeout": timeout}  # `ServerPool` retries
            if provider_class.MAX_RETRIES_SUPPORT == "unsupported":
                del options["max_retries"]
            if provider_class.TIMEOUT_SUPPORT != "native":
                del options["timeout"]
            if provider_class.TIMEOUT_SUPPORT == "mapped":
                self._request_options["timeout"] = timeout
            if issubclass(provider_class, BaseOpenAIProvider):
                from openai import DefaultAsyncHttpxClient

                # A redirect would send the request, with its key, to another address.
                options["http_client"] = DefaultAsyncHttpxClient(follow_redirects=False)
            self._llm = AnyLLM.create(provider, key, url, unified_exceptions=True, **options)
        except MissingApiKeyError as error:
            raise ConfigError(f"{name!r} needs a key: set {error.env_var_name}") from None
        except ImportError:
            raise ConfigError(f"{name!r} needs: pip install 'any-llm-sdk[{provider}]'") from None

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """Send a request once and return the reply. Raises ApiError, UnreadableError."""
        try:
            reply: Any = await self._llm.acompletion(**request, **self._request_options)
        except AnyLLMError as error:
            raise _converted(error) from error
        except ValidationError as error:  # any-llm converts every other exception
            raise UnreadableError(f"not a chat completion: {one_line(error)}") from None
        return parse_chat_completion(reply.model_dump_json().encode())

    async def close(self) -> None:
        """Close the connections, if the provider's client can."""
        client = getattr(self._llm, "client", None)
        if client is not None and hasattr(client, "close"):
            await client.close()


def _converted(error: AnyLLMError) -> ApiError | UnreadableError:
    cause, status = error.original_exception, error.status_code
    if status is None and isinstance(error, InvalidRequestError | UnsupportedParameterError):
        status = 400  # any-llm refuses it, without a request
    elif status is None:
        if isinstance(cause, ValueError | TypeError | AttributeError):
            return UnreadableError(f"not a chat completion: {one_line(error)}")
        # httpx: ConnectError, ConnectTimeout
        if cause is not None and "connect" in type(cause.__cause__).__name__.lower():
            return ConnectError(one_line(cause.__cause__ or cause))  # type: ignore[arg-type]
    body = getattr(cause, "body", None)
    fields = body.get("error", body) if isinstance(body, dict) else None
    message = fields.get("message") if isinstance(fields, dict) else None
    return ApiError(
        str(error),
        status=status,
        code=error.code or error.error_type or "",
        param=error.param or "",
        api_message=None if message is None else str(message),
        headers=getattr(getattr(cause, "response", None), "headers", {}),
    )
