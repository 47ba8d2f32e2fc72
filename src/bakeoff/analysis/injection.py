"""Detection of prompt injections in completions: text that tries to influence the judge.

Detection has false positives and, for attacks in unexpected words, false negatives.
"""

import binascii
import json
import re
import unicodedata
from importlib.resources import files
from typing import NamedTuple

from bakeoff.analysis.keyword_filter import (
    ALWAYS,
    LONG,
    KeywordFilter,
    KeywordGroups,
    matches_groups,
)
from bakeoff.analysis.text_cache import cache_by_digest

ADDRESSES_JUDGE = "speaks to the judge"
VERDICT_BLOCK = "verdict block"
FAKE_TURN = "fake turn"
CLOSES_DELIMITER = "closes the fence"
HIDDEN_CHARACTERS = "hidden characters"
ENCODED_INSTRUCTION = "encoded order"
REPETITION = "overlong repetition"

_MIN_REPETITIVE = 20_000  # characters: shorter repetition is more often a weak model than an attack
_PROBES = 16  # substrings, evenly spaced, that are counted in a long text
_PROBE_LENGTH = 32  # characters
_MIN_REPEATS = 20  # occurrences of a probe that count as repetition

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
_ACCENTS = re.compile("[\u0300-\u036f\u0653-\u0655]+")
_LOOKALIKES = str.maketrans(
    "авеёзікмнорстухјѕһԁԛԝαβεικνορτυχϲıɡɑ",
    "abee3ikmhopctyxjshdqwabeikvoptuxciga",
)
_LOOKALIKE = re.compile(f"[{''.join(map(chr, _LOOKALIKES))}]")
_SENTENCES = re.compile(r"[^.!?\n。！？।؟]{1,400}")  # noqa: RUF001 - at most 400 characters
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
# Instructions in quotations, and in code blocks of a named language, are not addressed to a judge.
_QUOTED = re.compile(
    r"```[ \t]*\w.*?```|`[^`\n]+`|\"(?<![\w\"]\")[^\"\n]{1,300}\"(?!\w)"
    r"|[“„][^“”„\n]{1,300}[“”]|«[^«»\n]{1,300}»|「[^「」\n]{1,300}」",
    re.DOTALL,
)

_QUOTE_MARK = re.compile("[“„«「]")  # beside those of ASCII
_HINTS = ("score", "rating", "points", "winner", "verdict", "judg", "better", "prefer", "rank")
_SIDE_SCORE = re.compile(r"\b(?:score|rating|points)[ _]?([ab])\b[\"']?[ \t]*:", re.IGNORECASE)
_CONCLUSION = re.compile(
    r"\b(?:verdict|explanation|reasoning|preferred)\b[\"']?[ \t]*:", re.IGNORECASE
)
_SIDE = re.compile(r"[AB][\"']?[ \t]*[:=]", re.IGNORECASE)
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
# `======== quavbnzi`, or another line of signs and a long hexadecimal number.
_DELIMITER = re.compile(
    r"(?<![=#*~_-])([=#*~_-])\1{5,}+[ \t]+[0-9a-f]{12,}\b|^={8} [a-z]{8}$", re.MULTILINE
)
_TAGS = (
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
# Flags of regions, such as England: a black flag and tag characters.
_FLAG_EMOJI = re.compile("\U0001f3f4[\U000e0030-\U000e007a]{4,6}\U000e007f")
_HIDDEN = (
    re.compile("[\u202d\u202e\U000e0000-\U000e007f]"),
    re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]{8}"),
    re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3}"),
)
_SPLIT_WORD = re.compile("[a-z][\u200b-\u200d\u2060-\u2064\ufeff]+(?=[a-z])", re.IGNORECASE)
_MIXED_WORD = re.compile("[a-z][авеосрухіјѕорνοικα]+[a-z]|\\b[асеорхуіјѕ][a-z]{2}", re.IGNORECASE)  # noqa: RUF001
_NON_LATIN = re.compile("[\u0345-\u052f\u1c80-\u1fff]")  # Greek, Cyrillic and other letters
_BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")


class Rule(NamedTuple):
    """An instruction to a judge, as the phrases file describes it.

    `keywords` are groups of alternatives separated by `|`: the text has to contain one of the first
    group, and a sentence of it one of each further group. `patterns` all have to match in that
    sentence; they are applied to normalized text, and normalized themselves.
    """

    keywords: tuple[str, ...]
    patterns: tuple[str, ...]


