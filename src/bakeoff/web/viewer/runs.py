"""Which runs there are below a folder, found anew each time. Knows files and no page.

No link is followed, and what a folder is called never becomes part of an address.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bakeoff.report.export import RESULTS
from bakeoff.runtime.progress import PROGRESS_FILE, ProgressReport, read_progress

DEPTH = 4  # folders below the one that is served
FOLDERS = 5_000  # that are looked into, at most
_SKIPPED = {"node_modules", "__pycache__", "site-packages"}


class Stamp(NamedTuple):
    """What changes when a file is written anew."""

    modified: int
    size: int


class Run(NamedTuple):
    """A folder that holds results, or a run that goes on.

    `key` is its name in addresses, `name` what people call it: where it lies below the folder that
    is served. `stamp` is that of the results, None where there are none yet.
    """

    key: str
    name: str
    file: Path
    stamp: Stamp | None
    progress: ProgressReport | None

    @property
    def folder(self) -> Path:
        """Where votes and the results that are saved again go."""
        return self.file.parent


class Found(NamedTuple):
    """Runs by key; `alone` where one was named, `cut` where not every folder was looked into."""

    runs: dict[str, Run]
    alone: bool
    cut: bool = False


def find(root: Path) -> Found:
    """The run that a path names (a `results.json`, or its folder), or all below a folder."""
    if not root.is_dir():
        return Found(_by_key([_run(root, root.stem, None)]), alone=True)
    file = root / RESULTS
    if stamp_of(file) or stamp_of(root / PROGRESS_FILE):
        return Found(_by_key([_run(file, root.resolve().name, read_progress(root))]), alone=True)
    folders = _Folders(root)
    runs = [
        _run(folder / RESULTS, str(folder.relative_to(root)), read_progress(folder))
        for folder in folders
    ]
    return Found(_by_key(runs), alone=False, cut=folders.cut)


def stamp_of(file: Path) -> Stamp | None:
    """None where there is no such file, or what is there is none (a pipe would never end)."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return Stamp(found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


def _run(file: Path, name: str, progress: ProgressReport | None) -> Run:
    key = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return Run(key, name, file, stamp_of(file), progress)


def _by_key(runs: list[Run]) -> dict[str, Run]:
    return {run.key: run for run in runs}


class _Folders:
    """The folders below one that hold a run, the nearest first; then, whether that was `cut`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.cut = False

    def __iter__(self) -> Iterator[Path]:
        level = [self._root]
        seen = 0
        for _ in range(DEPTH + 1):
            below: list[Path] = []
            for folder in level:
                seen += 1
                if seen > FOLDERS:
                    self.cut = True
                    return
                names, more = _inside(folder)
                below += more
                if folder != self._root and names & {RESULTS, PROGRESS_FILE}:
                    yield folder
            level = below


def _inside(folder: Path) -> tuple[set[str], list[Path]]:
    """The files and the folders of a folder; nothing of one that cannot be read."""
    files, folders = set(), []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                        folders.append(folder / entry.name)
                else:
                    files.add(entry.name)
    except OSError:  # gone, or not ours to read
        return set(), []
    return files, sorted(folders)
