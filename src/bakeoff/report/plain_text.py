"""Anybody's text made fit for a terminal: nothing in it acts, and no line is too long.

Knows widths, encodings and control characters; not what a text means.
"""

import codecs
import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells, set_cell_size

LENIENT = "bakeoff.lenient"  # the name of `lenient` as an error handler
LONGEST = 4000  # characters of one line that are looked at: more is no line that anybody reads

# What moves a cursor, clears a screen, sets a title, rings or turns writing around: C0 and C1
# controls, DEL, the separators that some terminals break lines at, overrides and isolates of
# direction, and half surrogate pairs, which no encoding has.
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_SPACE = re.compile("(?<![<=]) (?![%<=])")  # where a line may be broken
_SPELLED = {
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}


def visible(text: str) -> str:
    """The text with everything that would act on a terminal shown as an escape, like `\\x1b`.

    Line breaks stay, a tab becomes spaces. The time is linear in the length.
    """
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return _ACTS.sub(lambda found: _escape(found.group()), text)


def spelled(text: str, encoding: str) -> str:
    """The text in what an encoding has: a sign that it lacks is written in others, or escaped."""
    if encoding.lower().startswith("utf") or text.isascii():
        return text
    return "".join(char if _has(encoding, char) else _in_ascii(char) for char in text)


def wrapped(line: str, width: int, *, indent: str = "", hanging: str = "") -> Iterator[str]:
    """The pieces of one line, none wider than `width` cells; those after the first have `hanging`
    before them. Broken at spaces, not within `71 %` or `p < 0.001`, and inside a word only where it
    fits no line.
    """
    room = max(2, width - max(len(indent), len(hanging)))
    piece, empty = indent, True
    for word in _SPACE.split(line[:LONGEST]):
        parts = chop_cells(word, room) if cell_len(word) > room else [word]
        for nth, part in enumerate(parts):
            joint = "" if empty else " "
            if not empty and (nth or cell_len(piece) + 1 + cell_len(part) > width):
                yield piece.rstrip()
                piece, joint = hanging, ""
            piece, empty = f"{piece}{joint}{part}", False
    yield (piece + " [...]" * (len(line) > LONGEST)).rstrip()


def shortened(text: str, width: int, mark: str = "…") -> str:
    """The text in at most so many cells: what does not fit is left out of its middle."""
    if cell_len(text) <= width:
        return text
    room = max(0, width - len(mark))
    left = room // 2
    start = set_cell_size(text[:width], left).rstrip()
    end = set_cell_size(text[: -width - 1 : -1], room - left).rstrip()[::-1]
    return f"{start}{mark}{end}"[: max(width, 0)]


def json_in(encoding: str, document: str) -> str:
    """A JSON document as an encoding can carry it and a terminal can show it: escaped inside its
    strings where it could not, which changes nothing of what it says.
    """
    acts = _ACTS if encoding.lower().startswith("utf") else re.compile("[^\x20-\x7e\t\n\r]")
    # Outside of strings JSON has no sign that acts but a carriage return, which means nothing.
    document = document.replace("\r\n", "\n").replace("\r", "\n")
    return acts.sub(lambda found: _utf16(found.group()), document)


def lenient(error: UnicodeError) -> tuple[str, int]:
    """The last resort of a stream, as a codec's error handler: what it lacks is spelled out."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


codecs.register_error(LENIENT, lenient)


def _in_ascii(char: str) -> str:
    return char if char.isascii() else _SPELLED.get(char) or _escape(char)


def _has(encoding: str, char: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escape(char: str) -> str:
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def _utf16(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
