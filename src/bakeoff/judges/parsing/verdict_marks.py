"""Parsers of verdicts that are a mark such as `[[A>B]]`, or the log-probability of a label."""

import json
import math
import re

from bakeoff.errors import VerdictError
from bakeoff.records import Completion, Verdict

_NOUN = r"(?:(?:answer|assistant|response|completion|model)\s)?"
_MARK = re.compile(
    rf"\\?\[\\?\[[\s*]{{0,4}}(?:{_NOUN}(?P<left>[ab])\s?(?P<by>>>?|<<?|==?)\s?{_NOUN}(?P<right>[ab])"
    rf"|{_NOUN}(?P<label>[abc]|tie))[\s*]{{0,4}}\\?\]\\?\]"
    # A mark in repeated instructions is no verdict: "[[A]]" if ..., [[C]] for a tie.
    r"(?!['\"”’`*,]{0,3}\s*(?:if|when|means|stands\sfor|for\sa\s(?:tie|draw))\b)",  # noqa: RUF001
    re.IGNORECASE,
)
_LABELS = {"a": 1.0, "b": 0.0, "c": 0.5, "tie": 0.5}


def unreadable_reply(completion: Completion, problem: str) -> VerdictError:
    """Return the error of a reply without a verdict; it says if the reply was truncated."""
    truncated = "it was cut at the token limit, and " if completion.finish == "length" else ""
    return VerdictError(truncated + problem, raw=completion.text)


def parse_marks(completion: Completion) -> Verdict:
    """Return the verdict of the marks in a reply; VerdictError if there is none, or they differ.

    Marks are `[[A]]`, `[[B]]`, `[[C]]` (a tie), `[[A>B]]`, `[[A>>B]]` (counts as `[[A>B]]`) and
    `[[A=B]]`. The reason is the text before the last mark, or after it if nothing is before.
    """
    text = completion.text
    marks = list(_MARK.finditer(text))
    if not marks:
        raise unreadable_reply(completion, "it holds no mark such as [[A>B]]")
    first = _winner(marks[-1])
    if first is None or any(_winner(mark) != first for mark in marks):
        names = ", ".join(sorted({" ".join(mark.group().split()) for mark in marks}))
        raise unreadable_reply(completion, f"its marks name more than one winner: {names[:100]}")
    before, after = text[: marks[-1].start()].strip(), text[marks[-1].end() :].strip()
    return Verdict(first=first, reason=before or after, raw=text)


def _winner(mark: re.Match[str]) -> float | None:
    label, left, by, right = mark.group("label", "left", "by", "right")
    if label:
        return _LABELS[label.lower()]
    if left.lower() == right.lower():
        return None
    if "=" in by:
        return 0.5
    return _LABELS[(left if ">" in by else right).lower()]


def parse_choice(completion: Completion) -> Verdict:
    """Return the verdict P(A) / (P(A) + P(B)) of the first token's log-probabilities.

    Tokens that are the same letter but for spaces are added. A letter that is not among the
    returned tokens has probability 0; VerdictError if neither is.
    """
    if completion.top_logprobs is None:
        raise unreadable_reply(completion, "the server gave no log-probabilities")
    tokens = [
        (token.strip(), p) for token, p in completion.top_logprobs.items() if math.isfinite(p)
    ]
    labels = [(token, p) for token, p in tokens if token in ("A", "B")]
    if not labels:
        likeliest = [token for token, _ in sorted(tokens, key=lambda pair: -pair[1])][:5]
        problem = f"neither A nor B is among the first tokens: {likeliest!r}"
        raise VerdictError(problem, raw=completion.text)
    largest = max(p for _, p in labels)  # subtracted against underflow and overflow
    a, b = (math.fsum(math.exp(p - largest) for token, p in labels if token == x) for x in "AB")
    # From the larger share, so that swapped labels give exactly the swapped verdict.
    first = a / (a + b) if a >= b else 1 - b / (a + b)
    return Verdict(first=first, raw=json.dumps(completion.top_logprobs))
