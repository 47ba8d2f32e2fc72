"""Retry of a judge reply that is unreadable or contradicts itself.

The retry continues the conversation: it shows the judge its reply and states the problem with it.
"""

from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from bakeoff.judges.rendering import builtin_template
from bakeoff.records import Completion, Message, Prompt, RetryReason


class JudgedItem(Protocol):
    """What one request is about: a pair, or a single completion."""

    @property
    def id(self) -> str:
        """Identifier that is equal in a resumed run; may be empty."""
        ...


I = TypeVar("I", bound=JudgedItem)  # noqa: E741 - the item
T = TypeVar("T")  # the value parsed from a reply


@dataclass(frozen=True)
class JudgeRequest(Generic[I, T]):
    """A request about one item, with the replies to it so far."""

    index: int
    """Position of the item in the call."""
    item: I
    prompt: Prompt
    max_chars: int | None = None
    """Characters shown of each completion; None: all."""
    replies: tuple[Completion, ...] = ()
    retry_reason: RetryReason | None = None
    """Why this is a retry; None if it is not."""
    contradiction: T | None = None
    """The value of the first reply, if that contradicts itself."""


def retry_request(
    request: JudgeRequest[I, T], reason: RetryReason, problem: str
) -> JudgeRequest[I, T]:
    """Return the request that follows an unusable reply.

    Its prompt is the conversation so far and a last turn that states the problem and asks for the
    verdict again (`templates/repair.j2`).
    """
    reply = Message(role="assistant", content=request.replies[-1].text or "(nothing)")
    text = builtin_template("repair").render(problem=problem).strip()
    messages = (*request.prompt.messages, reply, Message(role="user", content=text))
    return replace(request, prompt=Prompt(messages=messages), retry_reason=reason)
