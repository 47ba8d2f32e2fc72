"""What the names and words of judges mean: which field a label is, a number from 0 to 10, a winner.

Only what has one meaning is read: another scale, a range, or a winner that names both is no value,
and a field with two values that differ has none. Knows no kind of verdict.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Set

from bakeoff.judges.parsing.json_objects import Value, labelled

# What judges call the two that they compare; also in their own language.
_KIND = (
    "(?:answer|assistant|response|completion|model|antwort|réponse|respuesta|risposta|resposta|"
    "ответ|回答|答案)"
)
_TIE = re.compile(
    r"(?:it(?:'s| is) )?(?:a )?(?:tie|draw)|tied|equal|both(?: equal)?|neither|none|no winner"
    r"|unentschieden|gleichstand|égalité|match nul|empate|pareggio|ничья|平局|平手|引き分け|무승부"
)
_OF_TEN = r" ?/ ?10(?:[.,]0+)?| ?\(?out of (?:10|ten)\b\)?"
_NUMBER = r"(\d{1,2}(?:[.,]\d{1,20})?)"
# What may follow a number is said in words: a second number would make it a range or a scale.
_ASIDE = r"(?:\)? ?(?:points?|pts)\b)?(?!.{0,9}\bof\b)(?: ?[(–—;-]\D*|, ?\D*)?"  # noqa: RUF001
_SCORE = re.compile(rf"{_NUMBER}(?:{_OF_TEN})?{_ASIDE}", re.DOTALL)
_EXPLICIT = re.compile(rf"{_NUMBER}(?:{_OF_TEN}){_ASIDE}", re.DOTALL)


def _side(letter: str) -> str:
    return (
        rf"(?:score|rating)s?(?: for| of)?(?: {_KIND})? {letter}"
        rf"|(?:{_KIND} ?)?{letter}(?: s)? (?:score|rating)"
    )


def _winner(letter: str, number: str, word: str) -> str:
    return (
        rf"(?:the )?(?:(?:{_KIND} ?)?[{letter}{number}]|{word}(?: {_KIND})?)(?: is better| wins)?"
    )


_WRAPPER = re.compile(
    r"(?:(?:the|my|final|overall|result|verdict|evaluation|assessment|judge?ment) )*"
)
_LABEL = re.compile(
    "(?P<explanation>explanation|reason|reasoning|justification|rationale|analysis)"
    "|(?P<winner>(?:winner|verdict|better answer)(?: is)?)"
    "|(?P<score>(?:score|rating)(?: is)?)|(?P<criteria>criteria)|(?P<name>name|criterion)"
    rf"|(?P<score_a>{_side('a')})|(?P<score_b>{_side('b')})"
    rf"|(?P<bare_a>{_KIND} ?a)|(?P<bare_b>{_KIND} ?b)"
)
_FIRST = re.compile(_winner("a", "1", "first"))
_SECOND = re.compile(_winner("b", "2", "second"))


class UnclearError(ValueError):
    """A field that was looked for is missing, or what it holds has not one meaning."""


class Fields:
    """The fields that are known by their names, in an object with all that is nested in it."""

    def __init__(self, pairs: Iterable[tuple[str, Value]], reason: str = "") -> None:
        self._values: dict[str, list[Value]] = {}
        self._reason = reason
        for label, value in _flat(pairs):
            if name := name_of(label, value):
                self._values.setdefault(name, []).append(value)

    @property
    def names(self) -> frozenset[str]:
        """explanation, winner, score, score_a, score_b, criteria, name: those that are there."""
        return frozenset(self._values)

    @property
    def reason(self) -> str:
        """The explanation, or the text beside the fields."""
        told = (value for value in self._values.get("explanation", ()) if isinstance(value, str))
        return next(told, self._reason).strip()

    def values(self, name: str) -> list[Value]:
        """Everything that stands under a name; UnclearError where nothing does."""
        if name not in self._values:
            raise UnclearError(f"{name} is missing")
        return self._values[name]

    def number(self, name: str) -> float:
        """From 0 to 10; UnclearError where it is missing, something else or not one."""
        return self._one(name, number_of, "a number from 0 to 10")

    def winner(self) -> float:
        """1 for A, 0 for B, 0.5 for a tie; UnclearError as for a number."""
        return self._one("winner", winner_of, "A, B or tie")

    def _one(self, name: str, meaning: Callable[[Value], float | None], kinds: str) -> float:
        read: set[float] = set()
        for value in self.values(name):
            meant = meaning(value)
            if meant is None:
                raise UnclearError(f"{name} is {str(value)[:40]!r}, not {kinds}")
            read.add(meant)
        if len(read) > 1:
            raise UnclearError(f"{name} is there more than once, and differs")
        return read.pop()


def in_lines(text: str, wanted: Set[str], more: Iterable[tuple[str, str]] = ()) -> Fields:
    """The wanted fields of a text's labelled lines, and more; the other lines are the reason."""
    pairs, rest = list(more), []
    for label, value, line in labelled(text):
        name = name_of(_plain(label), value) if label else None
        if name in wanted:
            pairs.append((label, value))
        else:
            rest.append(value if name == "explanation" else line)
    return Fields(pairs, "\n".join(rest))


