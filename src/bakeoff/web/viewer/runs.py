"""Finds the runs below a folder. Symbolic links to folders are not followed."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bakeoff.report.export import RESULTS
from bakeoff.runtime.progress import PROGRESS_FILE, ProgressReport, read_progress

MAX_DEPTH = 4  # folders below the served one
MAX_FOLDERS = 5_000  # that are searched
_SKIPPED = {"node_modules", "__pycache__", "site-packages"}


class FileVersion(NamedTuple):
    """Time and size of a file: they change when it is rewritten."""

    modified: int
    """Nanoseconds since the epoch."""
    size: int


class Run(NamedTuple):
    """A folder with results, or of a run in progress."""

    key: str
    """Identifier in addresses: a hash, so that no path is part of an address."""
    name: str
    """Path below the served folder, for display."""
    file: Path
    """The results file, which may not exist yet."""
    version: FileVersion | None
    """Of the results file; None without results."""
    progress: ProgressReport | None

    @property
    def folder(self) -> Path:
        """Folder of the results and votes."""
        return self.file.parent


class RunList(NamedTuple):
    """The runs below a path."""

    runs: dict[str, Run]
    """By key."""
    single: bool
    """The served path is one run."""
    truncated: bool = False
    """There are more than MAX_FOLDERS folders."""


def find_runs(root: Path) -> RunList:
    """Return the run that a path names (`results.json` or its folder), or all runs below it."""
    if not root.is_dir():
        return RunList(_by_key([_run(root, root.stem, None)]), single=True)
    file = root / RESULTS
    if file_version(file) or file_version(root / PROGRESS_FILE):
        return RunList(_by_key([_run(file, root.resolve().name, read_progress(root))]), single=True)
    search = _FolderSearch(root)
    runs = [
        _run(folder / RESULTS, str(folder.relative_to(root)), read_progress(folder))
        for folder in search
    ]
    return RunList(_by_key(runs), single=False, truncated=search.truncated)


def file_version(file: Path) -> FileVersion | None:
    """Return the version of a file; None if it is missing or not a regular file."""
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would block
        return None
    return FileVersion(status.st_mtime_ns, status.st_size)


def _run(file: Path, name: str, progress: ProgressReport | None) -> Run:
    key = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return Run(key, name, file, file_version(file), progress)


def _by_key(runs: list[Run]) -> dict[str, Run]:
    return {run.key: run for run in runs}


class _FolderSearch:
    """Iterates over the folders with a run, breadth first; sets `truncated` at the limit."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.truncated = False

    def __iter__(self) -> Iterator[Path]:
        level = [self._root]
        count = 0
        for _ in range(MAX_DEPTH + 1):
            next_level: list[Path] = []
            for folder in level:
                count += 1
                if count > MAX_FOLDERS:
                    self.truncated = True
                    return
                names, subfolders = _scan(folder)
                next_level += subfolders
                if folder != self._root and names & {RESULTS, PROGRESS_FILE}:
                    yield folder
            level = next_level


def _scan(folder: Path) -> tuple[set[str], list[Path]]:
    """Return the file names and subfolders of a folder; nothing if it cannot be read."""
    files, folders = set(), []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                        folders.append(folder / entry.name)
                else:
                    files.add(entry.name)
    except OSError:  # removed meanwhile, or not permitted
        return set(), []
    return files, sorted(folders)
