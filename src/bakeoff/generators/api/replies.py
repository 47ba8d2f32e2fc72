"""What a chat completion says: the text, the thinking, how it ended, what it took.

Knows any-llm's form of a reply; not who was asked.
"""

from typing import TYPE_CHECKING

from bakeoff.generators.api.errors import UnreadableError
from bakeoff.generators.thinking import completion_of
from bakeoff.records import Completion, Finish, Usage

if TYPE_CHECKING:
    from any_llm.types.completion import ChatCompletion, Choice

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused"}


def said_in(reply: "ChatCompletion") -> Completion:
    """The first choice of a reply. UnreadableError where there is none."""
    if not reply.choices:
        raise UnreadableError("the reply holds no choice")
    choice = reply.choices[0]
    message = choice.message
    finish = _FINISH.get(choice.finish_reason, "unknown")
    return completion_of(
        message.content or message.refusal or "",
        finish="refused" if message.refusal else finish,
        tokens=max(0, reply.usage.completion_tokens) if reply.usage else None,
        thinking=message.reasoning.content if message.reasoning else None,
        top=_top(choice),
    )


def usage_in(reply: "ChatCompletion") -> Usage | None:
    """The tokens that it took, where the server says so."""
    told = reply.usage
    if told is None:
        return None
    details = told.prompt_tokens_details
    return Usage(
        input_tokens=max(0, told.prompt_tokens),
        output_tokens=max(0, told.completion_tokens),
        cached_tokens=max(0, (details and details.cached_tokens) or 0),
        cache_write_tokens=max(0, (details and details.cache_write_tokens) or 0),
    )


def _top(choice: "Choice") -> dict[str, float] | None:
    """The likeliest first tokens and their log-probabilities, where the server gave them."""
    tokens = choice.logprobs.content if choice.logprobs else None
    return {top.token: top.logprob for top in tokens[0].top_logprobs} if tokens else None
