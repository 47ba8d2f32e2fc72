"""A chat-completions server that costs its client's machine as little as it can, in a process of
its own: replies after a fixed time, refuses above a rate, and counts.

    with Loopback(latency=0.2) as server:  # in the benchmark
        server.url, server.stats()

It answers every request with the same body, so it measures clients and nothing else. A request that
holds `winner` is a judge's, and is answered with a verdict.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

VERDICT = json.dumps({"explanation": "Shorter.", "score_a": 7, "score_b": 4, "winner": "A"})


def _body(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "loopback",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 400, "completion_tokens": 30, "total_tokens": 430},
        }
    ).encode()


def _reply(status: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


VERDICTS = _reply("200 OK", _body(VERDICT))
TEXTS = _reply("200 OK", _body("A completion of a few words, as they come."))


class Counts:
    """What the server saw; `limit` is requests in any window of `window` seconds, None: no limit.

    Every second has its own row: [served, refused].
    """

    def __init__(self, limit: int | None, window: float) -> None:
        self.limit, self.window = limit, window
        self.began: float | None = None
        self.recent: deque[float] = deque()
        self.rows: list[list[int]] = []
        self.now = self.most = 0

    def take(self) -> float:
        """Count one request; 0.0 where it is served, else the seconds after which to come again."""
        now = time.monotonic()
        self.began = self.began or now
        while self.recent and self.recent[0] <= now - self.window:
            self.recent.popleft()
        refused = self.limit is not None and len(self.recent) >= self.limit
        second = int(now - self.began)
        self.rows += [[0, 0] for _ in range(second + 1 - len(self.rows))]
        self.rows[second][refused] += 1
        if refused:
            return self.recent[0] + self.window - now
        self.recent.append(now)
        return 0.0


class Chat(asyncio.Protocol):
    """One connection: requests are answered in the order in which they come."""

    def __init__(self, counts: Counts, latency: float) -> None:
        self.counts, self.latency = counts, latency
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.way: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            head = self.held[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.held) < end + 4 + length:
                return
            body, self.held = self.held[end + 4 : end + 4 + length], self.held[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            counts = self.counts
            found = {"rows": counts.rows, "most_in_flight": counts.most}
            self.way.write(_reply("200 OK", json.dumps(found).encode()))
            return
        if wait := self.counts.take():
            error = json.dumps({"error": {"message": "Rate limit", "type": "rate_limit"}}).encode()
            self.way.write(_reply("429 Too Many", error, f"retry-after: {wait:.3f}\r\n"))
            return
        self.counts.now += 1
        self.counts.most = max(self.counts.most, self.counts.now)
        reply = VERDICTS if b"winner" in body else TEXTS
        asyncio.get_running_loop().call_later(self.latency, self._send, reply)

    def _send(self, reply: bytes) -> None:
        self.counts.now -= 1
        if not self.way.is_closing():
            self.way.write(reply)


async def _serve(latency: float, limit: int | None, window: float) -> None:
    counts = Counts(limit, window)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Chat(counts, latency), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Loopback:
    """The server in a process of its own: `latency` in seconds, `limit` requests per `window` s."""

    def __init__(
        self, latency: float = 0.0, limit: int | None = None, window: float = 60.0
    ) -> None:
        arguments = [f"--latency={latency}", f"--window={window}"]
        arguments += [f"--limit={limit}"] if limit else []
        self._command = [sys.executable, str(Path(__file__).resolve()), *arguments]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def stats(self) -> dict[str, Any]:
        """What it saw so far: `rows` of [served, refused] by second, `most_in_flight`."""
        with urllib.request.urlopen(self.url + "/stats") as reply:
            found: dict[str, Any] = json.load(reply)
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--window", type=float, default=60.0)
    given = parser.parse_args()
    asyncio.run(_serve(given.latency, given.limit, given.window))
