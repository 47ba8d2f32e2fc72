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


def required_packages(name: str = "bakeoff") -> dict[str, str]:
    """The packages that a package and its extras require here, with their installed versions."""
    versions: dict[str, str] = {}
    extras = set(distribution(name).metadata.get_all("Provides-Extra") or ()) - DEVELOPERS
    pending = [(name, extra) for extra in ("", *sorted(extras))]
    seen = set(pending)
    while pending:
        package, extra = pending.pop()
        try:
            installed = distribution(package)
        except PackageNotFoundError:
            continue  # a package of an extra that is not installed here
        if package != name:
            versions[canonicalize_name(package)] = installed.version.partition("+")[0]
        for line in installed.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                required = {(requirement.name, each) for each in ("", *requirement.extras)} - seen
                seen |= required
                pending += sorted(required)
    return versions


def run_pip_audit(
    pinned: Sequence[str], service: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """The findings of pip-audit by package, and the error messages of its processes that failed."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--desc", "off", "--timeout", str(TIMEOUT)]
    command += ["--vulnerability-service", "osv", "--osv-url", service] if service else []
    findings: list[dict[str, Any]] = []
    problems: list[str] = []
    deadline = time.monotonic() + SECONDS
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for part in range(min(PARTS, len(pinned))):
            file = Path(folder) / f"{part}.txt"
            file.write_text("\n".join(pinned[part::PARTS]))
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            processes.append(subprocess.Popen([*command, "-r", str(file)], **pipes))  # noqa: S603 - ours
        for process in processes:
            try:
                remaining = max(0.0, deadline - time.monotonic())
                output, errors = process.communicate(timeout=remaining)
                findings += json.loads(output)["dependencies"]
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                problems.append(f"not ready within {SECONDS:g} s")
            except (ValueError, KeyError):
                problems.append((errors.strip().splitlines() or ["it said nothing"])[-1])
    return findings, problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the vulnerable packages; return 1 if there are any, else 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", help="an OSV service to ask in place of the package index")
    options = parser.parse_args(arguments)
    pinned = sorted(f"{name}=={version}" for name, version in required_packages().items())
    findings, problems = run_pip_audit(pinned, options.service)
    audited = [package for package in findings if "vulns" in package]
    vulnerable = [
        f"{package['name']} {package['version']}: {flaw['id']}, "
        + (f"fixed in {', '.join(flaw['fix_versions'])}" if flaw["fix_versions"] else "not fixed")
        for package in audited
        for flaw in package["vulns"]
        if not {flaw["id"], *flaw.get("aliases", ())} & IGNORED.keys()
    ]
    for line in vulnerable:
        print(f"vulnerable: {line}")
    if len(audited) < len(pinned):
        reason = problems[0] if problems else "the index does not know them"
        missing = len(pinned) - len(audited)
        print(f"warning: {missing} of {len(pinned)} packages were not audited: {reason}")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
