"""API keys and passwords in URLs are sent to their server only.

They are in no file, output or process list, whatever fails and whatever a server echoes.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bakeoff.testing import (
    AnthropicServer,
    OpenAIServer,
    Reply,
    anthropic_message,
    chat_completion,
    prefer_good,
    verdict_json,
)
from tests.in_process import Finished, run_command
from tests.marks import long

KEY = "sk-marker-5f1d0c2a9e7b"
PASSWORD = "pass-marker-77c1"
MARKERS = (KEY, PASSWORD)

Responder = Callable[[dict[str, Any]], Any]


def error_reply(status: int, **fields: Any) -> Responder:
    """Return a reply function whose errors contain the key."""
    body = {"error": {"message": f"Incorrect API key: Bearer {KEY}", "type": "x", "code": None}}
    return lambda _: Reply(status=status, body=body, **fields)


def after(count: int, then: Responder) -> Responder:
    """Return a reply function that answers `count` requests and then calls `then`."""
    left = iter(range(count))
    return lambda body: prefer_good(body) if next(left, None) is not None else then(body)


FAILURES: dict[str, Responder] = {
    "nothing": prefer_good,
    "the key is refused": error_reply(401),
    "the key is refused later": after(3, error_reply(401)),
    "there is no such model": error_reply(404),
    "too many requests": error_reply(429, headers={"x-should-retry": "false"}),
    "no credit": lambda _: Reply(
        status=429, body={"error": {"message": f"{KEY}: no", "code": "insufficient_quota"}}
    ),
    "it breaks": error_reply(500),
    "it refuses a parameter": lambda body: (
        Reply(status=400, body={"error": {"message": f"seed? {KEY}", "param": "seed"}})
        if "seed" in body
        else prefer_good(body)
    ),
    "the reply is no completion": lambda _: Reply(body={"you": KEY}),
    "the reply is no JSON": lambda _: Reply(body=f"<html>{KEY}</html>".encode()),
    "the connection ends": lambda _: Reply(body={}, hangs_up=True, headers={"X": KEY}),
    "the key is in what a model says": lambda body: (
        prefer_good(body)
        if "winner" in str(body)
        else chat_completion(f"<think>{KEY}</think>good {KEY}")
    ),
    "the key is in a verdict": lambda body: (
        verdict_json("A", 7, 3, f"It says {KEY}.") if "winner" in str(body) else prefer_good(body)
    ),
    "the key is in what is no verdict": lambda body: (
        f"I will not. {KEY}" if "winner" in str(body) else prefer_good(body)
    ),
    "the key is the name of the model": lambda body: chat_completion("good") | {"model": KEY},
}


FAST = ("the key is in what a model says",)


Call = Callable[..., Finished]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Fixture that runs the command in this process, with more variables in the environment."""

    def run(*words: str, **env: str) -> Finished:
        before = dict(os.environ)
        os.environ |= env
        try:
            return run_command(words, capfd)
        finally:
            os.environ.clear()
            os.environ |= before

    return run


def assert_nowhere(folder: Path, done: Finished) -> None:
    """Assert that no marker is in the output or in any file."""
    written = [path for path in folder.rglob("*") if path.is_file() and path.name != "keys.env"]
    for marker in MARKERS:
        for path in written:
            assert marker.encode() not in path.read_bytes(), path
        assert marker not in done.stdout + done.stderr


def run_arguments(server: OpenAIServer, *flags: str) -> list[str]:
    query = f"?base_url={server.url}&retries=1&timeout=5&api_key_env=MY_KEY"
    words = ["run", "--prompts", "starter", "--limit", "3", "--show-samples", "3"]
    words += ["--model", f"good=api:good{query}", "--model", f"bad=api:bad{query}"]
    return [*words, "--judge", f"judge=api:judge{query}", *flags]


@pytest.mark.parametrize("how", [*FAST, *long(sorted(FAILURES.keys() - set(FAST)))])
def test_key_is_in_no_output_whatever_fails(tmp_path: Path, call: Call, how: str) -> None:
    with OpenAIServer(FAILURES[how]) as server:
        done = call(*run_arguments(server, "--profile"), MY_KEY=KEY)
        assert any(KEY.encode() in raw for raw in server.raw)  # the server received the key
    assert "Traceback" not in done.stderr
    assert_nowhere(tmp_path, done)


