"""Measures the overhead of bakeoff's judging, against `openai.AsyncOpenAI` with a semaphore.

    python benchmarks/judging_client.py [--pairs 640] [--rounds 3]

Prints a JSON line for 64 and for 256 requests in flight; `ratio` is the peer's wall time divided by
ours. The completions are recorded: the time is that of storing and judging them, to the last stored
verdict, with templates, parsing, store and progress file. The judge is a loopback server that
replies after 0.2 s. With 64 in flight `figure` is the share of the ideal wall time (calls x latency
/ in flight), with 256 it is calls per second. `cpu_ms` is CPU time per call of this process. Every
client may have that many requests in flight from the start.

The peer has one task per call, and parses and stores nothing; `aiohttp_cpu_ms` is the CPU time of
aiohttp's client for the same bytes. The clients alternate; each figure is the median of the rounds.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp
import openai
from harness.chat_server import ChatServer
from harness.results import print_result, versions

from bakeoff.config import Config
from bakeoff.evaluation.participants import open_participants
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.judges.parsing.verdicts import VERDICT_SCHEMA
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Verdict
from bakeoff.runtime import gc_frozen, run_periodically
from bakeoff.runtime.progress import HEARTBEAT, ProgressFile
from bakeoff.storage import Store

LATENCY = 0.2
TEXT = "lorem ipsum dolor sit amet " * 20
QUESTION = "please explain " * 20


class Timing(NamedTuple):
    """Wall and CPU seconds of this process for a number of calls."""

    wall: float
    cpu: float
    calls: int


async def time_calls(calls: int, work: Awaitable[None]) -> Timing:
    """Measure the time of an awaitable that makes `calls` calls."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return Timing(time.perf_counter() - wall, time.process_time() - cpu, calls)


def write_inputs(folder: Path, pairs: int) -> None:
    """Prompts, and two files of completions."""
    for model in "ab":
        rows = [{"prompt_id": f"p{n}", "completion": f"{model}{n} {TEXT}"} for n in range(pairs)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{model}.jsonl").write_text(lines)
    rows = [{"id": f"p{n}", "prompt": f"What is {n}? {QUESTION}"} for n in range(pairs)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


async def ours(url: str, pairs: int, in_flight: int) -> Timing:
    """The judging of a run, from the last completion to the last verdict."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        write_inputs(folder, pairs)
        config = Config(
            model=(f"a=file:{folder}/a.jsonl", f"b=file:{folder}/b.jsonl"),
            judge=(f"j=api:j?base_url={url}",),
            prompts=f"{folder}/prompts.jsonl",
            limit=pairs,
            max_concurrency=in_flight,
            store=folder / "store.sqlite",
            out=folder,
        )
        drawn = sample_prompts(config.prompts, config.limit, config.seed)
        with ProgressFile(config.out) as progress, Store(config.store) as store:
            pipeline = Pipeline(config, drawn.prompts, open_participants(config), store, progress)
            await pipeline.prepare()
            async with gc_frozen(HEARTBEAT), run_periodically(progress.write, every=HEARTBEAT):
                took = await time_calls(2 * pairs, pipeline.run())
            for worker in pipeline.workers:
                await worker.close()
    assert sum(isinstance(verdict, Verdict) for verdict in pipeline.verdicts.values()) == 2 * pairs
    return took


def request_body(number: int) -> dict[str, object]:
    """A request as large as bakeoff's."""
    schema = {"name": "verdict", "strict": True, "schema": VERDICT_SCHEMA}
    text = f"Which is better, A or B? winner {number} {QUESTION} {TEXT} {TEXT}"
    return {
        "model": "j",
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_completion_tokens": 1024,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


async def bare(url: str, pairs: int, in_flight: int) -> Timing:
    """The official client with its defaults."""
    room = asyncio.Semaphore(in_flight)
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def call(number: int) -> None:
            async with room:
                await client.chat.completions.create(**request_body(number))  # type: ignore[call-overload]

        await call(0)  # warm up: lazy imports
        return await time_calls(2 * pairs, gather_calls(call, 2 * pairs))


async def raw(url: str, pairs: int, in_flight: int) -> Timing:
    """aiohttp with the same bytes."""
    room = asyncio.Semaphore(in_flight)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

        async def call(number: int) -> None:
            async with (
                room,
                client.post(f"{url}/chat/completions", json=request_body(number)) as reply,
            ):
                json.loads(await reply.read())

        await call(0)
        return await time_calls(2 * pairs, gather_calls(call, 2 * pairs))


async def gather_calls(call: Callable[[int], Awaitable[None]], calls: int) -> None:
    """Run all calls as tasks."""
    await asyncio.gather(*map(call, range(calls)))


def main(pairs: int, rounds: int) -> None:
    """Measure the clients in turn, and print a line per number in flight."""
    for in_flight in (64, 256):
        timings: dict[str, list[Timing]] = {"ours": [], "bare": [], "raw": []}
        with ChatServer(LATENCY) as server:
            for _ in range(rounds):
                for name, work in (("ours", ours), ("bare", bare), ("raw", raw)):
                    timings[name].append(asyncio.run(work(server.url, pairs, in_flight)))
        walls = {
            name: median(timing.wall for timing in samples) for name, samples in timings.items()
        }
        cpus = {
            name: round(1000 * median(timing.cpu / timing.calls for timing in samples), 2)
            for name, samples in timings.items()
        }
        calls, ideal = 2 * pairs, 2 * pairs * LATENCY / in_flight
        print_result(
            f"judging_client_{in_flight}",
            figure=ideal / walls["ours"] if in_flight == 64 else calls / walls["ours"],
            unit="of the ideal wall" if in_flight == 64 else "calls/s",
            peer=f"openai.AsyncOpenAI and a semaphore of {in_flight}",
            ratio=walls["bare"] / walls["ours"],
            wall_s=round(walls["ours"], 2),
            ideal_s=round(ideal, 2),
            peer_wall_s=round(walls["bare"], 2),
            cpu_ms=cpus["ours"],
            peer_cpu_ms=cpus["bare"],
            aiohttp_cpu_ms=cpus["raw"],
            aiohttp_wall_s=round(walls["raw"], 2),
            calls=calls,
            versions=versions("openai", "aiohttp"),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.pairs, arguments.rounds)
