"""What a run was made with: versions and machine. Knows nothing that is secret."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from pydantic import JsonValue

_PACKAGES = (
    "bakeoff",
    "any-llm-sdk",
    "openai",
    "anthropic",
    "genai-prices",
    "xllamacpp",
    "torch",
    "transformers",
    "peft",
    "datasets",
    "numpy",
    "scipy",
)


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
