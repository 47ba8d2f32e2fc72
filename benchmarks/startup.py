"""Measures the startup time of command and import, against a Python with pydantic and numpy.

    python benchmarks/startup.py [PROMPTS]

Prints a JSON line each; `ratio` is the peer's time divided by ours. `help` is `bakeoff --help`,
`import` is the time that `import bakeoff` adds to pydantic and numpy, and `second_run` is a whole
run with everything in the store (a model behind `api:`, one behind `file:`, and a judge behind
`openai:` in both orders), whose peer is the first run. Each figure is the median of `RUNS`
processes, from start to exit; `limit` is the target in seconds. `imports` lists the large packages
that the second run imported.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness.chat_server import ChatServer
from harness.results import print_result, versions

RUNS = 7
COMMAND = Path(sys.executable).with_name("bakeoff")
BARE = (sys.executable, "-c", "import pydantic, numpy")
OURS = (sys.executable, "-c", "import pydantic, numpy, bakeoff")
LARGE = ("torch", "transformers", "any_llm", "openai", "altair", "scipy", "numpy", "datasets")
IMPORTS = """
import json, sys
from bakeoff.cli import main
try:
    main(json.loads(sys.argv[1]))
finally:
    print(*(name for name in {large} if name in sys.modules), file=sys.stderr)
"""


def main(prompts: int) -> None:
    """Measure each start, and print the times."""
    bare, ours, help_ = (
        median_seconds(command) for command in (BARE, OURS, (str(COMMAND), "--help"))
    )
    python = {"peer": "python -c 'import pydantic, numpy'", "versions": versions("pydantic")}
    print_result(
        "help", figure=help_, unit="s", ratio=bare / help_, limit=0.4, bare=round(bare, 3), **python
    )
    added = ours - bare
    print_result("import", figure=added, unit="s", ratio=bare / added, limit=0.3, **python)
    with tempfile.TemporaryDirectory() as folder:
        first, arguments = prepare(Path(folder), prompts)
        again = median_seconds((str(COMMAND), *arguments))
        script = IMPORTS.format(large=LARGE)
        done = run((sys.executable, "-c", script, json.dumps(arguments)))
    print_result(
        "second_run",
        figure=again,
        unit="s",
        peer="the first run, of a server that replies at once",
        ratio=first / again,
        limit=1.5,
        peer_figure=round(first, 2),
        prompts=prompts,
        imports=done.stderr.splitlines()[-1].split(),
    )


def median_seconds(command: Sequence[str]) -> float:
    """The median seconds of a command, from start to exit."""
    run(command)  # warm up: compiles modules and fills the disk cache
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run(command)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


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
