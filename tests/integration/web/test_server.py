import asyncio
import json
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bakeoff.errors import ConfigError
from bakeoff.report.terminal import log_to, make_console
from bakeoff.web import server as web
from bakeoff.web.server import HEADERS, json_reply, serve_app, text_reply
from tests.marks import long
from tests.web_clients import reserved_port


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.method} {request.url.path}")


async def own(_: Request) -> PlainTextResponse:
    return PlainTextResponse("", headers={"Content-Security-Policy": "default-src 'self'"})


async def broken(_: Request) -> PlainTextResponse:
    raise RuntimeError("a secret of the app")


APP = Starlette(
    routes=[
        Route("/", hello, methods=["GET", "POST", "DELETE"]),
        Route("/deep/er", hello),
        Route("/own", own),
        Route("/broken", broken),
    ]
)

Visit = Callable[[httpx.AsyncClient, str], Awaitable[None]]


def http_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=300)


def serve_and_visit(visit: Visit) -> None:
    async def main() -> None:
        async with serve_app(APP) as url, http_client() as client:
            await visit(client, url)

    asyncio.run(main())


def root(url: str) -> str:
    scheme, place = urlsplit(url)[:2]
    return f"{scheme}://{place}"


def test_address_is_the_root_of_the_app() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/")
        assert (await client.get(url)).text.startswith("GET /")
        assert (await client.get(url + "deep/er")).status_code == 200
        assert (await client.get(url + "elsewhere")).status_code == 404

    serve_and_visit(visit)


def test_request_without_token_is_404() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        token = urlsplit(url).path.strip("/")
        assert len(token) >= 20
        wrong = [
            "",
            "deep/er",
            token[:-1] + "/",
            token + "x/",
            "x" * len(token) + "/",
            "//",
            "%C3/",
        ]
        for path in [*wrong, token, f"x/{token}/"]:
            reply = await client.get(f"{root(url)}/{path}")
            assert (path, reply.status_code) == (path, 404)
            assert "GET" not in reply.text

    serve_and_visit(visit)


def test_token_is_random() -> None:
    tokens = set()

    async def visit(_: httpx.AsyncClient, url: str) -> None:
        tokens.add(urlsplit(url).path)

    for _ in range(3):
        serve_and_visit(visit)
    assert len(tokens) == 3


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "[::1]:{port}", ""]
)
def test_other_host_names_are_refused(host: str) -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        name = host.format(port=urlsplit(url).port)
        reply = await client.get(url, headers={"Host": name})
        assert (reply.status_code, "GET" in reply.text) == (403, False)

    serve_and_visit(visit)


def test_localhost_is_accepted() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        name = f"localhost:{urlsplit(url).port}"
        assert (await client.get(url, headers={"Host": name})).status_code == 200
        headers = {"Host": name, "Origin": f"http://{name}"}
        assert (await client.post(url, headers=headers)).status_code == 200

    serve_and_visit(visit)


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_writes_from_other_origins_are_refused(method: str) -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        port = urlsplit(url).port
        others = ["null", "http://evil.example", f"https://127.0.0.1:{port}", "http://127.0.0.1"]
        for origin in [*others, f"http://localhost:{port}", url, ""]:
            reply = await client.request(method, url, headers={"Origin": origin})
            assert (origin, reply.status_code) == (origin, 403)
        assert (await client.request(method, url)).status_code == 403
        reply = await client.request(method, url, headers={"Origin": root(url)})
        assert reply.status_code != 403

    serve_and_visit(visit)


def test_security_headers_are_on_every_reply() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        replies = [
            await client.get(url),
            await client.get(url + "elsewhere"),
            await client.get(root(url)),
            await client.get(url, headers={"Host": "evil.example"}),
            await client.post(url),
        ]
        assert [reply.status_code for reply in replies] == [200, 404, 404, 403, 403]
        for reply in replies:
            assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
            assert "server" not in reply.headers
        (policy,) = (await client.get(url + "own")).headers.get_list("Content-Security-Policy")
        assert policy == "default-src 'self'"

    serve_and_visit(visit)


def test_policy_allows_own_resources_only() -> None:
    sources = [part.split() for part in HEADERS["Content-Security-Policy"].split(";")]
    assert {word for _, *words in sources for word in words} == {"'none'", "'self'", "data:"}


def test_app_error_does_not_reveal_its_message() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        reply = await client.get(url + "broken")
        assert (reply.status_code, "secret" in reply.text) == (500, False)
        assert (await client.get(url)).status_code == 200

    serve_and_visit(visit)