def _load_rules() -> tuple[Rule, ...]:
    """The rules of injection_phrases.jsonl.

    A row with a `name` defines a pattern that later rows use as `{name}`. A row with a `rule` and a
    `part` ("keywords N" or "pattern N") adds to that part of the rule. Rows of the same part, one
    for each language, are alternatives of each other.
    """
    lines = (files("bakeoff.analysis") / "injection_phrases.jsonl").read_text("utf-8").splitlines()
    definitions: dict[str, str] = {}
    rules: dict[str, dict[str, str]] = {}
    for row in map(json.loads, lines):
        pattern = re.sub(r"\{([a-z_]+)\}", lambda match: definitions[match[1]], row["pattern"])
        parts, key = (
            (definitions, row["name"])
            if "name" in row
            else (rules.setdefault(row["rule"], {}), row["part"])
        )
        parts[key] = f"{parts[key]}|{pattern}" if key in parts else pattern
    return tuple(
        Rule(
            tuple(text for part, text in parts.items() if part.startswith("keywords")),
            tuple(text for part, text in parts.items() if part.startswith("pattern")),
        )
        for parts in rules.values()
    )


RULES = _load_rules()


def _normalize(text: str) -> str:
    """The text without invisible characters, accents, capitals and look-alike letters."""
    if text.isascii():
        return text.lower()
    text = _INVISIBLE.sub("", text)
    if not unicodedata.is_normalized("NFKD", text):
        # In pieces: sorting one long run of accents would take time quadratic in its length.
        pieces = (text[start : start + 512] for start in range(0, len(text), 512))
        text = "".join(unicodedata.normalize("NFKD", piece) for piece in pieces)
    text = _ACCENTS.sub("", text.casefold())
    return text.translate(_LOOKALIKES) if _LOOKALIKE.search(text) else text


class _CompiledRule(NamedTuple):
    """A `Rule` with its keyword groups and patterns compiled for normalized text."""

    text_groups: KeywordGroups
    sentence_groups: KeywordGroups
    keywords: tuple[str, ...]  # of the first group: one has to occur in the text
    phrases: tuple[tuple[str, ...], ...]  # groups that the keyword filter cannot decide alone
    first: re.Pattern[str]
    rest: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, rule: Rule) -> "_CompiledRule":
        groups = [_normalize(group) for group in rule.keywords]
        bits = _KEYWORDS.add_groups(*groups)
        alternatives = [tuple(group.split("|")) for group in groups]
        first, *rest = (re.compile(_normalize(pattern)) for pattern in rule.patterns)
        return cls(
            text_groups=bits,
            sentence_groups=bits[1:],
            keywords=alternatives[0],
            phrases=tuple(
                group
                for group, group_bits in zip(alternatives, bits, strict=True)
                if group_bits == ALWAYS or all(" " in phrase.strip() for phrase in group)
            ),
            first=first,
            rest=tuple(rest),
        )

    def has_phrases(self, text: str) -> bool:
        """Whether the text contains a phrase of each group that the filter reduces to a word."""
        return not self.phrases or all(any(map(text.__contains__, group)) for group in self.phrases)

    def matches(self, sentence: str, text: str) -> bool:
        """Whether this sentence of the text matches the rule."""
        if not (self.first.search(sentence) and all(p.search(sentence) for p in self.rest)):
            return False
        # `sentence` may be a piece of a long one; in the whole, a lookahead may exclude it.
        return any(keyword in text for keyword in self.keywords) and bool(self.first.search(text))


# Keywords without which a pattern cannot match: most texts are not searched with it.
_KEYWORDS = KeywordFilter()
_COMPILED_RULES = tuple(map(_CompiledRule.of, RULES))
_HINT_GROUPS = _KEYWORDS.add_groups("|".join(_HINTS))
_SCORE_GROUPS = _KEYWORDS.add_groups("score|rating|points", ":|=")
_VERDICT_GROUPS = tuple(
    _KEYWORDS.add_groups(*groups)
    for groups in (
        ("winner|verdict|better|prefer", ":"),
        ("winner|verdict|judg", ":|="),
        ("score|rating", "[["),
        ("winner|verdict|prefer|judg", "<"),
        ("model", "rank"),
    )
)
_REPLY_GROUPS = _KEYWORDS.add_groups(
    "say|print|output|choose|pick|select|vote|declare|reply|respond|answer"
)
_TURN_GROUPS = _KEYWORDS.add_groups("<|[inst]|system|developer")
_DELIMITER_GROUPS = _KEYWORDS.add_groups("======|######|******|~~~~~~|______|------")
_HEADING_GROUPS = _KEYWORDS.add_groups("assistant|answer|response|completion")


