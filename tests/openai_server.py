"""A real server on loopback that speaks the OpenAI chat format, with faults on demand.

Runs in a thread of its own, so that async code, threads and subprocesses can all be its clients.
A `brain` maps a request's body to a reply: the text of a completion, a whole chat completion, or
a Reply with any status and body.
"""

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """Any HTTP reply: a dict body is sent as JSON, bytes as they are.

    It is sent after `delay` seconds; with `until`, as soon as that holds, or after 100 seconds.
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


@contextmanager
def nothing_listens() -> Iterator[str]:
    """The URL of a port at which nothing listens; it stays reserved while the body runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


class OpenAIServer:
    """`with OpenAIServer(brain) as server:` then `server.url`, `server.requests`."""

    says = staticmethod(chat)  # the body that holds a text

    def __init__(self, brain: Brain = contest) -> None:
        self.brain = brain
        self.requests: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._tls: ssl.SSLContext | None = None
        self._listening: socket.socket | None = None
        self._taken: dict[asyncio.Task[None], socket.socket] = {}  # the connections that are open
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "OpenAIServer":
        self._thread.start()
        self._do(self._listen(socket.create_server(("127.0.0.1", 0), backlog=1024)))
        assert self._listening
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    # `asyncio.start_server` takes a connection in several steps of the loop, and loses one that is
    # between two of them when it is closed: its client would wait until its timeout. Here every
    # connection that was accepted is known at once.

    async def _listen(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client went away
        connection.setblocking(False)
        task = self._loop.create_task(self._take(connection))
        self._taken[task] = connection
        task.add_done_callback(lambda task: self._taken.pop(task).close())

    def left(self) -> None:
        """Wait until all clients have closed their connections. Requests of a killed process that
        were still in socket buffers are counted then.
        """
        self._do(self._left())

    async def _left(self) -> None:
        await asyncio.gather(*self._taken, return_exceptions=True)

    def refuse(self) -> None:
        """Refuse connections from now on; for a brain, which runs on the server's loop."""
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    async def _stop(self) -> None:
        """Refuse connections, and end those that are open: no socket is left when it returns."""
        self.refuse()
        for task in self._taken:
            task.cancel()
        await asyncio.gather(*self._taken, return_exceptions=True)

    async def _take(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._tls
            )
        except OSError:
            return  # the client does not trust the certificate
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        try:
            with suppress(asyncio.IncompleteReadError, OSError):  # the client went away
                await self._serve(reader, writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        finally:
            transport.abort()  # does nothing where it is closed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reply to the requests of one connection until either side ends it."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length.group(1)) if length else 0)
            self.raw.append(head + body)
            await self._reply(json.loads(body), writer)

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
        while not reply.until() and waited < 100:
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
