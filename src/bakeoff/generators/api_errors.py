"""What a server's refusal means: for one item, for the whole run, or for one parameter.

Knows any-llm's errors and the words of servers; sends nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators.quotas import retry_after

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


_OVERLOADED = 529  # Anthropic's
_PASSING = (408, 409)  # a timeout and a lock, beside all from 500 on


class Trouble(NamedTuple):
    """What a failure means for the same request, made again.

    `refused`: the server has too much to do, for `after` seconds if it says so. `lost`: it is not
    there. `passing`: it may work the next time, after as long. `final`: it will not.
    """

    kind: Literal["refused", "lost", "passing", "final"]
    after: float | None = None


class UnreadableError(BackendError):
    """The server replied, but not with a chat completion."""

    kind = "unreadable"


class UnfinishedError(BackendError):
    """The batch of a request ended without a reply to it: its time was up, or it was cancelled."""

    kind = "unfinished"


def refused_parameter(error: "AnyLLMError", asked: Mapping[str, object]) -> str | None:
    """The optional parameter of a request that the server refuses by its name."""
    words = f"{error.param or ''} {error}"
    return next(
        (key for key, how in _PARAMETERS.items() if key in asked and how.search(words)), None
    )


def too_long(error: "AnyLLMError") -> bool:
    """Whether the server says that the request does not fit into the model's context."""
    from any_llm.exceptions import ContextLengthExceededError

    if isinstance(error, ContextLengthExceededError) or error.status_code == 413:
        return True
    return error.status_code in (400, 422) and bool(_TOO_LONG.search(str(error)))


def trouble_of(error: "AnyLLMError") -> Trouble:
    """What a failure means for the next try; where the server says whether to try, that counts."""
    status, cause = error.status_code, error.original_exception
    headers: Mapping[str, str] = getattr(getattr(cause, "response", None), "headers", {})
    after, told = retry_after(headers), headers.get("x-should-retry")
    if told == "false" or error.code == "insufficient_quota":
        return Trouble("final")
    if status in (429, _OVERLOADED) or (status == 503 and after is not None):
        return Trouble("refused", after)
    if _unconnected(error):
        return Trouble("lost")
    if status is None:
        misread = isinstance(cause, ValueError | TypeError | AttributeError | None)
        return Trouble("final" if misread else "passing")
    passing = told == "true" or status in _PASSING or status >= 500
    return Trouble("passing", after) if passing else Trouble("final")


def meaning_of(error: "AnyLLMError", name: str, *, reached: bool) -> BackendError | ConfigError:
    """The error to raise: a WorkError of this item, or a ConfigError that stops the run.

    `name` is the model's; `reached` says whether its server has replied before.
    """
    from any_llm import exceptions as any_llm

    words = _words(error)
    if (error.code or "").startswith("batch_"):  # OpenAI's own word, and ours for the others
        return UnfinishedError(words)
    if too_long(error):
        return ContextError(words, status=error.status_code)
    if isinstance(error, any_llm.AuthenticationError):
        return ConfigError(f"{name!r} refuses the key ({words}): check the key and its rights")
    if isinstance(error, any_llm.ModelNotFoundError):
        return ConfigError(f"{name!r} is not known to its server ({words}): check the name")
    if isinstance(error, any_llm.InsufficientFundsError) or error.code == "insufficient_quota":
        return ConfigError(f"{name!r} has no credit left ({words}): top up, then run again")
    if not reached and _unconnected(error):
        return ConfigError(
            f"{name!r} cannot be reached ({words}): start its server or check the address"
        )
    if isinstance(error.original_exception, ValueError | TypeError | AttributeError | None):
        return UnreadableError(f"not a chat completion: {words}")
    return BackendError(words, status=error.status_code)


def _unconnected(error: "AnyLLMError") -> bool:
    """Whether no connection came about; one that broke off had a server at its other end.

    The clients say of both that a connection timed out; what aiohttp said first is kept below.
    """
    for cause in _causes(error):
        name = type(cause).__name__
        if type(cause).__module__.startswith("aiohttp"):
            return "Connector" in name or name == "ConnectionTimeoutError"
    below = error.original_exception and error.original_exception.__cause__
    return "connect" in type(below).__name__.lower()  # httpx: ConnectError, ConnectTimeout


def _causes(error: "AnyLLMError") -> Iterator[Exception]:
    cause: BaseException | None = error.original_exception
    while isinstance(cause, Exception):
        yield cause
        cause = cause.__cause__


def _words(error: "AnyLLMError") -> str:
    """What went wrong, in one line: of a connection, as the operating system says it."""
    of_aiohttp = (one for one in _causes(error) if type(one).__module__.startswith("aiohttp"))
    return one_line(next(of_aiohttp, error))
