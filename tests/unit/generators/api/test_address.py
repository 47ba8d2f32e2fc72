"""URLs of servers: credentials, proxies, reachability."""

import asyncio

import pytest

from bakeoff.generators.api.address import (
    base_url_from_environment,
    is_listening,
    public_url,
)


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


def test_is_listening_is_true_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    assert asyncio.run(is_listening("http://nowhere.invalid/v1"))


def test_base_url_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert base_url_from_environment("openai") is None
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here/v1")
    monkeypatch.setenv("MISTRAL_API_BASE", "http://there/v1")
    assert base_url_from_environment("openai") == "http://here/v1"
    assert base_url_from_environment("mistral") == "http://there/v1"
