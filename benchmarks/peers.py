"""The same judgments through bakeoff and through what people use instead: a JSON line each.

    python benchmarks/peers.py [--job JOB] [--peer NAME] [--pairs 320]

Every peer has a virtual environment of its own in the user's cache, with the newest release that
pip finds (a peer that cannot be installed is skipped, with the reason), and a driver in
`measuring/peers/` that says how it is set up. All ask the same server (`measuring/knowing.py`),
which takes 0.2 s for a reply and knows the better one of every pair. Pairs are shown in both
orders, 64 requests are in flight. Jobs:

- `plain`: nothing fails. Compared are seconds.
- `limited`: half the pairs; 50 requests a second, counted over 2 s, then 429 with Retry-After.
  Compared are verdicts a second.
- `failing`: a quarter of the pairs; 12 get HTTP 500 or no JSON, the first time or every time.
- `unreadable`: a quarter of the pairs; 12 get words that are no verdict, once or every time.
  Compared in both are the verdicts that came back; `ours` and `theirs` say what became of the rest.

Where a peer brought none, the ratio is that to one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.knowing import Knowing
from measuring.line import say

from bakeoff.storage.files import cache_dir

HERE = Path(__file__).parent
IN_FLIGHT, LATENCY, MOST_SECONDS = 64, 0.2, 120.0
# What is installed for each; the name is the distribution's.
PEERS = {
    "openai": ["openai"],
    "inspect-ai": ["inspect-ai", "openai"],
    "alpaca-eval": ["alpaca-eval"],
    "deepeval": ["deepeval"],
}
# Nobody's habits, keys, settings or statistics, and nothing of theirs in the user's folders.
QUIET = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}


@dataclass(frozen=True)
class Job:
    """What the server does to those who ask, and how many of the pairs are judged."""

    unit: str
    share: float = 0.25
    sorts: tuple[str, ...] = ()
    limit: int | None = None
    window: float = 2.0


JOBS = {
    "plain": Job("s", share=1),
    "limited": Job("verdicts/s", share=0.5, limit=100),
    "failing": Job("verdicts", sorts=("status", "body")),
    "unreadable": Job("verdicts", sorts=("verdict",)),
}


class MissingError(Exception):
    """A peer that cannot be measured here, and why."""


def main(jobs: list[str], peers: list[str], pairs: int) -> None:
    """Run the jobs, and print a line for each peer."""
    pythons = {}
    for peer in peers:
        try:
            pythons[peer] = environment(peer)
        except MissingError as why:
            print(f"{peer} is skipped: {why}", file=sys.stderr)
    for job in jobs:
        count = int(pairs * JOBS[job].share)
        ours = measured("bakeoff", Path(sys.executable), job, count)
        if ours["stopped"]:
            raise SystemExit(f"bakeoff stopped in {job}: {ours['stopped']}")
        for peer, python in pythons.items():
            try:
                compared(job, ours, peer, measured(peer, python, job, count))
            except MissingError as why:
                print(f"{peer} is skipped in {job}: {why}", file=sys.stderr)


def environment(peer: str) -> Path:
    """The Python of a peer's own environment, brought up to date; MissingError without one."""
    folder = cache_dir() / "peers" / peer
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--upgrade", *PEERS[peer]], capture_output=True, text=True)
    whole = folder / "whole"
    if done.returncode == 0:
        whole.touch()
    elif not whole.exists():
        raise MissingError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return python


def measured(peer: str, python: Path, job: str, pairs: int) -> dict[str, Any]:
    """What a driver says, and what the server saw."""
    terms = JOBS[job]
    driver = HERE / "measuring" / "peers" / f"with_{peer.replace('-', '_')}.py"
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    with (
        Knowing(LATENCY, pairs, terms.sorts, terms.limit, terms.window) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        started = time.perf_counter()
        try:
            done = subprocess.run(
                [str(python), str(driver), server.url, str(pairs), str(IN_FLIGHT), job, folder],
                cwd=folder,
                env={**kept, **QUIET, "HOME": folder, "BAKEOFF_CACHE": str(cache_dir())},
                capture_output=True,
                text=True,
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise MissingError(f"it took longer than {MOST_SECONDS:.0f} s") from None
        process_s = time.perf_counter() - started
        seen = server.stats()
    if done.returncode:
        raise MissingError((done.stderr.strip().splitlines() or ["its driver failed"])[-1])
    return told(json.loads(done.stdout.splitlines()[-1]), seen, process_s)


def told(said: dict[str, Any], seen: dict[str, Any], process_s: float) -> dict[str, Any]:
    """One account: what the driver said, per request that the server saw."""
    refused = sum(row[1] for row in seen["rows"])
    requests = sum(map(sum, seen["rows"]))
    return {
        **said,
        "seconds": round(said["seconds"], 2),
        "process_s": round(process_s, 2),
        "cpu_ms_per_request": round(1000 * said["cpu_seconds"] / max(requests, 1), 2),
        "requests": requests,
        "requests_per_s": round(requests / said["seconds"], 1),
        "refused": refused,
        "most_in_flight": seen["most_in_flight"],
    }


def compared(job: str, ours: dict[str, Any], peer: str, theirs: dict[str, Any]) -> None:
    """Print the line of a peer."""
    if job == "plain" and not theirs["missing"] + theirs["failed"]:
        figure, ratio = ours["seconds"], theirs["seconds"] / ours["seconds"]
    elif job == "limited":
        ours_s, theirs_s = (one["verdicts"] / one["seconds"] for one in (ours, theirs))
        figure, ratio = ours_s, ours_s / (theirs_s or 1)
    else:
        figure, ratio = ours["verdicts"], ours["verdicts"] / (theirs["verdicts"] or 1)
    say(
        f"peers:{job}:{peer}",
        figure=figure,
        unit=f"{JOBS[job].unit} ({ours['asked']} judgments)",
        peer=f"{peer} {theirs['version']}: {became(theirs)}",
        ratio=ratio,
        ours=ours,
        theirs=theirs,
    )


def became(account: dict[str, Any]) -> str:
    """What became of a peer's judgments, in a few words."""
    words = [f"{account['seconds']} s", f"{account['cpu_ms_per_request']} ms CPU a request"]
    lost = [(account[kind], kind) for kind in ("wrong", "ties", "failed", "missing")]
    words += [f"{count} {kind}" for count, kind in lost if count]
    return ", ".join(words + (["stopped by an error"] if account["stopped"] else []))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", action="append", choices=list(JOBS))
    parser.add_argument("--peer", action="append", choices=list(PEERS))
    parser.add_argument("--pairs", type=int, default=320)
    given = parser.parse_args()
    main(given.job or list(JOBS), given.peer or list(PEERS), given.pairs)
