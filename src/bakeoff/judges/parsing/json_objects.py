"""Lenient scanning of judge replies for JSON objects and labeled lines, each in linear time.

A scalar is the text as written, so that `7`, `"7"` and `7/10` are one case; null is None.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

ScannedValue: TypeAlias = "str | list[ScannedValue] | Members | None"
Members: TypeAlias = "tuple[tuple[str, ScannedValue], ...]"

_TOKEN = re.compile(
    r"""\s*+ ( [{}\[\]:,]
    | "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | [“”„](?:[^“”„\\]|\\.)*+[“”„]
    | [\w.+/%-]++ )""",
    re.DOTALL | re.VERBOSE,
)
_BRACE = re.compile(r"[{}]")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
# Without \b and \f: in replies they are unescaped LaTeX, \begin and \frac.
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "/": "/", "\\": "\\"}
_MAX_DEPTH = 20
_MAX_LABEL = 100  # characters: longer text before a colon is a sentence


class ScannedObject(NamedTuple):
    """A JSON object in a text."""

    fields: Members
    """Its members; those before the syntax error if it is not complete."""
    complete: bool


def find_objects(text: str) -> list[ScannedObject]:
    """Return the outermost JSON objects in order, including Python and JavaScript literals.

    Trailing commas, single or curly quotes, unquoted names and line breaks inside a string are
    accepted. Text between the braces of a malformed object is never an object of its own: it may
    be a quotation inside an explanation.
    """
    objects: list[ScannedObject] = []
    position = text.find("{")
    while position >= 0:
        scanner = _Scanner(text, position + 1)
        try:
            objects.append(ScannedObject(scanner.members(scanner.outermost), complete=True))
            position = scanner.position
        except _JsonSyntaxError:
            position += 1  # not an object unless it has a name and a colon
            if scanner.outermost:
                objects.append(ScannedObject(tuple(scanner.outermost), complete=False))
                position = scanner.end_of_object()
        position = text.find("{", position)
    return objects


def labeled_lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield every line as (label, value, line): `**Score A:** 8`, `- Score A = 8`, `| A | 8 |`.

    The label is empty if there is none, and in a line that is marked as a quotation (`>`).
    """
    for line in text.splitlines():
        label, separator, value = "", "", ""
        if not line.lstrip().startswith(">"):
            label, separator, value = _split(line.strip().strip("|"))
        yield (label if separator and len(label) <= _MAX_LABEL else ""), value, line


def _split(line: str) -> tuple[str, str, str]:
    match = re.search(r"[:：=|]", line)  # noqa: RUF001 - a Chinese colon
    return (line[: match.start()], match.group(), line[match.end() :]) if match else ("", "", line)


class _JsonSyntaxError(ValueError):
    """The text at the scanner's position is not JSON."""


class _Scanner:
    """Parses one object whose opening brace is just before `position`."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = self.token_start = position
        self.outermost: list[tuple[str, ScannedValue]] = []
        self.braces = 0
        self.depth = 0

    def next_token(self) -> str:
        self.token_start = self.position
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            raise _JsonSyntaxError
        self.position = match.end()
        return match.group(1)

    def members(self, into: list[tuple[str, ScannedValue]]) -> Members:
        self.braces += 1
        while (symbol := self.next_token()) != "}":
            name = _scalar(symbol)
            if name is None or self.next_token() != ":":
                raise _JsonSyntaxError
            into.append((name, None))
            into[-1] = (name, self.value(self.next_token()))
            if (symbol := self.next_token()) == "}":
                break
            if symbol != ",":
                raise _JsonSyntaxError
        self.braces -= 1
        return tuple(into)

    def elements(self) -> list[ScannedValue]:
        into: list[ScannedValue] = []
        while (symbol := self.next_token()) != "]":
            into.append(self.value(symbol))
            if (symbol := self.next_token()) == "]":
                break
            if symbol != ",":
                raise _JsonSyntaxError
        return into

    def value(self, symbol: str) -> ScannedValue:
        if symbol not in ("{", "["):
            return _scalar(symbol)
        if self.depth == _MAX_DEPTH:
            raise _JsonSyntaxError
        self.depth += 1
        nested = self.members([]) if symbol == "{" else self.elements()
        self.depth -= 1
        return nested

    def end_of_object(self) -> int:
        """Return the position after the braces that are open at the syntax error are closed."""
        for brace in _BRACE.finditer(self.text, self.token_start):
            self.braces += 1 if brace.group() == "{" else -1
            if not self.braces:
                return brace.end()
        return len(self.text)


def _scalar(symbol: str) -> str | None:
    if symbol in ("{", "}", "[", "]", ":", ","):
        raise _JsonSyntaxError
    if symbol[0] in "\"'“”„":
        return _unescape(symbol[1:-1])
    return None if symbol in ("null", "None") else symbol


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, match.group())

    # Joins surrogate pairs; an unpaired one is replaced, since no file could hold it.
    unescaped = _ESCAPE.sub(character, text)
    return unescaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
