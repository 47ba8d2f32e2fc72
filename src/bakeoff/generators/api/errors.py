"""What a server's refusal means: for one item, for the whole run, or for one parameter.

Knows any-llm's errors and the words of servers; sends nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators.api.quota_headers import retry_after

if TYPE_CHECKING:
    from any_llm.exceptions import AnyLLMError

# How servers call the optional parameters when they refuse them.
_PARAMETERS = {
    "response_format": re.compile(r"response_format|json_schema|output_config|structured", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    # Of these two some models take only one: without a top_p a temperature still says what it does.
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
# A request that is larger than what may be asked in a minute: OpenAI says 429 to it, for ever.
_TOO_LARGE = re.compile(r"request too large|tokens must be reduced", re.I)
# Some say by a 400 that a key is none (Gemini), or that nothing is left to pay with (Anthropic).
_KEY = r"api[ _-]?key"
_BAD_KEY = re.compile(
    rf"{_KEY}.{{0,20}}(?:invalid|not valid|expired|not found)|invalid.{{0,20}}{_KEY}", re.I | re.S
)
_NO_CREDIT = re.compile(r"your credit balance is too low", re.I)
# OpenSSL's words where the other side speaks no TLS at all.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST", re.I)

_OVERLOADED = 529  # Anthropic's
_PASSING = (408, 409)  # a timeout and a lock, beside all from 500 on
_PROXY_REFUSES = 407
_KEY_REFUSED = (401, 403)
_REJECTED = (400, 422)  # the request, for a reason that only words tell
_NO_CONNECTION = {"ClientConnectorError", "ConnectionTimeoutError", "ClientHttpProxyError"}
_CONTEXT = re.compile(r" ssl:(?:\w+|<[^>]*>)")  # aiohttp's, of no use to anybody


class Trouble(NamedTuple):
    """What a failure means for the same request, made again.

    `refused`: it was too much of ours, for `after` seconds if the server says so; `busy`: it has
    too much to do, whoever asks. `lost`: it is not there. `passing`: it may work the next time,
    after as long. `final`: it will not.
    """

    kind: Literal["refused", "busy", "lost", "passing", "final"]
    after: float | None = None


class UnreadableError(BackendError):
    """The server replied, but not with a chat completion."""

    kind = "unreadable"


class UnfinishedError(BackendError):
    """The batch of a request ended without a reply to it: its time was up, or it was cancelled."""

    kind = "unfinished"


class FilteredError(BackendError):
    """The server does not let its model see this: its filter refuses what was asked."""

    kind = "refused"


def refused_parameter(error: "AnyLLMError", asked: Mapping[str, object]) -> str | None:
    """The optional parameter of a request that the server refuses by its name."""
    words = f"{error.param or ''} {error}"
    return next(
        (key for key, how in _PARAMETERS.items() if key in asked and how.search(words)), None
    )


def too_long(error: "AnyLLMError") -> bool:
    """Whether the server says that the request does not fit into the model's context, or not into
    what may be asked in a minute.
    """
    from any_llm.exceptions import ContextLengthExceededError

    if isinstance(error, ContextLengthExceededError) or error.status_code == 413:
        return True
    if error.status_code == 429:
        return bool(_TOO_LARGE.search(str(error)))
    return error.status_code in (400, 422) and bool(_TOO_LONG.search(str(error)))


def trouble_of(error: "AnyLLMError") -> Trouble:
    """What a failure means for the next try; where the server says whether to try, that counts."""
    status, cause = error.status_code, error.original_exception
    headers: Mapping[str, str] = getattr(getattr(cause, "response", None), "headers", {})
    after, told = retry_after(headers), headers.get("x-should-retry")
    if told == "false" or error.code == "insufficient_quota" or too_long(error):
        return Trouble("final")
    if status == 429:
        return Trouble("refused", after)
    if status == _OVERLOADED or (status == 503 and after is not None):
        return Trouble("busy", after)
    if _no_way(error):
        return Trouble("final")
    if _unconnected(error):
        return Trouble("lost")
    if status is None:
        misread = isinstance(cause, ValueError | TypeError | AttributeError | None)
        return Trouble("final" if misread else "passing")
    passing = told == "true" or status in _PASSING or status >= 500
    return Trouble("passing", after) if passing else Trouble("final")


def meaning_of(error: "AnyLLMError", name: str, *, reached: bool) -> BackendError | ConfigError:
    """The error to raise: a WorkError of this item, or a ConfigError that stops the run.

    `name` is the model's; `reached` says whether its server has replied before. What a status does
    not say is read out of words only before that: they may repeat what was asked, and a prompt must
    not stop a run.
    """
    from any_llm.exceptions import ContentFilterError

    words, status = _words(error), error.status_code
    if (error.code or "").startswith("batch_"):  # OpenAI's own word, and ours for the others
        return UnfinishedError(words)
    if too_long(error):
        return ContextError(words, status=status)
    if told := _no_way(error) or _for_all(error, words, reached=reached):
        return ConfigError(f"{name!r} {told}")
    if not reached and _unconnected(error):
        return ConfigError(f"{name!r} cannot be reached {_where(error, words)}")
    if isinstance(error, ContentFilterError) and status in _REJECTED:
        return FilteredError(words, status=status)
    if isinstance(error.original_exception, ValueError | TypeError | AttributeError | None):
        return UnreadableError(f"not a chat completion: {words}")
    return BackendError(words, status=status)


def _for_all(error: "AnyLLMError", words: str, *, reached: bool) -> str | None:
    """What every other request would meet as well, and what to do about it."""
    from any_llm import exceptions as any_llm

    status, guessed = error.status_code, not reached
    if status == 403 and _told(error) is None:  # a firewall's page
        told = f"lets nobody in ({words}): check the key, and what stands between here and there"
        return told if guessed else None
    if status in _KEY_REFUSED or (guessed and _keyless(error)):
        return f"refuses the key ({words}): check the key and its rights"
    unknown = isinstance(error, any_llm.ModelNotFoundError)
    if status == 404 or error.code == "model_not_found" or (unknown and guessed):
        return f"is not known to its server ({words}): check the name"
    poor = guessed and isinstance(error, any_llm.InsufficientFundsError)
    poor = poor or status == 402 or error.code == "insufficient_quota"
    if poor or _NO_CREDIT.match(_told(error) or ""):
        return f"has no credit left ({words}): top up, then run again"
    return None


def _told(error: "AnyLLMError") -> str | None:
    """What the server says went wrong, as an API does; None where it is some page."""
    found = getattr(error.original_exception, "body", None)
    for _ in range(2):  # OpenAI's client has opened the envelope
        if isinstance(found, dict) and "message" in found:
            return str(found["message"])
        found = found.get("error") if isinstance(found, dict) else None
    return None


def _keyless(error: "AnyLLMError") -> bool:
    """Whether it says that the key is none, though not by its status."""
    from any_llm.exceptions import AuthenticationError

    if error.status_code is None:
        return isinstance(error, AuthenticationError)
    return error.status_code in _REJECTED and bool(_BAD_KEY.search(str(error)))


def _where(error: "AnyLLMError", words: str) -> str:
    """Where a request that did not get to the server ended, and what to do about it."""
    if any("Proxy" in type(cause).__name__ for cause in _causes(error)):
        return (
            f"through the proxy that the environment names ({words}): check HTTPS_PROXY and "
            "HTTP_PROXY, or name the host in NO_PROXY"
        )
    return f"({words}): start its server or check the address"


def _no_way(error: "AnyLLMError") -> str | None:
    """Why no request gets to the server, and what to do about it; None where one may."""
    words = _words(error)
    causes: dict[str, Any] = {type(cause).__name__: cause for cause in _causes(error)}
    if untrusted := causes.get("ClientConnectorCertificateError"):
        why = getattr(untrusted.certificate_error, "verify_message", "") or words
        return (
            f"cannot be trusted ({why}): check the address, or name the file of the certificates "
            "that you trust in SSL_CERT_FILE"
        )
    if _NO_TLS.search(str(causes.get("ClientConnectorSSLError", ""))):
        return f"does not speak TLS ({words}): write http:// in its address"
    proxy = causes.get("ClientHttpProxyError")
    status: int | None = proxy.status if proxy else error.status_code
    if status == _PROXY_REFUSES:
        return (
            f"cannot be reached: the proxy wants a user and a password ({words}): write them into "
            "its address in HTTPS_PROXY, or name the host in NO_PROXY"
        )
    if proxy and 400 <= proxy.status < 500:
        return (
            f"cannot be reached: the proxy does not let it ({words}): ask who runs the proxy, or "
            "name the host in NO_PROXY"
        )
    return None


def _unconnected(error: "AnyLLMError") -> bool:
    """Whether no connection came about; one that broke off had a server at its other end.

    The clients say of both that a connection timed out; what aiohttp said first is kept below.
    """
    for cause in _causes(error):
        if type(cause).__module__.startswith("aiohttp"):
            names = {kind.__name__ for kind in type(cause).__mro__}
            return bool(names & _NO_CONNECTION)
    below = error.original_exception and error.original_exception.__cause__
    return "connect" in type(below).__name__.lower()  # httpx: ConnectError, ConnectTimeout


def _causes(error: "AnyLLMError") -> Iterator[Exception]:
    cause: BaseException | None = error.original_exception
    while isinstance(cause, Exception):
        yield cause
        cause = cause.__cause__


def _words(error: "AnyLLMError") -> str:
    """What went wrong, in one line: of a connection, as the operating system says it."""
    said: Exception = error
    for cause in _causes(error):
        if type(cause).__module__.startswith(("httpx", "aiohttp")) and str(cause):
            said = cause
    return _CONTEXT.sub("", one_line(said))
