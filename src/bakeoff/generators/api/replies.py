"""Parse chat completions in any-llm's format."""

from typing import TYPE_CHECKING

from bakeoff.generators.api.errors import UnreadableError
from bakeoff.generators.thinking import make_completion
from bakeoff.records import Completion, Finish, Usage

if TYPE_CHECKING:
    from any_llm.types.completion import ChatCompletion, Choice

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused"}


def parse_completion(reply: "ChatCompletion", cost: float | None) -> Completion:
    """Return the first choice of a reply, which cost `cost` US dollars.

    Raises UnreadableError if the reply has no choice.
    """
    if not reply.choices:
        raise UnreadableError("the reply holds no choice")
    choice = reply.choices[0]
    message = choice.message
    finish = _FINISH.get(choice.finish_reason, "unknown")
    answer = make_completion(
        message.content or message.refusal or "",
        finish="refused" if message.refusal else finish,
        tokens=max(0, reply.usage.completion_tokens) if reply.usage else None,
        thinking=message.reasoning.content if message.reasoning else None,
        top_logprobs=_top_logprobs(choice),
    )
    return Completion(
        text=answer.text,
        thinking=answer.thinking,
        finish=answer.finish,
        tokens=answer.tokens,
        raw=answer.raw,
        top_logprobs=answer.top_logprobs,
        snapshot=reply.model or None,
        usage=parse_usage(reply),
        cost=cost,
    )


def parse_usage(reply: "ChatCompletion") -> Usage | None:
    """Return the tokens of a request and its reply; None if the server does not report them."""
    usage = reply.usage
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=max(0, usage.prompt_tokens),
        output_tokens=max(0, usage.completion_tokens),
        cached_tokens=max(0, (details and details.cached_tokens) or 0),
        cache_write_tokens=max(0, (details and details.cache_write_tokens) or 0),
    )


def _top_logprobs(choice: "Choice") -> dict[str, float] | None:
    """Return log-probabilities of the likeliest first tokens, if the server reports them."""
    tokens = choice.logprobs.content if choice.logprobs else None
    return {top.token: top.logprob for top in tokens[0].top_logprobs} if tokens else None
