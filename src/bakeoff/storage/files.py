"""Files that are there whole or not at all, and where what can be had again is kept.

Knows no results.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path


def cache_dir() -> Path:
    """The user's folder for what can be fetched or made again; `BAKEOFF_CACHE` moves it."""
    return Path(os.environ.get("BAKEOFF_CACHE") or user_cache_path("bakeoff"))


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place when it is complete; OSError, and nothing left, where it cannot be.

    Whoever reads it meanwhile sees the old one.
    """
    with _unfinished(path, content) as unfinished:
        unfinished.replace(path)


def write_new(path: Path, content: bytes) -> None:
    """As `write_whole`, where there is no file yet; FileExistsError where there is one."""
    with _unfinished(path, content) as unfinished:
        name_new(unfinished, path)


def name_new(unfinished: Path, path: Path) -> None:
    """Give a file that is complete its name; FileExistsError where another one has it."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise
    except OSError:  # no file there can have two names
        path.touch(exist_ok=False)
        unfinished.replace(path)
    else:
        unfinished.unlink()


def beside(path: Path) -> Path:
    """A name that nobody else uses, for what is to become a file when it is complete."""
    # Two processes on two machines, or in two containers, may have one number.
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")


@contextmanager
def _unfinished(path: Path, content: bytes) -> Iterator[Path]:
    """A file beside another one, which is gone afterwards, whatever happens."""
    unfinished = beside(path)
    try:
        with unfinished.open("xb") as file:
            file.write(content)
        yield unfinished
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
