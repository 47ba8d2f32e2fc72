"""Files that are there whole or not at all. Knows no results."""

import os
from contextlib import suppress
from pathlib import Path


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
