"""Files that are there whole or not at all, and where what can be had again is kept.

Knows no results.
"""

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path


def cache_dir() -> Path:
    """The user's folder for what can be fetched or made again; `BAKEOFF_CACHE` moves it."""
    return Path(os.environ.get("BAKEOFF_CACHE") or user_cache_path("bakeoff"))


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place when it is complete; OSError, and nothing left, where it cannot be.

    Whoever reads it meanwhile sees the old one.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
