"""Whether an extra of a package is there, from metadata alone: imports nothing of it."""

import re
from importlib import metadata

READY = "installed"

_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?")


def needs(package: str, extra: str) -> str:
    """`installed`, or the command that installs what the extra of an installed package asks for.

    An extra that the package does not have asks for nothing.
    """
    return f"pip install '{package}[{extra}]'" if _lacks(package, extra) else READY


def _lacks(package: str, extra: str) -> bool:
    marked = re.compile(rf"""\bextra\s*==\s*["']{re.escape(extra)}["']""")
    asked = [line.partition(";") for line in metadata.requires(package) or ()]
    return any(not _there(needed) for needed, _, marker in asked if marked.search(marker))


def _there(requirement: str) -> bool:
    """Whether a package is installed with its own extras; its version is pip's business."""
    match = _REQUIREMENT.match(requirement)
    name, extras = match.groups("") if match else (requirement, "")
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return not any(_lacks(name, extra.strip()) for extra in extras.split(",") if extra)
