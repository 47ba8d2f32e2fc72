"""URLs of servers: reachability and proxies."""

import asyncio

import pytest

from bakeoff.generators.api.address import (
    is_listening,
    is_loopback,
)
from bakeoff.testing import OpenAIServer


def test_is_listening() -> None:
    with OpenAIServer() as server:
        assert asyncio.run(is_listening(server.url))
    assert not asyncio.run(is_listening(server.url))


def test_loopback_bypasses_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    with OpenAIServer() as server:
        assert asyncio.run(is_listening(server.url))
    assert not asyncio.run(is_listening(server.url))
    assert is_loopback("http://localhost:8000/v1")
    assert not is_loopback("http://localhost.example.com/v1")
