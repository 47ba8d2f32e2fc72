"""A page for the person at this machine: a loopback server that no other page or host can use.

Knows no page: it serves an app behind a token, and refuses whoever does not come from the app, asks
for too much or takes too long.
"""

import asyncio
import json
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import JsonValue

from bakeoff.errors import ConfigError

if TYPE_CHECKING:  # packages of an extra: loaded where something is served
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn import Server

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LARGEST = 64 << 10  # bytes of a request's head, and of its body
SLOWEST = 10.0  # seconds in which each of the two has to be here
_ONLY_ASKS = ("GET", "HEAD")
_PATIENCE = 2  # seconds that requests in flight have when the serving ends


def check_installed() -> None:
    """ConfigError where the packages that serve a page are not installed."""
    if not all(find_spec(package) for package in ("starlette", "uvicorn")):
        raise ConfigError("a page needs two packages more: pip install 'bakeoff[serve]'")


@asynccontextmanager
async def served(app: "ASGIApp", *, port: int = 0) -> AsyncIterator[str]:
    """Serve an app while the block runs; gives the address of the app's `/`.

    `port` 0 takes a free one. Answers only who asks for 127.0.0.1 or localhost by name (403, so
    that no other name can be pointed here), knows the token in the address (404), and, to change
    something, comes from the served page itself (403) with not more than it needs (413), in time
    (408). Who is silent or slow keeps nobody waiting, and is cut off. `HEADERS` are on every reply,
    where the app sets none of its own. ConfigError where the port is taken, or the packages are
    missing.
    """
    check_installed()
    listening = _listen(port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(16)
    server = _server(_guarded(app, token, port))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://{LOOPBACK}:{port}/{token}/"
    finally:
        server.should_exit = True
        await running


def json_reply(told: JsonValue, status: int = 200) -> "Response":
    """JSON in ASCII: what a model said may hold half a surrogate pair, which no UTF-8 can."""
    from starlette.responses import Response

    return Response(json.dumps(told), status, media_type="application/json")


def text_reply(
    text: str, kind: str = "text/html", *, status: int = 200, headers: dict[str, str] | None = None
) -> "Response":
    """A text of a kind; half a surrogate pair in it is shown by its number."""
    from starlette.responses import Response

    content = text.encode(errors="backslashreplace")
    return Response(content, status, headers=headers, media_type=kind)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot serve a page on port {port} ({error.strerror}): choose another port, or none "
            "for one that is free"
        ) from None
    return listening


def _server(app: "ASGIApp") -> "Server":
    """A server that leaves Ctrl-C to whoever runs the event loop, and prints nothing."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        """Closes a connection on which no request comes about, however it is spread over time."""

        ends: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.ends = self.loop.call_later(SLOWEST, transport.close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            asked = self.cycle is not None and not self.cycle.response_complete
            if asked and self.ends:
                self.ends.cancel()
                self.ends = None
            elif not asked and not self.ends:
                self.ends = self.loop.call_later(SLOWEST, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.ends:
                self.ends.cancel()

    class Quiet(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Quiet(
        uvicorn.Config(
            app,
            http=Impatient,
            h11_max_incomplete_event_size=LARGEST,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # what is wrong is told here, fit for a terminal
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_PATIENCE,
        )
    )


def _guarded(app: "ASGIApp", token: str, port: int) -> "ASGIApp":
    from h11 import LocalProtocolError
    from starlette.datastructures import MutableHeaders

    hosts = {f"{LOOPBACK}:{port}", f"localhost:{port}"}

    async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
        begun = False

        async def with_headers(message: "Message") -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            with suppress(LocalProtocolError):  # the rest was no HTTP, and that was replied
                await send(message)

        within = {**scope, "root_path": f"/{token}"}
        found = _refusal(scope, token, hosts) or app
        if found is app and scope["method"] not in _ONLY_ASKS:
            found, receive = await _whole(app, receive)
        try:
            await found(within, receive, with_headers)
        except Exception:  # of one page: the others go on
            log.exception("a page failed")
            if not begun:
                await text_reply("This page failed.", "text/plain", status=500)(
                    within, receive, with_headers
                )

    return guarded


async def _whole(app: "ASGIApp", receive: "Receive") -> "tuple[ASGIApp, Receive]":
    """The app, and what gives it the body of a request at once; a refusal where that is too large,
    or does not come.
    """
    body, more = b"", True
    try:
        async with asyncio.timeout(SLOWEST):
            while more and len(body) <= LARGEST:
                message = await receive()
                if message["type"] != "http.request":
                    return _cut_off("This is not whole.", 400), receive
                body += message.get("body", b"")
                more = message.get("more_body", False)
    except TimeoutError:
        return _cut_off("This took too long.", 408), receive
    if len(body) > LARGEST:
        return _cut_off("This is too large.", 413), receive
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def at_once() -> "Message":
        return waiting.pop() if waiting else await receive()

    return app, at_once


def _cut_off(words: str, status: int) -> "Response":
    """A refusal after which the connection is closed: what is still to come on it is no request."""
    return text_reply(words, "text/plain", status=status, headers={"Connection": "close"})


def _refusal(scope: "Scope", token: str, hosts: set[str]) -> "Response | None":
    from starlette.datastructures import Headers
    from starlette.responses import PlainTextResponse

    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if host not in hosts:
        return PlainTextResponse("This page is for the machine that it is on.", 403)
    door, slash, _ = scope["path"].removeprefix("/").partition("/")
    if not (slash and secrets.compare_digest(door.encode(), token.encode())):
        return PlainTextResponse("Nothing is here. Open the whole address that was printed.", 404)
    if scope["method"] not in _ONLY_ASKS and headers.get("origin") != f"http://{host}":
        return PlainTextResponse("Only the page itself may do this.", 403)
    return None
