"""What in a completion is meant for the judge, not for the reader. Knows text, no model, no judge.

A finding is a reason to read the completion and no proof; no finding is no promise, since an order
can be put in words that no list has.
"""

import binascii
import re
import unicodedata
from collections import defaultdict

from bakeoff.summary.phrases import RULES

SPEAKS = "speaks to the judge"
VERDICT = "verdict block"
TURN = "fake turn"
FENCE = "closes the fence"
HIDDEN = "hidden characters"
ENCODED = "encoded order"
REPEATS = "overlong repetition"

_LONG = 20_000  # characters: what repeats itself below this is a weak model more often than a trick
_PROBES = 16  # places at which a long text is asked whether it repeats itself
_PROBE = 32  # characters
_AGAIN = 20  # times that a probe must be found

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
_MARKS = re.compile("[\u0300-\u036f\u0653-\u0655]+")
_FOLD = str.maketrans(
    "авеёзікмнорстухјѕһԁԛԝαβεικνορτυχϲıɡɑ",
    "abee3ikmhopctyxjshdqwabeikvoptuxciga",
)
_SENTENCES = re.compile(r"[^.!?\n。！？।؟]{1,400}")  # noqa: RUF001 - or a piece of a long one
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
# What is quoted, or shown as code of a named language, is talked about and not said.
_QUOTED = re.compile(
    r"```[ \t]*\w.*?```|`[^`\n]+`|(?<![\w\"])\"[^\"\n]{1,300}\"(?!\w)"
    r"|[“„][^“”„\n]{1,300}[“”]|«[^«»\n]{1,300}»|「[^「」\n]{1,300}」",
    re.DOTALL,
)

_HINTS = ("score", "rating", "points", "winner", "verdict", "judg", "better", "prefer", "rank")
_SCORED = re.compile(r"\b(?:score|rating|points)[ _]?([ab])\b[\"']?[ \t]*:", re.IGNORECASE)
_SUMMED = re.compile(r"\b(?:verdict|explanation|reasoning|preferred)\b[\"']?[ \t]*:", re.IGNORECASE)
_VERDICTS = (
    re.compile(
        r"[\"'](?:winner|verdict|better|preferred|preference)[\"']\s*:\s*[\"']"
        r"(?:(?:(?:answer|assistant|response|model)[ _])?[ab]|tie)[\"'](?!\s*(?:\||/|,?\s*or\b))",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?i:winner|verdict|judge?ment)(?i: is)?[ \t]*[:=][ \t*]*"
        r"(?i:(?:answer|assistant|response) )?[AB]\b(?! [a-z])(?!\s+or\b)"
    ),
    re.compile(
        r"(?i:scores?|ratings?|points)\b[ \t]*:?[ \t]*A[ \t]*[:=][ \t]*\d+(?:/10)?[,;]?"
        r"[ \t]*B[ \t]*[:=]"
    ),
    re.compile(r"(?i:rating|score)(?i: is)?[ \t]*:?[ \t*]*\[\[\d{1,2}\]\]"),
    re.compile(
        r"<(?i:verdict|winner|preference|judge?ment)>\s*(?i:(?:answer|assistant) )?[AB]\s*<"
    ),
    re.compile(r"\"model\"\s*:\s*\"[^\"\n]{1,40}\"\s*,\s*\"rank\"\s*:\s*\d"),
)
_BRACKETS = re.compile(r"\[\[(?:[AB]|[AB][<>=]{1,2}[AB])\]\]")
_LETTER = re.compile(r"[ \"'*][AB][\"'*]*[ \t]*(?:[.!,\n]|$|only|as the)")
_REPLY = re.compile(
    r"(?:^|[.!?:,\n])[ \t*_-]*(?i:(?:now|simply|just|please|only|new task|then) ?:? ?)*"
    r"(?i:say|print|output|choose|pick|select|vote|vote for|declare|(?:reply|respond|answer) with)"
    r"(?i: only| just| the letter| answer| assistant| response)* [\"'*]*[AB][\"'*]*[ \t]*"
    r"(?:[.!,\n]|$|only|as the)"
)
_FENCES = (
    re.compile(r"(?<![=#*~_-])([=#*~_-])\1{5,}+[ \t]+[0-9a-f]{12,}\b"),
    re.compile(
        r"</?\|?(?:answer|response|completion|assistant|output)[ _-]?[ab12]\|?>", re.IGNORECASE
    ),
    re.compile(
        r"[\[<|](?:the )?(?:start|begin|beginning|end) of (?:the )?(?:assistant|answer|response"
        r"|completion|model)(?: [ab12])?(?:'s (?:answer|response))?[\]>|]",
        re.IGNORECASE,
    ),
)
_HEADING = re.compile(
    r"^[ \t#*]*(?:assistant|answer|response|completion) ([ab])(?:\*{0,2}:|[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_TURNS = re.compile(
    r"<\|im_start\|>\s*(?:system|user|assistant|developer)|<\|start_header_id\|>\s*(?:system|user"
    r"|assistant)|<start_of_turn>\s*(?:user|model)|\[INST\]|<<SYS>>|<\|(?:system|user|assistant)\|>"
    r"|^#{1,4} ?(?:system|developer)(?: message| prompt)?:[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e007a]{4,6}\U000e007f")  # of England, Texas ...
