"""Classify failures of requests: whether to retry, and what they mean for item and run."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators.api.quota_headers import retry_after

if TYPE_CHECKING:  # importing any-llm takes a second, so functions do it when they run
    from any_llm.exceptions import AnyLLMError

# Names of optional parameters, in the messages of servers that refuse them.
_PARAMETERS = {
    "response_format": re.compile(r"response_format|json_schema|output_config|structured", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    # Some models accept only one of these two; `top_p` goes first, as temperature matters more.
    "top_p": re.compile(r"\btop_p\b", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "logprobs": re.compile(r"\b(top_)?logprobs\b", re.I),
}
# OpenAI and vLLM, llama.cpp, Anthropic, Gemini, in this order.
_TOO_LONG = re.compile(
    r"context.{0,40}(?:length|size|window)|prompt is too long|too many (?:input )?tokens"
    r"|exceeds the maximum number of tokens|input is too long",
    re.I | re.S,
)
# A request with more tokens than the limit per minute: OpenAI answers 429 to every retry.
_TOO_LARGE = re.compile(r"request too large|tokens must be reduced", re.I)
# Some servers report an invalid key (Gemini) or missing credit (Anthropic) with status 400.
_KEY = r"api[ _-]?key"
_BAD_KEY = re.compile(
    rf"{_KEY}.{{0,20}}(?:invalid|not valid|expired|not found)|invalid.{{0,20}}{_KEY}", re.I | re.S
)
_NO_CREDIT = re.compile(r"your credit balance is too low", re.I)
# OpenSSL's messages if the server does not speak TLS.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST", re.I)

_OVERLOADED = 529  # Anthropic's
_TRANSIENT = (408, 409)  # timeout and lock; also every status from 500 on
_PROXY_AUTHENTICATION = 407
_BAD_CREDENTIALS = (401, 403)
_BAD_REQUEST = (400, 422)  # the reason is only in the message
_NO_CONNECTION = {"ClientConnectorError", "ConnectionTimeoutError", "ClientHttpProxyError"}
_SSL_SETTINGS = re.compile(r" ssl:(?:\w+|<[^>]*>)")  # aiohttp's description of its SSL settings


FailureKind = Literal["rate_limited", "overloaded", "unreachable", "transient", "permanent"]


class RequestFailure(NamedTuple):
    """Class of a failed request, which decides on its retry."""

    kind: FailureKind
    """`rate_limited`: too many requests of this client; `overloaded`: of all clients;
    `unreachable`: no connection; `transient`: a retry may succeed; `permanent`: none will."""
    retry_after: float | None = None
    """Seconds to wait; None if the server does not state them."""


class UnreadableError(BackendError):
    """The reply of the server is not a chat completion."""

    kind = "unreadable"


class UnfinishedError(BackendError):
    """The batch of the request ended without a reply: it expired or was cancelled."""

    kind = "unfinished"


class FilteredError(BackendError):
    """The server's content filter refused the request."""

    kind = "refused"


def refused_parameter(error: "AnyLLMError", request: Mapping[str, object]) -> str | None:
    """Return the optional parameter of `request` that the server refuses by name, or None."""
    message = f"{error.param or ''} {error}"
    return next(
        (key for key, name in _PARAMETERS.items() if key in request and name.search(message)), None
    )


def is_too_long(error: "AnyLLMError") -> bool:
    """Return whether the request exceeds the model's context, or the tokens allowed per minute."""
    from any_llm.exceptions import ContextLengthExceededError

    if isinstance(error, ContextLengthExceededError) or error.status_code == 413:
        return True
    if error.status_code == 429:
        return bool(_TOO_LARGE.search(str(error)))
    return error.status_code in _BAD_REQUEST and bool(_TOO_LONG.search(str(error)))


def classify_failure(error: "AnyLLMError") -> RequestFailure:
    """Return the class of a failure. The server's `x-should-retry` header takes precedence."""
    status, cause = error.status_code, error.original_exception
    headers: Mapping[str, str] = getattr(getattr(cause, "response", None), "headers", {})
    delay, should_retry = retry_after(headers), headers.get("x-should-retry")
    if should_retry == "false" or error.code == "insufficient_quota" or is_too_long(error):
        return RequestFailure("permanent")
    if status == 429:
        return RequestFailure("rate_limited", delay)
    if status == _OVERLOADED or (status == 503 and delay is not None):
        return RequestFailure("overloaded", delay)
    if _blocked_reason(error):
        return RequestFailure("permanent")
    if _is_connection_failure(error):
        return RequestFailure("unreachable")
    if status is None:
        malformed = isinstance(cause, ValueError | TypeError | AttributeError | None)
        return RequestFailure("permanent" if malformed else "transient")
    transient = should_retry == "true" or status in _TRANSIENT or status >= 500
    return RequestFailure("transient", delay) if transient else RequestFailure("permanent")


