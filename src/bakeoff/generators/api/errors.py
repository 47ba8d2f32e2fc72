"""Failures of requests: their exceptions, whether to retry, and what they mean for item and run."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators.api.quota_headers import retry_after

# Names of optional parameters, in the messages of servers that refuse them.
_PARAMETERS = {
    "response_format": re.compile(r"response_format|json_schema|output_config|structured", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    # Some models accept only one of these two; `top_p` goes first, as temperature matters more.
    "top_p": re.compile(r"\btop_p\b", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "logprobs": re.compile(r"\b(top_)?logprobs\b", re.I),
}
# OpenAI and vLLM, llama.cpp, Anthropic, Gemini, TGI, in this order.
_TOO_LONG = re.compile(
    r"context.{0,40}(?:length|size|window)|prompt is too long|too many (?:input )?tokens"
    r"|exceeds the maximum number of tokens|input is too long"
    r"|max_new_tokens.{0,3} must be|(?:max|maximum) (?:sequence|prompt|input) length",
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
_NO_MODEL = re.compile(r"model.{0,80}(?:not found|not exist)", re.I | re.S)
_FILTERED = re.compile(r"content.{0,40}(?:filter|policy)|(?:filter|policy).{0,40}content", re.I)

_OVERLOADED = 529  # Anthropic's
_TRANSIENT = (408, 409)  # timeout and lock; also every status from 500 on
_PROXY_AUTHENTICATION = 407
_BAD_CREDENTIALS = (401, 403)
_BAD_REQUEST = (400, 422)  # the reason is only in the message

_NO_HEADERS: Mapping[str, str] = {}

FailureKind = Literal["rate_limited", "overloaded", "unreachable", "transient", "permanent"]


class ApiError(Exception):
    """A request failed: an error status, or without a status a lost connection or a timeout."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        param: str = "",
        api_message: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; None without a reply."""
        self.code = code
        """The code of the error in the reply, or its type; empty if there is none."""
        self.param = param
        """Name of the parameter that the server refuses; empty if it does not say."""
        self.api_message = api_message
        """Message of an error in the format of an API; None for any other body, like a page."""
        self.headers = headers


class ConnectError(ApiError):
    """No connection was established, so the request was not sent."""

    route = ""
    """What the connection goes through, as words after "cannot be reached"."""
    advice = "start its server or check the address"
    """What the user can do."""


class ProxyError(ConnectError):
    """The proxy could not be reached, or could not connect."""

    route = " through the proxy that the environment names"
    advice = "check HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY"


class BlockedError(ConnectError):
    """No retry can connect: an untrusted certificate, no TLS, or a refusal of the proxy.

    The message is a verb phrase about the server, with the advice.
    """


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


def refused_parameter(error: ApiError, request: Mapping[str, object]) -> str | None:
    """Return the optional parameter of `request` that the server refuses by name, or None."""
    if error.status not in _BAD_REQUEST or is_too_long(error):
        return None
    message = f"{error.param} {error}"
    return next(
        (key for key, name in _PARAMETERS.items() if key in request and name.search(message)), None
    )


def is_too_long(error: ApiError) -> bool:
    """Return whether the request exceeds the model's context, or the tokens allowed per minute."""
    if error.status == 413 or error.code == "context_length_exceeded":
        return True
    if error.status == 429:
        return bool(_TOO_LARGE.search(str(error)))
    return error.status in _BAD_REQUEST and bool(_TOO_LONG.search(str(error)))


def classify_failure(error: ApiError) -> RequestFailure:
    """Return the class of a failure. The server's `x-should-retry` header takes precedence."""
    status, headers = error.status, error.headers
    delay, should_retry = retry_after(headers), headers.get("x-should-retry")
    if should_retry == "false" or error.code == "insufficient_quota" or is_too_long(error):
        return RequestFailure("permanent")
    if status == 429:
        return RequestFailure("rate_limited", delay)
    if status == _OVERLOADED or (status == 503 and delay is not None):
        return RequestFailure("overloaded", delay)
    if isinstance(error, BlockedError):
        return RequestFailure("permanent")
    if isinstance(error, ConnectError):
        return RequestFailure("unreachable")
    if status is None:
        return RequestFailure("transient")
    transient = should_retry == "true" or status in _TRANSIENT or status >= 500
    return RequestFailure("transient", delay) if transient else RequestFailure("permanent")


def to_exception(error: ApiError, name: str, *, reached: bool) -> BackendError | ConfigError:
    """Return the exception to raise: a BackendError fails the item, a ConfigError stops the run.

    `name` is the model's. `reached`: its server has answered a request. From then on only the
    status is interpreted: the message may quote a prompt, and a prompt must not stop the run.
    """
    message, status = one_line(error), error.status
    if error.code.startswith("batch_"):  # OpenAI's codes, and those of `failed_reply`
        return UnfinishedError(f"{error.api_message or message} ({error.code})")
    if is_too_long(error):
        return ContextError(message, status=status)
    if isinstance(error, BlockedError):
        return ConfigError(f"{name!r} {message}")
    if reason := _fatal_reason(error, message, reached=reached):
        return ConfigError(f"{name!r} {reason}")
    if isinstance(error, ConnectError) and not reached:
        return ConfigError(f"{name!r} cannot be reached{error.route} ({message}): {error.advice}")
    filtered = error.code.startswith("content_") or _FILTERED.search(str(error))
    if status in _BAD_REQUEST and filtered:
        return FilteredError(message, status=status)
    return BackendError(message, status=status)


def _fatal_reason(error: ApiError, message: str, *, reached: bool) -> str | None:
    """Return why all requests will fail, and what the user can do; None if others may succeed."""
    status, first = error.status, not reached
    rejected = first and status in _BAD_REQUEST  # the message cannot quote an earlier prompt
    if status == _PROXY_AUTHENTICATION:
        return (
            f"cannot be reached: the proxy wants a user and a password ({message}): write them "
            "into its address in HTTPS_PROXY, or name the host in NO_PROXY"
        )
    if status is not None and 300 <= status < 400 and first:
        return f"redirects, and redirects are not followed ({message}): write the address it names"
    if status == 403 and error.api_message is None:  # the page of a firewall
        if reached:
            return None
        return f"lets nobody in ({message}): check the key, and what stands between here and there"
    if status in _BAD_CREDENTIALS or (rejected and _BAD_KEY.search(str(error))):
        return f"refuses the key ({message}): check the key and its rights"
    no_model = error.code == "model_not_found" or (rejected and _NO_MODEL.search(str(error)))
    if status == 404 or no_model:
        return f"is not known to its server ({message}): check the name"
    no_funds = status == 402 or error.code == "insufficient_quota"
    if no_funds or _NO_CREDIT.match(error.api_message or ""):
        return f"has no credit left ({message}): top up, then run again"
    return None
