"""Remove credentials from texts that are shown, logged or stored."""

import re
from collections.abc import Iterable

MASK = "***"
# A password may contain a slash that is not percent-encoded.
_USER = re.compile(r"(\w://)(?:[^\s/?#'\"<>@]+|[^\s/:'\"<>@]*:[^\s'\"<>@]*)@", re.I)
_ENCODED_USER = re.compile(r"(\w%3a(?:%2f){2})(?:(?!%2f|%3f)[^\s&'\"<>@])+?(%40|@)", re.I)
_QUERY = re.compile(
    r"((?:[?&;]|%3f|%26)(?:[\w-]*(?:api[-_]?key|access[-_]?token|secret|password|signature)|key|token|sig)(?:=|%3d))"
    r"(?:(?!%26|%23)[^\s&#'\"<>])+",
    re.I,
)
_MIN_SECRET = 8  # characters; shorter values may be ordinary words


def masked(text: str) -> str:
    """Return `text` with `***` for users, passwords and secret query parameters of its URLs."""
    if "@" in text or "%40" in text:
        text = _ENCODED_USER.sub(rf"\1{MASK}\2", _USER.sub(rf"\1{MASK}@", text))
    return _QUERY.sub(rf"\1{MASK}", text)


def redact(text: str, secrets: Iterable[str | None]) -> str:
    """Return `text` with every secret of at least 8 characters replaced by `***`."""
    for secret in secrets:
        if secret and len(secret) >= _MIN_SECRET:
            text = text.replace(secret, MASK)
    return text
