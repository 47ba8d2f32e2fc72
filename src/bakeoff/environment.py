"""What a run was made with: versions and machine. Knows nothing that is secret."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
    "vllm",
    "peft",
    "datasets",
    "numpy",
    "scipy",
    "altair",
    "vl-convert-python",
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


def code() -> str:
    """The SHA-256 of this package's own files: what they make of the same is the same."""
    folder = Path(__file__).parent
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            found.update(f"{path.relative_to(folder)}:{path.stat().st_size}:".encode())
            found.update(path.read_bytes())
    return found.hexdigest()
