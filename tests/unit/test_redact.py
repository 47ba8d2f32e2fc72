"""Credentials are removed from texts and from exceptions."""

import pytest

from bakeoff.errors import BackendError, ConfigError
from bakeoff.redact import masked, redact

SECRET = "sk-marker-5f1d0c2a9e7b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://u:p@h:1/v1", "http://***@h:1/v1"),
        ("see https://u@h/x and http://h/x", "see https://***@h/x and http://h/x"),
        ("a?base_url=http%3A%2F%2Fu%3Ap%40h&x=1", "a?base_url=http%3A%2F%2F***%40h&x=1"),
        ("http://h?key=abc&n=1", "http://h?key=***&n=1"),
        ("api:m?api_key_env=NAME&max_tokens=5", "api:m?api_key_env=NAME&max_tokens=5"),
        ("write to me@example.org", "write to me@example.org"),
        ("hf:me/model@main", "hf:me/model@main"),
    ],
)
def test_masked_hides_credentials_of_urls_only_and_is_idempotent(text: str, expected: str) -> None:
    assert masked(text) == expected
    assert masked(expected) == expected


def test_error_messages_are_masked() -> None:
    assert str(ConfigError("no http://u:p@h")) == "no http://***@h"


def test_an_error_redacts_its_message_and_raw() -> None:
    error = BackendError(f"no {SECRET}", raw=f"{SECRET}!")
    error.redact([SECRET, None, ""])
    assert (str(error), error.message, error.raw) == ("no ***", "no ***", "***!")


def test_redact_ignores_secrets_shorter_than_8_characters() -> None:
    assert redact("a word", ["word"]) == "a word"
