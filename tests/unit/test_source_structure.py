"""Structure of the source: layers, sizes and names."""

import ast
import logging.config
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "bakeoff"
BANNED = {"base", "common", "core", "utils", "util", "helpers", "manager", "service", "handler"}
FILES = sorted(PACKAGE.rglob("*.py"))


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def test_modules_import_only_from_lower_layers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contracts of pyproject.toml, which name every module of the package."""
    # It would disable all loggers that exist, for the tests after this one.
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)
    status = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    report = capsys.readouterr().out
    assert status == 0, report
    assert "1 kept, 0 broken" in report


def test_no_module_has_a_vague_name() -> None:
    names = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not names & BANNED


def test_no_class_name_occurs_twice() -> None:
    classes = Counter(
        node.name
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in classes.items() if count > 1] == []


def test_files_and_functions_are_short() -> None:
    lines = {path: path.read_text().count("\n") for path in FILES}
    assert statistics.median(lines.values()) <= 120
    assert not {path.name: count for path, count in lines.items() if count > 350}
    lengths = sorted((node.end_lineno or 0) - node.lineno + 1 for _, node in functions())
    assert lengths[int(0.95 * len(lengths))] <= 40


def test_no_function_has_more_than_six_parameters() -> None:
    too_many = []
    for where, node in functions():
        parameters = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        if len([parameter for parameter in parameters if parameter.arg not in ("self", "cls")]) > 6:
            too_many.append(where)
    assert not too_many


def test_only_the_cli_and_the_terminal_report_print() -> None:
    printing = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "print":
                printing.append(path.relative_to(PACKAGE).as_posix())
    assert {where for where in printing if not where.startswith("cli/")} <= {"report/terminal.py"}


def test_no_except_block_is_only_pass() -> None:
    silent = [
        f"{path.name}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass)
    ]
    assert not silent
