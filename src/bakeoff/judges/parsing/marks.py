"""Reads verdicts that are a mark such as `[[A>B]]`, or the probability of a label. Knows no JSON.

Also whether the winner and the scores of a verdict fit together.
"""

import json
import math
import re

from bakeoff.errors import VerdictError
from bakeoff.records import Completion, Verdict

_KIND = r"(?:(?:answer|assistant|response|completion|model)\s)?"
_MARK = re.compile(
    rf"\\?\[\\?\[[\s*]{{0,4}}(?:{_KIND}(?P<left>[ab])\s?(?P<by>>>?|<<?|==?)\s?{_KIND}(?P<right>[ab])"
    rf"|{_KIND}(?P<label>[abc]|tie))[\s*]{{0,4}}\\?\]\\?\]"
    # What a mark would mean, told back to us, is no verdict: "[[A]]" if ..., [[C]] for a tie.
    r"(?!['\"”’`*,]{0,3}\s*(?:if|when|means|stands\sfor|for\sa\s(?:tie|draw))\b)",  # noqa: RUF001
    re.IGNORECASE,
)
_LABELS = {"a": 1.0, "b": 0.0, "c": 0.5, "tie": 0.5}


def unreadable(completion: Completion, problem: str) -> VerdictError:
    """The error of a reply in which no verdict was found; says so where the reply was cut."""
    cut = "it was cut at the token limit, and " if completion.finish == "length" else ""
    return VerdictError(cut + problem, raw=completion.text)


def read_marks(completion: Completion) -> Verdict:
    """The one mark in a text: `[[A]]`, `[[B]]`, `[[C]]` (a tie), `[[A>B]]`, `[[A>>B]]`, `[[A=B]]`.

    Much better counts as better. Marks that name different winners are no verdict. The reason is
    the text before the mark, or after it where nothing stands before.
    """
    text = completion.text
    marks = list(_MARK.finditer(text))
    if not marks:
        raise unreadable(completion, "it holds no mark such as [[A>B]]")
    first = _winner(marks[-1])
    if first is None or any(_winner(mark) != first for mark in marks):
        named = ", ".join(sorted({" ".join(mark.group().split()) for mark in marks}))
        raise unreadable(completion, f"its marks name more than one winner: {named[:100]}")
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


def read_choice(completion: Completion) -> Verdict:
    """The probability of `A` against `B` as the first token of the completion.

    p = P(A) / (P(A) + P(B)) over all tokens that are that letter but for spaces; a letter that is
    not among the likeliest tokens has probability 0, and with neither there is no verdict.
    """
    if completion.top_logprobs is None:
        raise unreadable(completion, "the server gave no log-probabilities")
    told = [(token.strip(), p) for token, p in completion.top_logprobs.items() if math.isfinite(p)]
    labels = [(token, p) for token, p in told if token in ("A", "B")]
    if not labels:
        likeliest = [token for token, _ in sorted(told, key=lambda pair: -pair[1])][:5]
        problem = f"neither A nor B is among the first tokens: {likeliest!r}"
        raise VerdictError(problem, raw=completion.text)
    most = max(p for _, p in labels)  # taken off, so that nothing is too small or too large
    a, b = (math.fsum(math.exp(p - most) for token, p in labels if token == x) for x in "AB")
    # From the larger share, so that the swapped verdict is the verdict of the swapped labels.
    first = a / (a + b) if a >= b else 1 - b / (a + b)
    return Verdict(first=first, raw=json.dumps(completion.top_logprobs))


def settled(verdict: Verdict) -> Verdict:
    """The verdict that the scores stand for, said to contradict itself; equal scores are a tie."""
    if verdict.scores is None:
        return verdict
    first = 0.5 + _side(verdict.scores.first - verdict.scores.second) / 2
    return verdict.model_copy(update={"first": first, "contradictory": True})


def _side(difference: float) -> int:
    return (difference > 0) - (difference < 0)
