"""Audits the dependencies of bakeoff for known vulnerabilities with pip-audit, for `make check`.

    python scripts/audit_dependencies.py [--service OSV_URL]

Audits the packages that bakeoff and its extras require, at the versions installed here; the
development tools are left out, as users do not install them. The exit code is 1 if a package is
vulnerable. An index that cannot be reached, or not in time, is only a warning: it is no fault of
the code.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Vulnerabilities without a fix, by id, with the reason why they do not affect bakeoff.
IGNORED: dict[str, str] = {
    "CVE-2023-48022": "Ray's job server runs any submitted code: bakeoff starts none, sets a token"
}
DEVELOPERS = {"dev"}  # extras that only developers install
PARTS = 4  # concurrent pip-audit processes: each requests one package after the other
SECONDS = 15.0  # for the whole audit
TIMEOUT = 5  # seconds per reply


def needed(name: str = "bakeoff") -> dict[str, str]:
    """The packages that a package and its extras require here, with their installed versions."""
    found: dict[str, str] = {}
    extras = set(distribution(name).metadata.get_all("Provides-Extra") or ()) - DEVELOPERS
    waiting = [(name, extra) for extra in ("", *sorted(extras))]
    seen = set(waiting)
    while waiting:
        package, extra = waiting.pop()
        try:
            there = distribution(package)
        except PackageNotFoundError:
            continue  # a package of an extra that is not installed here
        if package != name:
            found[canonicalize_name(package)] = there.version.partition("+")[0]
        for line in there.requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                more = {(wanted.name, one) for one in ("", *wanted.extras)} - seen
                seen |= more
                waiting += sorted(more)
    return found


def audited(pinned: Sequence[str], service: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The findings of pip-audit by package, and the error messages of its processes that failed."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--desc", "off", "--timeout", str(TIMEOUT)]
    command += ["--vulnerability-service", "osv", "--osv-url", service] if service else []
    found: list[dict[str, Any]] = []
    troubles: list[str] = []
    ends = time.monotonic() + SECONDS
    with tempfile.TemporaryDirectory() as folder:
        asking = []
        for part in range(min(PARTS, len(pinned))):
            file = Path(folder) / f"{part}.txt"
            file.write_text("\n".join(pinned[part::PARTS]))
            how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            asking.append(subprocess.Popen([*command, "-r", str(file)], **how))  # noqa: S603 - ours
        for process in asking:
            try:
                said, trouble = process.communicate(timeout=max(0.0, ends - time.monotonic()))
                found += json.loads(said)["dependencies"]
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                troubles.append(f"not ready within {SECONDS:g} s")
            except (ValueError, KeyError):
                troubles.append((trouble.strip().splitlines() or ["it said nothing"])[-1])
    return found, troubles


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the vulnerable packages; return 1 if there are any, else 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", help="an OSV service to ask in place of the package index")
    given = parser.parse_args(arguments)
    pinned = sorted(f"{name}=={version}" for name, version in needed().items())
    found, troubles = audited(pinned, given.service)
    known = [one for one in found if "vulns" in one]
    bad = [
        f"{one['name']} {one['version']}: {flaw['id']}, "
        + (f"fixed in {', '.join(flaw['fix_versions'])}" if flaw["fix_versions"] else "not fixed")
        for one in known
        for flaw in one["vulns"]
        if not {flaw["id"], *flaw.get("aliases", ())} & IGNORED.keys()
    ]
    for line in bad:
        print(f"vulnerable: {line}")
    if len(known) < len(pinned):
        why = troubles[0] if troubles else "the index does not know them"
        missing = len(pinned) - len(known)
        print(f"warning: {missing} of {len(pinned)} packages were not audited: {why}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
