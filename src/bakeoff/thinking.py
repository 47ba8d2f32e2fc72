"""Splits what a model thought from what it said. Knows text and tags, no model and no server."""

import math
import re

from bakeoff.records import Completion, Finish

_TAG = r"(?:think|thinking|reasoning)"
# A tag counts only where a model puts one, at the start or the end of a line: a completion that
# talks about `<think>` in the middle of a sentence keeps its words.
_FLAGS = re.DOTALL | re.IGNORECASE | re.MULTILINE
_CLOSED = re.compile(rf"^[ \t]*<({_TAG})>(?P<thought>.*?)</\1>", _FLAGS)
_OPEN = re.compile(rf"^[ \t]*<{_TAG}>(?P<thought>.*)\Z", _FLAGS)
_ORPHAN = re.compile(rf"\A(?P<thought>.*?)</{_TAG}>[ \t]*(?=\n|<answer>|\Z)", _FLAGS)
_ANSWER = re.compile(r"\A<answer>((?:(?!</answer>).)*)(?:</answer>)?\Z", _FLAGS)
_PATTERNS = (_CLOSED, _OPEN, _ANSWER, _ORPHAN)


def split_thinking(raw: str) -> tuple[str, str | None]:
    """The text that was meant to be read, and the thinking that stood beside it (None: none).

    Takes out closed blocks of `<think>`, `<thinking>` and `<reasoning>`; then an unclosed one up to
    the end (the model was cut off while thinking); or, where a chat template opened the block
    itself, everything up to an orphan closing tag. An `<answer>` around the rest is unwrapped.
    """
    text, thoughts = raw.strip(), []
    # Again after every cut: what stood behind a block or inside an answer may be a block itself.
    while cut := next(filter(None, (pattern.search(text) for pattern in _PATTERNS)), None):
        if cut.re is _ANSWER:
            text = cut.group(1).strip()
        else:
            thoughts.append(cut.group("thought").strip())
            text = (text[: cut.start()] + text[cut.end() :]).strip()
    return text, "\n\n".join(thoughts) if thoughts else None


def completion_of(
    raw: str,
    *,
    finish: Finish = "unknown",
    tokens: int | None = None,
    thinking: str | None = None,
    top: dict[str, float] | None = None,
) -> Completion:
    """A completion from a model's own words; `thinking` is what an API returned beside them."""
    raw = _encodable(raw)
    text, thought = split_thinking(raw)
    if (
        top is not None
    ):  # a token of no probability is as good as not listed, and no file holds -inf
        top = {_encodable(token): p for token, p in top.items() if math.isfinite(p)}
    return Completion(
        text=text,
        thinking=_encodable(thinking) if thinking else thought,
        finish=finish,
        tokens=tokens,
        raw=None if raw == text else raw,
        top=top,
    )


def _encodable(text: str) -> str:
    # A lone surrogate (half an emoji, cut off by a token limit) is in no encoding and no file.
    return text.encode("utf-8", "replace").decode("utf-8")
