"""Parsing of the fields of a judge reply: field names, numbers from 0 to 10, and winners.

Ambiguous values are errors: another scale, a range, a winner that names both, or a field with
several different values.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Set
from functools import lru_cache

from bakeoff.judges.parsing.json_objects import ScannedValue, labeled_lines

# The nouns that judges use for a completion, also in other languages.
_NOUN = (
    "(?:answer|assistant|response|completion|model|antwort|réponse|respuesta|risposta|resposta|"
    "ответ|回答|答案)"
)
_TIE = re.compile(
    r"(?:it(?:'s| is) )?(?:a )?(?:tie|draw)|tied|equal|both(?: equal)?|neither|none|no winner"
    r"|unentschieden|gleichstand|égalité|match nul|empate|pareggio|ничья|平局|平手|引き分け|무승부"
)
_OF_TEN = r" ?/ ?10(?:[.,]0+)?| ?\(?out of (?:10|ten)\b\)?"
_NUMBER = r"(\d{1,2}(?:[.,]\d{1,20})?)"
# Only words may follow a number: with a second number it would be a range or a scale.
_SUFFIX = r"(?:\)? ?(?:points?|pts)\b)?(?!.{0,9}\bof\b)(?: ?[(–—;-]\D*|, ?\D*)?"  # noqa: RUF001
_SCORE = re.compile(rf"{_NUMBER}(?:{_OF_TEN})?{_SUFFIX}", re.DOTALL)
_OUT_OF_TEN = re.compile(rf"{_NUMBER}(?:{_OF_TEN}){_SUFFIX}", re.DOTALL)


def _score_label_pattern(letter: str) -> str:
    return (
        rf"(?:score|rating)s?(?: for| of)?(?: {_NOUN})? {letter}"
        rf"|(?:{_NOUN} ?)?{letter}(?: s)? (?:score|rating)"
    )


def _winner_pattern(letter: str, number: str, word: str) -> str:
    return (
        rf"(?:the )?(?:(?:{_NOUN} ?)?[{letter}{number}]|{word}(?: {_NOUN})?)(?: is better| wins)?"
    )


_LABEL_PREFIX = re.compile(
    r"(?:(?:the|my|final|overall|result|verdict|evaluation|assessment|judge?ment) )*"
)
_LABEL = re.compile(
    "(?P<explanation>explanation|reason|reasoning|justification|rationale|analysis)"
    "|(?P<winner>(?:winner|verdict|better answer)(?: is)?)"
    "|(?P<score>(?:score|rating)(?: is)?)|(?P<criteria>criteria)|(?P<name>name|criterion)"
    rf"|(?P<score_a>{_score_label_pattern('a')})|(?P<score_b>{_score_label_pattern('b')})"
    rf"|(?P<bare_a>{_NOUN} ?a)|(?P<bare_b>{_NOUN} ?b)"
)
_FIRST = re.compile(_winner_pattern("a", "1", "first"))
_SECOND = re.compile(_winner_pattern("b", "2", "second"))


class FieldError(ValueError):
    """A required field is missing, invalid or ambiguous."""


class Fields:
    """The known fields of an object, including those in nested objects."""

    def __init__(self, pairs: Iterable[tuple[str, ScannedValue]], reason: str = "") -> None:
        self._values: dict[str, list[ScannedValue]] = {}
        self._reason = reason
        for label, value in _flatten(pairs):
            if name := field_name(label, value):
                self._values.setdefault(name, []).append(value)

    @property
    def names(self) -> frozenset[str]:
        """Which of explanation, winner, score, score_a, score_b, criteria and name are present."""
        return frozenset(self._values)

    @property
    def reason(self) -> str:
        """The explanation, or the text around the fields."""
        texts = (value for value in self._values.get("explanation", ()) if isinstance(value, str))
        return next(texts, self._reason).strip()

    def values(self, name: str) -> list[ScannedValue]:
        """Return all values of a field; FieldError if it is missing."""
        if name not in self._values:
            raise FieldError(f"{name} is missing")
        return self._values[name]

    def number(self, name: str) -> float:
        """Return a number from 0 to 10; FieldError if it is missing, invalid or ambiguous."""
        return self._parse_one(name, parse_number, "a number from 0 to 10")

    def winner(self) -> float:
        """Return 1 for A, 0 for B, 0.5 for a tie; FieldError if missing, invalid or ambiguous."""
        return self._parse_one("winner", parse_winner, "A, B or tie")

    def _parse_one(
        self, name: str, parse: Callable[[ScannedValue], float | None], expected: str
    ) -> float:
        parsed: set[float] = set()
        for value in self.values(name):
            number = parse(value)
            if number is None:
                raise FieldError(f"{name} is {str(value)[:40]!r}, not {expected}")
            parsed.add(number)
        if len(parsed) > 1:
            raise FieldError(f"{name} is there more than once, and differs")
        return parsed.pop()


def fields_from_lines(text: str, names: Set[str], more: Iterable[tuple[str, str]] = ()) -> Fields:
    """Return the fields with these names in labeled lines, and `more`.

    The other lines are the reason.
    """
    pairs, other_lines = list(more), []
    for label, value, line in labeled_lines(text):
        name = field_name(_plain_label(label), value) if label else None
        if name in names:
            pairs.append((label, value))
        else:
            other_lines.append(value if name == "explanation" else line)
    return Fields(pairs, "\n".join(other_lines))


def field_name(label: str, value: ScannedValue) -> str | None:
    """Return the field that a plain label names, or None.

    `answer a` is a score only if its value is out of 10: it may also quote a completion's result.
    """
    prefix = _LABEL_PREFIX.match(label)
    match = _LABEL.fullmatch(label, prefix.end() if prefix else 0) or _LABEL.fullmatch(label)
    name = match.lastgroup if match else None
    if name not in ("bare_a", "bare_b"):
        return name
    out_of_ten = isinstance(value, str) and _OUT_OF_TEN.fullmatch(_plain_value(value))
    return name.replace("bare", "score") if out_of_ten else None


def parse_number(value: ScannedValue) -> float | None:
    """Return the number from 0 to 10 in a value such as `7.5`, `7/10`, `**7** (good)`, or None."""
    match = _SCORE.fullmatch(_plain_value(value)) if isinstance(value, str) else None
    number = float(match.group(1).replace(",", ".")) if match else 11.0
    return number if number <= 10 else None


def parse_winner(value: ScannedValue) -> float | None:
    """Return 1 for `A`, `[[A]]` or `first`, 0 for `answer b`, 0.5 for `tie` or `both`, or None."""
    if not isinstance(value, str) or len(value) > 100:
        return None
    word = unicodedata.normalize("NFKC", value).casefold()
    word = re.sub(r"(?<=[^\s(])\s*\([^()]*\)", "", word).strip(" \t\r\n*_`\"'“”‘’«»„[](){}.,:;!#|")  # noqa: RUF001
    word = " ".join(re.split(r"[\s_-]+", word))
    if _TIE.fullmatch(word):
        return 0.5
    return 1.0 if _FIRST.fullmatch(word) else 0.0 if _SECOND.fullmatch(word) else None


def _flatten(
    pairs: Iterable[tuple[str, ScannedValue]], path: str = ""
) -> Iterator[tuple[str, ScannedValue]]:
    for label, value in pairs:
        name = f"{path} {_plain_label(label)}".strip()
        if isinstance(value, tuple) and name != "criteria":
            yield from _flatten(value, name)
        else:
            yield name, value


@lru_cache(maxsize=256)  # the replies of one judge have the same labels
def _plain_label(label: str) -> str:
    """Return a label in lower case without markup: `**Score_A** (0-10)` as `score a`."""
    text = re.sub(r"\([^()]*\)", " ", unicodedata.normalize("NFKC", label))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.findall(r"[^\W_]+", text)).casefold().lstrip("0123456789 ")


def _plain_value(value: str) -> str:
    text = " ".join(re.sub(r"[*`]", "", value).split()).lower()
    return text.lstrip(" _\"'“”[({#|").rstrip(" _\"'“”])}#|.,:;!")
