"""Long runs: memory, files, sockets and tasks do not grow, and the event loop is never blocked.

The run and the judge server have a process each.
"""

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from harness.chat_server import ChatServer

DRIVER = Path(__file__).parents[1] / "soak_run.py"
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "goes", "home"]
CONCURRENCY = 64


def write_files(folder: Path, prompts: int) -> None:
    """Prompts of about 170 characters, and two completions of 330 for each."""
    rng = random.Random(7)

    def text(words: int) -> str:
        return " ".join(rng.choices(WORDS, k=words))

    names = ("prompts", "one", "two")
    files = [(folder / f"{name}.jsonl").open("w") for name in names]
    for number in range(prompts):
        prompt_row = {"id": f"p{number}", "prompt": f"Question {number}: {text(38)}"}
        completion_rows = [
            {"prompt_id": f"p{number}", "completion": f"{text(76)} {n}"} for n in (1, 2)
        ]
        for file, row in zip(files, (prompt_row, *completion_rows), strict=True):
            file.write(json.dumps(row) + "\n")
    for file in files:
        file.close()


def run_soak(folder: Path, judgments: int) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """A sample per hundredth of the judgments, the final state, and the number of requests."""
    write_files(folder, judgments // 2)
    with ChatServer(latency=0.01) as server:
        config = {
            "model": [f"{name}=file:{folder / name}.jsonl" for name in ("one", "two")],
            "judge": [f"judge=api:judge?base_url={server.url}&max_concurrency={CONCURRENCY}"],
            "prompts": str(folder / "prompts.jsonl"),
            "limit": judgments // 2,
            "out": str(folder / "out"),
            "store": str(folder / "store.sqlite"),
        }
        (folder / "config.json").write_text(json.dumps(config | {"every": judgments // 100}))
        command = [sys.executable, DRIVER, folder / "config.json", folder / "trace.jsonl"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        request_count = sum(served for served, _ in server.stats()["rows"])
    *samples, end = map(json.loads, (folder / "trace.jsonl").read_text().splitlines())
    return samples, end, request_count


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "judgments",
    [
        pytest.param(3_000, marks=pytest.mark.long),
        pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1500)]),
    ],
)
def test_resource_use_does_not_grow(judgments: int, tmp_path: Path) -> None:
    samples, end, request_count = run_soak(tmp_path, judgments)
    early_sample = next(sample for sample in samples if sample["judged"] >= judgments / 10)
    late = samples[-1]
    judging = [sample for sample in samples if sample["judged"] >= early_sample["judged"]]
    print(*(json.dumps(sample) for sample in [*judging[:: len(judging) // 9 or 1], end]), sep="\n")

    assert (end["judgments"], end["failures"], request_count) == (judgments, 0, judgments)
    assert late["judged"] == judgments
    print(f"{early_sample['rss']} bytes, then {late['rss']}")
    assert late["rss"] < 1.2 * early_sample["rss"]  # includes all verdicts, which the results need
    assert max(sample["sockets"] for sample in samples) <= CONCURRENCY + 8
    others = [sample["files"] - sample["sockets"] for sample in judging]
    assert max(others) <= others[0] + 2
    for before, after in itertools.pairwise(judging):
        assert after["tasks"] <= before["tasks"] + 3 * CONCURRENCY
    assert (
        max(sample["tasks"] for sample in samples) < 16 * CONCURRENCY
    )  # however far completion is ahead of judging
    assert late["tasks"] < 20
    assert end["tasks"] <= samples[0]["tasks"]
    assert end["files"] <= samples[0]["files"]
    assert end["sockets"] <= samples[0]["sockets"]
    # No callback blocks the event loop for longer during judging.
    phase = end["phases"]["judge"]
    assert phase["ticks"] > judgments / 100
    assert phase["computed"] < 0.1, phase
