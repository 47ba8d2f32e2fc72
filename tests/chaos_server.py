"""Loopback server with OpenAI's and Anthropic's formats that injects faults into its replies.

The fault of a request depends on its content and on the number of earlier requests with the same
content, not on time: a run meets the same faults in any order of its requests.
"""

import asyncio
import hashlib
import itertools
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bakeoff.testing import (
    OpenAIServer,
    Reply,
    anthropic_message,
    chat_completion,
    shown_completions,
    verdict_json,
)

Protocol = Literal["openai", "anthropic"]

STALL = 60.0  # seconds

# A self-signed certificate for localhost, valid for 100 years, with its private key.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkRBleC7daLAaeFX7
R0j6DL40LbG6ogRa2bz5ozBpENehRANCAASfgkMp8bsxo8J270MXSRWoFYLjDFTg
n6KaVsxn/oag71U2gJjZ5A4fD4qYiqUfnAnIWdSvZ73hYdh1VazRLdTz
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUc8o0rCVe42kuHMdTNaPlDDUSEbgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzE3NTUzMloYDzIxMjYxMTAz
MTc1NTMyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASfgkMp8bsxo8J270MXSRWoFYLjDFTgn6KaVsxn/oag71U2gJjZ5A4f
D4qYiqUfnAnIWdSvZ73hYdh1VazRLdTzo28wbTAdBgNVHQ4EFgQU302GrhLlk8Sk
//nccvw7fetUa4UwHwYDVR0jBBgwFoAU302GrhLlk8Sk//nccvw7fetUa4UwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAOigvCTtXVoQ4k8akAIb6s6yLxMxb6SxGVVLGPctRFWgAiEA
6mn8ZAQ/PrXRp06XrcFQAlEPsLL/P4p+HtJJgyBoPKY=
-----END CERTIFICATE-----
"""


@dataclass
class RawReply:
    """Bytes of a reply: `pieces`, with `pause` seconds after each, then `end` of the connection."""

    pieces: list[bytes]
    pause: float = 0.0
    end: Literal["reset", "half-closed", "closed", "on"] = "closed"


MakeReply = Callable[[Protocol, Any], Any]  # (protocol, correct reply) -> faulty reply


class Kind(NamedTuple):
    """A kind of fault: `passes` in a row are retried; more of them fail with kind `fails`."""

    make: MakeReply
    passes: int
    fails: str | None


class Fault(NamedTuple):
    """The fault that the first `times` requests of one item receive."""

    kind: str
    times: int


ALWAYS = 10**9


def refusal(status: int, **headers: str) -> MakeReply:
    error = {"type": "an_error", "message": f"It is {status} here"}

    def make(speaks: Protocol, _: Any) -> Reply:
        body: Any = {"error": error} if speaks == "openai" else {"type": "error", "error": error}
        return Reply(status, body, {key.replace("_", "-"): value for key, value in headers.items()})

    return make


def dated(speaks: Protocol, right: Any) -> Reply:
    now = time.time()
    dates = {"Date": formatdate(now, usegmt=True), "Retry_After": formatdate(now + 1, usegmt=True)}
    reply: Reply = refusal(429, **dates)(speaks, right)
    return reply


def page(status: int) -> MakeReply:
    html = f"<html><head><title>{status}</title></head><body>nginx</body></html>".encode()
    return lambda *_: Reply(status, html, {"Content-Type": "text/html"})


def sent(body: bytes, **headers: str) -> MakeReply:
    """A reply with this body instead of the API's JSON."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda *_: Reply(200, body, named)


def unexpected_shape(openai: Callable[[Any], Any], anthropic: Callable[[Any], Any]) -> MakeReply:
    """A reply with valid JSON of an unexpected shape."""
    return lambda speaks, right: Reply(
        body=(openai if speaks == "openai" else anthropic)(json.loads(json.dumps(right)))
    )


def http_reply(right: Any) -> tuple[bytes, bytes]:
    """The bytes of an HTTP reply: head and body."""
    body = json.dumps(right).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


def broken(
    end: Literal["reset", "half-closed", "closed"], *, head: bool, share: float
) -> MakeReply:
    """A reply whose connection ends before its body does."""

    def make(_: Protocol, right: Any) -> RawReply:
        first, body = http_reply(right)
        return RawReply([first + body[: int(len(body) * share)]] if head else [], end=end)

    return make


