"""What a run says of where it was made."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import bakeoff
from bakeoff.environment import code, describe


def test_it_names_the_versions_that_are_installed_and_no_secret(
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
    """What a package in a folder of its own says."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", CODE], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_another_line_or_name_of_ours_is_another_code_and_what_python_compiles_is_not(
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
    style = package / "report/page.css"
    style.write_text(style.read_text().replace("a", "b", 1))
    assert len({same, renamed, code_in(tmp_path)}) == 3