def test_listens_on_loopback_only() -> None:
    async def visit(_: httpx.AsyncClient, url: str) -> None:
        other = ("127.0.0.2", urlsplit(url).port)  # loopback too, but not the address
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(other, timeout=10).close()

    serve_and_visit(visit)


def test_port_can_be_reused() -> None:
    async def serve_once(port: int) -> int:
        async with serve_app(APP, port=port) as url, http_client() as client:
            assert (await client.get(url)).status_code == 200
            return urlsplit(url).port or 0

    with reserved_port() as port:
        assert asyncio.run(serve_once(port)) == asyncio.run(serve_once(port)) == port


def test_port_in_use_is_a_one_line_error() -> None:
    async def visit(_: httpx.AsyncClient, url: str) -> None:
        port = urlsplit(url).port or 0
        with pytest.raises(ConfigError, match=f"port {port} .*in use") as caught:
            async with serve_app(APP, port=port):
                raise AssertionError("not reached")
        assert "\n" not in str(caught.value)

    serve_and_visit(visit)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_missing_package_error_names_the_extra(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    async def visit(_: httpx.AsyncClient, url: str) -> None:
        raise AssertionError(url)

    with pytest.raises(ConfigError, match=r"pip install 'bakeoff\[serve\]'"):
        serve_and_visit(visit)


def test_signal_handlers_are_unchanged() -> None:
    inside = []

    async def main() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with serve_app(APP) as url, http_client() as client:
            await client.get(url)  # the server is running
            inside.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])
        assert inside == [before]

    asyncio.run(main())
    assert len(inside) == 1


def test_server_ends_with_the_block() -> None:
    urls = []

    async def failing() -> None:
        async with serve_app(APP) as url:
            urls.append(url)
            raise KeyError("from the block")

    async def cancelled() -> None:
        async with asyncio.timeout(None) as timeout, serve_app(APP) as url:
            urls.append(url)
            timeout.reschedule(0)  # a time in the past: the block is cancelled at once
            await asyncio.Event().wait()

    with pytest.raises(KeyError, match="from the block"):
        asyncio.run(failing())
    with pytest.raises(TimeoutError):
        asyncio.run(cancelled())
    assert len(urls) == 2
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_started_reply_is_completed() -> None:
    begun = asyncio.Event()

    async def slow(_: Request) -> PlainTextResponse:
        begun.set()
        await asyncio.sleep(0.3)
        return PlainTextResponse("complete")

    async def main() -> None:
        async with http_client() as client:
            async with serve_app(Starlette(routes=[Route("/", slow)])) as url:
                request = asyncio.create_task(client.get(url))
                await begun.wait()
            assert (await request).text == "complete"

    asyncio.run(main())


def test_lone_surrogate_can_be_sent() -> None:
    half = "\ud800 and \N{GRINNING FACE}"
    reply = json_reply({"text": half}, 409)
    assert (reply.status_code, reply.media_type) == (409, "application/json")
    assert bytes(reply.body).isascii()
    assert json.loads(bytes(reply.body)) == {"text": half}
    shown = text_reply(half, headers={"X-Own": "1"})
    assert bytes(shown.body).decode() == "\\ud800 and \N{GRINNING FACE}"
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert (shown.status_code, shown.headers["x-own"]) == (200, "1")


# -- A hostile client: raw bytes on a socket, as no library sends them ----------------------------


def raw(url: str, request: str, *, more: bytes = b"") -> bytes:
    """Send raw bytes on a new connection; return all bytes until it is closed."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as line:
        reply = b""
        with suppress(ConnectionResetError, BrokenPipeError):  # before all of it was sent
            line.sendall(request.replace("\n", "\r\n").encode("latin-1") + more)
            while piece := line.recv(65536):
                reply += piece
    return reply


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/") else 0


def serve_during(attack: Callable[[str], None], app: Starlette = APP) -> None:
    """Serve, attack from another thread, and check that a well-behaved client is served."""

    async def main() -> None:
        async with serve_app(app) as url, http_client() as client:
            await asyncio.to_thread(attack, url)
            assert (await client.get(url)).status_code == 200

    asyncio.run(main())


@contextmanager
def max_seconds(seconds: float) -> Iterator[None]:
    """Limit the time of connections and bodies that begin during the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "MAX_SECONDS", seconds)
        yield


