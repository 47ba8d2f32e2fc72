"""Untrusted text for a terminal: control characters escaped, lines wrapped, encodings respected."""

import codecs
import io
import re
import sys
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells, set_cell_size

TRANSLITERATE = "bakeoff.transliterate"  # the name of the codec error handler
MAX_LINE = 4000  # characters of a line; the rest is dropped

# C0 and C1 controls, DEL, line separators, overrides and isolates of direction, lone surrogates:
# they move the cursor, change the title or the writing direction, or cannot be encoded.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_SPACE = re.compile("(?<![<=]) (?![%<=])")  # where a line may be wrapped
_REPLACEMENTS = {
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}


def escape_controls(text: str) -> str:
    """The text with control characters as escapes, such as `\\x1b`.

    Line breaks are kept, a tab becomes four spaces. Runs in linear time.
    """
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return _CONTROLS.sub(lambda match: _escape(match.group()), text)


def transliterate_output() -> None:
    """Have stdout and stderr transliterate characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=TRANSLITERATE)


def transliterate(text: str, encoding: str) -> str:
    """The text with characters that `encoding` lacks replaced by ASCII, or escaped."""
    if encoding.lower().startswith("utf") or text.isascii():
        return text
    return "".join(char if _can_encode(encoding, char) else _ascii(char) for char in text)


def wrap_line(line: str, width: int, *, indent: str = "", hanging: str = "") -> Iterator[str]:
    """Yields the parts of one line, each at most `width` terminal cells wide.

    The first part is preceded by `indent`, the others by `hanging`. Lines break at spaces, but not
    within `71 %` or `p < 0.001`, and within a word only if it is wider than a line.
    """
    room = max(2, width - max(len(indent), len(hanging)))
    line_part, empty = indent, True
    for word in _SPACE.split(line[:MAX_LINE]):
        parts = chop_cells(word, room) if cell_len(word) > room else [word]
        for nth, part in enumerate(parts):
            joint = "" if empty else " "
            if not empty and (nth or cell_len(line_part) + 1 + cell_len(part) > width):
                yield line_part.rstrip()
                line_part, joint = hanging, ""
            line_part, empty = f"{line_part}{joint}{part}", False
    yield (line_part + " [...]" * (len(line) > MAX_LINE)).rstrip()


def shorten(text: str, width: int, mark: str = "…") -> str:
    """The text in at most `width` terminal cells; `mark` replaces its middle if it is wider."""
    if cell_len(text) <= width:
        return text
    room = max(0, width - len(mark))
    left = room // 2
    start = set_cell_size(text[:width], left).rstrip()
    end = set_cell_size(text[: -width - 1 : -1], room - left).rstrip()[::-1]
    return f"{start}{mark}{end}"[: max(width, 0)]


def escape_json(encoding: str, document: str) -> str:
    """An equivalent JSON document without control characters that `encoding` can represent."""
    unsafe = _CONTROLS if encoding.lower().startswith("utf") else re.compile("[^\x20-\x7e\t\n\r]")
    # The only control character outside strings is a carriage return, which is insignificant.
    document = document.replace("\r\n", "\n").replace("\r", "\n")
    return unsafe.sub(lambda match: _json_escape(match.group()), document)


def transliterate_error(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler that replaces what cannot be encoded, as `transliterate` does."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


codecs.register_error(TRANSLITERATE, transliterate_error)


def _ascii(char: str) -> str:
    return char if char.isascii() else _REPLACEMENTS.get(char) or _escape(char)


def _can_encode(encoding: str, char: str) -> bool:
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


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
