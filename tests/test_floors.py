"""The house, measured: who may import whom, how large things are, what importing costs."""

import ast
import itertools
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "bakeoff"
FLOORS = [
    {"errors", "stats", "stopwatch", "writing"},
    {"records"},
    {"config", "rows", "thinking"},
    {"work", "store", "prompts", "environment", "costs", "web", "progress"},
    {"filling", "flags", "plugins"},
    {"generators", "judges", "importers", "summary"},
    {"report"},
    {"results", "schedule"},
    {"pipeline", "auditing", "voting", "listing", "salvage"},
    {"casting", "estimating", "merging"},
    {"session", "checking"},
    {"viewing"},
    {"cli", "__init__", "__main__"},
]
BANNED = {"base", "common", "core", "utils", "util", "helpers", "manager", "service", "handler"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The module or package directly under bakeoff that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every room of bakeoff that a file imports from, also inside functions, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import it by its full name"
            modules = [node.module or ""]
            if node.module == "bakeoff":
                modules = [f"bakeoff.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            if module.startswith("bakeoff."):
                yield module.split(".")[1], node.lineno


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def test_every_room_has_a_floor_and_every_floor_its_rooms() -> None:
    assert {room(path) for path in FILES} == set(itertools.chain.from_iterable(FLOORS))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below_its_own(path: Path) -> None:
    own = room(path)
    offenders = [
        f"line {line}: {other}"
        for other, line in imports(path)
        if other != own and floor_of(other) >= floor_of(own)
    ]
    # The front door shows what is behind it; it is loaded before the command is.
    assert not offenders or own in ("__init__", "__main__"), offenders


def test_no_file_has_a_name_that_says_nothing() -> None:
    rooms = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not rooms & BANNED


def test_files_and_functions_are_of_a_size_to_be_read() -> None:
    lines = {path: path.read_text().count("\n") for path in FILES}
    assert statistics.median(lines.values()) <= 120
    assert not {path.name: count for path, count in lines.items() if count > 350}
    lengths = sorted((node.end_lineno or 0) - node.lineno + 1 for _, node in functions())
    assert lengths[int(0.95 * len(lengths))] <= 40


def test_no_function_has_more_than_six_parameters() -> None:
    crowded = []
    for where, node in functions():
        given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        if len([one for one in given if one.arg not in ("self", "cls")]) > 6:
            crowded.append(where)
    assert not crowded


def test_only_the_fronts_print() -> None:
    printing = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "print":
                printing.append(room(path) if room(path) == "cli" else path.name)
    assert set(printing) <= {"cli", "console.py"}


def test_no_error_is_swallowed_in_silence() -> None:
    silent = [
        f"{path.name}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass)
    ]
    assert not silent


HEAVY = ("torch", "transformers", "vllm", "ray", "datasets", "altair", "numpy", "scipy", "any_llm")
COST = """
import sys
import bakeoff
print(*[name for name in {heavy!r} if name in sys.modules])
"""


def test_importing_bakeoff_is_cheap_and_brings_nothing_heavy() -> None:
    """How long it takes is measured by `benchmarks/startup.py`."""
    done = subprocess.run(
        [sys.executable, "-c", COST.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "\n"
