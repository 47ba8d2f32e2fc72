"""The notebooks of `examples/`, executed by nbmake in a temporary folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))

pytestmark = pytest.mark.timeout(1000)  # starting a kernel is slow on a busy machine


def test_notebooks_exist() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    nbformat.validate(notebook)
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    for cell in notebook["cells"]:
        assert re.fullmatch("[a-z-]+", cell["id"])
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every notebook with its outputs, executed as a copy in a temporary folder."""
    folder = tmp_path_factory.mktemp("examples")
    for path in NOTEBOOKS:
        shutil.copy(path, folder)
    command = [sys.executable, "-m", "pytest", "--nbmake", "--overwrite", "--nbmake-timeout=600"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=folder,
        env=os.environ | {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PLATFORM_DIRS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(NOTEBOOKS)} passed" in done.stdout
    return {path.name: json.loads((folder / path.name).read_text("utf-8")) for path in NOTEBOOKS}


def outputs(notebook: Any) -> list[Any]:
    return [out for cell in notebook["cells"] for out in cell.get("outputs", ())]


def text_of(output: Any) -> str:
    text = output.get("text") or output["data"].get("text/plain", "")
    return text if isinstance(text, str) else "".join(text)


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_notebooks_end_with_a_verdict_and_no_stderr(name: str, executed: dict[str, Any]) -> None:
    cell_outputs = outputs(executed[name])
    assert not [text_of(out) for out in cell_outputs if out.get("name") == "stderr"]
    last = text_of(cell_outputs[-1])
    assert re.match(r"tuned is better than base: .*95 % interval", last), last


def test_results_are_displayed_and_tables_agree(executed: dict[str, Any]) -> None:
    cell_outputs = outputs(executed["compare_in_a_notebook.ipynb"])
    verdict = text_of(cell_outputs[-1]).strip()
    shown = ["".join(out.get("data", {}).get("text/html", "")) for out in cell_outputs]
    assert any('class="bakeoff-results"' in html and verdict in html for html in shown)
    assert any("<table" in html and "preference" in html for html in shown)
    assert any(
        "<svg" in "".join(out.get("data", {}).get("image/svg+xml", "")) for out in cell_outputs
    )
    (rate,) = re.findall(r"it wins ([\d.]+) %", verdict)
    assert f"{rate}%\n" in [text_of(out) for out in cell_outputs]


@pytest.mark.long
def test_cell_outputs_load_no_remote_content(executed: dict[str, Any]) -> None:
    shown = [
        str(out.get("data", "")) for notebook in executed.values() for out in outputs(notebook)
    ]
    assert not re.findall(r"<script|<link|src=|@import|url\(h", "".join(shown))