def read_reply(connection: socket.socket) -> bytes:
    """Receive one complete reply with a Content-Length."""
    with connection.makefile("rb") as file:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            assert line, head
            head += line
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return head + file.read(length)


def head_of(url: str, line: str, *headers: str, host: str | None = None) -> str:
    host = urlsplit(url).netloc if host is None else host
    return "\n".join([line, f"Host: {host}", *headers, "Connection: close", "", ""])


def test_no_path_leads_out_of_the_app() -> None:
    def attack(url: str) -> None:
        token = urlsplit(url).path.strip("/")
        assert status(raw(url, head_of(url, f"GET /{token}/ HTTP/1.1"))) == 200
        for path in (
            "/../../../../etc/passwd",
            f"/{token}/../../../../etc/passwd",
            f"/{token}/..%2f..%2f..%2fetc%2fpasswd",
            f"/{token}/%2e%2e/%2e%2e/etc/passwd",
            f"/{token}//etc/passwd",
            f"/{token}/deep/er/../../../x",
            f"/x/../{token}/",
            f"/{token}\\",
            f"/{token.swapcase()}/",
            f"/%00{token}/",
            f"//evil.example/{token}/",
            f"http://127.0.0.1:{urlsplit(url).port}/{token}/",  # a proxy's form of an address
            "*",
        ):
            reply = raw(url, head_of(url, f"GET {path} HTTP/1.1"))
            assert status(reply) in (400, 404), (path, reply[:200])
            assert b"root:" not in reply

    serve_during(attack)


def test_ambiguous_host_headers_are_refused() -> None:
    def attack(url: str) -> None:
        path, place = urlsplit(url).path, urlsplit(url).netloc
        line = f"GET {path} HTTP/1.1\n"
        for headers in (
            f"Host: {place}\nHost: evil.example\n\n",
            f"Host: evil.example\nHost: {place}\n\n",
            "\n",
            f"Host : {place}\n\n",
            f"Host: {place}@evil.example\n\n",
            f"Host: {place}.evil.example\n\n",
            f"X-Forwarded-Host: {place}\nHost: evil.example\n\n",
        ):
            assert status(raw(url, line + "Connection: close\n" + headers)) in (400, 403), headers
        assert status(raw(url, f"GET {path} HTTP/1.0\n\n")) == 403  # that needs no host

    serve_during(attack)


def test_no_cors_headers() -> None:
    def attack(url: str) -> None:
        path = urlsplit(url).path
        for line in (f"GET {path} HTTP/1.1", f"OPTIONS {path} HTTP/1.1", f"POST {path} HTTP/1.1"):
            for origin in ("http://evil.example", "null", "file://"):
                asks = ("Access-Control-Request-Method: POST", "Content-Length: 0")
                reply = raw(url, head_of(url, line, f"Origin: {origin}", *asks))
                assert b"access-control" not in reply.lower()
                assert status(reply) == (200 if line.startswith("GET") else 403)

    serve_during(attack)


@pytest.mark.parametrize(
    "spoiled",
    [
        "GET {path}\n\n",
        "G\0T {path} HTTP/1.1\nHost: {host}\n\n",
        "GET {path} HTTP/1.1\nHost: {host}\nX: a\0b\n\n",
        "GET {path} HTTP/1.1\nHost: {host}\n folded: x\n\n",
        "POST {path} HTTP/1.1\nHost: {host}\nContent-Length: -1\n\n",
        "POST {path} HTTP/1.1\nHost: {host}\nContent-Length: 1\nContent-Length: 2\n\nx",
        "POST {path} HTTP/1.1\nHost: {host}\nContent-Length: 9999999999999999999999\n\nx",
        "POST {path} HTTP/1.1\nHost: {host}\nTransfer-Encoding: chunked\n\nzz\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\n" * 2000,
        "\x1b]0;title\x07\n\n",
    ],
)
def test_invalid_http_is_refused(
    spoiled: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web, "MAX_SECONDS", 1.5)

    def attack(url: str) -> None:
        place = urlsplit(url)
        reply = raw(url, spoiled.replace("{path}", place.path).replace("{host}", place.netloc))
        assert status(reply) in (0, 400, 403, 408)

    serve_during(attack)
    assert capfd.readouterr() == ("", "")


