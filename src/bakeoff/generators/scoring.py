"""Scores of given texts by the model of a server: the mean log-probability per token.

llama.cpp generates the text, forced by a grammar; vLLM returns the log-probabilities of a prompt.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from bakeoff.errors import BackendError, ContextError
from bakeoff.records import Prompt

if TYPE_CHECKING:
    from bakeoff.generators.api.replies import ChatReply

_ESCAPES = {'"': r"\"", "\\": r"\\"}


class TextToken(NamedTuple):
    """A token of a text."""

    id: int  # in the model's vocabulary
    text: bytes  # may be a part of a UTF-8 character


class _Token(BaseModel):
    """A token in a reply of llama.cpp; `piece` is a list of bytes where they are not UTF-8."""

    id: int
    piece: str | list[int]


class _Tokens(BaseModel):
    tokens: list[_Token]


class _PromptToken(BaseModel):
    """A token in `prompt_logprobs` of vLLM."""

    logprob: float


_PROMPT_TOKENS = TypeAdapter(list[dict[str, _PromptToken] | None])


def split_last_turn(prompt: Prompt) -> tuple[Prompt, str]:
    """Return the prompt without its last turn, and the text of that turn, which is to be scored."""
    *context, last = prompt.messages
    return Prompt(messages=tuple(context)), last.content


def mean_logprob(logprobs: Sequence[float]) -> float:
    """Return the mean. Raises BackendError if the sequence is empty or a value is not finite."""
    if not logprobs or not all(map(math.isfinite, logprobs)):
        raise BackendError("the model gives no log-probability for some of the text")
    return sum(logprobs) / len(logprobs)


# ------------------------------------------------------------------------------------- llama.cpp


def parse_tokens(reply: bytes) -> list[TextToken]:
    """Return the tokens in a reply of llama.cpp's `/tokenize`. Raises BackendError if malformed."""
    try:
        tokens = _Tokens.model_validate_json(reply).tokens
    except ValidationError:
        raise BackendError("the server's tokens cannot be read") from None
    return [
        TextToken(t.id, t.piece.encode() if isinstance(t.piece, str) else bytes(t.piece))
        for t in tokens
    ]


def forcing_grammar(text: str, tokens: Sequence[TextToken]) -> str:
    """Return a GBNF grammar that accepts only `text`, as the sequence `tokens`.

    Other tokenizations of the text are excluded, because the model would not generate them. A
    grammar cannot contain tokens with a part of a character: it has the text of adjacent ones
    instead, and the whole text if the tokens do not concatenate to it. Raises BackendError for a
    text with a null character.
    """
    if "\0" in text:
        raise BackendError("llama.cpp cannot weigh a text with a null character")
    if b"".join(token.text for token in tokens) != text.encode():
        return f"root ::= {_literal(text)}"
    parts = []
    for is_text, run in groupby(tokens, lambda token: _is_utf8(token.text)):
        if is_text:
            parts += [f"<[{token.id}]>" for token in run]
        else:
            parts.append(_literal(b"".join(token.text for token in run).decode()))
    return f"root ::= {' '.join(parts) or _literal('')}"


def score_of_forced(text: str, reply: "ChatReply") -> float:
    """Return the mean log-probability of the tokens of a reply that a grammar forced.

    llama.cpp reports probabilities before grammar and sampling. Of the tokens that share one
    character it reports only the last; the others are not in the mean. The end token is left out
    unless the text is empty. Raises ContextError if the text did not fit into the context, and
    BackendError if the reply is another text or has no log-probabilities.
    """
    tokens = reply.logprobs
    if not tokens:
        raise BackendError("the server gives no log-probabilities")
    if b"".join(bytes(token.bytes or ()) for token in tokens) != text.encode():
        if reply.finish == "length":
            raise ContextError("the prompt and the text to weigh do not fit into the context")
        raise BackendError("the server wrote another text than the one to weigh")
    of_text = [token.logprob for token in tokens if token.bytes]
    return mean_logprob(of_text or [token.logprob for token in tokens])


def _literal(text: str) -> str:
    escaped = (
        _ESCAPES.get(char) or (char if char.isprintable() else f"\\U{ord(char):08X}")
        for char in text
    )
    return f'"{"".join(escaped)}"'


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


# ------------------------------------------------------------------------------------------ vLLM


async def score_by_prompt_logprobs(
    prompt: Prompt,
    build_request: Callable[[Prompt], dict[str, Any]],
    send: Callable[[dict[str, Any]], Awaitable["ChatReply"]],
) -> float:
    """Return the mean log-probability of the last turn's tokens, by two requests to vLLM.

    Each request generates one token. `prompt_logprobs` (as in vLLM after 0.15) has an entry per
    prompt token: None for the first, else `{token: {"logprob": ...}}` with the prompt's own token
    first. The scored tokens are those after the prompt without its last turn, which the second
    request counts; text that a chat template inserts there, like an empty thinking block, is
    scored too. Raises BackendError if the server does not return log-probabilities.
    """
    context, text = split_last_turn(prompt)
    if not text:
        raise BackendError("an empty text has no token that this server could weigh")
    reply = await send(build_request(prompt) | {"max_tokens": 1, "prompt_logprobs": 0})
    if reply.prompt_logprobs is None:
        raise BackendError("the server gives no prompt_logprobs, so it cannot weigh: vLLM does")
    usage = (await send(build_request(context) | {"max_tokens": 1})).usage
    if usage is None:
        raise BackendError("the server does not say how many tokens a prompt has")
    try:
        entries = _PROMPT_TOKENS.validate_python(reply.prompt_logprobs)
    except ValidationError:
        raise BackendError("the server's prompt_logprobs cannot be read") from None
    tokens = [next(iter(entry.values()), None) if entry else None for entry in entries]
    scored = tokens[usage.input_tokens :]
    return mean_logprob([token.logprob if token else math.nan for token in scored])
