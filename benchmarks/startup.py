"""Measures the startup time of command and import, and the size of a base install.

    python benchmarks/startup.py [PROMPTS]

Prints a JSON line each; `ratio` is the peer's figure divided by ours, and `limit` is the target.
`help` is `bakeoff --help`, `run_help` is `bakeoff run --help`, `import` is a Python that imports
bakeoff, and `import_config` one that imports `bakeoff.Config`; their peer is a Python that imports
pydantic and numpy, started in turn with them. `second_run` is a whole run with everything in the
store (a model behind `api:`, one behind `file:`, and a judge behind `openai:` in both orders); its
peer is the first run. Each time is the median of `RUNS` processes, from start to exit. `imports`
lists the large packages that the second run imported.

`base_install` is the disk usage of bakeoff and of the packages that it requires without extras, at
the versions installed here, with byte code (`du -sm`); its peer is the limit.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from compileall import compile_dir
from importlib.metadata import distribution
from importlib.util import cache_from_source
from pathlib import Path

from harness.chat_server import ChatServer
from harness.results import print_result, versions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RUNS = 11
ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("bakeoff")
BARE = (sys.executable, "-c", "import pydantic, numpy")
STARTS: dict[str, tuple[tuple[str, ...], float | None]] = {  # commands and limits in seconds
    "help": ((str(COMMAND), "--help"), 0.2),
    "run_help": ((str(COMMAND), "run", "--help"), None),
    "import": ((sys.executable, "-c", "import bakeoff"), 0.12),
    "import_config": ((sys.executable, "-c", "from bakeoff import Config"), None),
}
MAX_BASE = 300  # MB
LARGE = ("torch", "transformers", "any_llm", "openai", "scipy", "numpy", "datasets")
IMPORTS = """
import json, sys
from bakeoff.cli import main
try:
    main(json.loads(sys.argv[1]))
finally:
    print(*(name for name in {large} if name in sys.modules), file=sys.stderr)
"""


def main(prompts: int) -> None:
    """Measure each start and the size, and print them."""
    bare, *times = median_seconds(BARE, *(command for command, _ in STARTS.values()))
    for (name, (_, limit)), figure in zip(STARTS.items(), times, strict=True):
        print_result(
            name,
            figure=figure,
            unit="s",
            peer="python -c 'import pydantic, numpy'",
            ratio=bare / figure,
            limit=limit,
            peer_figure=round(bare, 3),
            versions=versions("pydantic"),
        )
    sizes = {name: sum(map(size_of, files)) / 2**20 for name, files in base_packages()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    print_result(
        "base_install",
        figure=sum(sizes.values()),
        unit="MB",
        peer="the limit",
        ratio=MAX_BASE / sum(sizes.values()),
        limit=MAX_BASE,
        packages=len(sizes),
        largest={name: round(sizes[name], 1) for name in largest},
    )
    with tempfile.TemporaryDirectory() as folder:
        first, arguments = prepare(Path(folder), prompts)
        (again,) = median_seconds((str(COMMAND), *arguments))
        script = IMPORTS.format(large=LARGE)
        done = run((sys.executable, "-c", script, json.dumps(arguments)))
    print_result(
        "second_run",
        figure=again,
        unit="s",
        peer="the first run, of a server that replies at once",
        ratio=first / again,
        limit=0.5,
        peer_figure=round(first, 2),
        prompts=prompts,
        imports=done.stderr.splitlines()[-1].split(),
    )


def base_packages() -> Iterator[tuple[str, list[Path]]]:
    """Each package of a base install with its files, without byte code."""
    compile_dir(ROOT / "src", quiet=2)  # as pip does
    yield "bakeoff", [file for file in (ROOT / "src").rglob("*") if is_source(file)]
    for name in sorted(base_requirements()):
        files = (Path(str(file.locate())) for file in distribution(name).files or ())
        yield name, [file for file in files if is_source(file)]


def base_requirements() -> set[str]:
    """The names of all packages that bakeoff requires without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pending = [*named(project["dependencies"])]
    seen = set()
    while pending:
        name, extra = pending.pop()
        if (name, extra) not in seen:
            seen.add((name, extra))
            pending += named(distribution(name).requires or (), extra)
    return {name for name, _ in seen}


def named(requirements: Iterable[str], extra: str = "") -> Iterator[tuple[str, str]]:
    """The package and each extra (or "") of the requirements that hold here."""
    for requirement in map(Requirement, requirements):
        if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
            for wanted in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), wanted


def is_source(file: Path) -> bool:
    """Whether a file of a package is installed from its wheel, unlike byte code."""
    return file.is_file() and file.suffix != ".pyc"


def size_of(file: Path) -> int:
    """The disk usage in bytes of an installed file and of its byte code."""
    code = Path(cache_from_source(str(file))) if file.suffix == ".py" else file
    return sum(512 * each.stat().st_blocks for each in {file, code} if each.is_file())


def median_seconds(*commands: Sequence[str]) -> list[float]:
    """The median seconds of each command, from start to exit; they run in turn."""
    taken: list[list[float]] = [[] for _ in commands]
    for number in range(RUNS + 1):
        for command, seconds in zip(commands, taken, strict=True):
            started = time.perf_counter()
            run(command)
            if number:  # the first run compiles modules and fills the disk cache
                seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in taken]


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command; raises if it fails."""
    # Write bytecode as pip does, even if PYTHONDONTWRITEBYTECODE is set.
    env = os.environ | {"OPENAI_API_KEY": "none", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done


def prepare(folder: Path, prompts: int) -> tuple[float, list[str]]:
    """Seconds of the first run, and the arguments of the second."""
    texts = [f"What comes after {number}, and why do you think so?" for number in range(prompts)]
    rows = [{"prompt": prompt, "completion": f"{prompt} That does. " * 20} for prompt in texts]
    files = {name: folder / name for name in ("prompts.jsonl", "said.jsonl")}
    for file in files.values():
        file.write_text("\n".join(map(json.dumps, rows)))
    with ChatServer(text="A completion of some words. " * 40) as server:
        arguments = ["run", "--show-samples", "0", "--limit", str(prompts)]
        for flag, value in {
            "--model": f"said=file:{files['said.jsonl']}",
            "--judge": f"openai:gpt-4o-mini?base_url={server.url}",
            "--prompts": files["prompts.jsonl"],
            "--out": folder / "out",
            "--store": folder / "store.sqlite",
        }.items():
            arguments += [flag, str(value)]
        arguments += ["--model", f"served=api:m?base_url={server.url}"]
        started = time.perf_counter()
        run((str(COMMAND), *arguments))
        return time.perf_counter() - started, arguments


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