@pytest.mark.parametrize("status", [200, *long([401, 500])])
def test_key_is_in_no_output_with_anthropic(tmp_path: Path, call: Call, status: int) -> None:
    body = {"type": "error", "error": {"type": "x", "message": f"x-api-key: {KEY}"}}
    respond = error_reply(status) if status == 500 else lambda _: Reply(status=status, body=body)
    if status == 200:
        respond = lambda _: anthropic_message(f"{KEY} " + verdict_json("A", 8, 2, KEY))  # noqa: E731
    with AnthropicServer(respond) as server:
        spec = f"anthropic:claude?base_url={server.address}&retries=0"
        words = ["run", "--model", "a=echo:a", "--model", "b=echo:b", "--judge", spec]
        words += ["--prompts", "starter", "--limit", "2"]
        done = call(*words, ANTHROPIC_API_KEY=KEY)
        assert server.requests
    assert "Traceback" not in done.stderr
    assert_nowhere(tmp_path, done)


@pytest.mark.parametrize(
    "base_url",
    [
        f"http://me:{PASSWORD}@127.0.0.1:many/v1",
        f"http://me:{PASSWORD}/x@127.0.0.1:1/v1",
        f"http%3A%2F%2Fme%3A{PASSWORD}%40127.0.0.1%3A1%2Fv1",
        *long(
            [
                f"http://me:{PASSWORD}@127.0.0.1:1/v1",
                f"ftp://me:{PASSWORD}@127.0.0.1:1",
                f"http://127.0.0.1:1/v1?api_key={PASSWORD}",
                f"http://me:{PASSWORD}@[::1/v1",
            ]
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", *long(["plan", "judge-check"])])
def test_password_of_a_url_is_in_no_output(
    tmp_path: Path, call: Call, base_url: str, command: str
) -> None:
    spec = f"m=api:m?base_url={base_url}"
    words = [command, "--judge", spec, "--limit", "2"]
    if command != "judge-check":
        words += ["--model", spec, "--model", "b=echo:b", "--prompts", "starter"]
    done = call(*words)
    assert_nowhere(tmp_path, done)
    assert len(done.stderr.splitlines()) <= 1 or done.returncode == 0


def test_env_file_does_not_override_the_environment(tmp_path: Path, call: Call) -> None:
    (tmp_path / "keys.env").write_text(f'# mine\nexport MY_KEY="{KEY}"\nOTHER=$MY_KEY\n')
    with OpenAIServer() as server:
        done = call(*run_arguments(server, "--env-file", "keys.env"))
        assert done.returncode == 0, done.stderr
        assert all(KEY.encode() in raw for raw in server.raw)
        assert_nowhere(tmp_path, done)
        server.raw.clear()
        again = run_arguments(server, "--env-file", "keys.env", "--seed", "2")
        done = call(*again, MY_KEY="another")
        assert server.raw
        assert not any(KEY.encode() in raw for raw in server.raw)
        missing = call(*run_arguments(server, "--env-file", "none.env"))
    assert missing.returncode == 2
    assert "cannot read the keys in 'none.env'" in missing.stderr


def test_key_is_not_in_the_process_list(tmp_path: Path) -> None:
    listed = threading.Event()
    reply = Reply(body=chat_completion("x"), until=listed.is_set)
    with OpenAIServer(lambda body: reply) as server:
        words = [sys.executable, "-m", "bakeoff", *run_arguments(server)]
        env = {**os.environ, "MY_KEY": KEY}
        with subprocess.Popen(
            words, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            try:
                while not server.requests:
                    assert running.poll() is None
                    time.sleep(0.01)
                lines = {}
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    with suppress(FileNotFoundError, ProcessLookupError):  # it has exited
                        lines[int(path.parent.name)] = path.read_bytes()
            finally:
                running.kill()
                listed.set()
    assert b"bakeoff" in lines[running.pid]
    assert not any(KEY.encode() in line for line in lines.values())


def test_command_in_the_results_has_no_password(tmp_path: Path, call: Call) -> None:
    with OpenAIServer() as server:
        with_password = f"http://me:{PASSWORD}@"
        words = [word.replace("http://", with_password) for word in run_arguments(server)]
        both = call(*words, MY_KEY=KEY)
        assert both.returncode == 2
        assert "a key and a password" in both.stderr
        words = [word.replace("&api_key_env=MY_KEY", "") for word in words]
        done = call(*words)
        assert done.returncode == 0, done.stderr
        sent = base64.b64encode(f"me:{PASSWORD}".encode())
        assert all(b"Basic " + sent in raw for raw in server.raw)
    assert_nowhere(tmp_path, done)
    config = json.loads((tmp_path / "results/results.json").read_text())["config"]
    assert config["model"][0].startswith("good=api:good?base_url=http://***@127.0.0.1:")
    assert config["env_file"] is None
