"""A loopback server with OpenAI's chat completions API, and replies for models and judges.

The server runs in a thread, so that async code, threads and subprocesses can be its clients.
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
from hashlib import sha256
from typing import Any, Self

_TIMEOUT = 60.0  # seconds for the server to start and to stop
_MAX_WAIT = 100.0  # seconds that a reply waits for its condition

_WORDS = (
    *("river", "engine", "garden", "tide", "contract", "recipe", "camera", "vaccine"),
    *("budget", "moon", "teacher", "harbor", "winter", "glass", "paper", "market"),
)


@dataclass
class Reply:
    """Any HTTP reply."""

    status: int = 200
    body: Any = None
    """Sent as JSON; bytes are sent as they are."""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds to wait before it is sent."""
    until: Callable[[], bool] = lambda: True
    """Condition to wait for before it is sent, at most 100 seconds."""
    hangs_up: bool = False
    """Close the connection after the reply, like a server that exits."""


Responder = Callable[[dict[str, Any]], Any]
"""Maps the body of a request to a text, a whole chat completion, or a Reply."""


def chat_completion(text: str | None, **choice: Any) -> dict[str, Any]:
    """Return a chat completion with one choice, of 3 tokens in and 5 out."""
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "loopback",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, **choice}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    }


def verdict_json(winner: str, a: float = 5, b: float = 5, explanation: str = "Because.") -> str:
    """Return the reply of a judge; `winner` is `A`, `B` or `tie`, scores are from 0 to 10."""
    verdict = {"explanation": explanation, "score_a": a, "score_b": b, "winner": winner}
    return json.dumps(verdict)


def shown_completions(body: dict[str, Any]) -> tuple[str, str]:
    """Return the completions A and B in the body of a judge's request.

    Raises ValueError if the request does not use a built-in template for two completions.
    """
    text = body["messages"][0]["content"]
    delimiter = re.search(r"^=+ \w+$", text, re.MULTILINE)
    if delimiter is None:
        raise ValueError(f"not a judge's request: {text}")
    parts = text.split(delimiter.group())
    return parts[-4].strip(), parts[-2].strip()


def completion_of(model: str, prompt: str) -> str:
    """Return the completion of a model by `prefer_good`."""
    digest = sha256(f"{model} {prompt}".encode()).digest()
    words = " ".join(_WORDS[byte % len(_WORDS)] for byte in digest[:12])
    return f"This is {model} on: {prompt} {words}"


def prefer_good(body: dict[str, Any]) -> str:
    """Respond like models that repeat their name and the prompt, and like a judge.

    A completion ends with some words that the model and the prompt determine, since completions
    that only repeat the prompt are placeholders. The judge prefers the completion that contains
    `good`. This is the default responder.
    """
    if "winner" not in body["messages"][0]["content"]:
        return completion_of(body["model"], body["messages"][-1]["content"])
    a, b = ("good" in text for text in shown_completions(body))
    if a == b:
        return verdict_json("tie")
    return verdict_json("A", 8, 3) if a else verdict_json("B", 3, 8)


@contextmanager
def refused_url() -> Iterator[str]:
    """Yield a URL with a port that refuses connections while the body runs."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"


class OpenAIServer:
    """Context manager: a server at `url`, for specs like `api:NAME?base_url={server.url}`.

    It answers any path, and counts requests and connections.
    """

    wrap_text = staticmethod(chat_completion)
    """Returns the body of a reply with this text."""

    def __init__(self, respond: Responder = prefer_good) -> None:
        self.respond = respond
        """Called with each request; may be replaced at any time."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests so far."""
        self.raw: list[bytes] = []
        """Requests so far with their headers."""
        self.in_flight = 0
        """Number of requests without a reply."""
        self.max_in_flight = 0
        """Highest value of `in_flight`."""
        self._tls: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], socket.socket] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        self._run(self._listen(listening))
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT)

    # `asyncio.start_server` accepts a connection in several steps of the loop. One that is between
    # two steps when the server closes is lost, and its client waits until its timeout. Here every
    # accepted connection is registered at once.

    async def _listen(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self._socket = listening
        self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client is gone
        connection.setblocking(False)
        task = self._loop.create_task(self._handle(connection))
        self._connections[task] = connection
        task.add_done_callback(lambda task: self._connections.pop(task).close())

    def wait_disconnected(self) -> None:
        """Wait until all clients have closed their connections.

        Afterwards, requests of a killed process that were in socket buffers are counted too.
        """
        self._run(self._wait_disconnected())

    async def _wait_disconnected(self) -> None:
        await asyncio.gather(*self._connections, return_exceptions=True)

    def refuse_connections(self) -> None:
        """Refuse connections from now on. To be called by a responder, on the server's loop."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def _stop(self) -> None:
        """Refuse connections and close the open ones."""
        self.refuse_connections()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _handle(self, connection: socket.socket) -> None:
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
            with suppress(asyncio.IncompleteReadError, OSError):  # the client is gone
                await self._serve(reader, writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        finally:
            transport.abort()  # no effect if it is closed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reply to the requests of one connection until either side closes it."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length.group(1)) if length else 0)
            self.raw.append(head + body)
            await self._reply(json.loads(body), writer)

    async def _reply(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.requests.append(body)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        response = self.respond(body)
        if isinstance(response, str):
            response = self.wrap_text(response)
        reply = response if isinstance(response, Reply) else Reply(body=response)
        await asyncio.sleep(reply.delay)
        waited = 0.0
        while not reply.until() and waited < _MAX_WAIT:
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
