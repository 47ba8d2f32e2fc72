"""Splits what a model thought from what it said. Knows text and tags, no model and no server."""

import re

from bakeoff.records import Completion, Finish

_TAG = r"(?:think|thinking|reasoning)"
# A tag counts only where a model puts one, at the start or the end of a line: a completion that
# talks about `<think>` in the middle of a sentence keeps its words.
_FLAGS = re.DOTALL | re.IGNORECASE | re.MULTILINE
_CLOSED = re.compile(rf"^[ \t]*<({_TAG})>(.*?)</\1>", _FLAGS)
_OPEN = re.compile(rf"^[ \t]*<{_TAG}>(.*)\Z", _FLAGS)
_ORPHAN = re.compile(rf"\A(.*?)</{_TAG}>[ \t]*(?=\n|<answer>|\Z)", _FLAGS)
_ANSWER = re.compile(r"\A\s*<answer>(.*?)(?:</answer>\s*)?\Z", re.DOTALL | re.IGNORECASE)


def split_thinking(raw: str) -> tuple[str, str | None]:
    """The text that was meant to be read, and the thinking that stood beside it (None: none).

    Takes out closed blocks of `<think>`, `<thinking>` and `<reasoning>`; then an unclosed one up to
    the end (the model was cut off while thinking); or, where a chat template opened the block
    itself, everything up to an orphan closing tag. An `<answer>` around the rest is unwrapped.
    """
    thoughts = [match.group(2) for match in _CLOSED.finditer(raw)]
    text = _CLOSED.sub("", raw)
    for pattern in (_OPEN, _ORPHAN):
        if cut := pattern.search(text):
            thoughts.append(cut.group(1))
            text = text[: cut.start()] + text[cut.end() :]
    if wrapped := _ANSWER.match(text):
        text = wrapped.group(1)
    if not thoughts:
        return text.strip(), None
    return text.strip(), "\n\n".join(thought.strip() for thought in thoughts)


def completion_of(
    raw: str,
    *,
    finish: Finish = "unknown",
    tokens: int | None = None,
    thinking: str | None = None,
    top: dict[str, float] | None = None,
) -> Completion:
    """A completion from a model's own words; `thinking` is what an API returned beside them."""
    # A lone surrogate (half an emoji, cut off by a token limit) is in no encoding and no file.
    raw = raw.encode("utf-8", "replace").decode("utf-8")
    text, thought = split_thinking(raw)
    return Completion(
        text=text,
        thinking=thinking or thought,
        finish=finish,
        tokens=tokens,
        raw=None if raw == text else raw,
        top=top,
    )
