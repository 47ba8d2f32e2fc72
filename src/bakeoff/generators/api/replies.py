"""Chat completions in OpenAI's format, parsed from the body of a reply."""

from typing import Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from bakeoff.generators.api.errors import UnreadableError
from bakeoff.records import Finish, Usage

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused"}


class TopLogprob(BaseModel):
    """One of the likeliest tokens at a position."""

    token: str
    logprob: float


class TokenLogprob(TopLogprob):
    """A generated token."""

    bytes: list[int] | None = None
    top_logprobs: list[TopLogprob] = []


class ChatReply(NamedTuple):
    """A reply of a model; `generators.thinking.make_completion` makes a completion of it."""

    text: str
    finish: Finish
    thinking: str | None = None
    """The thinking that the server returned in a field of its own."""
    snapshot: str | None = None
    """Model name in the reply."""
    usage: Usage | None = None
    """None if the server does not report it."""
    logprobs: list[TokenLogprob] | None = None
    """The generated tokens, if log-probabilities were requested."""
    prompt_logprobs: Any = None
    """vLLM's extension of that name, as it was sent; None if it was not requested."""

    @property
    def top_logprobs(self) -> dict[str, float] | None:
        """Log-probabilities of the likeliest first tokens; None if they are not reported."""
        if not self.logprobs:
            return None
        return {top.token: top.logprob for top in self.logprobs[0].top_logprobs}


class _TokenDetails(BaseModel):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionUsage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _TokenDetails | None = None


class _ChoiceMessage(BaseModel):
    content: str | None = None
    refusal: str | None = None
    # Servers return thinking in one of these fields.
    reasoning: Any = None
    reasoning_content: str | None = None
    thinking: str | None = None


class _Logprobs(BaseModel):
    content: list[TokenLogprob] | None = None


class _Choice(BaseModel):
    message: _ChoiceMessage
    finish_reason: str
    logprobs: _Logprobs | None = None


class _ChatCompletion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _CompletionUsage | None = None
    prompt_logprobs: Any = None


def parse_chat_completion(body: bytes) -> ChatReply:
    """Return the first choice of a chat completion in OpenAI's format.

    Fields that some servers omit may be missing. Raises UnreadableError for any other body.
    """
    try:
        reply = _ChatCompletion.model_validate_json(body)
    except ValidationError as error:
        raise unreadable(error, body) from None
    choice, usage = reply.choices[0], reply.usage
    message = choice.message
    refused = bool(message.refusal)
    return ChatReply(
        text=message.content or message.refusal or "",
        finish="refused" if refused else _FINISH.get(choice.finish_reason, "unknown"),
        thinking=_thinking(message),
        snapshot=reply.model or None,
        usage=_parse_usage(usage) if usage else None,
        logprobs=choice.logprobs.content if choice.logprobs else None,
        prompt_logprobs=reply.prompt_logprobs,
    )


def _thinking(message: _ChoiceMessage) -> str | None:
    reasoning = message.reasoning
    if isinstance(reasoning, dict):
        reasoning = reasoning.get("content")
    texts = (reasoning, message.reasoning_content, message.thinking)
    return next((text for text in texts if text and isinstance(text, str)), None)


def _parse_usage(usage: _CompletionUsage) -> Usage | None:
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    details = usage.prompt_tokens_details
    return make_usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        details.cached_tokens if details else None,
        details.cache_write_tokens if details else None,
    )


def make_usage(
    tokens_in: int, tokens_out: int, cached: int | None = None, written: int | None = None
) -> Usage:
    """Return a Usage; negative numbers, which some servers report, count as 0."""
    return Usage(
        input_tokens=max(0, tokens_in),
        output_tokens=max(0, tokens_out),
        cached_tokens=max(0, cached or 0),
        cache_write_tokens=max(0, written or 0),
    )


class _Reported(BaseModel):
    """An error that is the body of a reply with status 200."""

    error: Any = None


def unreadable(error: ValidationError, body: bytes) -> UnreadableError:
    """Return the error of a body that is no completion: the message in it, or the first problem."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
    try:
        reported = _Reported.model_validate_json(body).error
    except ValidationError:
        reported = None
    if reported:
        message = reported.get("message") if isinstance(reported, dict) else reported
        reason = " ".join(str(message).split())[:300]
    return UnreadableError(f"not a chat completion: {reason}")
