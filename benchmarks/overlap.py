"""Measures the wall time of a run whose judging overlaps generation, against the ideal overlap.

    python benchmarks/overlap.py [PROMPTS]

Prints a JSON line per shape of a run; `ratio` is the ideal wall time divided by ours. Two models
are served by a loopback server each, which replies after a fixed time, and the judge by a third
one, with 16 requests in flight at each. `T` is the time of the slower model for all prompts and `J`
that of the judge for all verdicts in both orders: latency times the rounds of 16. The ideal is the
larger of the two, plus one completion and one verdict: the first verdict waits for the first
completions, and the last verdict follows the last completion. Judging after generation would need
T + J. `within` is true where the run took at most 1.1 times the larger one, plus one completion and
one verdict. A small run before the first measurement imports all modules.
"""

import math
import sys
import tempfile
import time
from pathlib import Path

from harness.chat_server import ChatServer
from harness.results import print_result, versions

import bakeoff

LANES = 16
SHAPES = {  # latency in seconds of the first model, the second model and the judge
    "as long": (0.8, 0.8, 0.4),
    "slow models": (0.8, 0.8, 0.1),
    "slow judge": (0.2, 0.2, 0.4),
    "one slow model": (0.2, 0.8, 0.4),
}


def main(prompts: int) -> None:
    """Run a comparison of each shape, and print its times."""
    run_seconds(2, 0, 0, 0)  # imports everything
    for shape, (first_latency, second_latency, verdict) in SHAPES.items():
        rounds = math.ceil(prompts / LANES)
        completing, judging = rounds * max(first_latency, second_latency), 2 * rounds * verdict
        wall = run_seconds(prompts, first_latency, second_latency, verdict)
        longer, single = max(completing, judging), max(first_latency, second_latency) + verdict
        print_result(
            f"overlap:{shape}",
            figure=wall,
            unit="s",
            peer="max(T, J) + a completion + a verdict",
            ratio=(longer + single) / wall,
            T=round(completing, 2),
            J=round(judging, 2),
            one_after_the_other=round(completing + judging, 2),
            within=wall <= 1.1 * longer + single,
            prompts=prompts,
            versions=versions("aiohttp"),
        )


def run_seconds(prompts: int, first_latency: float, second_latency: float, verdict: float) -> float:
    """Seconds of a run with an empty store, from its start to its results."""
    with (
        ChatServer(first_latency, text="A completion of a few words.") as first,
        ChatServer(second_latency, text="Another completion, of a few words too.") as second,
        ChatServer(verdict) as judge,
        tempfile.TemporaryDirectory() as folder,
    ):
        prompts_file = Path(folder) / "prompts.txt"
        prompts_file.write_text(
            "\n".join(f"What comes after {number}?" for number in range(prompts))
        )
        config = bakeoff.Config(
            model=(f"one=api:m?base_url={first.url}", f"other=api:m?base_url={second.url}"),
            judge=(f"judge=api:j?base_url={judge.url}",),
            prompts=str(prompts_file),
            limit=prompts,
            max_concurrency=LANES,
            out=Path(folder) / "out",
            store=Path(folder) / "store.sqlite",
        )
        started = time.perf_counter()
        results = bakeoff.run(config)
        took = time.perf_counter() - started
    assert not results.failures
    assert len(results.judgments) == 2 * prompts
    return took


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 320)
