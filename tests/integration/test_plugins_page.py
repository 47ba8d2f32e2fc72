"""The code of docs/plugins.md: a package with its entry points, its tests and its commands."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bakeoff

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The page's package as pip installs it: its files, and a dist-info with entry points."""
    folder = tmp_path / "site"
    (folder / "bakeoff_demo").mkdir(parents=True)
    (folder / "bakeoff_demo" / "__init__.py").touch()
    for _, name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if name:
            (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "bakeoff_demo-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in entries.items())
            for group, entries in project["entry-points"].items()
        )
    )
    return folder


def run(site: Path, *command: str) -> str:
    """Run a command with the package installed; return its output."""
    source = Path(bakeoff.__file__).parents[1]
    path = os.pathsep.join(map(str, (site, source)))
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=site,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_tests_on_the_page_pass(site: Path) -> None:
    output = run(site, "pytest", "-q", "-p", "no:cacheprovider", "test_demo.py")
    assert "3 passed" in output, output


def test_the_commands_on_the_page_run(site: Path) -> None:
    (site / "corpus.txt").write_text("to be or not to be that is the question " * 3)
    row = {"question": "q", "replies": {"m1": "yes", "m2": "no"}, "pick": "m1"}
    (site / "picks.jsonl").write_text(json.dumps(row) + "\n")
    (commands,) = (
        text for kind, _, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "bash"
    )
    lines = commands.replace("\\\n", "").splitlines()
    words = [shlex.split(line) for line in lines]
    listed, _, audited = (run(site, *command) for command in words)
    assert "markov" in listed
    assert "m1" in audited
    results = bakeoff.read_results(site / "results" / "results.json")
    assert {row.model for row in results.completions} == {"chain", "echo"}
    assert {row.verdict.first for row in results.judgments} == {0.0}
    assert not results.failures


def test_the_page_imports_the_public_surface_only() -> None:
    for _, name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if name.endswith(".py"):
            modules = set(re.findall(r"^from (bakeoff\S*) import", text, re.MULTILINE))
            assert modules <= {"bakeoff", "bakeoff.testing"}, name
