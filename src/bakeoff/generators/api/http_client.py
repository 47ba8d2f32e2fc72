"""HTTP client of one server, on aiohttp: limits of time and size, proxies, certificates, errors.

Redirects are never followed: the request, with its key, would be sent to another address. aiohttp
closes the connection if a request is cancelled, so the server can stop to generate.
"""

import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bakeoff.errors import one_line
from bakeoff.generators.api.address import environment_proxy, split_credentials
from bakeoff.generators.api.errors import ApiError, BlockedError, ConnectError, ProxyError

_TOTAL_TIMEOUT = 2  # times the read timeout, within which a reply has to be complete
_CONNECT_TIMEOUT = 60.0  # seconds, at most
MAX_REPLY_BYTES = 64 * 2**20  # of a chat completion, decompressed
_MAX_ERROR_CHARS = 2000  # of the body of an error, in its message
_SSL_SETTINGS = re.compile(r" ssl:(?:\w+|<[^>]*>)")  # aiohttp's description of its SSL settings
# OpenSSL's messages if the server does not speak TLS.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST", re.I)
_PROXY_AUTHENTICATION = 407
_CONNECTION_ERRORS = (aiohttp.ClientError, OSError, ValueError)  # the last: malformed HTTP


class HttpReply(NamedTuple):
    """A reply with a status below 300."""

    body: bytes
    headers: Mapping[str, str]


class HttpClient:
    """Client of the server at `base_url`, whose connections it keeps open for later requests.

    `headers` are sent with each request; a user and password in `base_url` as basic authentication.
    `timeout` is in seconds without a byte; a reply has to be complete within twice of that. Proxies
    of the environment variables are used, except for loopback addresses, and the certificates of
    SSL_CERT_FILE and SSL_CERT_DIR. All methods raise ApiError. Raises
    ConfigError for a proxy that does not speak HTTP.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float) -> None:
        address, login = split_credentials(base_url)
        self.base_url = address.rstrip("/")
        self._headers = {"User-Agent": f"bakeoff/{version('bakeoff')}", **login, **headers}
        self._timeout = aiohttp.ClientTimeout(
            total=_TOTAL_TIMEOUT * timeout,
            sock_connect=min(timeout, _CONNECT_TIMEOUT),
            sock_read=timeout,
        )
        # Not `trust_env`: it looks for a proxy, and for a password in ~/.netrc, at each request.
        proxy, proxy_login = split_credentials(environment_proxy(address) or "")
        self._options: dict[str, Any] = {"allow_redirects": False}
        if proxy:
            proxy_headers = {f"Proxy-{name}": value for name, value in proxy_login.items()}
            self._options |= {"proxy": proxy, "proxy_headers": proxy_headers}
        self._opened: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The session, created by the first request."""
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                # `limit=0`: the request queue limits the requests in flight.
                connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context()),
                headers=self._headers,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    async def post(
        self, path: str, body: bytes | aiohttp.FormData, *, limit: int | None = None
    ) -> HttpReply:
        """Return the reply to a POST of JSON or of a form; `limit` is the largest reply in bytes.

        `path` follows the base URL, or is a whole URL of the same server.
        """
        headers = {"Content-Type": "application/json"} if isinstance(body, bytes) else None
        return await self._request("POST", path, limit, data=body, headers=headers)

    async def get(self, path: str, **query: str | int) -> HttpReply:
        """Return the reply to a GET with query parameters."""
        path += f"?{urlencode(query)}" if query else ""
        return await self._request("GET", path, None)

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """Yield the lines of the reply to a GET, without empty ones, while they are received."""
        try:
            async with self._session.get(self._url(path), **self._options) as response:
                await _raise_for_status(response)
                rest = b""
                # Not `splitlines`: JSON may contain U+2028 and other line separators unescaped.
                async for chunk in response.content.iter_any():
                    *complete, rest = (rest + chunk).split(b"\n")
                    for line in filter(None, complete):
                        yield line
                if rest:
                    yield rest
        except (TimeoutError, *_CONNECTION_ERRORS) as error:
            raise self._converted(error) from error

    async def _request(
        self, method: str, path: str, limit: int | None, **options: Any
    ) -> HttpReply:
        try:
            async with self._session.request(
                method, self._url(path), **self._options, **options
            ) as response:
                await _raise_for_status(response)
                return HttpReply(await _read(response, limit), response.headers)
        except (TimeoutError, *_CONNECTION_ERRORS) as error:
            raise self._converted(error) from error

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = URL(path if path.startswith(("http://", "https://")) else self.base_url + path)
            if "?" not in path:
                self._urls[path] = url
        return url

    def _converted(self, error: Exception) -> ApiError:
        """Return the ApiError of an exception of aiohttp."""
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return ConnectError(f"no connection within {self._timeout.sock_connect:g} seconds")
        if isinstance(error, aiohttp.SocketTimeoutError):
            return ApiError(f"no byte of the reply within {self._timeout.sock_read:g} seconds")
        if isinstance(error, TimeoutError):
            return ApiError(f"the reply was not complete within {self._timeout.total:g} seconds")
        return _connection_error(error)


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status >= 300:
        body = await _read(response, MAX_REPLY_BYTES)
        raise status_error(response.status, body, response.headers)


