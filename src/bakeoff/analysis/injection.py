"""What in a completion is meant for the judge, not for the reader. Knows text, no model, no judge.

A finding is a reason to read the completion and no proof; no finding is no promise, since an order
can be put in words that no list has.
"""

import binascii
import re
import unicodedata
from typing import NamedTuple

from bakeoff.analysis.injection_phrases import RULES
from bakeoff.analysis.keyword_filter import ALWAYS, LONG, Needs, Spotter, holds

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
_FOLDED = re.compile(f"[{''.join(map(chr, _FOLD))}]")
_SENTENCES = re.compile(r"[^.!?\n。！？।؟]{1,400}")  # noqa: RUF001 - or a piece of a long one
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
# What is quoted, or shown as code of a named language, is talked about and not said.
_QUOTED = re.compile(
    r"```[ \t]*\w.*?```|`[^`\n]+`|\"(?<![\w\"]\")[^\"\n]{1,300}\"(?!\w)"
    r"|[“„][^“”„\n]{1,300}[“”]|«[^«»\n]{1,300}»|「[^「」\n]{1,300}」",
    re.DOTALL,
)

_MARKED = re.compile('[`"“„«「]')  # what something quoted begins with
_HINTS = ("score", "rating", "points", "winner", "verdict", "judg", "better", "prefer", "rank")
_SCORED = re.compile(r"\b(?:score|rating|points)[ _]?([ab])\b[\"']?[ \t]*:", re.IGNORECASE)
_SUMMED = re.compile(r"\b(?:verdict|explanation|reasoning|preferred)\b[\"']?[ \t]*:", re.IGNORECASE)
_SIDED = re.compile(r"[AB][\"']?[ \t]*[:=]", re.IGNORECASE)
_SCORES = re.compile(
    r"(?i:scores?|ratings?|points)\b[ \t]*:?[ \t]*A[ \t]*[:=][ \t]*\d+(?:/10)?[,;]?"
    r"[ \t]*B[ \t]*[:=]"
)
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
    re.compile(r"(?i:rating|score)(?i: is)?[ \t]*:?[ \t*]*\[\[\d{1,2}\]\]"),
    re.compile(
        r"<(?i:verdict|winner|preference|judge?ment)>\s*(?i:(?:answer|assistant) )?[AB]\s*<"
    ),
    re.compile(r"\"model\"\s*:\s*\"[^\"\n]{1,40}\"\s*,\s*\"rank\"\s*:\s*\d"),
)
_BRACKETS = re.compile(r"\[\[(?:[AB]|[AB][<>=]{1,2}[AB])\]\]")
_LETTER = re.compile(r"[AB](?<=[ \"'*].)[\"'*]*[ \t]*(?:[.!,\n]|$|only|as the)")
_REPLY = re.compile(
    r"(?:^|[.!?:,\n])[ \t*_-]*(?i:(?:now|simply|just|please|only|new task|then) ?:? ?)*"
    r"(?i:say|print|output|choose|pick|select|vote|vote for|declare|(?:reply|respond|answer) with)"
    r"(?i: only| just| the letter| answer| assistant| response)* [\"'*]*[AB][\"'*]*[ \t]*"
    r"(?:[.!,\n]|$|only|as the)"
)
_RULE = re.compile(r"(?<![=#*~_-])([=#*~_-])\1{5,}+[ \t]+[0-9a-f]{12,}\b")
_FENCES = (
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
_FOREIGN = re.compile("[\u0345-\u052f\u1c80-\u1fff]")  # letters of Greek, Cyrillic and others
_BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")


def _plain(text: str) -> str:
    """What a reader sees: without unseen characters, accents, capitals and look-alike letters."""
    if text.isascii():
        return text.lower()
    text = _UNSEEN.sub("", text)
    if not unicodedata.is_normalized("NFKD", text):
        # By pieces: sorting one long run of accents would take the square of its length.
        pieces = (text[at : at + 512] for at in range(0, len(text), 512))
        text = "".join(unicodedata.normalize("NFKD", piece) for piece in pieces)
    text = _MARKS.sub("", text.casefold())
    return text.translate(_FOLD) if _FOLDED.search(text) else text


class _Rule(NamedTuple):
    """An order to a judge, as `phrases` has it: what a text and a sentence of it have to hold."""

    in_text: Needs
    in_sentence: Needs
    words: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    first: re.Pattern[str]
    rest: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, words: str, first: str, *rest: str) -> "_Rule":
        groups = _plain(words).split("&")
        needs = _WORDS.needs(*groups)
        single = [tuple(group.split("|")) for group in groups]
        return cls(
            in_text=needs,
            in_sentence=needs[1:],
            words=single[0],
            phrases=tuple(
                group
                for group, bits in zip(single, needs, strict=True)
                if bits == ALWAYS or all(" " in one.strip() for one in group)
            ),
            first=re.compile(_plain(first)),
            rest=tuple(re.compile(_plain(part)) for part in rest),
        )

    def may_hold(self, text: str) -> bool:
        """Whether the phrases are there, of which a glance sees a word at most."""
        return all(any(map(text.__contains__, group)) for group in self.phrases)

    def holds(self, sentence: str, text: str) -> bool:
        """Whether a sentence of the text says it."""
        return (
            all(part.search(sentence) for part in (self.first, *self.rest))
            and any(word in text for word in self.words)
            # A sentence that is only a piece may end where the text goes on, and takes it back.
            and bool(self.first.search(text))
        )


