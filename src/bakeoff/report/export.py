"""Writes results to files: whole or not at all, never over those of another comparison."""

import hashlib
import tempfile
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.records import Results
from bakeoff.report.made import SHOWING
from bakeoff.report.seal import holds, seal
from bakeoff.writing import write_whole

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
    _set_aside(results, out)
    document = _encoded(results.to_json())
    write(out / RESULTS, document)
    page = _page(results)
    write(out / REPORT, page + seal(made_of, document, page) if made_of else page)


def saved(out: Path, made_of: str) -> bool:
    """Whether the folder holds what would be written, byte for byte."""
    return holds(made_of, out / RESULTS, out / REPORT)


def save_page(results: Results, out: Path) -> Path:
    """Write `report.html` into a folder, which is made where it is missing; its path."""
    check_writable(out)
    write(out / REPORT, _page(results))
    return out / REPORT


def _page(results: Results) -> bytes:
    from bakeoff.report.page import (
        page,
    )  # altair takes long to import, and many runs change nothing

    return _encoded(page(results).html)


def _encoded(text: str) -> bytes:
    """In UTF-8; half a surrogate pair, which that cannot hold, as its escape."""
    return text.encode(errors="backslashreplace")


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; ConfigError where it cannot be."""
    try:
        write_whole(path, _encoded(content) if isinstance(content, str) else content)
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r} ({error.strerror}): make room or choose another folder "
            "and run again; everything that was paid for is in the store"
        ) from None


def _set_aside(results: Results, out: Path) -> None:
    """Rename the files of a comparison with other models, judges or prompts."""
    old = out / RESULTS
    if not old.exists():
        return
    text = old.read_bytes()
    try:
        same = _question(Results.model_validate_json(text)) == _question(results)
    except ValueError:
        same = False  # not ours, or of another version: keep it
    if same:
        return
    mark = hashlib.sha256(text).hexdigest()[:8]
    for name in (RESULTS, REPORT):
        path = out / name
        if path.exists():
            path.rename(path.with_stem(f"{path.stem}-{mark}"))


def _question(results: Results) -> object:
    """What was asked, without how it was shown: a run that asks it again may take its place."""
    return {key: value for key, value in results.config.items() if key not in SHOWING}
