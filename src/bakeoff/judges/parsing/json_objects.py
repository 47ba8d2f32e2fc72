"""Finds JSON objects and labelled lines in what a judge wrote, each in one pass over the text.

Knows how models write, not what makes a verdict. A scalar stays the text that it was written as,
so that `7`, `"7"` and `7/10` are one case; only null is None.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

Value: TypeAlias = "str | list[Value] | Object | None"
Object: TypeAlias = "tuple[tuple[str, Value], ...]"

_TOKEN = re.compile(
    r"""\s*+ ( [{}\[\]:,]
    | "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | [“”„](?:[^“”„\\]|\\.)*+[“”„]
    | [\w.+/%-]++ )""",
    re.DOTALL | re.VERBOSE,
)
_BRACE = re.compile(r"[{}]")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
# \b and \f are left out: in judges' texts they are LaTeX that was not escaped, \begin and \frac.
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "/": "/", "\\": "\\"}
_DEEP = 20
_NO_NAME = 100  # characters: what is longer before a colon is a sentence


class Found(NamedTuple):
    """An object, and whether it is whole; of one that is not, the fields before the flaw."""

    fields: Object
    whole: bool


def objects(text: str) -> list[Found]:
    """The outermost JSON objects, in order; also such as a Python or JavaScript program writes.

    A trailing comma, single or curly quotes, names without quotes and line breaks inside a string
    are forgiven. What stands between the braces of an object with a flaw is never an object of its
    own: it may be a quotation inside an explanation.
    """
    found: list[Found] = []
    at = text.find("{")
    while at >= 0:
        scan = _Scan(text, at + 1)
        try:
            found.append(Found(scan.members(scan.outermost), whole=True))
            at = scan.at
        except _FlawError:
            at += 1  # no object at all, unless it has a name and a colon
            if scan.outermost:
                found.append(Found(tuple(scan.outermost), whole=False))
                at = scan.closed()
        at = text.find("{", at)
    return found


def labelled(text: str) -> Iterator[tuple[str, str, str]]:
    """Every line as (label, value, line): `**Score A:** 8`, `- Score A = 8`, `| Score A | 8 |`.

    The label is empty where there is none, and in a line that is marked as quoted.
    """
    for line in text.splitlines():
        label, mark, value = "", "", ""
        if not line.lstrip().startswith(">"):
            label, mark, value = _split(line.strip().strip("|"))
        yield (label if mark and len(label) <= _NO_NAME else ""), value, line


def _split(line: str) -> tuple[str, str, str]:
    mark = re.search(r"[:：=|]", line)  # noqa: RUF001 - a Chinese colon
    return (line[: mark.start()], mark.group(), line[mark.end() :]) if mark else ("", "", line)


class _FlawError(ValueError):
    """What stands here is not JSON."""


class _Scan:
    """Reads one object whose brace stands before `at`."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = self.last = at  # where the next token begins, and where the last one did
        self.outermost: list[tuple[str, Value]] = []
        self.braces = 0
        self.depth = 0

    def token(self) -> str:
        self.last = self.at
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise _FlawError
        self.at = match.end()
        return match.group(1)

    def members(self, into: list[tuple[str, Value]]) -> Object:
        self.braces += 1
        while (piece := self.token()) != "}":
            name = _scalar(piece)
            if name is None or self.token() != ":":
                raise _FlawError
            into.append((name, None))
            into[-1] = (name, self.value(self.token()))
            if (piece := self.token()) == "}":
                break
            if piece != ",":
                raise _FlawError
        self.braces -= 1
        return tuple(into)

    def elements(self) -> list[Value]:
        into: list[Value] = []
        while (piece := self.token()) != "]":
            into.append(self.value(piece))
            if (piece := self.token()) == "]":
                break
            if piece != ",":
                raise _FlawError
        return into

    def value(self, piece: str) -> Value:
        if piece not in ("{", "["):
            return _scalar(piece)
        if self.depth == _DEEP:
            raise _FlawError
        self.depth += 1
        found = self.members([]) if piece == "{" else self.elements()
        self.depth -= 1
        return found

    def closed(self) -> int:
        """Where the braces that are open are closed again, from the flaw on."""
        for brace in _BRACE.finditer(self.text, self.last):
            self.braces += 1 if brace.group() == "{" else -1
            if not self.braces:
                return brace.end()
        return len(self.text)


def _scalar(piece: str) -> str | None:
    if piece in ("{", "}", "[", "]", ":", ","):
        raise _FlawError
    if piece[0] in "\"'“”„":
        return _unquoted(piece[1:-1])
    return None if piece in ("null", "None") else piece


def _unquoted(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, match.group())

    # Halves of a pair are joined; a half alone is in no encoding, and no file could hold it.
    written = _ESCAPE.sub(plain, text)
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
