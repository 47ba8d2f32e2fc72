"""Split a reply into thinking and answer, and build a Completion from it."""

import math
import re

from bakeoff.records import Completion, Finish

_TAG = r"(?:think|thinking|reasoning)"
# A tag counts only at the start or the end of a line, where models write it: a completion that
# mentions `<think>` within a sentence is not changed.
_FLAGS = re.DOTALL | re.IGNORECASE | re.MULTILINE
_OPENING = re.compile(rf"^[ \t]*<(?P<tag>{_TAG})>", _FLAGS)
_NEXT_OPENING = re.compile(rf"[ \t]*<(?P<tag>{_TAG})>", _FLAGS)  # right behind a removed block
_UNCLOSED = re.compile(rf"^[ \t]*<{_TAG}>(?P<thought>.*)\Z", _FLAGS)
_ORPHAN = re.compile(rf"\A(?P<thought>.*?)</{_TAG}>[ \t]*(?=\n|<answer>|\Z)", _FLAGS)
_ANSWER = re.compile(r"\A<answer>(?P<answer>.*?)(?:</answer>)?\Z", _FLAGS)
_MAX_ROUNDS = 20  # a limit on nesting, against pathological input


def split_thinking(raw: str) -> tuple[str, str | None]:
    """Return the answer of a reply, and its thinking, None if it has none.

    Thinking is the text in closed `<think>`, `<thinking>` and `<reasoning>` blocks, the text after
    an opening tag without a closing one (the reply was truncated), and the text before a closing
    tag without an opening one (which the chat template wrote). `<answer>` tags around the rest are
    removed. Takes linear time.
    """
    text, thoughts = raw.strip(), list[str]()
    # Repeated: text behind a removed block or inside an answer may be a block itself.
    for _ in range(_MAX_ROUNDS):
        text, closed = _remove_blocks(text)
        thoughts += closed
        if match := _UNCLOSED.search(text):
            thoughts.append(match.group("thought").strip())
            text = text[: match.start()].strip()
        elif (match := _ANSWER.match(text)) and "</answer>" not in match.group("answer").lower():
            text = match.group("answer").strip()
        elif match := _ORPHAN.match(text):
            thoughts.append(match.group("thought").strip())
            text = text[match.end() :].strip()
        elif not closed:
            break
    return text, "\n\n".join(thoughts) if thoughts else None


def _remove_blocks(text: str) -> tuple[str, list[str]]:
    """Return the text without its closed blocks, and the text in each block.

    Scans the text once, and once more for each kind of tag that is never closed.
    """
    parts, thoughts, position = list[str](), list[str](), 0
    lower = text.lower() if text.isascii() else _ascii_lower(text)
    unclosed = set[str]()
    opening = _OPENING.search(text)
    while opening:
        tag = opening.group("tag").lower()
        end = -1 if tag in unclosed else lower.find(f"</{tag}>", opening.end())
        if end < 0:
            unclosed.add(tag)
            opening = _OPENING.search(text, opening.end())
            continue
        parts.append(text[position : opening.start()])
        thoughts.append(text[opening.end() : end].strip())
        position = end + len(f"</{tag}>")
        opening = _NEXT_OPENING.match(text, position) or _OPENING.search(text, position)
    return "".join([*parts, text[position:]]).strip(), thoughts


def _ascii_lower(text: str) -> str:
    """Lower the ASCII letters only: `str.lower` changes the length of some other letters."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def make_completion(
    raw: str,
    *,
    finish: Finish = "unknown",
    tokens: int | None = None,
    thinking: str | None = None,
    top_logprobs: dict[str, float] | None = None,
) -> Completion:
    """Return a Completion of a model's reply.

    `thinking` is the thinking that an API returned separately; it takes precedence over thinking in
    tags. Log-probabilities that are not finite are left out.
    """
    raw = _encodable(raw)
    text, thought = split_thinking(raw)
    if top_logprobs is not None:  # JSON has no -inf, the log-probability of an impossible token
        finite = {token: p for token, p in top_logprobs.items() if math.isfinite(p)}
        top_logprobs = {_encodable(token): p for token, p in finite.items()}
    return Completion(
        text=text,
        thinking=_encodable(thinking) if thinking else thought,
        finish=finish,
        tokens=tokens,
        raw=None if raw == text else raw,
        top_logprobs=top_logprobs,
    )


def _encodable(text: str) -> str:
    # A lone surrogate (half an emoji, cut off by a token limit) cannot be encoded in UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")
