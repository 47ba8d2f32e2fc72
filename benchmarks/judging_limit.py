"""How much of a hard limit judging uses, and how often it runs into it: a JSON line per kind.

    python benchmarks/judging_limit.py [--verdicts 1000] [--peer inspect-ai]

The server takes 600 requests a minute and refuses more with 429 and Retry-After. That is meant in
one of four ways: in any 60 seconds, in any second (10), in each minute by its clock, or by a bucket
of 600 that is filled by 10 a second. bakeoff is told nothing of it. All are asked at the same time,
each by a process of its own, in both orders, with a reply after 0.2 s; the judge is told to keep up
to 256 in flight. `figure` is requests served a second over all, of which the limit is 10 (a minute
that is full at first gives more), `refused_late` the share of the requests that were refused after
the first 10 s, `lost` the verdicts that are missing in the end. The kind stands in the line's name.

The peer asks the server of the first kind, by its own adaptive limiter, and has the same time.
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

from measuring.line import say, versions
from measuring.server import Loopback
from peers import HERE, QUIET, MissingError, environment

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


def pairs(count: int) -> list[Pair]:
    """So many questions: pairs in both orders."""
    made = []
    for number in range(count // 2):
        prompt = Prompt(messages=(Message(role="user", content=f"What is {number}?"),))
        pair = Pair(prompt=prompt, first=f"It is {number}.", second="A number.")
        made += [pair, pair.swapped()]
    return made


async def judged(url: str, count: int) -> tuple[int, float]:
    """How many verdicts came, and in how many seconds."""
    judge = open_judge(judge_spec(f"api:j?base_url={url}"), RunContext(Sampling(), IN_FLIGHT))
    came: list[Verdict | WorkError] = []
    await judge.prepare()
    begun = time.perf_counter()
    await judge(pairs(count), lambda _, outcome: came.append(outcome))
    seconds = time.perf_counter() - begun
    await judge.close()
    return sum(isinstance(outcome, Verdict) for outcome in came), seconds


def peer_of(name: str, url: str, count: int, folder: str) -> tuple[str, subprocess.Popen[str]]:
    """A peer at work, and its version."""
    python = environment(name)
    driver = HERE / "measuring" / "peers" / f"with_{name.replace('-', '_')}.py"
    known = [str(python), "-c", f"from importlib.metadata import version; print(version({name!r}))"]
    version = subprocess.run(known, capture_output=True, text=True, check=True).stdout.strip()
    work = [str(python), str(driver), url, str(count // 2), str(IN_FLIGHT), "limited", folder]
    env = {**QUIET, "HOME": folder}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return version, subprocess.Popen(work, cwd=folder, env=env, text=True, **quiet)


def seen(stats: dict[str, Any]) -> dict[str, float]:
    """What the server saw of one who asked it."""
    served, refused = (sum(row[n] for row in stats["rows"]) for n in (0, 1))
    late = [sum(row[n] for row in stats["rows"][10:]) for n in (0, 1)]
    return {
        "served": served,
        "refused": refused,
        "refused_late": round(late[1] / max(1, sum(late)), 4),
        "seconds": len(stats["rows"]),
    }


def main(count: int, peer: str | None) -> None:
    """Ask all servers at once, and print a line for each kind."""
    with ExitStack() as open_, tempfile.TemporaryDirectory() as folder:
        servers = {
            name: open_.enter_context(
                Loopback(LATENCY, int(PER_MINUTE / 60 * window), window, kind=kind)
            )
            for name, (kind, window) in KINDS.items()
        }
        command = [sys.executable, __file__, "--verdicts", str(count), "--url"]
        ours = {
            name: subprocess.Popen([*command, server.url], stdout=subprocess.PIPE, text=True)
            for name, server in servers.items()
        }
        theirs, version = open_.enter_context(Loopback(LATENCY, PER_MINUTE)), ""
        asking = None
        try:
            if peer:
                version, asking = peer_of(peer, theirs.url, count, folder)
        except MissingError as why:
            print(f"{peer} is skipped: {why}", file=sys.stderr)
        came = {name: json.loads(process.communicate()[0]) for name, process in ours.items()}
        if asking:
            try:
                asking.wait(max(0.0, MOST_SECONDS - max(one["seconds"] for one in came.values())))
            except subprocess.TimeoutExpired:
                asking.kill()
                asking.wait()
        of_peer = seen(theirs.stats())
        for name, server in servers.items():
            tell(name, count, came[name], seen(server.stats()), (peer, version, of_peer))


def tell(
    kind: str,
    count: int,
    came: dict[str, Any],
    ours: dict[str, float],
    peer: tuple[str | None, str, dict[str, float]],
) -> None:
    """Print a line; without a peer, or where it asked another kind, the limit is compared with."""
    name, version, theirs = peer
    figure = came["verdicts"] / came["seconds"]
    against, more = PER_MINUTE / 60, {}
    if version and kind == next(iter(KINDS)):
        against = theirs["served"] / theirs["seconds"]
        more = {f"peer_{key}": value for key, value in theirs.items()}
    said = f"{name} {version}, adaptive connections" if more else "the limit: 10 requests a second"
    say(
        f"judging_limit:{kind}",
        figure=figure,
        unit="requests/s",
        peer=said,
        ratio=figure / against,
        lost=count - came["verdicts"],
        **ours,
        **more,
        versions=versions("openai", "aiohttp"),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--verdicts", type=int, default=1000)
    parser.add_argument("--peer", default="inspect-ai")
    parser.add_argument("--url", help="ask this one server, and say what came of it")
    given = parser.parse_args()
    if given.url:
        verdicts, seconds = asyncio.run(judged(given.url, given.verdicts))
        print(json.dumps({"verdicts": verdicts, "seconds": seconds}))
    else:
        main(given.verdicts, given.peer or None)
