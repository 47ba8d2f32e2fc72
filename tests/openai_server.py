"""A real server on loopback that speaks the OpenAI chat format, with faults on demand.

Runs in a thread of its own, so that async code, threads and subprocesses can all be its clients.
A `brain` maps a request's body to a reply: the text of a completion, a whole chat completion, or
a Reply with any status and body.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """Any HTTP reply: a dict body is sent as JSON, bytes as they are.

    It is sent after `delay` seconds; with `until`, as soon as that holds, at the latest after 30 s.
    With `hangs_up` the connection ends behind it, as it does where a server dies.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    until: Callable[[], bool] = lambda: True
    hangs_up: bool = False


Brain = Callable[[dict[str, Any]], Any]


def chat(text: str | None, **choice: Any) -> dict[str, Any]:
    """A chat completion with one choice."""
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "loopback",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, **choice}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    }


def verdict(winner: str, a: float = 5, b: float = 5, why: str = "Because.") -> str:
    """What a judge writes."""
    return json.dumps({"explanation": why, "score_a": a, "score_b": b, "winner": winner})


def shown(body: dict[str, Any]) -> tuple[str, str]:
    """The two completions in a judge's request, in the order in which they stand there."""
    text = body["messages"][0]["content"]
    fence = re.search(r"^=+ \w+$", text, re.MULTILINE)
    assert fence, text
    parts = text.split(fence.group())
    return parts[-4].strip(), parts[-2].strip()


def contest(body: dict[str, Any]) -> str:
    """Models say their own name and the prompt; the judge prefers the one that says `good`."""
    if "winner" not in body["messages"][0]["content"]:
        return f"This is {body['model']} on: {body['messages'][-1]['content']}"
    a, b = ("good" in text for text in shown(body))
    if a == b:
        return verdict("tie")
    return verdict("A", 8, 3) if a else verdict("B", 3, 8)


class OpenAIServer:
    """`with OpenAIServer(brain) as server:` then `server.url`, `server.requests`."""

    says = staticmethod(chat)  # the body that holds a text

    def __init__(self, brain: Brain = contest) -> None:
        self.brain = brain
        self.requests: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "OpenAIServer":
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connected, "127.0.0.1", 0), self._loop
        )
        self._server = started.result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        await asyncio.sleep(0.02)  # a connection that is just being taken needs its server
        self._server.close()
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for writer in tuple(self._writers):  # of tasks that had not begun
            writer.close()
        await asyncio.sleep(0.01)  # a closed transport lets go of its socket a few steps later

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
                self.raw.append(head + body)
                await self._reply(json.loads(body), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _reply(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.requests.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        said = self.brain(body)
        if isinstance(said, str):
            said = self.says(said)
        reply = said if isinstance(said, Reply) else Reply(body=said)
        await asyncio.sleep(reply.delay)
        waited = 0.0
        while not reply.until() and waited < 30:
            await asyncio.sleep(0.01)
            waited += 0.01
        self.in_flight -= 1
        payload = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        lines = "".join(f"{k}: {v}\r\n" for k, v in (headers | reply.headers).items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode() + payload)
        await writer.drain()
        if reply.hangs_up:
            raise ConnectionError
