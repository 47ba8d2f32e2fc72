"""Starts the viewer and the voting server on loopback, with an HTTP client like their pages."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bakeoff.config.options import VoteOptions
from bakeoff.records import Evidence
from bakeoff.web.viewer import serve_async
from bakeoff.web.voting.serve import serve_voting
from tests.background_server import background_server
from tests.unit.web.voting.builders import VOTES


@contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port that no other process is given, and at which a server can listen repeatedly."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@contextmanager
def viewer(path: Path, port: int = 0) -> Iterator[str]:
    """Run a viewer in a background thread while the block runs; yields its URL."""
    with background_server(
        lambda announce, stop: serve_async(path, port=port, announce=announce, until=stop)
    ) as address:
        yield address


class Browser:
    """HTTP client that sends the requests of the voting page, with its origin."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received = b""  # all bytes received
        scheme, place = urlsplit(url)[:2]
        self._client = httpx.Client(
            base_url=url, headers={"Origin": f"{scheme}://{place}"}, trust_env=False, timeout=300
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> httpx.Response:
        return self._record(self._client.get(path, params=query))

    def post(self, path: str, **body: object) -> httpx.Response:
        return self._record(self._client.post(path, json=body))

    def state(self, voter: str = "Anna") -> dict[str, Any]:
        return self._json(self.get("state", voter=voter))

    def vote(self, choice: str, voter: str = "Anna") -> dict[str, Any]:
        """Vote on the next pair."""
        pair = self.state(voter)["pair"]
        return self._json(self.post("vote", voter=voter, id=pair["id"], choice=choice))

    def prefer(self, words: str, voter: str, count: int) -> None:
        """Vote `count` times for the completion that contains the words, in either position."""
        for _ in range(count):
            pair = self.state(voter)["pair"]
            self.vote("first" if words in pair["first"] else "second", voter)

    def press(self, button: str, voter: str = "Anna") -> dict[str, Any]:
        return self._json(self.post(button, voter=voter))

    def _json(self, reply: httpx.Response) -> dict[str, Any]:
        assert reply.status_code == 200, reply.text
        content: dict[str, Any] = reply.json()
        return content

    def _record(self, reply: httpx.Response) -> httpx.Response:
        self.received += repr(reply.headers.raw).encode() + reply.content
        return reply


@contextmanager
def voting_browser(
    evidence: Evidence, file: Path = VOTES, options: VoteOptions | None = None
) -> Iterator[Browser]:
    """Run a voting server in a background thread while the block runs; yields its client."""
    options = options or VoteOptions()
    with (
        background_server(
            lambda announce, stop: serve_voting(
                evidence, file, options, announce=announce, until=stop
            )
        ) as address,
        Browser(address) as browser,
    ):
        yield browser
