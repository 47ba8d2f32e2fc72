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


def slow_server(delay: float) -> OpenAIServer:
    def respond(body: dict[str, Any]) -> Reply:
        text = prefer_good(body)
        return Reply(body=OpenAIServer.wrap_text(text), delay=delay)

    return OpenAIServer(respond)


def command(server: OpenAIServer, prompts: str = "starter") -> list[str]:
    at = f"?base_url={server.url}"
    words = [sys.executable, "-m", "bakeoff", "run", "--prompts", prompts]
    words += ["--limit", str(PROMPTS), "--max-concurrency", str(LANES), "--show-samples", "0"]
    words += ["--model", f"good=api:good{at}", "--model", f"bad=api:bad{at}"]
    return [*words, "--judge", f"judge=api:judge{at}"]


class HoldingResponder:
    """Responder that holds all replies from request `threshold` on until `go` is set."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold
        self.go = threading.Event()
        self.reached = threading.Event()  # set once a reply is held
        self._asked = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self._asked += 1
        reply = Reply(body=OpenAIServer.wrap_text(prefer_good(body)))
        if self._asked >= self.threshold:
            reply.until = self.go.is_set
            self.reached.set()
        return reply


@contextmanager
def start(server: OpenAIServer, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command(server), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run_to_the_end(server: OpenAIServer, folder: Path) -> None:
    """Run to the end."""
    with start(server, folder) as process:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


def document(folder: Path, server: OpenAIServer) -> str:
    """Return the results without time and usage of the run."""
    results = json.loads((folder / "results/results.json").read_text())
    for name in ("started", "seconds"):
        del results["environment"][name]
    del results["run_usage"]
    return json.dumps(results).replace(server.url, "the server")


def stored_count(folder: Path) -> int:
    """Return the number of completions and verdicts in the store."""
    path = folder / ".bakeoff/store.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as db:
        try:
            (count,) = db.execute(
                "SELECT count(*) FROM records WHERE key NOT LIKE 'run:%'"
            ).fetchone()
        except sqlite3.OperationalError:  # the store has no table yet
            count = 0
    db.close()
    return int(count)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("seed", "kills"), [(0, 1), *long([(seed, 50) for seed in range(1, 5)])])
def test_killed_run_resumes_to_the_same_results(tmp_path: Path, seed: int, kills: int) -> None:
    """After each SIGKILL only what the store lacks is requested; lost replies were in flight."""
    chance = random.Random(seed)
    with slow_server(0.15) as server:
        begun = time.monotonic()
        run_to_the_end(server, tmp_path / "undisturbed")
        takes = time.monotonic() - begun
        expected = document(tmp_path / "undisturbed", server)
        assert len(server.requests) == NEEDED
        for trial in range(kills):  # reuse a folder until its run is complete
            folder = tmp_path / str(trial)
            killed = 0
            while killed < kills:
                before = stored_count(folder)
                server.requests.clear()
                with start(server, folder) as process:
                    try:
                        process.wait(timeout=chance.uniform(0, 1.1 * takes))
                        assert process.returncode == 0
                        through = True
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                        through, killed = False, killed + 1
                server.wait_disconnected()
                requested, new = len(server.requests), stored_count(folder) - before
                assert requested <= NEEDED - before
                assert requested - new <= (0 if through else 2 * LANES)
                if through:
                    break
            kills -= killed
            run_to_the_end(server, folder)
            assert stored_count(folder) == NEEDED
            assert document(folder, server) == expected
            if kills <= 0:
                break


def read_until_finishing(process: "subprocess.Popen[str]") -> str:
    """The lines on stderr up to the one that acknowledges a signal."""
    assert process.stderr
    lines = ""
    while "finishing what is under way" not in lines:
        line = process.stderr.readline()
        assert line, lines
        lines += line
    return lines


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
            threshold = chance.randrange(1, NEEDED - LANES)
            server.respond = responder = HoldingResponder(threshold)
            with start(server, folder) as process:
                assert responder.reached.wait(300)
                process.send_signal(which)
                lines = read_until_finishing(process)
                responder.go.set()
                assert process.stderr
                errors = lines + process.stderr.read()
                process.wait(300)
            server.wait_disconnected()
            requested = len(server.requests)
            assert process.returncode == 130, errors
            assert errors.rstrip().endswith(
                "interrupted; what was done is kept: the same command goes on"
            )
            assert "Traceback" not in errors
            assert requested < threshold + LANES  # no new request was started
            assert stored_count(folder) == requested  # and no started request is lost
            assert not (folder / "results/results.json").exists()
            run_to_the_end(server, folder)
            assert len(server.requests) == NEEDED


@pytest.mark.parametrize("which", [signal.SIGINT, *long([signal.SIGTERM])])
def test_second_interrupt_ends_at_once_and_keeps_replies(
    tmp_path: Path, which: signal.Signals
) -> None:
    responder = HoldingResponder(1)  # a process that waits for a reply does not end
    with OpenAIServer(responder) as server, start(server, tmp_path) as process:
        assert responder.reached.wait(300)
        process.send_signal(which)
        read_until_finishing(process)
        process.send_signal(which)
        assert process.stderr
        errors = process.stderr.read()
        process.wait(300)
        assert server.in_flight == len(server.requests)  # nothing was replied to
    assert process.returncode == 130
    assert "interrupted; what was done is kept" in errors
    assert "Traceback" not in errors


@pytest.mark.long
def test_interrupt_before_the_first_request_ends_at_once(tmp_path: Path) -> None:
    """At any moment of the start, the run ends without waiting and without damage."""
    with slow_server(0.05) as server:
        for delay in (0.05, 0.3, 0.6, 0.9):
            with start(server, tmp_path) as process:
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=300)
                assert process.returncode in (130, *EARLY, 0)
        run_to_the_end(server, tmp_path)
    assert (tmp_path / "results/results.json").exists()


def test_interrupt_does_not_wait_for_the_hub(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, slow_server(0) as server:
        silent.settimeout(60)
        hub = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        env.pop("HF_HUB_OFFLINE", None)
        words = command(server, "ultrachat")
        with subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            stopped = threading.Event()
            sender = threading.Thread(target=send_endless_reply, args=(connection, stopped))
            sender.start()
            try:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=300)
            finally:
                process.kill()
                stopped.set()
                sender.join()
    assert process.returncode == 130


def send_endless_reply(connection: socket.socket, stopped: threading.Event) -> None:
    """Send a reply without an end: a client that waits for it has no timeout."""
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not stopped.wait(0.2):
            connection.sendall(b"x")


class Revoked:
    """Responder that revokes the key after `replies` replies and at least one read reply per model:
    a key that is refused at once is another error.
    """

    def __init__(self, replies: int) -> None:
        self.replies_left = replies
        self.served: Counter[str] = Counter()  # replies by model
        self.refused = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        # More requests than lanes mean that a reply has been read.
        known = len(self.served) == 3 and min(self.served.values()) > LANES
        if self.served.total() < self.replies_left or not known:
            self.served[body["model"]] += 1
            return prefer_good(body)
        self.refused += 1
        error = {"message": "This key was revoked.", "code": "invalid_api_key"}
        return Reply(status=401, body={"error": error})


def test_revoked_key_stops_the_run_and_keeps_outcomes(tmp_path: Path) -> None:
    respond = Revoked(NEEDED // 2)
    with OpenAIServer(respond) as server, start(server, tmp_path) as process:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 3
        lines = [line for line in errors.splitlines() if "revoked" in line]
        assert len(lines) == 1
        assert lines[0].startswith("bakeoff: stopped: '")
        assert lines[0].endswith("what was done is kept, and the same command goes on")
        assert respond.refused <= 3 * LANES  # requests in flight
        assert stored_count(tmp_path) == respond.served.total()
        results = json.loads((tmp_path / "results/results.json").read_text())
        tally = results["summary"]["pairs"][0]["accounting"]
        assert tally["asked"] == tally["judged"] + tally["failed"] == 2 * PROMPTS
        respond.replies_left = 2 * NEEDED
        server.requests.clear()
        left = NEEDED - respond.served.total()
        run_to_the_end(server, tmp_path)
        assert len(server.requests) == left
