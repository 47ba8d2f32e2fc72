import asyncio
import json
import signal
import socket
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bakeoff import web
from bakeoff.errors import ConfigError
from bakeoff.web import HEADERS, json_reply, served, text_reply


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


def visited(visit: Visit) -> None:
    async def main() -> None:
        async with served(APP) as url, httpx.AsyncClient(trust_env=False) as client:
            await visit(client, url)

    asyncio.run(main())


def root(url: str) -> str:
    scheme, place = urlsplit(url)[:2]
    return f"{scheme}://{place}"


def test_the_address_is_the_apps_own() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/")
        assert (await client.get(url)).text.startswith("GET /")
        assert (await client.get(url + "deep/er")).status_code == 200
        assert (await client.get(url + "elsewhere")).status_code == 404

    visited(visit)


def test_without_the_token_nothing_is_there() -> None:
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
            found = await client.get(f"{root(url)}/{path}")
            assert (path, found.status_code) == (path, 404)
            assert "GET" not in found.text

    visited(visit)


def test_every_serving_has_a_token_of_its_own() -> None:
    tokens = set()

    async def visit(_: httpx.AsyncClient, url: str) -> None:
        tokens.add(urlsplit(url).path)

    for _ in range(3):
        visited(visit)
    assert len(tokens) == 3


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "[::1]:{port}", ""]
)
def test_another_name_for_this_machine_is_refused(host: str) -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        name = host.format(port=urlsplit(url).port)
        found = await client.get(url, headers={"Host": name})
        assert (found.status_code, "GET" in found.text) == (403, False)

    visited(visit)


def test_localhost_is_this_machine() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        name = f"localhost:{urlsplit(url).port}"
        assert (await client.get(url, headers={"Host": name})).status_code == 200
        headers = {"Host": name, "Origin": f"http://{name}"}
        assert (await client.post(url, headers=headers)).status_code == 200

    visited(visit)


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_only_the_page_itself_may_change_something(method: str) -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        port = urlsplit(url).port
        others = ["null", "http://evil.example", f"https://127.0.0.1:{port}", "http://127.0.0.1"]
        for origin in [*others, f"http://localhost:{port}", url, ""]:
            found = await client.request(method, url, headers={"Origin": origin})
            assert (origin, found.status_code) == (origin, 403)
        assert (await client.request(method, url)).status_code == 403
        found = await client.request(method, url, headers={"Origin": root(url)})
        assert found.status_code != 403

    visited(visit)


def test_the_headers_are_on_every_reply() -> None:
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

    visited(visit)


def test_nothing_outside_of_the_page_is_loaded() -> None:
    sources = [part.split() for part in HEADERS["Content-Security-Policy"].split(";")]
    assert {word for _, *words in sources for word in words} == {"'none'", "'self'", "data:"}


def test_an_error_of_the_app_does_not_tell_its_words() -> None:
    async def visit(client: httpx.AsyncClient, url: str) -> None:
        found = await client.get(url + "broken")
        assert (found.status_code, "secret" in found.text) == (500, False)
        assert (await client.get(url)).status_code == 200

    visited(visit)


def test_it_listens_on_loopback_alone() -> None:
    async def visit(_: httpx.AsyncClient, url: str) -> None:
        other = ("127.0.0.2", urlsplit(url).port)  # loopback too, but not the address
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(other, timeout=10).close()

    visited(visit)


def test_a_port_can_be_chosen_again_and_again() -> None:
    async def once(port: int) -> int:
        async with served(APP, port=port) as url, httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).status_code == 200
            return urlsplit(url).port or 0

    port = asyncio.run(once(0))
    assert asyncio.run(once(port)) == asyncio.run(once(port)) == port


def test_a_port_in_use_is_one_line() -> None:
    async def visit(_: httpx.AsyncClient, url: str) -> None:
        port = urlsplit(url).port or 0
        with pytest.raises(ConfigError, match=f"port {port} .*in use") as caught:
            async with served(APP, port=port):
                raise AssertionError("not reached")
        assert "\n" not in str(caught.value)

    visited(visit)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_package_is_one_line_that_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> object:
        return None if name == missing else find_spec(name)

    monkeypatch.setattr(web, "find_spec", found)

    async def visit(_: httpx.AsyncClient, url: str) -> None:
        raise AssertionError(url)

    with pytest.raises(ConfigError, match=r"pip install 'bakeoff\[serve\]'"):
        visited(visit)


def test_signals_stay_with_whoever_runs_the_loop() -> None:
    inside = []

    async def main() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with served(APP) as url, httpx.AsyncClient(trust_env=False) as client:
            await client.get(url)  # it runs
            inside.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])
        assert inside == [before]

    asyncio.run(main())
    assert len(inside) == 1


def test_it_ends_with_the_block_however_that_ends() -> None:
    urls = []

    async def failing() -> None:
        async with served(APP) as url:
            urls.append(url)
            raise KeyError("from the block")

    async def cancelled() -> None:
        async with asyncio.timeout(0.05), served(APP) as url:
            urls.append(url)
            await asyncio.Event().wait()

    with pytest.raises(KeyError, match="from the block"):
        asyncio.run(failing())
    with pytest.raises(TimeoutError):
        asyncio.run(cancelled())
    assert len(urls) == 2
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_a_reply_that_has_begun_is_ended() -> None:
    begun = asyncio.Event()

    async def slow(_: Request) -> PlainTextResponse:
        begun.set()
        await asyncio.sleep(0.3)
        return PlainTextResponse("whole")

    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            async with served(Starlette(routes=[Route("/", slow)])) as url:
                asked = asyncio.create_task(client.get(url))
                await begun.wait()
            assert (await asked).text == "whole"

    asyncio.run(main())


def test_half_a_surrogate_pair_can_be_sent() -> None:
    half = "\ud800 and \N{GRINNING FACE}"
    told = json_reply({"text": half}, 409)
    assert (told.status_code, told.media_type) == (409, "application/json")
    assert bytes(told.body).isascii()
    assert json.loads(bytes(told.body)) == {"text": half}
    shown = text_reply(half, headers={"X-Own": "1"})
    assert bytes(shown.body).decode() == "\\ud800 and \N{GRINNING FACE}"
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert (shown.status_code, shown.headers["x-own"]) == (200, "1")