def to_exception(error: "AnyLLMError", name: str, *, reached: bool) -> BackendError | ConfigError:
    """Return the exception to raise: a BackendError fails the item, a ConfigError stops the run.

    `name` is the model's. `reached`: its server has answered a request. From then on only the
    status is interpreted: the message may quote a prompt, and a prompt must not stop the run.
    """
    from any_llm.exceptions import ContentFilterError

    message, status = _message(error), error.status_code
    if (error.code or "").startswith("batch_"):  # OpenAI's codes, and those of `failed_reply`
        return UnfinishedError(message)
    if is_too_long(error):
        return ContextError(message, status=status)
    if reason := _blocked_reason(error) or _fatal_reason(error, message, reached=reached):
        return ConfigError(f"{name!r} {reason}")
    if not reached and _is_connection_failure(error):
        return ConfigError(f"{name!r} cannot be reached {_connection_hint(error, message)}")
    if isinstance(error, ContentFilterError) and status in _BAD_REQUEST:
        return FilteredError(message, status=status)
    if isinstance(error.original_exception, ValueError | TypeError | AttributeError | None):
        return UnreadableError(f"not a chat completion: {message}")
    return BackendError(message, status=status)


def _fatal_reason(error: "AnyLLMError", message: str, *, reached: bool) -> str | None:
    """Return why all requests will fail, and what the user can do; None if others may succeed."""
    from any_llm import exceptions as any_llm

    status = error.status_code
    if status == 403 and _api_message(error) is None:  # the page of a firewall
        if reached:
            return None
        return f"lets nobody in ({message}): check the key, and what stands between here and there"
    if status in _BAD_CREDENTIALS or (not reached and _is_key_error(error)):
        return f"refuses the key ({message}): check the key and its rights"
    not_found = isinstance(error, any_llm.ModelNotFoundError) and not reached
    if status == 404 or error.code == "model_not_found" or not_found:
        return f"is not known to its server ({message}): check the name"
    no_funds = isinstance(error, any_llm.InsufficientFundsError) and not reached
    no_funds = no_funds or status == 402 or error.code == "insufficient_quota"
    if no_funds or _NO_CREDIT.match(_api_message(error) or ""):
        return f"has no credit left ({message}): top up, then run again"
    return None


def _api_message(error: "AnyLLMError") -> str | None:
    """Return the message of an error in the format of an API; None for any other body."""
    body = getattr(error.original_exception, "body", None)
    for _ in range(2):  # Anthropic's client keeps `error` around the message, OpenAI's does not
        if isinstance(body, dict) and "message" in body:
            return str(body["message"])
        body = body.get("error") if isinstance(body, dict) else None
    return None


def _is_key_error(error: "AnyLLMError") -> bool:
    """Return whether the message says that the API key is missing or invalid."""
    from any_llm.exceptions import AuthenticationError

    if error.status_code is None:
        return isinstance(error, AuthenticationError)
    return error.status_code in _BAD_REQUEST and bool(_BAD_KEY.search(str(error)))


def _connection_hint(error: "AnyLLMError", message: str) -> str:
    """Return the cause of a failed connection, and what the user can do."""
    if any("Proxy" in type(cause).__name__ for cause in _causes(error)):
        return (
            f"through the proxy that the environment names ({message}): check HTTPS_PROXY and "
            "HTTP_PROXY, or name the host in NO_PROXY"
        )
    return f"({message}): start its server or check the address"


def _blocked_reason(error: "AnyLLMError") -> str | None:
    """Return why no retry can connect, and what the user can do; None if one may."""
    message = _message(error)
    causes: dict[str, Any] = {type(cause).__name__: cause for cause in _causes(error)}
    if untrusted := causes.get("ClientConnectorCertificateError"):
        reason = getattr(untrusted.certificate_error, "verify_message", "") or message
        return (
            f"cannot be trusted ({reason}): check the address, or name the file of the "
            "certificates that you trust in SSL_CERT_FILE"
        )
    if _NO_TLS.search(str(causes.get("ClientConnectorSSLError", ""))):
        return f"does not speak TLS ({message}): write http:// in its address"
    proxy = causes.get("ClientHttpProxyError")
    status: int | None = proxy.status if proxy else error.status_code
    if status == _PROXY_AUTHENTICATION:
        return (
            f"cannot be reached: the proxy wants a user and a password ({message}): write them "
            "into its address in HTTPS_PROXY, or name the host in NO_PROXY"
        )
    if proxy and 400 <= proxy.status < 500:
        return (
            f"cannot be reached: the proxy does not let it ({message}): ask who runs the proxy, or "
            "name the host in NO_PROXY"
        )
    return None


def _is_connection_failure(error: "AnyLLMError") -> bool:
    """Return whether no connection was established; False for one that was lost.

    The clients report a timeout in both cases, aiohttp's original exception differs.
    """
    for cause in _causes(error):
        if type(cause).__module__.startswith("aiohttp"):
            names = {cls.__name__ for cls in type(cause).__mro__}
            return bool(names & _NO_CONNECTION)
    original = error.original_exception and error.original_exception.__cause__
    return "connect" in type(original).__name__.lower()  # httpx: ConnectError, ConnectTimeout


def _causes(error: "AnyLLMError") -> Iterator[Exception]:
    cause: BaseException | None = error.original_exception
    while isinstance(cause, Exception):
        yield cause
        cause = cause.__cause__


def _message(error: "AnyLLMError") -> str:
    """Return the message on one line; for a failed connection that of the operating system."""
    source: Exception = error
    for cause in _causes(error):
        if type(cause).__module__.startswith(("httpx", "aiohttp")) and str(cause):
            source = cause
    return _SSL_SETTINGS.sub("", one_line(source))
