"""Measures the results per second that the driver of a Ray cluster stores, against no cluster.

    python benchmarks/ray_driver.py [PROMPTS] [REPLICAS]

Prints one JSON line; `ratio` is the rate with Ray divided by the rate of the same generator in this
process. Prompts of 1,200 characters go through `echo:` replicas, which take no time, and return as
completions of the same length, each of which is stored as in a run: so the rate is that of the
driver, which is Ray Data, the event loop and SQLite. The time is from the first result to the last
one; `begun` is the time from the call to the first result, in which the replicas start. The cluster
is one node on this machine, whose cores the replicas share with the driver.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from harness.results import print_result, versions

from bakeoff.config import Sampling, Spec
from bakeoff.evaluation.cache import run_cached
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Prompt, content_key
from bakeoff.runtime.progress import ProgressCounter
from bakeoff.storage import Store

TEXT = "What a model is asked, and what it says, has about this many characters. " * 16


def main(prompts: int, replicas: int) -> None:
    """Measure the rate with and without Ray, and print the line."""
    with tempfile.TemporaryDirectory() as folder:
        ours = asyncio.run(rate(f"echo:?replicas={replicas}&cpus=0.5", prompts, Path(folder, "a")))
        alone = asyncio.run(rate("echo:", prompts, Path(folder, "b")))
    print_result(
        "ray_driver",
        figure=ours["rate"],
        unit="results/s",
        peer="the same generator in this process",
        ratio=ours["rate"] / alone["rate"],
        peer_figure=round(alone["rate"]),
        begun=round(ours["begun"], 1),
        prompts=prompts,
        replicas=replicas,
        versions=versions("ray", "pyarrow"),
    )


async def rate(spec: str, prompts: int, path: Path) -> dict[str, float]:
    """Results per second, from the first to the last stored one."""
    worker = open_generator(Spec.parse(spec), RunContext(Sampling()))
    requests = (
        Prompt(messages=(Message(role="user", content=f"{n} {TEXT}"),)) for n in range(prompts)
    )
    keyed_prompts = [
        (content_key("completion", worker.identity, prompt.id), prompt) for prompt in requests
    ]
    kept: list[float] = []

    def take(_: int, outcome: object) -> None:
        assert isinstance(outcome, Completion)
        kept.append(time.perf_counter())

    await worker.prepare()
    called = time.perf_counter()
    with Store(path) as store:
        try:
            count = ProgressCounter("completion", "echo", prompts, lambda _: None)
            await run_cached(worker, keyed_prompts, store, Completion, take, count)
        finally:
            await worker.close()
    assert len(kept) == prompts
    return {"rate": (prompts - 1) / (kept[-1] - kept[0]), "begun": kept[0] - called}


if __name__ == "__main__":
    arguments = [int(number) for number in sys.argv[1:]]
    main(*(arguments + [20_000, 2][len(arguments) :]))
