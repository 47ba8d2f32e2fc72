"""Atomic file writes, and the user's cache folder."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path


def cache_dir() -> Path:
    """Return the user's cache folder of bakeoff; `BAKEOFF_CACHE` overrides it."""
    return Path(os.environ.get("BAKEOFF_CACHE") or user_cache_path("bakeoff"))


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file, at once or in parts, so that readers see its old or its new content.

    Raises OSError if it cannot be written; the temporary file is removed then.
    """
    with _temporary_file(path, content) as temporary:
        temporary.replace(path)


def write_new(path: Path, content: bytes) -> None:
    """Like `write_atomically`, but durably; raises FileExistsError if the file exists."""
    with _temporary_file(path, content) as temporary:
        _sync(temporary)
        name_new(temporary, path)


def name_new(temporary: Path, path: Path) -> None:
    """Rename a complete file to `path`, durably. Raises FileExistsError if that exists."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        path.touch(exist_ok=False)
        temporary.replace(path)
    else:
        temporary.unlink()
    with suppress(OSError):  # not every system can open a folder
        _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """Return an unused name beside `path`."""
    # Processes of two machines or containers may share a process id.
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")


@contextmanager
def _temporary_file(path: Path, content: bytes | Iterable[bytes]) -> Iterator[Path]:
    """Write a temporary file beside `path`; remove it on exit if it still exists."""
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
