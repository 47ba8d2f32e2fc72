"""The public API: `__all__` and docstrings."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import bakeoff
import bakeoff.testing

SOURCE = Path(bakeoff.__file__).read_text()


def test_each_name_comes_from_the_module_that_type_checkers_see() -> None:
    imports = [
        (alias.name, alias.asname, node.module)
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bakeoff.")
        for alias in node.names
    ]
    assert all(name == exported for name, exported, _ in imports)
    typed = {name: module or "" for name, _, module in imports}
    assert typed == bakeoff._MODULES
    assert sorted(typed) == bakeoff.__all__
    for name, module in typed.items():
        assert getattr(bakeoff, name) is getattr(import_module(module), name)


def test_dir_lists_exactly_the_public_names() -> None:
    assert {name for name in dir(bakeoff) if not name.startswith("__")} == set(bakeoff.__all__)


def test_every_public_name_exists_and_has_a_docstring() -> None:
    for module in (bakeoff, bakeoff.testing):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__doc__, name


def test_the_plugins_page_lists_every_public_name() -> None:
    page = (Path(__file__).parents[2] / "docs/plugins.md").read_text()
    public_names = page[page.index("## Public names") :]
    listed = set(re.findall(r"`(\w+)", public_names))
    assert not {*bakeoff.__all__, *bakeoff.testing.__all__} - listed


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(bakeoff, "run_sync")
