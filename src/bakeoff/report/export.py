"""Saving of results as files, atomically and without overwriting those of another comparison.

A symbolic link with the name of a file is replaced; its target is not changed.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import ConfigError, one_line
from bakeoff.prompts.rows import read_file
from bakeoff.records import Results
from bakeoff.report.provenance import OPERATIONAL_FIELDS, fingerprint, is_current
from bakeoff.storage.files import write_atomically

if TYPE_CHECKING:
    from bakeoff.analysis.pair_data import PairData
    from bakeoff.report.page.page import Page

log = logging.getLogger(__name__)

RESULTS = "results.json"
REPORT = "report.html"
VOTES = "votes.jsonl"


def check_writable(out: Path, flag: str = "--out") -> None:
    """Create the folder; ConfigError, which names `flag`, if no file can be written into it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write into {str(out)!r} ({error.strerror}): choose another folder with {flag}"
        ) from None


def save(
    results: Results, out: Path, inputs: str = "", pair_data: "Sequence[PairData] | None" = None
) -> None:
    """Write `results.json` and `report.html`; those of another comparison are renamed.

    `inputs` is the `input_digest` by which `is_saved` recognizes the files. `pair_data` is passed
    to `render_page`. Raises ConfigError if a file cannot be written.
    """
    page, sha256 = _encode(_page(results, pair_data=pair_data).html), hashlib.sha256()
    _rename_other(results, out)
    write_file(out / RESULTS, _hashed(results.json_parts(), sha256))
    line = fingerprint(inputs, sha256.hexdigest(), page) if inputs else b""
    write_file(out / REPORT, (page, line))


def _hashed(parts: Iterable[bytes], sha256: "hashlib._Hash") -> Iterator[bytes]:
    """Yield the parts, and add each to the hash."""
    for part in parts:
        sha256.update(part)
        yield part


def is_saved(out: Path, inputs: str) -> bool:
    """Whether the folder contains the unchanged files that were saved from these inputs."""
    files = (out / RESULTS, out / REPORT)
    # Reading from a named pipe would block.
    return all(file.is_file() for file in files) and is_current(inputs, *files)


def save_page(results: Results, out: Path) -> Path:
    """Write `report.html` into a folder, which is created if it is missing; returns its path.

    Raises ConfigError as `checked_page` does.
    """
    check_writable(out)
    write_file(out / REPORT, checked_page(results).html)
    return out / REPORT


def checked_page(results: Results, links: Sequence[tuple[str, str]] = ()) -> "Page":
    """The page of results from an untrusted file; ConfigError if they contradict themselves."""
    try:
        return _page(results, links)
    except Exception as error:  # contradictory results can raise any error
        raise ConfigError(
            f"no page can be made of these results ({type(error).__name__}: {one_line(error)}): "
            "do they contradict themselves?"
        ) from error


def _page(
    results: Results,
    links: Sequence[tuple[str, str]] = (),
    pair_data: "Sequence[PairData] | None" = None,
) -> "Page":
    from bakeoff.report.page.page import render_page  # with jinja2, which few commands need

    return render_page(results, links, pair_data)


def _encode(text: str) -> bytes:
    """The text in UTF-8; lone surrogates, which UTF-8 lacks, as escapes."""
    return text.encode(errors="backslashreplace")


def write_file(path: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Write a text, or bytes in parts, atomically; ConfigError if that fails."""
    try:
        write_atomically(path, _encode(content) if isinstance(content, str) else content)
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r} ({error.strerror}): make room or choose another folder "
            "and run again; everything that was paid for is in the store"
        ) from None


def _rename_other(results: Results, out: Path) -> None:
    """Rename existing files of a comparison with other models, judges or prompts."""
    old = out / RESULTS
    if not os.path.lexists(old):
        return
    text = str(old.lstat().st_mtime_ns).encode()
    try:
        if old.is_file() and not old.is_symlink():
            text = read_file(old)
            if _compared(Results.model_validate_json(text)) == _compared(results):
                return
    except (OSError, ValueError, ConfigError):
        log.info("%r is kept: it holds no results that can be read", str(old))
    suffix = hashlib.sha256(text).hexdigest()[:8]
    for name in (RESULTS, REPORT):
        path = out / name
        try:
            if os.path.lexists(path):
                path.rename(path.with_stem(f"{path.stem}-{suffix}"))
        except OSError as error:
            raise ConfigError(f"cannot rename {str(path)!r} ({error.strerror})") from None


def _compared(results: Results) -> object:
    """The config fields that define a comparison: results with equal ones replace each other."""
    return {key: value for key, value in results.config.items() if key not in OPERATIONAL_FIELDS}