async def _read(response: aiohttp.ClientResponse, limit: int | None) -> bytes:
    """Return the body. Raises ApiError above `limit` bytes: a reply must not exhaust the memory."""
    encoded, length = "Content-Encoding" in response.headers, response.content_length
    if limit is None or (length is not None and length <= limit and not encoded):
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            raise ApiError(f"the reply is larger than {limit >> 20} MB")
    return bytes(body)


def status_error(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """Return the error of a reply with an error status: `HTTP 400: ` and the message in its body.

    The formats of OpenAI and Anthropic (`{"error": {"message": ...}}`), and simpler ones, are
    parsed; of other bodies the beginning is the message. A redirect is described by its address.
    """
    fields, message = _error_fields(body)
    text = message
    if text is None:
        text = " ".join(body[:_MAX_ERROR_CHARS].decode("utf-8", "replace").split())
    if location := headers.get("Location") if status < 400 else None:
        text = f"to {location}"
    code = fields.get("code") or fields.get("type") or ""
    return ApiError(
        f"HTTP {status}: {text}" if text else f"HTTP {status}",
        status=status,
        code=str(code),
        param=str(fields.get("param") or ""),
        api_message=message,
        headers=CIMultiDict(headers),
    )


def _error_fields(body: bytes) -> tuple[Mapping[str, Any], str | None]:
    """Return the error object in a body, and its message; ({}, None) if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}, None
    for _ in range(2):
        if isinstance(document, dict) and "error" in document and "message" not in document:
            document = document["error"]
    if isinstance(document, str):
        return {}, document
    if not isinstance(document, dict):
        return {}, None
    message = document.get("message", document.get("detail"))
    return document, None if message is None else str(message)


def _connection_error(error: Exception) -> ApiError:
    """Return the ApiError of an exception of aiohttp: no connection, or a broken one."""
    message = _SSL_SETTINGS.sub("", one_line(error)) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or message
        return BlockedError(
            f"cannot be trusted ({reason}): check the address, or name the file of the "
            "certificates that you trust in SSL_CERT_FILE"
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError) and _NO_TLS.search(str(error)):
        return BlockedError(f"does not speak TLS ({message}): write http:// in its address")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _proxy_error(error.status, message)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return ProxyError(message)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL):
        return ConnectError(message)
    return ApiError(message)


def _proxy_error(status: int, message: str) -> ConnectError:
    """Return the error of a proxy that answers a CONNECT request with an error status."""
    if status == _PROXY_AUTHENTICATION:
        return BlockedError(
            f"cannot be reached: the proxy wants a user and a password ({message}): write them "
            "into its address in HTTPS_PROXY, or name the host in NO_PROXY"
        )
    if 400 <= status < 500:
        return BlockedError(
            f"cannot be reached: the proxy does not let it ({message}): ask who runs the proxy, or "
            "name the host in NO_PROXY"
        )
    return ProxyError(message)
