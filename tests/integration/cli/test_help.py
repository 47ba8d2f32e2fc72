"""README, help, flags, config fields and extras are consistent."""

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from bakeoff.cli import app, store
from bakeoff.config import Config
from bakeoff.plugins import GENERATORS, JUDGES, backend_names, load_backend

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def help_text() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "run", "--help"],
        env={**os.environ, "COLUMNS": "80", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip()


def test_the_readme_shows_the_current_help() -> None:
    block = re.search(r"<!-- help -->\n```text\n(.*?)\n```", README, re.DOTALL)
    assert block
    assert block.group(1) == help_text()


def test_every_field_is_a_flag_and_every_flag_a_field() -> None:
    flags = set(re.findall(r"^│ --([a-z-]+)", help_text(), re.MULTILINE))
    fields = {(field.alias or name) for name, field in Config.model_fields.items()}
    assert flags - {"config"} == {name.replace("_", "-") for name in fields}


def test_the_help_of_each_command_is_the_docstring_of_its_function() -> None:
    for name in app:
        if not name.startswith("-"):
            function = app[name].default_command
            assert app[name].help == (inspect.getdoc(function) if function else store.app.help)


def test_every_path_of_the_readmes_tree_exists() -> None:
    tree = re.search(r"```\n(bakeoff/\n.*?)```", README, re.DOTALL)
    assert tree
    folders: list[str] = []
    for line in tree.group(1).splitlines()[1:]:
        entry = re.match(r"([│ ]*)[├└]── (\S+)", line)
        assert entry, line
        depth = len(entry.group(1)) // 4
        folders[depth:] = [entry.group(2)]
        assert (ROOT / "/".join(folders)).exists(), line


def test_every_relative_link_of_the_readme_has_a_target() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links if not link.startswith("http"))


def test_every_entry_point_is_a_class_with_a_docstring() -> None:
    for group in (GENERATORS, JUDGES):
        assert backend_names(group)
        assert all(load_backend(group, name).__doc__ for name in backend_names(group))


def test_make_targets_named_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = README + (ROOT / "CONTRIBUTING.md").read_text() + (ROOT / ".ci/run").read_text()
    named = {
        word for line in re.findall(r"^make (.+)$", texts, re.MULTILINE) for word in line.split()
    }
    assert named
    assert named <= targets


def test_extras_named_in_messages_exist() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    sources = "".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"pip install 'bakeoff\[(\w+)\]'|check_extra\(\"(\w+)\"", sources))
    names = {name for match in named for name in match if name}
    assert names >= {"data", "figures", "hf", "ray", "serve"}
    assert names <= extras
