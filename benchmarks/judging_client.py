"""What bakeoff costs beside the judge: 640 pairs in both orders, each verdict after 200 ms.

    python benchmarks/judging_client.py [--pairs 640] [--rounds 3]

The completions are recorded ones, so that only judging is measured: from the first request to the
last verdict in the store, with templates, readers, store and progress file. The judge is a server
on loopback that replies after 0.2 s. A line for 64 requests in flight: `figure` is the share of the
wall time that would be ideal (calls x latency / in flight). And one for 256: calls a second. In
both `cpu_ms` is processor time per call, of this process alone. bakeoff begins with 32 in flight,
as it does with every server, and has to find out that it takes more.

The peer is the official client by itself: `openai.AsyncOpenAI`, one task per call and a semaphore,
nothing read and nothing kept; `aiohttp_cpu_ms` is what aiohttp's own client takes for the same
bytes. Everybody runs in turn, so many rounds; each figure is the median.
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
from measuring.line import say, versions
from measuring.server import Loopback

from bakeoff.config import Config
from bakeoff.evaluation.participants import open_participants
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.judges.parsing.verdicts import VERDICT_SCHEMA
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Verdict
from bakeoff.runtime import run_periodically
from bakeoff.runtime.progress import HEARTBEAT, ProgressFile
from bakeoff.storage import Store

LATENCY = 0.2
TEXT = "lorem ipsum dolor sit amet " * 20
QUESTION = "please explain " * 20


class Took(NamedTuple):
    """Seconds by the clock, and of this process's processor time, for so many calls."""

    wall: float
    cpu: float
    calls: int


async def timed(calls: int, work: Awaitable[None]) -> Took:
    """What some work takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return Took(time.perf_counter() - wall, time.process_time() - cpu, calls)


def written(folder: Path, pairs: int) -> None:
    """Prompts, and two files of completions."""
    for who in "ab":
        rows = [{"prompt_id": f"p{n}", "completion": f"{who}{n} {TEXT}"} for n in range(pairs)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{who}.jsonl").write_text(lines)
    rows = [{"id": f"p{n}", "prompt": f"What is {n}? {QUESTION}"} for n in range(pairs)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


async def ours(url: str, pairs: int, in_flight: int) -> Took:
    """Everything that a run does between the last completion and the last verdict."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        written(folder, pairs)
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
            async with run_periodically(progress.write, every=HEARTBEAT):
                took = await timed(2 * pairs, pipeline.run())
            for worker in pipeline.workers:
                await worker.close()
    assert sum(isinstance(one, Verdict) for one in pipeline.verdicts.values()) == 2 * pairs
    return took


def asked(number: int) -> dict[str, object]:
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


async def bare(url: str, pairs: int, in_flight: int) -> Took:
    """The official client, as it is by default."""
    room = asyncio.Semaphore(in_flight)
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def one(number: int) -> None:
            async with room:
                await client.chat.completions.create(**asked(number))  # type: ignore[call-overload]

        await one(0)  # imports what it needs
        return await timed(2 * pairs, all_of(one, 2 * pairs))


async def raw(url: str, pairs: int, in_flight: int) -> Took:
    """The same bytes by aiohttp."""
    room = asyncio.Semaphore(in_flight)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

        async def one(number: int) -> None:
            async with room, client.post(f"{url}/chat/completions", json=asked(number)) as reply:
                json.loads(await reply.read())

        await one(0)
        return await timed(2 * pairs, all_of(one, 2 * pairs))


async def all_of(one: Callable[[int], Awaitable[None]], calls: int) -> None:
    """Every call, as tasks."""
    await asyncio.gather(*map(one, range(calls)))


def main(pairs: int, rounds: int) -> None:
    """Measure in turn, and print a line for each number in flight."""
    for in_flight in (64, 256):
        took: dict[str, list[Took]] = {"ours": [], "bare": [], "raw": []}
        with Loopback(LATENCY) as server:
            for _ in range(rounds):
                for name, work in (("ours", ours), ("bare", bare), ("raw", raw)):
                    took[name].append(asyncio.run(work(server.url, pairs, in_flight)))
        walls = {name: median(one.wall for one in all_) for name, all_ in took.items()}
        cpus = {
            name: round(1000 * median(one.cpu / one.calls for one in all_), 2)
            for name, all_ in took.items()
        }
        calls, ideal = 2 * pairs, 2 * pairs * LATENCY / in_flight
        say(
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
            versions=versions("openai", "any-llm-sdk", "aiohttp"),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    main(given.pairs, given.rounds)
