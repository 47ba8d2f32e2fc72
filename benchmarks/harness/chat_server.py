"""Chat-completions server with minimal CPU cost, in its own process.

    with ChatServer(latency=0.2) as server:  # in the benchmark
        server.url, server.stats()

It replies after a fixed time, refuses requests above a rate limit, and counts them. Every reply has
the same body, so a measurement covers the client only: a completion with `text`, or a verdict where
the request contains `winner`, as a judge's does.
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
TEXT = "A completion of a few words, as they come."


KINDS = ("sliding", "fixed", "bucket")


class RateLimitedLog:
    """Counts and rate limit of the server: `limit` requests per `window` seconds; None: no limit.

    A `sliding` limit holds for any such window, a `fixed` one for each window by the clock; a
    `bucket` holds `limit` tokens and refills evenly. `rows` has [served, refused] per second.
    """

    def __init__(self, limit: int | None, window: float, kind: str = "sliding") -> None:
        self.limit, self.window, self.kind = limit, window, kind
        self.began: float | None = None
        self.recent: deque[float] = deque()
        self.left, self.filled = float(limit or 0), 0.0
        self.rows: list[list[int]] = []
        self.now = self.most = 0

    def take(self) -> float:
        """Count one request; returns 0.0 if it is served, else the seconds until it would be."""
        now = time.monotonic()
        self.began = self.began or now
        wait = self._wait(now) if self.limit is not None else 0.0
        second = int(now - self.began)
        self.rows += [[0, 0] for _ in range(second + 1 - len(self.rows))]
        self.rows[second][wait > 0] += 1
        return wait

    def _wait(self, now: float) -> float:
        limit = self.limit or 0
        if self.kind == "bucket":
            rate = limit / self.window
            self.left = min(limit, self.left + (now - (self.filled or now)) * rate)
            self.filled = now
            if self.left < 1:
                return (1 - self.left) / rate
            self.left -= 1
            return 0.0
        opened = now - self.window if self.kind == "sliding" else now // self.window * self.window
        while self.recent and self.recent[0] <= opened:
            self.recent.popleft()
        if len(self.recent) >= limit:
            return (self.recent[0] if self.kind == "sliding" else opened) + self.window - now
        self.recent.append(now)
        return 0.0


class ChatProtocol(asyncio.Protocol):
    """A connection that answers requests in the order of their arrival."""

    def __init__(self, counts: RateLimitedLog, latency: float, completes: bytes) -> None:
        self.counts, self.latency, self.completes = counts, latency, completes
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self.way: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request in the buffer."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = (
                self.buffer[end + 4 : end + 4 + length],
                self.buffer[end + 4 + length :],
            )
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            counts = self.counts
            summary = {"rows": counts.rows, "most_in_flight": counts.most}
            self.way.write(_reply("200 OK", json.dumps(summary).encode()))
            return
        if wait := self.counts.take():
            error = json.dumps({"error": {"message": "Rate limit", "type": "rate_limit"}}).encode()
            self.way.write(_reply("429 Too Many", error, f"retry-after: {wait:.3f}\r\n"))
            return
        self.counts.now += 1
        self.counts.most = max(self.counts.most, self.counts.now)
        reply = VERDICTS if b"winner" in body else self.completes
        asyncio.get_running_loop().call_later(self.latency, self._send, reply)

    def _send(self, reply: bytes) -> None:
        self.counts.now -= 1
        if not self.way.is_closing():
            self.way.write(reply)


async def _serve(counts: RateLimitedLog, latency: float, text: str) -> None:
    completes = _reply("200 OK", _body(text))
    loop = asyncio.get_running_loop()

    def chat() -> ChatProtocol:
        return ChatProtocol(counts, latency, completes)

    server = await loop.create_server(chat, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class ChatServer:
    """The server in its own process: `latency` in seconds, `limit` requests per `window` seconds;
    `kind` is one of `KINDS`.
    """

    def __init__(
        self,
        latency: float = 0.0,
        limit: int | None = None,
        window: float = 60.0,
        text: str = TEXT,
        kind: str = "sliding",
    ) -> None:
        arguments = [f"--latency={latency}", f"--window={window}", f"--text={text}"]
        arguments += [f"--kind={kind}"]
        arguments += [f"--limit={limit}"] if limit else []
        self._command = [sys.executable, str(Path(__file__).resolve()), *arguments]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def stats(self) -> dict[str, Any]:
        """The counts so far: `rows` of [served, refused] per second, and `most_in_flight`."""
        with urllib.request.urlopen(self.url + "/stats") as reply:
            counts: dict[str, Any] = json.load(reply)
        return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--window", type=float, default=60.0)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--kind", choices=KINDS, default="sliding")
    arguments = parser.parse_args()
    counted = RateLimitedLog(arguments.limit, arguments.window, arguments.kind)
    asyncio.run(_serve(counted, arguments.latency, arguments.text))
