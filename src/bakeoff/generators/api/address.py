"""URLs of servers: validation, credentials in them, and a check that a server listens."""

import asyncio
import base64
import os
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from bakeoff.errors import ConfigError

# Providers whose API bakeoff speaks itself; the others are called through any-llm.
PROVIDER_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}

_CONNECT_TIMEOUT = 10.0  # seconds


async def is_listening(url: str) -> bool:
    """Return whether a TCP connection to `url` succeeds; True, untried, if a proxy is used."""
    parts = urlsplit(url)
    if not parts.hostname or environment_proxy(url):
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


def environment_proxy(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for `url`; None without one.

    Raises ConfigError for a proxy that does not speak HTTP.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        scheme = proxy.partition(":")[0]
        raise ConfigError(
            f"{parts.hostname} cannot be reached through the {scheme} proxy of the environment: "
            "name an http:// one in HTTPS_PROXY, or the host in NO_PROXY"
        )
    return proxy


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
