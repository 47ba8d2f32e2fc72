"""The seal: a last line of the page that says what the files of a run were made of.

Where it holds, nothing has to be made again. Knows bytes and hashes, and no results.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_LINE = "\n<!-- made of {}, sealed {} -->\n"
_LENGTH = len(_LINE.format("0" * 64, "0" * 64))


def digest(parts: Iterable[str | bytes]) -> str:
    """The SHA-256 of some parts, each with its length, so that none runs into the next."""
    found = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="backslashreplace") if isinstance(part, str) else part
        found.update(f"{len(content)}:".encode())
        found.update(content)
    return found.hexdigest()


def seal(made_of: str, document: bytes, page: bytes) -> bytes:
    """The line for the end of a page, beside which the document lies; `made_of` is a digest."""
    return _LINE.format(made_of, digest((made_of, document, page))).encode()


def holds(made_of: str, document: Path, page: Path) -> bool:
    """Whether two files are there, made of this, and not a byte of them is another one."""
    try:
        content = page.read_bytes()
        written, line = content[:-_LENGTH], content[-_LENGTH:]
        return line == seal(made_of, document.read_bytes(), written)
    except OSError:  # not there, or not to be read: they are made again
        return False
