"""URLs of servers: validation, credentials in them, and a check that a server listens."""

import asyncio
import base64
import os
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

_CONNECT_TIMEOUT = 10.0  # seconds


async def is_listening(url: str) -> bool:
    """Return whether a TCP connection to `url` succeeds; True, untried, if a proxy is used."""
    parts = urlsplit(url)
    proxied = getproxies() and not is_loopback(url)
    if not parts.hostname or (proxied and not proxy_bypass(parts.hostname)):
        return True
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connecting = asyncio.open_connection(parts.hostname, port)
    try:
        _, writer = await asyncio.wait_for(connecting, _CONNECT_TIMEOUT)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def is_loopback(url: str) -> bool:
    """Return whether the host is a loopback name; requests to it must not go through a proxy."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def base_url_from_environment(provider: str) -> str | None:
    """Return the base URL that the provider's official client reads from the environment."""
    names = (f"{provider.upper()}_BASE_URL", f"{provider.upper()}_API_BASE")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def is_valid_url(url: str) -> bool:
    """Return whether `url` can be parsed, including its port."""
    try:
        return bool(public_url(url))
    except ValueError:  # not re-raised: its message may contain a password
        return False


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Return `url` without user and password, and the headers for them; none without a user."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    if not login:
        return url, {}
    encoded = base64.b64encode(unquote(login).encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {encoded}"}


def public_url(url: str | None) -> str | None:
    """Return `url` without user, password and query, for files and messages; None for None."""
    if url is None:
        return None
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
