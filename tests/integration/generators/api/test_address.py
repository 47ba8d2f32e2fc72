"""Where a server is, and what may be written down of it."""

import asyncio

import pytest

from bakeoff.generators.api.address import base_url_of, is_here, listens, place
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
def test_no_secret_of_an_address_is_written_down(url: str | None, written: str | None) -> None:
    assert place(url) == written


def test_a_server_is_known_to_listen_or_not() -> None:
    with OpenAIServer() as server:
        assert asyncio.run(listens(server.url))
    assert not asyncio.run(listens(server.url))


def test_behind_a_proxy_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    assert asyncio.run(listens("http://nowhere.invalid/v1"))


def test_no_proxy_stands_before_this_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    with OpenAIServer() as server:
        assert asyncio.run(listens(server.url))
    assert not asyncio.run(listens(server.url))
    assert is_here("http://localhost:8000/v1")
    assert not is_here("http://localhost.example.com/v1")


def test_the_environment_says_where_a_provider_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert base_url_of("openai") is None
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here/v1")
    monkeypatch.setenv("MISTRAL_API_BASE", "http://there/v1")
    assert (base_url_of("openai"), base_url_of("mistral")) == ("http://here/v1", "http://there/v1")
