"""Writes results to files: whole or not at all, never over those of another comparison.

A file takes the place of what bears its name: where that is a link, the link goes, and what it
leads to stays as it is.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import ConfigError, one_line
from bakeoff.prompts.rows import read_whole
from bakeoff.records import Results
from bakeoff.report.fingerprint import holds, seal
from bakeoff.report.provenance import SHOWING
from bakeoff.storage.files import write_atomically

if TYPE_CHECKING:
    from bakeoff.report.page.page import Page

log = logging.getLogger(__name__)

RESULTS = "results.json"
REPORT = "report.html"
VOTES = "votes.jsonl"  # what people said lies beside them


def check_writable(out: Path, flag: str = "--out") -> None:
    """Make the folder; ConfigError, naming its flag, where nothing can be written into it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write into {str(out)!r} ({error.strerror}): choose another folder with {flag}"
        ) from None


def save(results: Results, out: Path, made_of: str = "") -> None:
    """Write `results.json` and `report.html`; what another comparison left there is set aside.

    With `made_of`, the digest of all that they depend on, `saved` knows them again.
    """
    document, page = _encoded(results.to_json()), _encoded(_page(results).html)
    _set_aside(results, out)
    write(out / RESULTS, document)
    write(out / REPORT, page + seal(made_of, document, page) if made_of else page)


def saved(out: Path, made_of: str) -> bool:
    """Whether the folder holds what would be written, byte for byte."""
    files = (out / RESULTS, out / REPORT)
    return all(file.is_file() for file in files) and holds(made_of, *files)  # a pipe never ends


def save_page(results: Results, out: Path) -> Path:
    """Write `report.html` into a folder, which is made where it is missing; its path.

    ConfigError as of `page_of`.
    """
    check_writable(out)
    write(out / REPORT, page_of(results).html)
    return out / REPORT


def page_of(results: Results, links: Sequence[tuple[str, str]] = ()) -> "Page":
    """The page of results that anybody may have written: ConfigError where none can be made."""
    try:
        return _page(results, links)
    except Exception as error:  # they may say anything, and contradict themselves
        raise ConfigError(
            f"no page can be made of these results ({type(error).__name__}: {one_line(error)}): "
            "do they contradict themselves?"
        ) from error


def _page(results: Results, links: Sequence[tuple[str, str]] = ()) -> "Page":
    from bakeoff.report.page.page import (
        page,  # altair takes long to import, and many change nothing
    )

    return page(results, links)


def _encoded(text: str) -> bytes:
    """In UTF-8; half a surrogate pair, which that cannot hold, as its escape."""
    return text.encode(errors="backslashreplace")


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; ConfigError where it cannot be."""
    try:
        write_atomically(path, _encoded(content) if isinstance(content, str) else content)
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r} ({error.strerror}): make room or choose another folder "
            "and run again; everything that was paid for is in the store"
        ) from None


def _set_aside(results: Results, out: Path) -> None:
    """Rename the files of a comparison with other models, judges or prompts."""
    old = out / RESULTS
    if not os.path.lexists(old):
        return
    text = str(old.lstat().st_mtime_ns).encode()
    try:
        if old.is_file() and not old.is_symlink():
            text = read_whole(old)
            if _question(Results.model_validate_json(text)) == _question(results):
                return
    except (OSError, ValueError, ConfigError):
        log.info("%r is kept: it holds no results that can be read", str(old))
    mark = hashlib.sha256(text).hexdigest()[:8]
    for name in (RESULTS, REPORT):
        path = out / name
        try:
            if os.path.lexists(path):
                path.rename(path.with_stem(f"{path.stem}-{mark}"))
        except OSError as error:
            raise ConfigError(f"cannot rename {str(path)!r} ({error.strerror})") from None


def _question(results: Results) -> object:
    """What was asked, without how it was shown: a run that asks it again may take its place."""
    return {key: value for key, value in results.config.items() if key not in SHOWING}