def slow(pause: float, *, share: float, size: int = 1) -> MakeReply:
    """A reply that sends a share of its bytes at once, and the rest in pieces with pauses."""

    def make(_: Protocol, right: Any) -> RawReply:
        text = b"".join(http_reply(right))
        at = int(len(text) * share)
        rest = [text[place : place + size] for place in range(at, len(text), size)]
        return RawReply([text[:at], *rest] if at else [b"", *rest], pause, "on")

    return make


def choices(*items: Any) -> Callable[[Any], Any]:
    return lambda right: {**right, "choices": list(items)}


def content(blocks: Any) -> Callable[[Any], Any]:
    return lambda right: {**right, "content": blocks}


def truncated(speaks: Protocol, right: Any) -> Any:
    """The reply of a model that stopped at its token limit."""
    if speaks == "anthropic":
        text = right["content"][0]["text"]
        return anthropic_message(text[: len(text) // 2], stop_reason="max_tokens")
    text = right["choices"][0]["message"]["content"]
    return chat_completion(text[: len(text) // 2], finish_reason="length")


def declined(speaks: Protocol, _: Any) -> Any:
    if speaks == "anthropic":
        return anthropic_message("I cannot judge this.", stop_reason="refusal")
    return chat_completion(None, message={"refusal": "I cannot judge this."})


def filtered(speaks: Protocol, _: Any) -> Any:
    if speaks == "anthropic":
        return anthropic_message(None, stop_reason="refusal")
    return chat_completion("", finish_reason="content_filter")


def other_model(_: Protocol, right: Any) -> Any:
    return {**right, "model": "somebody-else"}


BUSY = 3  # consecutive overload replies that a request survives
TRIES = 2  # consecutive other faults that it survives: half of `retries`

KINDS: dict[str, Kind] = {
    "429": Kind(refusal(429), BUSY, None),
    "429, seconds": Kind(refusal(429, Retry_After="1"), 1, None),
    "429, a date": Kind(dated, 1, None),
    "529": Kind(refusal(529), BUSY, None),
    "503, seconds": Kind(refusal(503, Retry_After="1"), 1, None),
    "500": Kind(refusal(500), TRIES, "backend"),
    "502": Kind(refusal(502), TRIES, "backend"),
    "503": Kind(refusal(503), TRIES, "backend"),
    "a proxy's 502": Kind(page(502), TRIES, "backend"),
    "a proxy's 504": Kind(page(504), TRIES, "backend"),
    "reset": Kind(broken("reset", head=False, share=0), TRIES, "backend"),
    "reset halfway": Kind(broken("reset", head=True, share=0.5), TRIES, "backend"),
    "half-closed": Kind(broken("half-closed", head=False, share=0), TRIES, "backend"),
    "half-closed after the head": Kind(broken("half-closed", head=True, share=0), TRIES, "backend"),
    "a body that stops": Kind(broken("closed", head=True, share=0.7), TRIES, "backend"),
    "no HTTP": Kind(lambda *_: RawReply([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]), TRIES, "backend"),
    "a slow head": Kind(slow(0.02, share=0, size=32), ALWAYS, None),
    "a stall": Kind(lambda *_: RawReply([b""], STALL), TRIES, "backend"),
    "a stall halfway": Kind(slow(STALL, share=0.5), TRIES, "backend"),
    "a trickle": Kind(slow(0.2, share=0.3), TRIES, "backend"),
    "gzip garbage": Kind(sent(b"\x1f\x8b\x08rubbish", Content_Encoding="gzip"), TRIES, "backend"),
    "invalid JSON": Kind(sent(b'{"id": "x", "choi'), 1, "unreadable"),
    "no UTF-8": Kind(sent(b'{"id": "\xff\xfe"}'), 1, "unreadable"),
    "a page": Kind(sent(b"<html>Hi</html>", Content_Type="text/html"), 1, "unreadable"),
    "nothing": Kind(sent(b""), 1, "unreadable"),
    "a list": Kind(sent(b"[]"), 1, "unreadable"),
    "a number": Kind(sent(b"7"), 1, "unreadable"),
    "null": Kind(sent(b"null"), 1, "unreadable"),
    "a text": Kind(sent(b'"a valid reply"'), 1, "unreadable"),
    "no field": Kind(sent(b"{}"), 1, "unreadable"),
    "an error in a 200": Kind(
        sent(b'{"error": {"message": "auth of the author does not exist"}}'), 1, "unreadable"
    ),
    "choices are a text": Kind(
        unexpected_shape(lambda right: {**right, "choices": "x"}, content("x")), 1, "unreadable"
    ),
    "a choice is null": Kind(unexpected_shape(choices(None), content([None])), 1, "unreadable"),
    "a choice is empty": Kind(unexpected_shape(choices({}), content([{}])), 1, "unreadable"),
    "a choice is a number": Kind(unexpected_shape(choices(7), content([7])), 1, "unreadable"),
    "no choice": Kind(unexpected_shape(choices(), content([])), 1, "unreadable"),
    "length": Kind(truncated, 1, "verdict"),
    "a content filter": Kind(filtered, 0, "refused"),
    "a refusal": Kind(declined, 0, "refused"),
    "another model's name": Kind(other_model, ALWAYS, None),
}

# An empty message is valid in Anthropic's format, but contains no verdict.
EMPTY = ("no choice", "a choice is empty")
# Temporary: they never become failures.
REFUSALS = ("429", "429, seconds", "429, a date", "529", "503, seconds")


def fails_as(kind: str, speaks: Protocol) -> str | None:
    """The failure kind of a permanent fault."""
    return "verdict" if speaks == "anthropic" and kind in EMPTY else KINDS[kind].fails


# Replies of the model itself.
ANSWERS = ("length", "a content filter", "a refusal", "another model's name")


def plan(
    items: Iterable[str],
    seed: int,
    share: float,
    *,
    permanent_share: float,
    kinds: Iterable[str] = KINDS,
) -> dict[str, Fault]:
    """Assign faults to a share of the items, each kind equally often.

    `permanent_share` is that of permanent faults among the kinds that can fail. Each overload reply
    is assigned to one item, once: the rate limiter slows down for minutes after it.
    """
    rng = random.Random(seed)
    shuffled = sorted(set(items))
    rng.shuffle(shuffled)
    all_kinds = list(kinds)
    repeated = [name for name in all_kinds if name not in REFUSALS]
    names = itertools.chain(all_kinds, itertools.cycle(repeated))
    faults: dict[str, Fault] = {}
    for item, name in zip(shuffled[: round(share * len(shuffled))], names, strict=False):
        kind = KINDS[name]
        permanent = kind.fails is not None and (rng.random() < permanent_share or not kind.passes)
        limit = 1 if name in REFUSALS else min(kind.passes, TRIES)
        faults[item] = Fault(name, ALWAYS if permanent else rng.randint(1, max(1, limit)))
    return faults


def text_of(turn: Any) -> str:
    """The text of a message whose content is a string or a list of blocks."""
    content = turn["content"]
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def item_of(body: Mapping[str, Any]) -> str:
    """Key of a request: the prompt, or the two texts of a judge request in their order."""
    first = text_of(body["messages"][0])
    if "winner" not in first:
        return f"{body['model']} on {first}"
    return " / ".join(shown_completions({"messages": [{"content": first}]}))


def pseudo_random_verdict(item: str) -> str:
    """A verdict on two texts that depends on a hash of them."""
    a, b = (byte % 11 for byte in hashlib.sha256(item.encode()).digest()[:2])
    return verdict_json("tie" if a == b else "A" if a > b else "B", a, b, f"Of {item}.")


def model_or_judge(body: Mapping[str, Any]) -> str:
    item = item_of(body)
    return (
        pseudo_random_verdict(item)
        if " / " in item
        else f"{item}: {hashlib.sha256(item.encode()).hexdigest()}"
    )


class ChaosServer(OpenAIServer):
    """`with ChaosServer(faults) as server:`; counts requests by item and faults by kind."""

    def __init__(self, faults: Mapping[str, Fault] = {}, certificate: Path | None = None) -> None:
        super().__init__()
        self.faults = faults
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self.reply_text: Callable[[Mapping[str, Any]], str] = model_or_judge
        self.request_counts: Counter[str] = Counter()  # requests by item
        self.fault_counts: Counter[str] = Counter()  # faults by kind
        self.pause = 0.0  # seconds until a reply
        self.outage: Outage | None = None
        self._held = socket.socket()  # reserves the port during an outage

    def __enter__(self) -> "ChaosServer":
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = self._held.getsockname()[1]
        self._thread.start()
        self._run(self._listen(self._port()))
        self.address = f"http{'s' * bool(self._tls)}://127.0.0.1:{self.port}"
        self.url = f"{self.address}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._held.close()

    def _port(self) -> socket.socket:
        """A socket that listens at the reserved port."""
        return socket.create_server(("127.0.0.1", self.port), backlog=1024, reuse_port=True)

    async def be_away(self, seconds: float) -> None:
        """Reset all connections and refuse new ones for `seconds`."""
        for connection in self._connections.values():
            _linger(connection)
        await self._stop()
        await asyncio.sleep(seconds)
        await self._listen(self._port())

    async def _reply(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        speaks: Protocol = "anthropic" if b"/messages " in self.raw.pop()[:99] else "openai"
        item = item_of(body)
        self.request_counts[item] += 1
        attempt = self.request_counts[item]
        fault = self.faults.get(item)
        if fault is not None and attempt > fault.times:
            fault = None
        if fault is not None:
            self.fault_counts[fault.kind] += 1  # before any await: an outage cancels this task
        if self.outage is not None and self.request_counts.total() == self.outage.after:
            self.outage.begin(self)
        await asyncio.sleep(self.pause)
        text = self.reply_text(body)
        right = anthropic_message(text) if speaks == "anthropic" else chat_completion(text)
        if fault is None:
            await self._send(Reply(body=right), writer)
            return
        await self._send(KINDS[fault.kind].make(speaks, right), writer)

    async def _send(self, reply: Any, writer: asyncio.StreamWriter) -> None:
        if isinstance(reply, RawReply):
            await _sent(reply, writer)
            return
        reply = reply if isinstance(reply, Reply) else Reply(body=reply)
        payload = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        lines = "".join(f"{k}: {v}\r\n" for k, v in (headers | reply.headers).items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode() + payload)
        await writer.drain()


async def _sent(raw_reply: RawReply, writer: asyncio.StreamWriter) -> None:
    for piece in raw_reply.pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(raw_reply.pause)
    if raw_reply.end == "on":
        return
    if raw_reply.end == "reset":
        await asyncio.sleep(0.01)  # lets the sent bytes arrive before the reset
        _reset(writer)
    elif raw_reply.end == "half-closed":
        writer.write_eof()
        await asyncio.sleep(5)
    raise ConnectionError


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a TCP reset."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        _linger(connection)
    writer.transport.abort()


def _linger(connection: Any) -> None:
    """Make a socket send a TCP reset when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Outage:
    """An outage of `seconds` that begins at request number `after`.

    The server counts the requests: on a busy machine another thread would read the number too late.
    The exit of the block fails if the outage never began.
    """

    def __init__(self, server: ChaosServer, after: int, seconds: float) -> None:
        self.server, self.after, self.seconds = server, after, seconds
        self._away: asyncio.Task[None] | None = None

    def __enter__(self) -> "Outage":
        self.server.outage = self
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.server.outage = None
        self.server._run(self._over())
        assert kind or self._away, "the outage never began"

    def begin(self, server: ChaosServer) -> None:
        """Start the outage. Called on the server's loop."""
        self._away = asyncio.get_running_loop().create_task(server.be_away(self.seconds))

    async def _over(self) -> None:
        if self._away is not None:
            self._away.cancel()  # no effect if the server is back
            await asyncio.gather(self._away, return_exceptions=True)


class Proxy:
    """`with Proxy(status) as proxy:` replies with `status` to every request for a tunnel."""

    def __init__(self, status: int) -> None:
        requests: list[str] = []
        self.requests = requests

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                requests.append(f"{self.command} {self.path}")
                body = b"<html>The proxy says no</html>"
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            do_POST = do_CONNECT  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(300)
