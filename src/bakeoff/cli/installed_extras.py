"""Whether the packages of an extra are installed, from metadata only."""

import re
from importlib import metadata

INSTALLED = "installed"

_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?")


def install_hint(package: str, extra: str) -> str:
    """`installed`, or the pip command that installs the extra of an installed package.

    `installed` as well for an extra that the package does not have.
    """
    return f"pip install '{package}[{extra}]'" if _is_incomplete(package, extra) else INSTALLED


def _is_incomplete(package: str, extra: str) -> bool:
    marker_of_extra = re.compile(rf"""\bextra\s*==\s*["']{re.escape(extra)}["']""")
    requirements = [line.partition(";") for line in metadata.requires(package) or ()]
    return any(
        not _is_installed(requirement)
        for requirement, _, marker in requirements
        if marker_of_extra.search(marker)
    )


def _is_installed(requirement: str) -> bool:
    """Whether a package is installed with its own extras, in any version."""
    match = _REQUIREMENT.match(requirement)
    name, extras = match.groups("") if match else (requirement, "")
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return not any(_is_incomplete(name, extra.strip()) for extra in extras.split(",") if extra)
