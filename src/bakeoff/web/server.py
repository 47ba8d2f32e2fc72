"""A loopback web server for one app, protected from other web pages, hosts and slow clients."""

import asyncio
import json
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from pydantic import JsonValue

from bakeoff.environment import check_extra
from bakeoff.errors import ConfigError

if TYPE_CHECKING:  # optional packages, imported when something is served
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
MAX_BYTES = 64 << 10  # of the head of a request, and of its body
MAX_SECONDS = 10.0  # until the head of a request is complete, and until its body is
_SAFE_METHODS = ("GET", "HEAD")
_SHUTDOWN_SECONDS = 2  # for requests in flight


def check_installed() -> None:
    """Raise ConfigError if the packages of the `serve` extra are not installed."""
    check_extra("serve", "a page")


@asynccontextmanager
async def serve_app(app: "ASGIApp", *, port: int = 0) -> AsyncIterator[str]:
    """Serve an app on 127.0.0.1 while the block runs; yield the address of its `/`.

    `port` 0 selects a free port. The address contains a random token. A request is refused
    without the token (404), with a Host other than 127.0.0.1 or localhost (403: DNS rebinding), or
    if it changes something and comes from another origin (403), is larger than MAX_BYTES (413) or
    slower than MAX_SECONDS (408). Every reply has `HEADERS` unless the app sets them. Raises
    ConfigError if the port is taken or the packages are missing.
    """
    check_installed()
    listener = _listen(port)
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(16)
    server = _server(_guarded(app, token, port))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://{LOOPBACK}:{port}/{token}/"
    finally:
        server.should_exit = True
        await running


def json_reply(document: JsonValue, status: int = 200) -> "Response":
    """Return JSON in ASCII: a completion may contain lone surrogates, which UTF-8 cannot encode."""
    from starlette.responses import Response

    return Response(json.dumps(document), status, media_type="application/json")


def text_reply(
    text: str,
    media_type: str = "text/html",
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> "Response":
    """Return a text as UTF-8, with lone surrogates escaped."""
    from starlette.responses import Response

    content = text.encode(errors="backslashreplace")
    return Response(content, status, headers=headers, media_type=media_type)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot serve a page on port {port} ({error.strerror}): choose another port, or none "
            "for one that is free"
        ) from None
    return listener


def _server(app: "ASGIApp") -> "Server":
    """Return a server that handles no signals and prints nothing."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class TimeoutProtocol(H11Protocol):
        """Closes a connection without a complete request after MAX_SECONDS."""

        request_timeout: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.request_timeout = self.loop.call_later(MAX_SECONDS, transport.close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            responding = self.cycle is not None and not self.cycle.response_complete
            if responding and self.request_timeout:
                self.request_timeout.cancel()
                self.request_timeout = None
            elif not responding and not self.request_timeout:
                self.request_timeout = self.loop.call_later(MAX_SECONDS, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.request_timeout:
                self.request_timeout.cancel()

    class ServerWithoutSignals(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return ServerWithoutSignals(
        uvicorn.Config(
            app,
            http=TimeoutProtocol,
            h11_max_incomplete_event_size=MAX_BYTES,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # errors are logged here, escaped for a terminal
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
    )


def _guarded(app: "ASGIApp", token: str, port: int) -> "ASGIApp":
    from h11 import LocalProtocolError
    from starlette.datastructures import MutableHeaders

    hosts = {f"{LOOPBACK}:{port}", f"localhost:{port}"}

    async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
        started = False

        async def send_with_headers(message: "Message") -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            with suppress(LocalProtocolError):  # the request was invalid HTTP and has its reply
                await send(message)

        app_scope = {**scope, "root_path": f"/{token}"}
        handler = _refusal(scope, token, hosts) or app
        if handler is app and scope["method"] not in _SAFE_METHODS:
            handler, receive = await _read_body(app, receive)
        try:
            await handler(app_scope, receive, send_with_headers)
        except Exception:  # one failed page does not end the server
            log.exception("a page failed")
            if not started:
                await text_reply("This page failed.", "text/plain", status=500)(
                    app_scope, receive, send_with_headers
                )

    return guarded


async def _read_body(app: "ASGIApp", receive: "Receive") -> "tuple[ASGIApp, Receive]":
    """Return the app and a `receive` with the whole body; a refusal if it is too large or slow."""
    body, more = b"", True
    try:
        async with asyncio.timeout(MAX_SECONDS):
            while more and len(body) <= MAX_BYTES:
                message = await receive()
                if message["type"] != "http.request":
                    return _closing("This is not whole.", 400), receive
                body += message.get("body", b"")
                more = message.get("more_body", False)
    except TimeoutError:
        return _closing("This took too long.", 408), receive
    if len(body) > MAX_BYTES:
        return _closing("This is too large.", 413), receive
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_body() -> "Message":
        return messages.pop() if messages else await receive()

    return app, receive_body


def _closing(message: str, status: int) -> "Response":
    """Return a refusal that closes the connection: the rest of the body is not a request."""
    return text_reply(message, "text/plain", status=status, headers={"Connection": "close"})


def _refusal(scope: "Scope", token: str, hosts: set[str]) -> "Response | None":
    from starlette.datastructures import Headers
    from starlette.responses import PlainTextResponse

    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if host not in hosts:
        return PlainTextResponse("This page is for the machine that it is on.", 403)
    path_token, slash, _ = scope["path"].removeprefix("/").partition("/")
    if not (slash and secrets.compare_digest(path_token.encode(), token.encode())):
        return PlainTextResponse("Nothing is here. Open the whole address that was printed.", 404)
    if scope["method"] not in _SAFE_METHODS and headers.get("origin") != f"http://{host}":
        return PlainTextResponse("Only the page itself may do this.", 403)
    return None
