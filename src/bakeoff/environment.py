"""What a run is made with: versions, machine and keys. Tells nothing that is secret."""

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
    "any-llm-sdk",
    "openai",
    "anthropic",
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
    "altair",
    "vl-convert-python",
)


_KEYS = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def describe() -> dict[str, JsonValue]:
    """Python, platform, cores, and the versions of the packages that are installed."""
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


class Moment(NamedTuple):
    """When something began: by the clock, which may jump, and by one that cannot."""

    at: datetime
    ticks: float

    @classmethod
    def now(cls) -> Self:
        """This one."""
        return cls(datetime.now(UTC), time.monotonic())

    def told(self) -> dict[str, JsonValue]:
        """When it was, and how many seconds ago that is."""
        seconds = round(time.monotonic() - self.ticks, 1)
        return {"started": self.at.isoformat(timespec="seconds"), "seconds": seconds}


def load_keys(file: Path | None) -> None:
    """Set what a .env file names and the environment does not have; ConfigError if unreadable."""
    if file is None:
        return
    from dotenv import dotenv_values

    try:
        with file.open(encoding="utf-8") as stream:
            named = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(
            f"cannot read the keys in {str(file)!r} ({why}): name another file"
        ) from None
    for name, value in named.items():
        if value is not None:
            os.environ.setdefault(name, value)


def keys() -> list[str]:
    """What must not be told: the values of the variables that hold keys, by their names."""
    return [value for name, value in os.environ.items() if name.upper().endswith(_KEYS)]
