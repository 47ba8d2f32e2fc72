"""Splits what a model thought from what it said. Knows text and tags, no model and no server."""

import math
import re

from bakeoff.records import Completion, Finish

_TAG = r"(?:think|thinking|reasoning)"
# A tag counts only where a model puts one, at the start or the end of a line: a completion that
# talks about `<think>` in the middle of a sentence keeps its words.
_FLAGS = re.DOTALL | re.IGNORECASE | re.MULTILINE
_BEGINS = re.compile(rf"^[ \t]*<(?P<tag>{_TAG})>", _FLAGS)
_GOES_ON = re.compile(rf"[ \t]*<(?P<tag>{_TAG})>", _FLAGS)  # where a block was cut out before
_OPEN = re.compile(rf"^[ \t]*<{_TAG}>(?P<thought>.*)\Z", _FLAGS)
_ORPHAN = re.compile(rf"\A(?P<thought>.*?)</{_TAG}>[ \t]*(?=\n|<answer>|\Z)", _FLAGS)
_ANSWER = re.compile(r"\A<answer>(?P<said>.*?)(?:</answer>)?\Z", _FLAGS)
_ROUNDS = 20  # a text of more tags around each other was written by nobody who thought


def split_thinking(raw: str) -> tuple[str, str | None]:
    """The text that was meant to be read, and the thinking that stood beside it (None: none).

    Takes out closed blocks of `<think>`, `<thinking>` and `<reasoning>`; then an unclosed one up to
    the end (the model was cut off while thinking); or, where a chat template opened the block
    itself, everything up to an orphan closing tag. An `<answer>` around the rest is unwrapped. The
    time is linear in the length.
    """
    text, thoughts = raw.strip(), list[str]()
    # Again after every cut: what stood behind a block or inside an answer may be a block itself.
    for _ in range(_ROUNDS):
        text, closed = _without_blocks(text)
        thoughts += closed
        if cut := _OPEN.search(text):
            thoughts.append(cut.group("thought").strip())
            text = text[: cut.start()].strip()
        elif (cut := _ANSWER.match(text)) and "</answer>" not in cut.group("said").lower():
            text = cut.group("said").strip()
        elif cut := _ORPHAN.match(text):
            thoughts.append(cut.group("thought").strip())
            text = text[cut.end() :].strip()
        elif not closed:
            break
    return text, "\n\n".join(thoughts) if thoughts else None


def _without_blocks(text: str) -> tuple[str, list[str]]:
    """The text without its closed blocks, and what stood in them: each letter is looked at once,
    and once for each tag that is never closed.
    """
    kept, thoughts, at = list[str](), list[str](), 0
    lower = text.lower() if text.isascii() else _lower(text)
    never = set[str]()
    begins = _BEGINS.search(text)
    while begins:
        tag = begins.group("tag").lower()
        ends = -1 if tag in never else lower.find(f"</{tag}>", begins.end())
        if ends < 0:
            never.add(tag)
            begins = _BEGINS.search(text, begins.end())
            continue
        kept.append(text[at : begins.start()])
        thoughts.append(text[begins.end() : ends].strip())
        at = ends + len(f"</{tag}>")
        begins = _GOES_ON.match(text, at) or _BEGINS.search(text, at)
    return "".join([*kept, text[at:]]).strip(), thoughts


def _lower(text: str) -> str:
    """In small letters, each where it was: of some letters the small one is longer."""
    return "".join(char.lower() if char.isascii() else char for char in text)


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
        top_logprobs=top,
    )


def _encodable(text: str) -> str:
    # A lone surrogate (half an emoji, cut off by a token limit) is in no encoding and no file.
    return text.encode("utf-8", "replace").decode("utf-8")
