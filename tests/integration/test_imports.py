"""The modules that imports and commands load; `benchmarks/startup.py` measures their time."""

import json
import os
import subprocess
import sys

import pytest

# Prints the names in `sys.modules` as the last line on stderr, whatever the code does.
SCRIPT = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))
{code}
"""
ARRAYS = {"numpy", "scipy", "pandas", "polars"}
BACKENDS = {"torch", "transformers", "vllm", "ray", "datasets", "any_llm", "openai", "anthropic"}
RECORDS = {"pydantic", "bakeoff.records", "bakeoff.config"}
HEAVY = ARRAYS | BACKENDS | {"vl_convert", "jinja2", "starlette", "yaml", "asyncio"}


def loaded(code: str, *arguments: str) -> tuple[int, set[str]]:
    """Exit code and loaded modules of a Python that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(code=code), *arguments],
        env={**os.environ, "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, set(json.loads(done.stderr.splitlines()[-1]))


def command(*arguments: str) -> tuple[int, set[str]]:
    return loaded("from bakeoff.cli import main; main()", *arguments)


def test_importing_bakeoff_loads_none_of_its_modules() -> None:
    code, modules = loaded("import bakeoff; dir(bakeoff)")
    assert code == 0
    assert {name for name in modules if name.startswith("bakeoff")} == {"bakeoff"}
    assert not modules & (HEAVY | RECORDS | {"cyclopts", "rich"})


def test_the_functions_of_a_run_load_no_arrays() -> None:
    code, modules = loaded("from bakeoff import Config, read_results, run")
    assert code == 0
    assert "bakeoff.api" in modules
    assert not modules & (ARRAYS | BACKENDS)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ()])
def test_the_help_of_all_commands_loads_no_command(arguments: tuple[str, ...]) -> None:
    code, modules = command(*arguments)
    assert code == 0
    assert not modules & (HEAVY | RECORDS | {"bakeoff.cli.run", "bakeoff.report.terminal"})


def test_the_help_of_a_command_loads_only_its_options() -> None:
    code, modules = command("run", "--help")
    assert code == 0
    assert "bakeoff.cli.run" in modules
    assert not modules & (ARRAYS | BACKENDS | {"bakeoff.cli.audit", "bakeoff.cli.comparison"})


@pytest.mark.parametrize(
    "arguments", [("run", "--nosuch", "3"), ("run", "--limit", "0"), ("nosuch",)]
)
def test_a_wrong_option_loads_nothing_of_a_run(arguments: tuple[str, ...]) -> None:
    code, modules = command(*arguments)
    assert code == 2
    assert not modules & (ARRAYS | BACKENDS | {"bakeoff.cli.comparison", "bakeoff.evaluation"})
