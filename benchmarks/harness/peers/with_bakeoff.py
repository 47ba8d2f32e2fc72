"""Driver of bakeoff: `bakeoff run` with recorded completions and a judge server.

All features are on: store, parsing, progress line, summary, report.
"""

import io
import json
import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from job import MODEL, MODELS, Arguments, Outcome, parse_arguments, run_job

import bakeoff.generators.api.client  # noqa: F401 - what the command loads as it goes
from bakeoff.cli import app


def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Run the command in an empty folder, and count its results."""
    folder = arguments.folder
    with redirect_stdout(io.StringIO()) as printed:
        app(
            [
                "run",
                *(f"--model={model}=file:{folder / model}.jsonl" for model in MODELS),
                f"--judge=api:{MODEL}?base_url={quote(arguments.url, safe=':/')}",
                f"--prompts={folder / 'prompts.jsonl'}",
                f"--limit={len(arguments.pairs)}",
                f"--max-concurrency={arguments.in_flight}",
                f"--out={folder / 'results'}",
                f"--store={folder / 'store.sqlite'}",
                "--show-samples=0",
            ],
            exit_on_error=False,
        )
    count(json.loads((folder / "results" / "results.json").read_text()), arguments, outcome)
    lines = printed.getvalue().splitlines()
    outcome.first_error = next(
        (line.strip() for line in lines if outcome.failed and "failed" in line), None
    )


def write(arguments: Arguments) -> None:
    """Write the pairs as prompt and completion files."""
    rows = {
        "prompts": [{"id": str(pair.number), "prompt": pair.prompt} for pair in arguments.pairs]
    }
    for model in MODELS:
        rows[model] = [
            {"prompt_id": str(pair.number), "completion": getattr(pair, model)}
            for pair in arguments.pairs
        ]
    for name, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        Path(arguments.folder, f"{name}.jsonl").write_text(text)


def count(results: dict[str, Any], arguments: Arguments, outcome: Outcome) -> None:
    """Count the verdicts and failures of the results."""
    pairs = {str(pair.number): pair for pair in arguments.pairs}
    for judgment in results["judgments"]:
        first = judgment["verdict"]["first"]
        shown = (judgment["first"], judgment["second"])
        outcome.add(None if first == 0.5 else shown[first < 0.5], pairs[judgment["prompt_id"]])
    outcome.failed = sum(failure["stage"] == "judgment" for failure in results["failures"])


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    write(arguments)
    run_job(
        Outcome(version=version("bakeoff"), asked=2 * len(arguments.pairs)),
        lambda outcome: judge_pairs(arguments, outcome),
    )
