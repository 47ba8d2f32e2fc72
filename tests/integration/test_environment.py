"""The description of the environment of a run."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import bakeoff
from bakeoff.environment import code, describe


def test_describe_lists_installed_versions_and_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-marker")
    made = describe()
    packages = made["packages"]
    assert isinstance(packages, dict)
    assert packages["bakeoff"] == version("bakeoff")
    assert packages["numpy"] == version("numpy")
    assert "sk-marker" not in json.dumps(made)


CODE = "from bakeoff.environment import code; print(code())"


def code_in(folder: Path) -> str:
    """Return the digest of the copy of the package in `folder`."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", CODE], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_code_depends_on_source_and_not_on_bytecode(
    tmp_path: Path,
) -> None:
    ours = Path(bakeoff.__file__).parent
    package = tmp_path / "bakeoff"
    shutil.copytree(ours, package, ignore=shutil.ignore_patterns("__pycache__"))
    same = code_in(tmp_path)
    assert same == code()  # wherever it lies
    (package / "stats/__pycache__").mkdir()
    (package / "stats/__pycache__/tests.cpython-311.pyc").write_bytes(b"compiled")
    assert code_in(tmp_path) == same
    (package / "judges/templates/pairwise.j2").rename(package / "judges/templates/pairwise2.j2")
    renamed = code_in(tmp_path)
    style = package / "report/page/page.css"
    style.write_text(style.read_text().replace("a", "b", 1))
    assert len({same, renamed, code_in(tmp_path)}) == 3
