"""URLs of servers: credentials, proxies, reachability."""

import asyncio

import pytest

from bakeoff.generators.api.address import (
    base_url_from_environment,
    is_listening,
    is_loopback,
    public_url,
)
from bakeoff.testing import OpenAIServer


@pytest.mark.parametrize(
    ("url", "written"),
    [
        (None, None),
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://user:secret@host/v1?key=secret#secret", "https://host/v1"),
    ],
)
def test_public_url_has_no_credentials(url: str | None, written: str | None) -> None:
    assert public_url(url) == written


def test_is_listening() -> None:
    with OpenAIServer() as server:
        assert asyncio.run(is_listening(server.url))
    assert not asyncio.run(is_listening(server.url))


def test_is_listening_is_true_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    assert asyncio.run(is_listening("http://nowhere.invalid/v1"))


def test_loopback_bypasses_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    with OpenAIServer() as server:
        assert asyncio.run(is_listening(server.url))
    assert not asyncio.run(is_listening(server.url))
    assert is_loopback("http://localhost:8000/v1")
    assert not is_loopback("http://localhost.example.com/v1")


def test_base_url_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert base_url_from_environment("openai") is None
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here/v1")
    monkeypatch.setenv("MISTRAL_API_BASE", "http://there/v1")
    assert base_url_from_environment("openai") == "http://here/v1"
    assert base_url_from_environment("mistral") == "http://there/v1"
