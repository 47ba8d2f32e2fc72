"""A run that is killed or interrupted at any moment requests no stored work again, and ends with
the results of an undisturbed run. Real processes, a loopback server.
"""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bakeoff.testing import OpenAIServer, Reply, prefer_good
from tests.marks import long

PROMPTS, LANES = 16, 4
NEEDED = 4 * PROMPTS  # two completions, and a verdict in each order
EARLY = (-signal.SIGINT, -signal.SIGTERM)  # before the signal handler is installed


def slow(delay: float) -> OpenAIServer:
    def respond(body: dict[str, Any]) -> Reply:
        said = prefer_good(body)
        return Reply(body=OpenAIServer.wrap_text(said), delay=delay)

    return OpenAIServer(respond)


def command(server: OpenAIServer, prompts: str = "starter") -> list[str]:
    at = f"?base_url={server.url}"
    words = [sys.executable, "-m", "bakeoff", "run", "--prompts", prompts]
    words += ["--limit", str(PROMPTS), "--max-concurrency", str(LANES), "--show-samples", "0"]
    words += ["--model", f"good=api:good{at}", "--model", f"bad=api:bad{at}"]
    return [*words, "--judge", f"judge=api:judge{at}"]


class Held:
    """A brain that holds back all replies from the `after`th on until `go` is set."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.go = threading.Event()
        self.reached = threading.Event()  # whether one was held back
        self._asked = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self._asked += 1
        reply = Reply(body=OpenAIServer.wrap_text(prefer_good(body)))
        if self._asked >= self.after:
            reply.until = self.go.is_set
            self.reached.set()
        return reply


@contextmanager
def started(server: OpenAIServer, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command(server), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def whole(server: OpenAIServer, folder: Path) -> None:
    """Run to the end."""
    with started(server, folder) as process:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors


def document(folder: Path, server: OpenAIServer) -> str:
    """Return the results without time and usage of the run."""
    found = json.loads((folder / "results/results.json").read_text())
    for name in ("started", "seconds"):
        del found["environment"][name]
    del found["run_usage"]
    return json.dumps(found).replace(server.url, "the server")


def kept(folder: Path) -> int:
    """Return the number of records in the store."""
    path = folder / ".bakeoff/store.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as db:
        try:
            (count,) = db.execute("SELECT count(*) FROM records").fetchone()
        except sqlite3.OperationalError:  # the store has no table yet
            count = 0
    db.close()
    return int(count)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("seed", "kills"), [(0, 1), *long([(seed, 50) for seed in range(1, 5)])])
def test_killed_run_resumes_to_the_same_results(tmp_path: Path, seed: int, kills: int) -> None:
    """After each SIGKILL only what the store lacks is requested; lost replies were in flight."""
    chance = random.Random(seed)
    with slow(0.15) as server:
        begun = time.monotonic()
        whole(server, tmp_path / "undisturbed")
        takes = time.monotonic() - begun
        expected = document(tmp_path / "undisturbed", server)
        assert len(server.requests) == NEEDED
        for trial in range(kills):  # reuse a folder until its run is complete
            folder = tmp_path / str(trial)
            killed = 0
            while killed < kills:
                before = kept(folder)
                server.requests.clear()
                with started(server, folder) as process:
                    try:
                        process.wait(timeout=chance.uniform(0, 1.1 * takes))
                        assert process.returncode == 0
                        through = True
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                        through, killed = False, killed + 1
                server.wait_disconnected()
                asked, new = len(server.requests), kept(folder) - before
                assert asked <= NEEDED - before
                assert asked - new <= (0 if through else 2 * LANES)
                if through:
                    break
            kills -= killed
            whole(server, folder)
            assert kept(folder) == NEEDED
            assert document(folder, server) == expected
            if kills <= 0:
                break


def until_finishing(process: "subprocess.Popen[str]") -> str:
    """The lines on stderr up to the one that acknowledges a signal."""
    assert process.stderr
    said = ""
    while "finishing what is under way" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("which", "seed", "stops"),
    [
        (signal.SIGINT, 0, 1),
        *long([(which, 1, 20) for which in (signal.SIGINT, signal.SIGTERM)]),
    ],
)
def test_first_interrupt_finishes_requests_in_flight(
    tmp_path: Path, which: signal.Signals, seed: int, stops: int
) -> None:
    chance = random.Random(seed)
    with OpenAIServer() as server:
        for trial in range(stops):
            folder = tmp_path / str(trial)
            server.requests.clear()
            wanted = chance.randrange(1, NEEDED - LANES)
            server.respond = held = Held(wanted)
            with started(server, folder) as process:
                assert held.reached.wait(60)
                process.send_signal(which)
                said = until_finishing(process)
                held.go.set()
                assert process.stderr
                errors = said + process.stderr.read()
                process.wait(60)
            server.wait_disconnected()
            asked = len(server.requests)
            assert process.returncode == 130, errors
            assert errors.rstrip().endswith(
                "interrupted; what was done is kept: the same command goes on"
            )
            assert "Traceback" not in errors
            assert asked < wanted + LANES  # no new request was started
            assert kept(folder) == asked  # and no started request is lost
            assert not (folder / "results/results.json").exists()
            whole(server, folder)
            assert len(server.requests) == NEEDED


@pytest.mark.parametrize("which", [signal.SIGINT, *long([signal.SIGTERM])])
def test_second_interrupt_ends_at_once_and_keeps_replies(
    tmp_path: Path, which: signal.Signals
) -> None:
    held = Held(1)  # a process that waits for a reply does not end
    with OpenAIServer(held) as server, started(server, tmp_path) as process:
        assert held.reached.wait(60)
        process.send_signal(which)
        until_finishing(process)
        process.send_signal(which)
        assert process.stderr
        errors = process.stderr.read()
        process.wait(60)
        assert server.in_flight == len(server.requests)  # nothing was replied to
    assert process.returncode == 130
    assert "interrupted; what was done is kept" in errors
    assert "Traceback" not in errors


@pytest.mark.long
def test_interrupt_before_the_first_request_ends_at_once(tmp_path: Path) -> None:
    """At any moment of the start, the run ends without waiting and without damage."""
    with slow(0.05) as server:
        for delay in (0.05, 0.3, 0.6, 0.9):
            with started(server, tmp_path) as process:
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
                assert process.returncode in (130, *EARLY, 0)
        whole(server, tmp_path)
    assert (tmp_path / "results/results.json").exists()


def test_interrupt_does_not_wait_for_the_hub(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, slow(0) as server:
        silent.settimeout(60)
        hub = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        env.pop("HF_HUB_OFFLINE", None)
        words = command(server, "ultrachat")
        with subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            over = threading.Event()
            dripping = threading.Thread(target=drip, args=(connection, over))
            dripping.start()
            try:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=100)
            finally:
                process.kill()
                over.set()
                dripping.join()
    assert process.returncode == 130


def drip(connection: socket.socket, over: threading.Event) -> None:
    """Send a reply without an end: a client that waits for it has no timeout."""
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.2):
            connection.sendall(b"x")


class Revoked:
    """A brain whose key is revoked after `after` replies, and not before a reply of each model has
    been read: a key that is refused at first is another error.
    """

    def __init__(self, after: int) -> None:
        self.after = after
        self.served: Counter[str] = Counter()  # replies by model
        self.refused = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        # One of more requests than there are lanes was sent because a reply had been read.
        known = len(self.served) == 3 and min(self.served.values()) > LANES
        if self.served.total() < self.after or not known:
            self.served[body["model"]] += 1
            return prefer_good(body)
        self.refused += 1
        error = {"message": "This key was revoked.", "code": "invalid_api_key"}
        return Reply(status=401, body={"error": error})


def test_revoked_key_stops_the_run_and_keeps_outcomes(tmp_path: Path) -> None:
    respond = Revoked(NEEDED // 2)
    with OpenAIServer(respond) as server, started(server, tmp_path) as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 3
        lines = [line for line in errors.splitlines() if "revoked" in line]
        assert len(lines) == 1
        assert lines[0].startswith("bakeoff: stopped: '")
        assert lines[0].endswith("what was done is kept, and the same command goes on")
        assert respond.refused <= 3 * LANES  # requests in flight
        assert kept(tmp_path) == respond.served.total()
        found = json.loads((tmp_path / "results/results.json").read_text())
        tally = found["summary"]["pairs"][0]["accounting"]
        assert tally["asked"] == tally["judged"] + tally["failed"] == 2 * PROMPTS
        respond.after = 2 * NEEDED
        server.requests.clear()
        left = NEEDED - respond.served.total()
        whole(server, tmp_path)
        assert len(server.requests) == left
