"""Measures `bakeoff run` as a process, against a script with the official client.

    python benchmarks/whole_command.py [--pairs 640] [--in-flight 64] [--rounds 3]

Both judge the same pairs in both orders with a loopback judge that replies after 0.2 s. `figure` is
the wall time of `bakeoff run` with recorded completions, from start to exit: imports, store,
templates, parsing, progress, summary and page. `over_ideal_s` is what exceeds the ideal time of the
requests (calls x latency / in flight). The script has one task per call and a semaphore; it parses
and stores nothing. `ratio` is its wall time divided by ours. The two alternate; each figure is the
median of the rounds.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from harness.chat_server import ChatServer
from harness.results import print_result, versions
from judging_client import write_inputs

LATENCY = 0.2

PEER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from judging_client import request_body
import openai

async def main(url, calls, in_flight):
    room = asyncio.Semaphore(in_flight)
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        async def call(number):
            async with room:
                await client.chat.completions.create(**request_body(number))
        await asyncio.gather(*map(call, range(calls)))

asyncio.run(main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


class Timing(NamedTuple):
    """Wall and CPU seconds of a process."""

    wall: float
    cpu: float


def time_process(command: list[str], folder: Path) -> Timing:
    """Run a command in `folder` and measure it."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(wall, cpu)


def ours(url: str, pairs: int, in_flight: int) -> Timing:
    """`bakeoff run` in an empty folder."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        write_inputs(folder, pairs)
        command = [sys.executable, "-m", "bakeoff", "run", "--model=a=file:a.jsonl"]
        command += ["--model=b=file:b.jsonl", f"--judge=j=api:j?base_url={url}"]
        command += ["--prompts=prompts.jsonl", f"--limit={pairs}", f"--max-concurrency={in_flight}"]
        return time_process([*command, "--store=store.sqlite", "--out=results"], folder)


def peer(url: str, pairs: int, in_flight: int) -> Timing:
    """The script with the official client."""
    here = Path(__file__).parent
    command = [sys.executable, "-c", PEER, str(here), url, str(2 * pairs), str(in_flight)]
    return time_process(command, here)


def main(pairs: int, in_flight: int, rounds: int) -> None:
    """Measure both in turn and print a line."""
    timings: dict[str, list[Timing]] = {"ours": [], "peer": []}
    with ChatServer(LATENCY) as server:
        for _ in range(rounds):
            timings["ours"].append(ours(server.url, pairs, in_flight))
            timings["peer"].append(peer(server.url, pairs, in_flight))
    walls = {name: median(timing.wall for timing in each) for name, each in timings.items()}
    cpus = {name: median(timing.cpu for timing in each) for name, each in timings.items()}
    ideal = 2 * pairs * LATENCY / in_flight
    print_result(
        "whole_command",
        figure=walls["ours"],
        unit=f"s for {2 * pairs:,} judgments, {in_flight} in flight",
        peer="a script with openai.AsyncOpenAI that makes the same requests",
        ratio=walls["peer"] / walls["ours"],
        ideal_s=round(ideal, 2),
        over_ideal_s=round(walls["ours"] - ideal, 2),
        peer_wall_s=round(walls["peer"], 2),
        cpu_s=round(cpus["ours"], 2),
        peer_cpu_s=round(cpus["peer"], 2),
        versions=versions("openai", "aiohttp"),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=640)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.pairs, arguments.in_flight, arguments.rounds)
