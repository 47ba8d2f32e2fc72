"""Prints the result of a benchmark: one JSON object with figure, unit, peer and ratio."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version


def print_result(
    benchmark: str, *, figure: float, unit: str, peer: str, ratio: float, **more: object
) -> None:
    """Print one JSON line.

    `figure` is our value in `unit`; `peer` names the comparison, and `ratio` is how many times
    better our value is than the peer's in the same run: above 1 is better for any unit.
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
    """The versions of the installed packages among `packages`."""
    installed = {}
    for package in packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
