"""The line that a benchmark prints: one JSON object, which says what was compared and where."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version


def say(
    benchmark: str, *, figure: float, unit: str, peer: str, ratio: float, **more: object
) -> None:
    """Print what was measured.

    `figure` is ours, in `unit`; `peer` says who is compared, and `ratio` how many times better ours
    is than the peer in the same run: above 1 is better, whatever the unit.
    """
    line = {
        "benchmark": benchmark,
        "figure": round(figure, 3),
        "unit": unit,
        "peer": peer,
        "ratio": round(ratio, 3),
        **more,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    print(json.dumps(line), flush=True)


def versions(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
