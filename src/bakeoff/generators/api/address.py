"""Where a server is: what may be written down of its address, and whether anyone listens there."""

import asyncio
import base64
import os
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

_KNOCK = 10.0  # seconds for a server to take a connection


async def listens(url: str) -> bool:
    """Whether anything takes connections at a URL; true where a proxy has to answer that."""
    parts = urlsplit(url)
    proxied = getproxies() and not is_here(url)
    if not parts.hostname or (proxied and not proxy_bypass(parts.hostname)):
        return True
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, port), _KNOCK)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def is_here(url: str) -> bool:
    """Whether it is this machine by its loopback name: no proxy leads there, or may read a key."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def base_url_of(provider: str) -> str | None:
    """The address that the environment gives a provider, as its official client reads it."""
    names = (f"{provider.upper()}_BASE_URL", f"{provider.upper()}_API_BASE")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def is_place(url: str) -> bool:
    """Whether a URL can be read, down to its port."""
    try:
        return bool(place(url))
    except ValueError:  # which would say what stands there: it may be a password
        return False


def with_password(url: str) -> tuple[str, dict[str, str]]:
    """A URL without user and password, and the header that says them; none where there are none."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    if not login:
        return url, {}
    sent = base64.b64encode(unquote(login).encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {sent}"}


def place(url: str | None) -> str | None:
    """A URL without user, password and query: what may be written down."""
    if url is None:
        return None
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
