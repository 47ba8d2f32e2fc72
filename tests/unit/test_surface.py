"""What is public: `__all__`, and that it is documented."""

import ast
import inspect
from pathlib import Path

import bakeoff

SOURCE = Path(bakeoff.__file__).read_text()


def test_all_is_what_is_imported_in_the_order_of_the_alphabet() -> None:
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bakeoff.")
        for alias in node.names
    }
    assert set(bakeoff.__all__) == imported
    assert len(bakeoff.__all__) == len(set(bakeoff.__all__))


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in bakeoff.__all__:
        value = getattr(bakeoff, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(bakeoff, "run_sync")
