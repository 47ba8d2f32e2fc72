"""A run that goes on for long: it takes no more memory, files, sockets or tasks than at first, and
its event loop is never kept from its work. In a process of its own, before a judge in another.
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
AT_ONCE = 64


def write_files(folder: Path, prompts: int) -> None:
    """Prompts of about 170 characters, and two completions of 330 for each."""
    rng = random.Random(7)

    def text(words: int) -> str:
        return " ".join(rng.choices(WORDS, k=words))

    names = ("prompts", "one", "two")
    files = [(folder / f"{name}.jsonl").open("w") for name in names]
    for number in range(prompts):
        asked = {"id": f"p{number}", "prompt": f"Question {number}: {text(38)}"}
        said = [{"prompt_id": f"p{number}", "completion": f"{text(76)} {n}"} for n in (1, 2)]
        for file, row in zip(files, (asked, *said), strict=True):
            file.write(json.dumps(row) + "\n")
    for file in files:
        file.close()


def soaked(folder: Path, judgments: int) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """A sample for each hundredth of the judgments, what was so in the end, and the requests."""
    write_files(folder, judgments // 2)
    with ChatServer(latency=0.01) as server:
        config = {
            "model": [f"{name}=file:{folder / name}.jsonl" for name in ("one", "two")],
            "judge": [f"judge=api:judge?base_url={server.url}&max_concurrency={AT_ONCE}"],
            "prompts": str(folder / "prompts.jsonl"),
            "limit": judgments // 2,
            "out": str(folder / "out"),
            "store": str(folder / "store.sqlite"),
        }
        (folder / "config.json").write_text(json.dumps(config | {"every": judgments // 100}))
        command = [sys.executable, DRIVER, folder / "config.json", folder / "trace.jsonl"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        asked = sum(served for served, _ in server.stats()["rows"])
    *samples, end = map(json.loads, (folder / "trace.jsonl").read_text().splitlines())
    return samples, end, asked


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "judgments",
    [
        pytest.param(3_000, marks=pytest.mark.long),
        pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1500)]),
    ],
)
def test_a_run_that_goes_on_takes_no_more_than_at_first(judgments: int, tmp_path: Path) -> None:
    samples, end, asked = soaked(tmp_path, judgments)
    early = next(one for one in samples if one["judged"] >= judgments / 10)
    late = samples[-1]
    judging = [one for one in samples if one["judged"] >= early["judged"]]
    print(*(json.dumps(one) for one in [*judging[:: len(judging) // 9 or 1], end]), sep="\n")

    assert (end["judgments"], end["failures"], asked) == (judgments, 0, judgments)
    assert late["judged"] == judgments
    print(f"{early['rss']} bytes, then {late['rss']}")
    assert late["rss"] < 1.2 * early["rss"]  # with all verdicts, which the results are made of
    assert max(one["sockets"] for one in samples) <= AT_ONCE + 8
    others = [one["files"] - one["sockets"] for one in judging]
    assert max(others) <= others[0] + 2
    for before, after in itertools.pairwise(judging):
        assert after["tasks"] <= before["tasks"] + 3 * AT_ONCE
    assert max(one["tasks"] for one in samples) < 16 * AT_ONCE  # however far ahead models are
    assert late["tasks"] < 20
    assert end["tasks"] <= samples[0]["tasks"]
    assert end["files"] <= samples[0]["files"]
    assert end["sockets"] <= samples[0]["sockets"]
    # The loop's own thread is never busy for longer with one thing while it judges.
    phase = end["phases"]["judge"]
    assert phase["beats"] > judgments / 100
    assert phase["computed"] < 0.1, phase
