"""What a text is worth to a model behind a server: its mean log-probability per token.

Knows how a server is made to tell: llama.cpp by a grammar that leaves no choice, vLLM by the
log-probabilities of a prompt. Knows neither how requests are sent nor what the number is for.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from bakeoff.errors import BackendError, ContextError
from bakeoff.records import Prompt

if TYPE_CHECKING:
    from any_llm.types.completion import ChatCompletion

_ESCAPES = {'"': r"\"", "\\": r"\\"}


class Piece(NamedTuple):
    """A token of a text, by its number in the model's vocabulary, and the bytes that it spells."""

    token: int
    spells: bytes


class _Token(BaseModel):
    """A token as llama.cpp names it; one that is no text by itself is spelt in bytes."""

    id: int
    piece: str | list[int]


class _Tokens(BaseModel):
    tokens: list[_Token]


class _PromptToken(BaseModel):
    """What vLLM says of a token of the prompt."""

    logprob: float


_PROMPT_TOKENS = TypeAdapter(list[dict[str, _PromptToken] | None])


def parted(prompt: Prompt) -> tuple[Prompt, str]:
    """What was asked, and the text of the last turn, which is to be weighed."""
    *before, last = prompt.messages
    return Prompt(messages=tuple(before)), last.content


def mean(logprobs: Sequence[float]) -> float:
    """The mean of log-probabilities. BackendError where there is none, or one is no number."""
    if not logprobs or not all(map(math.isfinite, logprobs)):
        raise BackendError("the model gives no log-probability for some of the text")
    return sum(logprobs) / len(logprobs)


# ------------------------------------------------------------------------------------- llama.cpp


def pieces_of(reply: object) -> list[Piece]:
    """The tokens in a reply to llama.cpp's `/tokenize`. BackendError where it is none."""
    try:
        tokens = _Tokens.model_validate(reply).tokens
    except ValidationError:
        raise BackendError("the server's tokens cannot be read") from None
    return [
        Piece(t.id, t.piece.encode() if isinstance(t.piece, str) else bytes(t.piece))
        for t in tokens
    ]


def grammar(text: str, pieces: Sequence[Piece]) -> str:
    """A grammar (GBNF) that leaves no choice: exactly the text, by the tokens that it is made of.

    A text could be written in many ways, letter by letter too; its own tokens are what the model
    would use, and what it is to be weighed by. Tokens that hold a part of a character only cannot
    stand in a grammar: there, and in a text that the pieces do not spell, the text itself stands.
    """
    if "\0" in text:
        raise BackendError("llama.cpp cannot weigh a text with a null character")
    if b"".join(piece.spells for piece in pieces) != text.encode():
        return f"root ::= {_literal(text)}"
    parts = []
    for whole, run in groupby(pieces, lambda piece: _is_text(piece.spells)):
        if whole:
            parts += [f"<[{piece.token}]>" for piece in run]
        else:
            parts.append(_literal(b"".join(piece.spells for piece in run).decode()))
    return f"root ::= {' '.join(parts) or _literal('')}"


def of_forced(text: str, reply: "ChatCompletion") -> float:
    """The mean log-probability of the text's tokens in a reply that a grammar forced.

    llama.cpp gives the probabilities as they were before the grammar and the sampling, and of the
    tokens that share one character only the last one's: the others are not in the mean. The token
    that ends the text is left out, unless the text is empty: then it is all that there is to weigh.
    """
    choice = reply.choices[0] if reply.choices else None
    tokens = choice.logprobs.content if choice and choice.logprobs else None
    if not tokens or choice is None:
        raise BackendError("the server gives no log-probabilities")
    if b"".join(bytes(token.bytes or ()) for token in tokens) != text.encode():
        if choice.finish_reason == "length":
            raise ContextError("the prompt and the text to weigh do not fit into the context")
        raise BackendError("the server wrote another text than the one to weigh")
    spelt = [token.logprob for token in tokens if token.bytes]
    return mean(spelt or [token.logprob for token in tokens])


def _literal(text: str) -> str:
    escaped = (
        _ESCAPES.get(char) or (char if char.isprintable() else f"\\U{ord(char):08X}")
        for char in text
    )
    return f'"{"".join(escaped)}"'


def _is_text(spells: bytes) -> bool:
    try:
        spells.decode()
    except UnicodeDecodeError:
        return False
    return True


# ------------------------------------------------------------------------------------------ vLLM


async def by_prompt_logprobs(
    prompt: Prompt,
    request: Callable[[Prompt], dict[str, Any]],
    reply: Callable[[dict[str, Any]], Awaitable["ChatCompletion"]],
) -> float:
    """The mean log-probability of the last turn's tokens, by two requests for one new token each.

    Follows the sources of vLLM after 0.15: `prompt_logprobs` asks for an entry per token of the
    prompt, None for the first and `{token: {"logprob": ...}}` for the others, the prompt's own
    token first. The last turn begins where the prompt without it ends, at the place where the model
    would begin to speak; what else a chat template puts there, like an empty block of thinking, is
    weighed along. BackendError where the server does not give them.
    """
    context, text = parted(prompt)
    if not text:
        raise BackendError("an empty text has no token that this server could weigh")
    asked = request(prompt) | {"max_tokens": 1}
    asked["extra_body"] = {**asked.get("extra_body", {}), "prompt_logprobs": 0}
    extra = (await reply(asked)).model_extra or {}
    if extra.get("prompt_logprobs") is None:
        raise BackendError("the server gives no prompt_logprobs, so it cannot weigh: vLLM does")
    usage = (await reply(request(context) | {"max_tokens": 1})).usage
    if usage is None:
        raise BackendError("the server does not say how many tokens a prompt has")
    try:
        told = _PROMPT_TOKENS.validate_python(extra["prompt_logprobs"])
    except ValidationError:
        raise BackendError("the server's prompt_logprobs cannot be read") from None
    own = [next(iter(entry.values()), None) if entry else None for entry in told]
    return mean([token.logprob if token else math.nan for token in own[usage.prompt_tokens :]])