def name_of(label: str, value: Value) -> str | None:
    """The field that a plain label stands for. `answer a` is a score only where it is out of 10:
    it may also be what a completion came to.
    """
    wrapped = _WRAPPER.match(label)
    match = _LABEL.fullmatch(label, wrapped.end() if wrapped else 0) or _LABEL.fullmatch(label)
    name = match.lastgroup if match else None
    if name not in ("bare_a", "bare_b"):
        return name
    explicit = isinstance(value, str) and _EXPLICIT.fullmatch(_stripped(value))
    return name.replace("bare", "score") if explicit else None


def number_of(value: Value) -> float | None:
    """`7`, `7.5`, `7/10`, `7 out of 10`, `[[7]]`, `**7** (good)`: from 0 to 10, or None."""
    match = _SCORE.fullmatch(_stripped(value)) if isinstance(value, str) else None
    number = float(match.group(1).replace(",", ".")) if match else 11.0
    return number if number <= 10 else None


def winner_of(value: Value) -> float | None:
    """`A`, `answer b`, `[[A]]`, `first` as 1 or 0, `tie`, `draw`, `both`, `neither` as 0.5."""
    if not isinstance(value, str) or len(value) > 100:
        return None
    word = unicodedata.normalize("NFKC", value).casefold()
    word = re.sub(r"(?<=[^\s(])\s*\([^()]*\)", "", word).strip(" \t\r\n*_`\"'“”‘’«»„[](){}.,:;!#|")  # noqa: RUF001
    word = " ".join(re.split(r"[\s_-]+", word))
    if _TIE.fullmatch(word):
        return 0.5
    return 1.0 if _FIRST.fullmatch(word) else 0.0 if _SECOND.fullmatch(word) else None


def _flat(pairs: Iterable[tuple[str, Value]], path: str = "") -> Iterator[tuple[str, Value]]:
    for label, value in pairs:
        where = f"{path} {_plain(label)}".strip()
        if isinstance(value, tuple) and where != "criteria":
            yield from _flat(value, where)
        else:
            yield where, value


def _plain(label: str) -> str:
    """`**Score_A** (0-10)` and `scoreA` as `score a`."""
    text = re.sub(r"\([^()]*\)", " ", unicodedata.normalize("NFKC", label))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.findall(r"[^\W_]+", text)).casefold().lstrip("0123456789 ")


def _stripped(value: str) -> str:
    text = " ".join(re.sub(r"[*`]", "", value).split()).lower()
    return text.lstrip(" _\"'“”[({#|").rstrip(" _\"'“”])}#|.,:;!")