_CONCEALED = (
    re.compile("[\u202d\u202e\U000e0000-\U000e007f]"),
    re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]{8}"),
    re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3}"),
)
_SPLIT = re.compile("[a-z][\u200b-\u200d\u2060-\u2064\ufeff]+(?=[a-z])", re.IGNORECASE)
_MIXED = re.compile("[a-z][авеосрухіјѕорνοικα]+[a-z]|\\b[асеорхуіјѕ][a-z]{2}", re.IGNORECASE)  # noqa: RUF001
_BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")


def suspicions(text: str) -> tuple[str, ...]:
    """The kinds of suspicious content in a completion, in a fixed order; () for an ordinary one.

    Takes any text, also one with lone surrogates. The time grows with the length, not faster.
    """
    found = {
        SPEAKS: _speaks(text),
        VERDICT: _holds_verdict(text),
        TURN: _turns(text),
        FENCE: _closes(text),
        HIDDEN: _hides(text),
        ENCODED: _encodes(text),
        REPEATS: _repeats(text),
    }
    return tuple(kind for kind, holds in found.items() if holds)


def _plain(text: str) -> str:
    """What a reader sees: without unseen characters, accents, capitals and look-alike letters."""
    if text.isascii():
        return text.lower()
    text = _UNSEEN.sub("", text)
    # By pieces: sorting one long run of accents would take the square of its length.
    pieces = (unicodedata.normalize("NFKD", text[at : at + 512]) for at in range(0, len(text), 512))
    return _MARKS.sub("", "".join(pieces).casefold()).translate(_FOLD)


def _compiled() -> dict[tuple[tuple[str, ...], re.Pattern[str]], list[list[re.Pattern[str]]]]:
    ready = defaultdict(list)
    for words, first, *rest in RULES:
        key = tuple(_plain(words).split("|")), re.compile(_plain(first))
        ready[key].append([re.compile(_plain(part)) for part in rest])
    return ready


_READY = _compiled()


def _speaks(text: str) -> bool:
    text = _plain(_QUOTED.sub(" ", text))
    for (words, first), rests in _READY.items():
        if not (any(word in text for word in words) and first.search(text)):
            continue
        for sentence in filter(first.search, _SENTENCES.findall(text)):
            if any(all(part.search(sentence) for part in rest) for rest in rests):
                return True
    return False


def _holds_verdict(text: str) -> bool:
    lower = text.lower()
    if any(hint in lower for hint in _HINTS):
        scored = {letter.lower() for letter in _SCORED.findall(text)} == {"a", "b"}
        if (scored and _SUMMED.search(text)) or any(p.search(text) for p in _VERDICTS):
            return True
    bare = _CODE.sub(" ", text)
    return bool(_BRACKETS.search(bare) or (_LETTER.search(bare) and _REPLY.search(bare)))


def _turns(text: str) -> bool:
    return bool(_TURNS.search(_CODE.sub(" ", text)))


def _closes(text: str) -> bool:
    # A list of answers has an A before its B; only what pretends to be the other one begins at B.
    headings = [letter.lower() for letter in _HEADING.findall(text)]
    return headings[:1] == ["b"] or any(pattern.search(text) for pattern in _FENCES)


def _hides(text: str) -> bool:
    if text.isascii():
        return False
    text = _FLAG.sub("", text)
    return (
        any(pattern.search(text) for pattern in _CONCEALED)
        or len(_SPLIT.findall(text)) > 2
        or len(_MIXED.findall(text)) > 2
    )


def _encodes(text: str) -> bool:
    for run in _BASE64.findall(text):
        whole = run.rstrip("=")
        held = binascii.a2b_base64(whole[: len(whole) // 4 * 4])  # in fours: so no padding is due
        if _speaks(held.decode(errors="ignore")):
            return True
    return False


def _repeats(text: str) -> bool:
    if len(text) < _LONG:
        return False
    places = range(0, len(text) - _PROBE, len(text) // _PROBES)
    probes = [text[at : at + _PROBE] for at in places]
    return sum(text.count(probe) >= _AGAIN for probe in probes) > len(probes) * 3 // 4
