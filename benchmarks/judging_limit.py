"""Measures the share of a server's rate limit that judging uses, against inspect-ai.

    python benchmarks/judging_limit.py [--verdicts 1000] [--peer inspect-ai]

Prints a JSON line per kind of limit; `ratio` is our requests per second divided by the peer's, or
by the limit of 10 per second where the peer does not run. The server serves 600 requests a minute
and refuses more with 429 and Retry-After. The limit has one of four kinds: a sliding minute, a
sliding second (10 requests), a calendar minute, or a bucket of 600 that refills at 10 per second.
bakeoff is not told the limit; it may keep 256 requests in flight, and replies take 0.2 s. All four
servers are tested at the same time, each by its own process. `figure` is verdicts per second over
all (a full bucket or minute at the start allows more than 10), `refused_late` the share of refused
requests after the first 10 s, and `lost` the number of missing verdicts.

The peer runs against a server of the first kind at the same time, with its own adaptive limiter and
the same number of requests; it is stopped after 115 s. Its rate is served requests per second.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import Any

from harness.chat_server import ChatServer
from harness.results import print_result, versions
from peers import HERE, QUIET, PeerUnavailableError, peer_environment

from bakeoff.config import Sampling
from bakeoff.errors import WorkError
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Message, Pair, Prompt, Verdict

PER_MINUTE, LATENCY, IN_FLIGHT, MOST_SECONDS = 600, 0.2, 256, 115.0
KINDS = {
    "any minute": ("sliding", 60.0),
    "any second": ("sliding", 1.0),
    "each minute": ("fixed", 60.0),
    "a bucket": ("bucket", 60.0),
}


def make_pairs(count: int) -> list[Pair]:
    """Pairs of `count` questions, in both orders."""
    pairs = []
    for number in range(count // 2):
        prompt = Prompt(messages=(Message(role="user", content=f"What is {number}?"),))
        pair = Pair(prompt=prompt, first=f"It is {number}.", second="A number.")
        pairs += [pair, pair.swapped()]
    return pairs


async def judge_all(url: str, count: int) -> tuple[int, float]:
    """The number of verdicts, and the seconds that they took."""
    judge = open_judge(judge_spec(f"api:j?base_url={url}"), RunContext(Sampling(), IN_FLIGHT))
    outcomes: list[Verdict | WorkError] = []
    await judge.prepare()
    begun = time.perf_counter()
    await judge(make_pairs(count), lambda _, outcome: outcomes.append(outcome))
    seconds = time.perf_counter() - begun
    await judge.close()
    return sum(isinstance(outcome, Verdict) for outcome in outcomes), seconds


def start_peer(name: str, url: str, count: int, folder: str) -> tuple[str, subprocess.Popen[str]]:
    """Start a peer; returns its version and process."""
    python = peer_environment(name)
    driver = HERE / "harness" / "peers" / f"with_{name.replace('-', '_')}.py"
    known = [str(python), "-c", f"from importlib.metadata import version; print(version({name!r}))"]
    version = subprocess.run(known, capture_output=True, text=True, check=True).stdout.strip()
    work = [str(python), str(driver), url, str(count // 2), str(IN_FLIGHT), "limited", folder]
    env = {**QUIET, "HOME": folder}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return version, subprocess.Popen(work, cwd=folder, env=env, text=True, **quiet)


def summarize_stats(stats: dict[str, Any]) -> dict[str, float]:
    """Summarize the counts of a server."""
    served, refused = (sum(row[n] for row in stats["rows"]) for n in (0, 1))
    late = [sum(row[n] for row in stats["rows"][10:]) for n in (0, 1)]
    return {
        "served": served,
        "refused": refused,
        "refused_late": round(late[1] / max(1, sum(late)), 4),
        "seconds": len(stats["rows"]),
    }


def main(count: int, peer: str | None) -> None:
    """Judge with all servers concurrently, and print a line for each kind."""
    with ExitStack() as open_, tempfile.TemporaryDirectory() as folder:
        servers = {
            name: open_.enter_context(
                ChatServer(LATENCY, int(PER_MINUTE / 60 * window), window, kind=kind)
            )
            for name, (kind, window) in KINDS.items()
        }
        command = [sys.executable, __file__, "--verdicts", str(count), "--url"]
        processes = {
            name: subprocess.Popen([*command, server.url], stdout=subprocess.PIPE, text=True)
            for name, server in servers.items()
        }
        peer_server, version = open_.enter_context(ChatServer(LATENCY, PER_MINUTE)), ""
        peer_process = None
        try:
            if peer:
                version, peer_process = start_peer(peer, peer_server.url, count, folder)
        except PeerUnavailableError as why:
            print(f"{peer} is skipped: {why}", file=sys.stderr)
        outcomes = {
            name: json.loads(process.communicate()[0]) for name, process in processes.items()
        }
        if peer_process:
            try:
                peer_process.wait(
                    max(
                        0.0, MOST_SECONDS - max(outcome["seconds"] for outcome in outcomes.values())
                    )
                )
            except subprocess.TimeoutExpired:
                peer_process.kill()
                peer_process.wait()
        peer_stats = summarize_stats(peer_server.stats())
        for name, server in servers.items():
            print_kind(
                name,
                count,
                outcomes[name],
                summarize_stats(server.stats()),
                (peer, version, peer_stats),
            )


def print_kind(
    kind: str,
    count: int,
    results: dict[str, Any],
    stats: dict[str, float],
    peer: tuple[str | None, str, dict[str, float]],
) -> None:
    """Print a line; without a peer for this kind, the ratio is against the limit."""
    name, version, peer_stats = peer
    figure = results["verdicts"] / results["seconds"]
    peer_rate, peer_fields = PER_MINUTE / 60, {}
    if version and kind == next(iter(KINDS)):
        peer_rate = peer_stats["served"] / peer_stats["seconds"]
        peer_fields = {f"peer_{key}": value for key, value in peer_stats.items()}
    peer_name = (
        f"{name} {version}, adaptive connections"
        if peer_fields
        else "the limit: 10 requests a second"
    )
    print_result(
        f"judging_limit:{kind}",
        figure=figure,
        unit="requests/s",
        peer=peer_name,
        ratio=figure / peer_rate,
        lost=count - results["verdicts"],
        **stats,
        **peer_fields,
        versions=versions("aiohttp"),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--verdicts", type=int, default=1000)
    parser.add_argument("--peer", default="inspect-ai")
    parser.add_argument("--url", help="ask this one server, and say what came of it")
    arguments = parser.parse_args()
    if arguments.url:
        verdicts, seconds = asyncio.run(judge_all(arguments.url, arguments.verdicts))
        print(json.dumps({"verdicts": verdicts, "seconds": seconds}))
    else:
        main(arguments.verdicts, arguments.peer or None)