def test_too_long_head_is_refused() -> None:
    def attack(url: str) -> None:
        line = f"GET {urlsplit(url).path} HTTP/1.1"
        assert status(raw(url, head_of(url, line, "X: " + "x" * 1000))) == 200
        assert status(raw(url, head_of(url, line, "X: " + "x" * 2 * web.MAX_BYTES))) in (0, 400)
        many = [f"X-{number}: x" for number in range(20_000)]
        assert status(raw(url, head_of(url, line, *many))) in (0, 400)
        long = f"GET {urlsplit(url).path}?{'x' * 2 * web.MAX_BYTES} HTTP/1.1"
        assert status(raw(url, head_of(url, long))) in (0, 400)

    serve_during(attack)


async def sized(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


SIZED = Starlette(routes=[Route("/", sized, methods=["GET", "POST"])])


@pytest.mark.parametrize("how", ["Content-Length: {length}", "Transfer-Encoding: chunked"])
def test_too_large_body_is_refused(how: str) -> None:
    def attack(url: str) -> None:
        line = f"POST {urlsplit(url).path} HTTP/1.1"
        origin = f"Origin: {root(url)}"
        for length, expected in (
            (web.MAX_BYTES, (200,)),
            (web.MAX_BYTES + 1, (413,)),
            (8 << 20, (0, 413)),  # bytes sent after the refusal may reset it
        ):
            body = b"x" * length
            if "chunked" in how:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (length, body)
            head = head_of(url, line, origin, how.format(length=length))
            reply = raw(url, head, more=body)
            assert status(reply) in expected
            if expected == (200,):
                assert reply.endswith(f"\r\n\r\n{length}".encode())

    serve_during(attack, SIZED)


def test_incomplete_body_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    read_body = web._read_body

    async def read_body_soon(*arguments: Any) -> Any:
        with max_seconds(0.2):  # of the body only: the head may be late on a busy machine
            return await read_body(*arguments)

    monkeypatch.setattr(web, "_read_body", read_body_soon)

    def attack(url: str) -> None:
        line, origin = f"POST {urlsplit(url).path} HTTP/1.1", f"Origin: {root(url)}"
        reply = raw(url, head_of(url, line, origin, "Content-Length: 10"), more=b"x")
        assert status(reply) == 408
        assert b"connection: close" in reply.lower()

    serve_during(attack, SIZED)


@pytest.mark.parametrize(
    "sent", [b"", b"GET ", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST / HTTP/1.1\r\n"]
)
def test_silent_connections_do_not_block_other_clients(sent: bytes) -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        place = urlsplit(url)
        lines = [
            socket.create_connection((place.hostname or "", place.port or 0)) for _ in range(100)
        ]
        try:
            for line in lines:
                line.sendall(sent)
            for _ in range(3):
                assert (await client.get(url)).status_code == 200
        finally:
            for line in lines:
                line.close()

    serve_and_visit(visit)


@pytest.mark.parametrize("trickle", [b"x", *long([b""])])
def test_slow_connection_is_closed(trickle: bytes) -> None:
    def attack(url: str) -> None:
        place = urlsplit(url)
        with (
            max_seconds(0.5),
            socket.create_connection((place.hostname or "", place.port or 0), timeout=0.1) as line,
        ):
            for part in (b"GET / HTTP/1.1\r\nX: ", *[trickle] * 600):  # it is closed long before
                try:
                    line.sendall(part)
                    if not line.recv(1000):
                        return
                except TimeoutError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    return
        raise AssertionError("still open after a minute")

    serve_during(attack)


def test_second_request_on_a_connection_times_out() -> None:
    def attack(url: str) -> None:
        place = urlsplit(url)
        first = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n"
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=300) as line:
            line.sendall(first.encode())
            assert status(read_reply(line)) == 200
            with max_seconds(0.2):
                line.sendall(b"GET / HTTP/1.1\r\n")
                assert line.recv(65536) == b""

    serve_during(attack)


def test_app_error_is_escaped_in_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def evil(_: Request) -> PlainTextResponse:
        raise RuntimeError("\x1b]0;owned\x07")

    async def main() -> None:
        app = Starlette(routes=[Route("/", evil)])
        async with serve_app(app) as url, http_client() as client:
            assert (await client.get(url)).status_code == 500

    log_to(make_console(errors=True))
    try:
        asyncio.run(main())
    finally:
        logging.getLogger("bakeoff").handlers = []
    output = capfd.readouterr()
    assert "\x1b" not in output.out + output.err
    assert "\\x1b]0;owned\\x07" in output.err.replace("\n", "").replace(" ", "")