@cache_by_digest  # the summary of a model and the checks of its pairs ask for it
def detect_injection(text: str) -> tuple[str, ...]:
    """The kinds of injection found in a completion, in a fixed order; () for ordinary text.

    Accepts any string, lone surrogates included. Time is linear in the length of the text.
    """
    normalized = _normalize(text)
    keywords = _KEYWORDS.keywords_in(normalized)
    detected = {
        ADDRESSES_JUDGE: _addresses_judge(text, normalized, keywords),
        VERDICT_BLOCK: _has_verdict_block(text, keywords),
        FAKE_TURN: _has_fake_turn(text, keywords),
        CLOSES_DELIMITER: _closes_delimiter(text, keywords),
        HIDDEN_CHARACTERS: _has_hidden_characters(text),
        ENCODED_INSTRUCTION: _has_encoded_instruction(text, keywords),
        REPETITION: _is_repetitive(text),
    }
    return tuple(kind for kind, is_present in detected.items() if is_present)


def _addresses_judge(text: str, normalized: str, keywords: int) -> bool:
    rules = [rule for rule in _COMPILED_RULES if matches_groups(keywords, rule.text_groups)]
    if not rules:
        return False
    if '"' in text or "`" in text or (not text.isascii() and _QUOTE_MARK.search(text)):
        normalized = _normalize(_QUOTED.sub(" ", text))
    rules = [rule for rule in rules if rule.has_phrases(normalized)]
    for sentence in _SENTENCES.findall(normalized) if rules else ():
        sentence_keywords = _KEYWORDS.keywords_in(sentence)
        for rule in rules:
            if matches_groups(sentence_keywords, rule.sentence_groups) and rule.matches(
                sentence, normalized
            ):
                return True
    return False


def _has_verdict_block(text: str, keywords: int) -> bool:
    lower = text.lower() if matches_groups(keywords, _HINT_GROUPS) else ""
    if any(map(lower.__contains__, _HINTS)):
        if matches_groups(keywords, _SCORE_GROUPS) and _SIDE.search(text) and _has_scores(text):
            return True
        patterns = zip(_VERDICT_GROUPS, _VERDICTS, strict=True)
        if any(matches_groups(keywords, groups) and p.search(text) for groups, p in patterns):
            return True
    prose = _CODE.sub(" ", text) if "`" in text else text
    if _BRACKETS.search(prose):
        return True
    return matches_groups(keywords, _REPLY_GROUPS) and bool(
        _LETTER.search(prose) and _REPLY.search(prose)
    )


def _has_scores(text: str) -> bool:
    if _SCORES.search(text):
        return True
    sides = {letter.lower() for letter in _SIDE_SCORE.findall(text)}
    return sides == {"a", "b"} and bool(_CONCLUSION.search(text))


def _has_fake_turn(text: str, keywords: int) -> bool:
    return matches_groups(keywords, _TURN_GROUPS) and bool(_TURNS.search(_CODE.sub(" ", text)))


def _closes_delimiter(text: str, keywords: int) -> bool:
    headings = _HEADING.findall(text) if matches_groups(keywords, _HEADING_GROUPS) else []
    # A list of answers starts with A: headings that start with B imitate the other completion.
    if headings and headings[0].lower() == "b":
        return True
    if matches_groups(keywords, _DELIMITER_GROUPS) and _DELIMITER.search(text):
        return True
    return any(mark in text for mark in "[<|") and any(p.search(text) for p in _TAGS)


def _has_hidden_characters(text: str) -> bool:
    if text.isascii():
        return False
    if _INVISIBLE.search(text):
        text = _FLAG_EMOJI.sub("", text)
        if any(p.search(text) for p in _HIDDEN) or len(_SPLIT_WORD.findall(text)) > 2:
            return True
    return bool(_NON_LATIN.search(text)) and len(_MIXED_WORD.findall(text)) > 2


def _has_encoded_instruction(text: str, keywords: int) -> bool:
    if not keywords & LONG:
        return False
    for run in _BASE64.findall(text):
        digits = run.rstrip("=")
        # A multiple of four digits needs no padding.
        decoded = binascii.a2b_base64(digits[: len(digits) // 4 * 4]).decode(errors="ignore")
        normalized = _normalize(decoded)
        if _addresses_judge(decoded, normalized, _KEYWORDS.keywords_in(normalized)):
            return True
    return False


def _is_repetitive(text: str) -> bool:
    if len(text) < _MIN_REPETITIVE:
        return False
    starts = range(0, len(text) - _PROBE_LENGTH, len(text) // _PROBES)
    probes = [text[start : start + _PROBE_LENGTH] for start in starts]
    repeated = sum(text.count(probe) >= _MIN_REPEATS for probe in probes)
    return repeated > len(probes) * 3 // 4
