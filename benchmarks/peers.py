"""Measures the same judgments through bakeoff and through other tools, one JSON line per tool.

    python benchmarks/peers.py [--job JOB] [--peer NAME] [--pairs 320]

`ratio` is above 1 where bakeoff is better. Each peer has its own virtual environment in the user's
cache, with the newest release that pip finds (a peer that cannot be installed is skipped with the
reason), and a driver in `harness/peers/` that documents its settings. All use the same server
(`harness/labeled_judge.py`), which replies after 0.2 s with the correct verdict of every pair.
Pairs are shown in both orders, with 64 requests in flight. Jobs:

- `plain`: no faults. Compares seconds.
- `limited`: half of the pairs; 50 requests a second, counted over 2 s, then 429 with Retry-After.
  Compares verdicts per second.
- `failing`: a quarter of the pairs; 12 get HTTP 500 or invalid JSON, the first time or always.
- `unreadable`: a quarter of the pairs; 12 get text without a verdict, the first time or always.
  Both compare the number of verdicts; `ours` and `theirs` hold the outcome of the other judgments.

Where a peer returns no verdict, the ratio is computed as if it had returned one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.labeled_judge import LabeledJudgeServer
from harness.results import print_result

from bakeoff.storage.files import cache_dir

HERE = Path(__file__).parent
IN_FLIGHT, LATENCY, MOST_SECONDS = 64, 0.2, 120.0
# Distributions that are installed for each peer.
PEERS = {
    "openai": ["openai"],
    "inspect-ai": ["inspect-ai", "openai"],
    "alpaca-eval": ["alpaca-eval"],
    "deepeval": ["deepeval"],
    "evalproof": ["evalproof"],
    "judgearena": ["judgearena"],
    "evalscope": ["evalscope[general-arena]"],
}
# Python versions that peers need, where this package needs an older one.
NEWER_PYTHONS = {"judgearena": (3, 12)}
# No user settings, API keys or telemetry, and no files in the user's folders.
QUIET = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}


@dataclass(frozen=True)
class Job:
    """The server's faults and limits in a job, and the share of the pairs that it judges."""

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


class PeerUnavailableError(Exception):
    """A peer cannot be measured; the message is the reason."""


def main(jobs: list[str], peers: list[str], pairs: int) -> None:
    """Run the jobs, and print a line for each peer."""
    pythons = {}
    for peer in peers:
        try:
            pythons[peer] = peer_environment(peer)
        except PeerUnavailableError as why:
            print(f"{peer} is skipped: {why}", file=sys.stderr)
    for job in jobs:
        count = int(pairs * JOBS[job].share)
        ours = run_peer("bakeoff", Path(sys.executable), job, count)
        if ours["stopped"]:
            raise SystemExit(f"bakeoff stopped in {job}: {ours['stopped']}")
        for peer, python in pythons.items():
            try:
                print_comparison(job, ours, peer, run_peer(peer, python, job, count))
            except PeerUnavailableError as why:
                print(f"{peer} is skipped in {job}: {why}", file=sys.stderr)


def peer_environment(peer: str) -> Path:
    """Create or update a peer's environment; returns its Python.

    Raises PeerUnavailableError where pip cannot install it, or its Python is missing.
    """
    folder = cache_dir() / "peers" / peer
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([peer_python(peer), "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--upgrade", *PEERS[peer]], capture_output=True, text=True)
    complete = folder / "whole"
    if done.returncode == 0:
        complete.touch()
    elif not complete.exists():
        raise PeerUnavailableError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return python


def peer_python(peer: str) -> str:
    """The Python for a peer's environment: this one if it is new enough, else the newest on PATH.

    Raises PeerUnavailableError where there is none.
    """
    major, minor = NEWER_PYTHONS.get(peer, (3, 0))
    if sys.version_info >= (major, minor):
        return sys.executable
    for newer in range(minor + 8, minor - 1, -1):
        if python := shutil.which(f"python{major}.{newer}"):
            return python
    raise PeerUnavailableError(f"it needs Python {major}.{minor}")


def run_peer(peer: str, python: Path, job: str, pairs: int) -> dict[str, Any]:
    """Run a peer's driver; returns its outcome, with the counts of the server."""
    terms = JOBS[job]
    driver = HERE / "harness" / "peers" / f"with_{peer.replace('-', '_')}.py"
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    with (
        LabeledJudgeServer(LATENCY, pairs, terms.sorts, terms.limit, terms.window) as server,
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
            raise PeerUnavailableError(f"it took longer than {MOST_SECONDS:.0f} s") from None
        process_s = time.perf_counter() - started
        stats = server.stats()
    if done.returncode:
        raise PeerUnavailableError((done.stderr.strip().splitlines() or ["its driver failed"])[-1])
    return account_of(json.loads(done.stdout.splitlines()[-1]), stats, process_s)


def account_of(outcome: dict[str, Any], stats: dict[str, Any], process_s: float) -> dict[str, Any]:
    """Merge the driver's outcome with the server's counts, and add the cost per request."""
    refused = sum(row[1] for row in stats["rows"])
    requests = sum(map(sum, stats["rows"]))
    return {
        **outcome,
        "seconds": round(outcome["seconds"], 2),
        "process_s": round(process_s, 2),
        "cpu_ms_per_request": round(1000 * outcome["cpu_seconds"] / max(requests, 1), 2),
        "requests": requests,
        "requests_per_s": round(requests / outcome["seconds"], 1),
        "refused": refused,
        "most_in_flight": stats["most_in_flight"],
    }


def print_comparison(job: str, ours: dict[str, Any], peer: str, theirs: dict[str, Any]) -> None:
    """Print the line of a peer."""
    if job == "plain" and not theirs["missing"] + theirs["failed"]:
        figure, ratio = ours["seconds"], theirs["seconds"] / ours["seconds"]
    elif job == "limited":
        ours_s, theirs_s = (account["verdicts"] / account["seconds"] for account in (ours, theirs))
        figure, ratio = ours_s, ours_s / (theirs_s or 1)
    else:
        figure, ratio = ours["verdicts"], ours["verdicts"] / (theirs["verdicts"] or 1)
    print_result(
        f"peers:{job}:{peer}",
        figure=figure,
        unit=f"{JOBS[job].unit} ({ours['asked']} judgments)",
        peer=f"{peer} {theirs['version']}: {describe_outcome(theirs)}",
        ratio=ratio,
        ours=ours,
        theirs=theirs,
    )


def describe_outcome(account: dict[str, Any]) -> str:
    """The outcome of a peer's judgments, in one line."""
    words = [f"{account['seconds']} s", f"{account['cpu_ms_per_request']} ms CPU a request"]
    lost = [(account[kind], kind) for kind in ("wrong", "ties", "failed", "missing")]
    words += [f"{count} {kind}" for count, kind in lost if count]
    return ", ".join(words + (["stopped by an error"] if account["stopped"] else []))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", action="append", choices=list(JOBS))
    parser.add_argument("--peer", action="append", choices=list(PEERS))
    parser.add_argument("--pairs", type=int, default=320)
    arguments = parser.parse_args()
    main(arguments.job or list(JOBS), arguments.peer or list(PEERS), arguments.pairs)
