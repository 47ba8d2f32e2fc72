"""How long it takes before anything is done, and where nothing is left to do: JSON lines.

    python benchmarks/startup.py [PROMPTS]

`help` is `bakeoff --help`, `import` what `import bakeoff` takes more than pydantic and numpy alone,
`second_run` the whole command once more when everything is in the store: a model behind `api:`, one
behind `file:`, and a judge behind `openai:` that has judged both orders. Each is the median of
`RUNS` processes, from their start to their end; `limit` is what it should stay below, in seconds.
The peer of the first two is a bare Python that imports pydantic and numpy, that of the second run
is the first one. `imports` are those of the large packages that the second run has imported.
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

from measuring.line import say, versions
from measuring.server import Loopback

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
    """Start everything some times, and print what it took."""
    bare, ours, help_ = (seconds(one) for one in (BARE, OURS, (str(COMMAND), "--help")))
    python = {"peer": "python -c 'import pydantic, numpy'", "versions": versions("pydantic")}
    say(
        "help", figure=help_, unit="s", ratio=bare / help_, limit=0.4, bare=round(bare, 3), **python
    )
    added = ours - bare
    say("import", figure=added, unit="s", ratio=bare / added, limit=0.3, **python)
    with tempfile.TemporaryDirectory() as folder:
        first, arguments = prepared(Path(folder), prompts)
        again = seconds((str(COMMAND), *arguments))
        script = IMPORTS.format(large=LARGE)
        done = run((sys.executable, "-c", script, json.dumps(arguments)))
    say(
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


def seconds(command: Sequence[str]) -> float:
    """The median time of a command, from its start to its end."""
    run(command)  # the first one compiles, and reads from the disk
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run(command)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run it to its end; an error where it does not end well."""
    # Compiled as what pip installs is, also where this shell says that nothing is to be kept so.
    env = os.environ | {"OPENAI_API_KEY": "none", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done


def prepared(folder: Path, prompts: int) -> tuple[float, list[str]]:
    """How long the first run took, and the arguments with which it is run again."""
    asked = [f"What comes after {number}, and why do you think so?" for number in range(prompts)]
    rows = [{"prompt": one, "completion": f"{one} That does. " * 20} for one in asked]
    files = {name: folder / name for name in ("prompts.jsonl", "said.jsonl")}
    for file in files.values():
        file.write_text("\n".join(map(json.dumps, rows)))
    with Loopback(text="A completion of some words. " * 40) as server:
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