# What each search needs to find anything, so that most texts are not searched.
_WORDS = Spotter()
_RULES = tuple(_Rule.of(*rule) for rule in RULES)
_HINTED = _WORDS.needs("|".join(_HINTS))
_SCORING = _WORDS.needs("score|rating|points", ":|=")
_NAMING = tuple(
    _WORDS.needs(*groups)
    for groups in (
        ("winner|verdict|better|prefer", ":"),
        ("winner|verdict|judg", ":|="),
        ("score|rating", "[["),
        ("winner|verdict|prefer|judg", "<"),
        ("model", "rank"),
    )
)
_ANSWERING = _WORDS.needs("say|print|output|choose|pick|select|vote|declare|reply|respond|answer")
_TURNING = _WORDS.needs("<|[inst]|system|developer")
_RULED = _WORDS.needs("======|######|******|~~~~~~|______|------")
_TITLED = _WORDS.needs("assistant|answer|response|completion")


def suspicions(text: str) -> tuple[str, ...]:
    """The kinds of suspicious content in a completion, in a fixed order; () for an ordinary one.

    Takes any text, also one with lone surrogates. The time grows with the length, not faster.
    """
    plain = _plain(text)
    seen = _WORDS.seen(plain)
    found = {
        SPEAKS: _speaks(text, plain, seen),
        VERDICT: _holds_verdict(text, seen),
        TURN: _turns(text, seen),
        FENCE: _closes(text, seen),
        HIDDEN: _hides(text),
        ENCODED: _encodes(text, seen),
        REPEATS: _repeats(text),
    }
    return tuple(kind for kind, holds in found.items() if holds)


def _speaks(text: str, plain: str, seen: int) -> bool:
    rules = [rule for rule in _RULES if holds(seen, rule.in_text)]
    if not rules:
        return False
    if _MARKED.search(text):
        plain = _plain(_QUOTED.sub(" ", text))
    rules = [rule for rule in rules if rule.may_hold(plain)]
    for sentence in _SENTENCES.findall(plain) if rules else ():
        here = _WORDS.seen(sentence)
        for rule in rules:
            if holds(here, rule.in_sentence) and rule.holds(sentence, plain):
                return True
    return False


def _holds_verdict(text: str, seen: int) -> bool:
    lower = text.lower() if holds(seen, _HINTED) else ""
    if any(map(lower.__contains__, _HINTS)):
        if holds(seen, _SCORING) and _SIDED.search(text) and _scores(text):
            return True
        named = zip(_NAMING, _VERDICTS, strict=True)
        if any(holds(seen, needs) and pattern.search(text) for needs, pattern in named):
            return True
    bare = _CODE.sub(" ", text) if "`" in text else text
    if _BRACKETS.search(bare):
        return True
    return holds(seen, _ANSWERING) and bool(_LETTER.search(bare) and _REPLY.search(bare))


def _scores(text: str) -> bool:
    if _SCORES.search(text):
        return True
    sides = {letter.lower() for letter in _SCORED.findall(text)}
    return sides == {"a", "b"} and bool(_SUMMED.search(text))


def _turns(text: str, seen: int) -> bool:
    return holds(seen, _TURNING) and bool(_TURNS.search(_CODE.sub(" ", text)))


def _closes(text: str, seen: int) -> bool:
    # A list of answers has an A before its B; only what pretends to be the other one begins at B.
    found = _HEADING.findall(text) if holds(seen, _TITLED) else ()
    headings = [letter.lower() for letter in found]
    if headings[:1] == ["b"] or (holds(seen, _RULED) and _RULE.search(text)):
        return True
    return any(mark in text for mark in "[<|") and any(p.search(text) for p in _FENCES)


def _hides(text: str) -> bool:
    if text.isascii():
        return False
    if _UNSEEN.search(text):
        text = _FLAG.sub("", text)
        if any(pattern.search(text) for pattern in _CONCEALED) or len(_SPLIT.findall(text)) > 2:
            return True
    return bool(_FOREIGN.search(text)) and len(_MIXED.findall(text)) > 2


def _encodes(text: str, seen: int) -> bool:
    if not seen & LONG:
        return False
    for run in _BASE64.findall(text):
        whole = run.rstrip("=")
        held = binascii.a2b_base64(whole[: len(whole) // 4 * 4])  # in fours: so no padding is due
        order = held.decode(errors="ignore")
        plain = _plain(order)
        if _speaks(order, plain, _WORDS.seen(plain)):
            return True
    return False


def _repeats(text: str) -> bool:
    if len(text) < _LONG:
        return False
    places = range(0, len(text) - _PROBE, len(text) // _PROBES)
    probes = [text[at : at + _PROBE] for at in places]
    return sum(text.count(probe) >= _AGAIN for probe in probes) > len(probes) * 3 // 4
