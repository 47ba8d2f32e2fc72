"""Versions, platform, extras, start time and credentials of the current process."""

import importlib.util
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import JsonValue

from bakeoff.errors import ConfigError

_PACKAGES = (
    "bakeoff",
    "aiohttp",
    "any-llm-sdk",
    "genai-prices",
    "xllamacpp",
    "torch",
    "transformers",
    "vllm",
    "peft",
    "ray",
    "datasets",
    "numpy",
    "scipy",
)

# Modules that an extra provides, without those that few of its uses need.
_EXTRAS = {
    "figures": ("vl_convert",),
    "hf": ("torch", "transformers", "accelerate", "huggingface_hub"),
    "ray": ("ray",),
    "serve": ("starlette", "uvicorn"),
}

_SECRET_SUFFIXES = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def describe() -> dict[str, JsonValue]:
    """Return the Python version, platform, number of cores and versions of installed packages."""
    versions: dict[str, JsonValue] = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": versions,
    }


def check_extra(extra: str, purpose: str, *modules: str) -> None:
    """Raise ConfigError if one of `modules`, by default those of the extra, is not installed.

    `purpose` is the subject of the message: what needs the extra.
    """
    if any(importlib.util.find_spec(module) is None for module in modules or _EXTRAS[extra]):
        raise ConfigError(f"{purpose} needs: pip install 'bakeoff[{extra}]'")


class StartTime(NamedTuple):
    """When a run started, by the wall clock and by the monotonic clock."""

    at: datetime  # UTC
    monotonic: float  # seconds, `time.monotonic()`

    @classmethod
    def now(cls) -> Self:
        """Return the current time."""
        return cls(datetime.now(UTC), time.monotonic())

    def as_fields(self) -> dict[str, JsonValue]:
        """Return `started` (ISO 8601, UTC) and `seconds` elapsed since then."""
        seconds = round(time.monotonic() - self.monotonic, 1)
        return {"started": self.at.isoformat(timespec="seconds"), "seconds": seconds}


def load_env_file(file: Path | None) -> None:
    """Set variables from a .env file, unless they are set in the environment.

    Raises ConfigError if the file cannot be read.
    """
    if file is None:
        return
    from dotenv import dotenv_values

    try:
        with file.open(encoding="utf-8") as stream:
            variables = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(
            f"cannot read the keys in {str(file)!r} ({why}): name another file"
        ) from None
    for name, value in variables.items():
        if value is not None:
            os.environ.setdefault(name, value)


def credentials() -> list[str]:
    """Return the values of environment variables that end in KEY, TOKEN, SECRET or PASSWORD."""
    return [value for name, value in os.environ.items() if name.upper().endswith(_SECRET_SUFFIXES)]
