"""Requests and replies over HTTP: formats, limits, certificates, proxies and errors."""

import asyncio
import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.api.anthropic_format import with_cache_mark
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, PrefixedPrompt, Prompt
from bakeoff.runtime import Generator, RateLimits
from bakeoff.testing import (
    AnthropicServer,
    OpenAIServer,
    Reply,
    anthropic_message,
    chat_completion,
    run_worker,
)
from tests.builders import make_prompt
from tests.chaos_server import CERTIFICATE, ChaosServer, Proxy


def open_model(url: str, options: str = "") -> Generator:
    return open_generator(Spec.parse(f"api:m?base_url={url}{options}"), RunContext(Sampling(), 8))


def reply_outcome(body: Any, rate_limits: RateLimits | None = None) -> Completion | WorkError:
    with OpenAIServer(lambda _: body) as server:
        context = RunContext(Sampling(), 8, rate_limits=rate_limits or RateLimits())
        worker = open_generator(Spec.parse(f"api:m?base_url={server.url}"), context)
        return run_worker(worker, [make_prompt("Hello?")])[0]


@pytest.mark.parametrize("left_out", ["id", "created", "object", "model"])
def test_optional_fields_of_a_reply_may_be_missing(left_out: str) -> None:
    body = {key: value for key, value in chat_completion("Hi").items() if key != left_out}
    result = reply_outcome(body)
    assert isinstance(result, Completion), result
    assert (result.text, result.tokens) == ("Hi", 5)
    assert result.snapshot == (None if left_out == "model" else "loopback")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, None),
        ({"prompt_tokens": 3, "completion_tokens": 4}, 4),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "more": {"x": 1}}, 4),
    ],
)
def test_incomplete_usage_is_accepted(usage: Any, tokens: int | None) -> None:
    result = reply_outcome({**chat_completion("Hi"), "usage": usage})
    assert isinstance(result, Completion), result
    assert result.tokens == tokens
    assert (result.usage is None) == (tokens is None)


leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
shapes = st.recursive(leaves, lambda child: st.lists(child, max_size=2), max_leaves=3)
CHOICE: dict[str, Any] = chat_completion("Hi")["choices"][0]
MESSAGE: dict[str, Any] = CHOICE["message"]


@given(shapes)
@example([None])
@settings(max_examples=20)
def test_json_of_another_shape_is_unreadable(shape: Any) -> None:
    bodies = [
        *(
            {**chat_completion("Hi"), key: shape}
            for key in ("choices", "usage", "model", "created", "id")
        ),
        *(
            {**chat_completion("Hi"), "choices": [part]}
            for part in (shape, {**CHOICE, "message": shape})
        ),
        *(
            {**chat_completion("Hi"), "choices": [{**CHOICE, "message": {**MESSAGE, key: shape}}]}
            for key in ("content", "role", "reasoning_content", "thinking", "reasoning")
        ),
        shape,
    ]
    sent = [Reply(body=json.dumps(body).encode()) for body in bodies]
    with OpenAIServer(lambda request: sent[int(request["messages"][0]["content"])]) as server:
        model = open_generator(
            Spec.parse(f"api:m?base_url={server.url}"), RunContext(Sampling(), 8)
        )
        result = run_worker(model, [make_prompt(str(number)) for number in range(len(bodies))])
    assert all(isinstance(outcome, Completion | WorkError) for outcome in result)


BLOCK: dict[str, Any] = anthropic_message("Hi")["content"][0]
FIELDS = ("content", "usage", "model", "id", "role", "type", "stop_reason", "stop_details")


@given(shapes)
@example([None])
@example({"input_tokens": "many"})
@settings(max_examples=6)
def test_message_of_another_shape_is_unreadable(shape: Any) -> None:
    bodies = [
        *({**anthropic_message("Hi"), key: shape} for key in FIELDS),
        *(
            {**anthropic_message("Hi"), "content": [block]}
            for block in (shape, {"type": "thinking"})
        ),
        *(
            {**anthropic_message("Hi"), "content": [{**BLOCK, key: shape}]}
            for key in ("type", "text")
        ),
        {**anthropic_message("Hi"), "usage": {"input_tokens": shape, "output_tokens": shape}},
        shape,
    ]
    sent = [Reply(body=json.dumps(body).encode()) for body in bodies]
    with AnthropicServer(lambda request: sent[int(request["messages"][0]["content"])]) as server:
        spec = Spec.parse(f"anthropic:m?base_url={server.address}&api_key_env=PATH")
        model = open_generator(spec, RunContext(Sampling(), 8))
        result = run_worker(model, [make_prompt(str(number)) for number in range(len(bodies))])
    assert all(isinstance(outcome, Completion | WorkError) for outcome in result)


@pytest.mark.parametrize("body", [b"[" * 10**5, b'{"choices":' + b'{"a":' * 10**5])
def test_deeply_nested_reply_is_unreadable(body: bytes) -> None:
    result = reply_outcome(Reply(body=body))
    assert isinstance(result, BackendError), result
    assert result.kind == "unreadable"
    with AnthropicServer(lambda _: Reply(body=body)) as server:
        spec = Spec.parse(f"anthropic:m?base_url={server.address}&api_key_env=PATH&retries=0")
        (other,) = run_worker(
            open_generator(spec, RunContext(Sampling(), 1)), [make_prompt("Hello?")]
        )
    assert isinstance(other, BackendError), other


def test_oversized_reply_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.generators.api.client.MAX_REPLY_BYTES", 2**20)
    packed = gzip.compress(json.dumps(chat_completion("x" * 2**24)).encode())
    assert len(packed) < 2**15
    zipped = Reply(body=packed, headers={"Content-Encoding": "gzip"})
    for reply in (zipped, Reply(body=chat_completion("x" * 2**21))):
        with OpenAIServer(lambda _, reply=reply: reply) as server:
            result = run_worker(open_model(server.url, "&retries=0"), [make_prompt("Hello?")])[0]
        assert isinstance(result, BackendError), result
        assert "larger than 1 MB" in result.message
    small = gzip.compress(json.dumps(chat_completion("x" * 2**19)).encode())
    fits = reply_outcome(Reply(body=small, headers={"Content-Encoding": "gzip"}))
    assert isinstance(fits, Completion), fits
    assert len(fits.text) == 2**19


@pytest.mark.parametrize("field", ["reasoning_content", "thinking", "reasoning"])
def test_thinking_is_read_from_every_known_field(field: str) -> None:
    result = reply_outcome(chat_completion("Hi", message={field: "hm"}))
    assert isinstance(result, Completion), result
    assert (result.text, result.thinking) == ("Hi", "hm")


def test_cached_tokens_are_counted() -> None:
    usage = {"prompt_tokens": 3000, "completion_tokens": 5, "total_tokens": 3005}
    result = reply_outcome(
        {
            **chat_completion("Hi"),
            "usage": usage | {"prompt_tokens_details": {"cached_tokens": 2048}},
        }
    )
    assert isinstance(result, Completion), result
    assert result.usage is not None
    assert (
        result.usage.input_tokens,
        result.usage.cached_tokens,
        result.usage.cache_write_tokens,
    ) == (3000, 2048, 0)


def test_quota_headers_reach_the_rate_limiter() -> None:
    rate_limits = RateLimits()
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "50s",
    }
    result = reply_outcome(Reply(body=chat_completion("Hi"), headers=headers), rate_limits)
    assert isinstance(result, Completion), result
    (server,) = rate_limits._servers.values()
    assert server.learned.rate(0.0) == pytest.approx(2, rel=0.1)


def anthropic(
    prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch, usage: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], list[Completion | WorkError]]:
    """Return the request bodies and the outcomes."""
    body = anthropic_message("Hi", **({"usage": usage} if usage else {}))
    with AnthropicServer(lambda _: body) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
        spec = Spec.parse(f"anthropic:claude-sonnet-4-5?base_url={server.address}")
        result = run_worker(open_generator(spec, RunContext(Sampling(), 1)), prompts)
    return server.requests, result


def test_shared_prefix_is_marked_for_the_cache_of_anthropic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "Shared\nall of it\nfirst one"
    shared = len("Shared\nall of it\nfi")
    (first, second), _ = anthropic(
        [make_prompt(text), PrefixedPrompt.of(make_prompt(text), shared)], monkeypatch
    )
    assert first["messages"][0]["content"] == text
    head, rest = second["messages"][0]["content"]
    assert head == {
        "type": "text",
        "text": "Shared\nall of it\n",
        "cache_control": {"type": "ephemeral"},
    }
    assert head["text"] + rest["text"] == text
    assert "cache_control" not in rest


@pytest.mark.parametrize(("text", "shared"), [("one line of text", 9), ("same\n", 5), ("", 0)])
def test_no_cache_mark_without_a_shared_line(text: str, shared: int) -> None:
    turn: Any = with_cache_mark(PrefixedPrompt.of(make_prompt(text or " "), shared))
    assert turn == {"role": "user", "content": text or " "}


def test_cache_tokens_of_anthropic_are_counted_and_priced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cost(usage: dict[str, Any]) -> float:
        _, (result,) = anthropic([make_prompt("Hello?")], monkeypatch, usage)
        assert isinstance(result, Completion), result
        assert result.usage is not None
        assert result.usage.input_tokens == 2000
        assert result.cost is not None
        counted = (result.usage.cache_write_tokens, result.usage.cached_tokens)
        cache_tokens = (
            usage.get("cache_creation_input_tokens"),
            usage.get("cache_read_input_tokens"),
        )
        assert counted == (cache_tokens[0] or 0, cache_tokens[1] or 0)
        return result.cost

    plain = cost({"input_tokens": 2000, "output_tokens": 0})
    stores = cost({"input_tokens": 400, "output_tokens": 0, "cache_creation_input_tokens": 1600})
    finds = cost({"input_tokens": 400, "output_tokens": 0, "cache_read_input_tokens": 1600})
    assert plain == pytest.approx(2000 * 3e-6)
    assert stores == pytest.approx(400 * 3e-6 + 1600 * 3.75e-6)
    assert finds == pytest.approx(400 * 3e-6 + 1600 * 0.3e-6)


# What stands between us and a server


def refusal_of(url: str, options: str = "&retries=1") -> str:
    """Return the message of the ConfigError of a run that cannot reach its server."""
    with pytest.raises(ConfigError) as caught:
        run_worker(open_model(url, options), [make_prompt("Hello?")])
    assert "\n" not in str(caught.value)
    assert "SSLContext object" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


class PlainHttpServer(OpenAIServer):
    """Answers every connection with plain HTTP."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


def test_server_without_tls_is_recognized() -> None:
    with PlainHttpServer() as server:
        refusal = refusal_of(server.url.replace("http:", "https:"))
    assert "'api:m' does not speak TLS" in refusal
    assert "write http:// in its address" in refusal


def test_untrusted_certificate_stops_the_run(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChaosServer(certificate=certificate) as server:
        refusal = refusal_of(server.url)
        assert "'api:m' cannot be trusted" in refusal
        assert "(self-signed certificate)" in refusal
        assert not server.request_counts
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # as the message says
        result = run_worker(open_model(server.url), [make_prompt("Hello?")])[0]
    assert isinstance(result, Completion), result


@pytest.fixture
def set_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def go_through(address: str) -> None:
        monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.setenv("HTTP_PROXY", address)

    return go_through


@pytest.mark.parametrize(
    ("address", "status", "words", "times"),
    [
        ("https", 407, "the proxy wants a user and a password", 1),
        ("http", 407, "the proxy wants a user and a password", 1),
        ("https", 403, "the proxy does not let it", 1),
        ("http", 403, "check the key, and what stands between", 1),
        ("https", 503, "through the proxy that the environment names", 2),
    ],
)
def test_refusing_proxy_is_named_in_one_line(
    address: str, status: int, words: str, times: int, set_proxy: Callable[[str], None]
) -> None:
    with Proxy(status) as proxy:
        set_proxy(f"http://somebody:Marker-Secret@{proxy.address}")
        refusal = refusal_of(f"{address}://models.invalid/v1")
    assert words in refusal
    assert str(status) in refusal
    assert "Marker-Secret" not in refusal
    assert len(proxy.requests) == times


def test_error_status_of_a_proxy_is_retried(set_proxy: Callable[[str], None]) -> None:
    with Proxy(503) as proxy:
        set_proxy(f"http://{proxy.address}")
        result = run_worker(
            open_model("http://models.invalid/v1", "&retries=1"), [make_prompt("Hello?")]
        )[0]
    assert isinstance(result, BackendError), result
    assert (result.status, len(proxy.requests)) == (503, 2)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_unreachable_proxy_is_named_in_one_line(
    scheme: str, set_proxy: Callable[[str], None]
) -> None:
    with OpenAIServer() as proxy:
        pass
    address = proxy.url.removesuffix("/v1").removeprefix("http://")
    set_proxy(f"http://somebody:Marker-Secret@{address}")
    refusal = refusal_of(f"{scheme}://models.invalid/v1")
    assert "'api:m' cannot be reached through the proxy" in refusal
    assert address in refusal
    assert "Marker-Secret" not in refusal


def test_proxy_that_does_not_speak_http_is_refused(set_proxy: Callable[[str], None]) -> None:
    set_proxy("socks5://somebody:Marker-Secret@127.0.0.1:1")
    refusal = refusal_of("http://models.invalid/v1")
    assert "through the socks5 proxy of the environment" in refusal
    assert "Marker-Secret" not in refusal


def test_password_of_netrc_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password Marker-Secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with OpenAIServer() as server:
        result = run_worker(open_model(server.url), [make_prompt("Hello?")])[0]
    assert isinstance(result, Completion), result
    assert b"authorization" not in server.raw[0].lower()


# What a refusal means: for one request, or for all


def outcomes_after_one(
    reply: Reply, *, count: int = 2
) -> tuple[OpenAIServer, list[Completion | WorkError]]:
    """Return the outcomes of two requests, of which the second gets `reply`."""
    replies = [Reply(body=chat_completion("fine")), *([reply] * 9)]
    with OpenAIServer(lambda _: replies.pop(0)) as server:
        model = open_generator(
            Spec.parse(f"api:m?base_url={server.url}"), RunContext(Sampling(), 1)
        )
        return server, run_worker(model, [make_prompt(str(number)) for number in range(count)])


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    "message",
    [
        "cannot parse: 'the author of the invalid API key'",
        "no such tool: 'The model x does not exist'",
        "not allowed here: 'payment required, insufficient funds'",
        "unknown field: 'Your credit balance is too low'",
    ],
)
def test_error_message_that_quotes_a_prompt_does_not_stop_the_run(message: str) -> None:
    _, (first, second) = outcomes_after_one(Reply(400, error(message)))
    assert isinstance(first, Completion), first
    assert isinstance(second, BackendError), second
    assert (second.status, second.kind) == (400, "backend")
    assert message in second.message.replace('"', "'").replace("\\'", "'")


def test_firewall_page_fails_one_item() -> None:
    page = Reply(403, b"<html>Attention required: blocked</html>", {"Content-Type": "text/html"})
    _, (first, second) = outcomes_after_one(page)
    assert isinstance(first, Completion), first
    assert isinstance(second, BackendError), second
    assert second.status == 403
    with pytest.raises(ConfigError, match="refuses the key"):
        outcomes_after_one(Reply(403, error("the key was revoked")))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(400, error("API key not valid. Please pass a valid API key.")), "refuses the key"),
        (Reply(400, error("no such model", code="model_not_found")), "check the name"),
        (Reply(400, error("Your credit balance is too low to access the API.")), "no credit left"),
        (Reply(402, error("pay first")), "no credit left"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fatal_error_is_recognized_by_its_message_before_any_reply(
    reply: Reply, words: str
) -> None:
    with OpenAIServer(lambda _: reply) as server:
        assert words in refusal_of(server.url)
        assert len(server.requests) == 1


def test_missing_credit_stops_the_run() -> None:
    with pytest.raises(ConfigError, match="no credit left"):
        outcomes_after_one(Reply(400, error("Your credit balance is too low to access the API.")))


def test_request_above_the_token_rate_is_a_context_error() -> None:
    words = "Request too large for gpt-4 on tokens per min (TPM): Limit 30000, Requested 33223."
    server, (_, second) = outcomes_after_one(Reply(429, error(words, code="rate_limit_exceeded")))
    assert isinstance(second, BackendError), second
    assert (second.kind, second.status) == ("context", 429)
    assert len(server.requests) == 2


def test_content_filter_is_a_refusal() -> None:
    words = "The response was filtered due to the prompt triggering our content management policy."
    _, (_, second) = outcomes_after_one(Reply(400, error(words, code="content_filter")))
    assert isinstance(second, BackendError), second
    assert (second.kind, second.status) == ("refused", 400)


def test_error_in_a_successful_reply_is_quoted() -> None:
    result = reply_outcome(error("Provider returned error", code=502))
    assert isinstance(result, BackendError), result
    assert result.kind == "unreadable"
    assert "Provider returned error" in result.message


# Redirects, timeouts and cancellation


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("backend", ["api", "anthropic"])
def test_redirect_is_not_followed(
    status: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-key")
    with OpenAIServer() as target:
        reply = Reply(status, b"", {"Location": f"{target.url}/chat/completions?key=sk-secret-key"})
        with OpenAIServer(lambda _: reply) as server:
            spec = Spec.parse(f"{backend}:m?base_url={server.url}&api_key_env=MY_KEY")
            with pytest.raises(ConfigError, match="redirects are not followed") as caught:
                run_worker(open_generator(spec, RunContext(Sampling(), 1)), [make_prompt("Hi")])
        assert len(server.requests) == 1
    assert target.raw == []
    assert f"HTTP {status}: to {target.url}/chat/completions" in str(caught.value)
    assert "sk-secret-key" not in str(caught.value)


def test_redirect_after_a_reply_fails_one_item() -> None:
    with OpenAIServer() as target:
        _, (first, second) = outcomes_after_one(Reply(307, b"", {"Location": target.url}))
    assert isinstance(first, Completion), first
    assert isinstance(second, BackendError), second
    assert second.status == 307
    assert target.raw == []


def test_silent_server_is_a_timeout() -> None:
    with OpenAIServer(lambda _: Reply(body="late", until=lambda: False)) as server:
        result = run_worker(open_model(server.url, "&timeout=0.3&retries=0"), [make_prompt("Hi")])
    assert isinstance(result[0], BackendError), result
    assert result[0].message == "no byte of the reply within 0.3 seconds"


def test_cancelled_request_closes_its_connection() -> None:
    def finish(_: dict[str, Any]) -> Reply:
        return Reply(body="late", until=lambda: False)

    async def cancel(url: str) -> None:
        worker = open_model(url)
        task = asyncio.create_task(worker([make_prompt("Hi")], lambda _index, _outcome: None))
        while not server.in_flight:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        closing = asyncio.to_thread(server.wait_client_gone)
        await asyncio.wait_for(closing, 60)  # while the client is still open
        await worker.close()

    with DisconnectServer(finish) as server:
        asyncio.run(cancel(server.url))


class DisconnectServer(OpenAIServer):
    """Notices that a client closes its connection while a reply is pending."""

    def __init__(self, respond: Any) -> None:
        super().__init__(respond)
        self._gone = threading.Event()

    def wait_client_gone(self) -> None:
        """Wait until the client has closed a connection."""
        assert self._gone.wait(60)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(super()._serve(reader, writer))
        while not reader.at_eof():
            await asyncio.sleep(0.01)
        self._gone.set()
        serving.cancel()


@pytest.mark.parametrize("length", [None, 2**20])
def test_reply_that_never_ends_is_limited_in_size(
    length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.generators.api.client.MAX_REPLY_BYTES", 2**16)

    class EndlessServer(OpenAIServer):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
            writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
            while True:
                writer.write((b"" if length else b"1000\r\n") + b" " * 4096 + b"\r\n")
                await writer.drain()

    with EndlessServer() as server:
        result = run_worker(open_model(server.url, "&retries=0"), [make_prompt("Hi")])[0]
    assert isinstance(result, BackendError), result
    assert "larger than" in result.message


def test_key_of_openai_is_not_sent_to_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    with OpenAIServer() as server:
        run_worker(open_model(server.url), [make_prompt("Hi")])
        assert b"sk-secret-key" not in server.raw[0]
        assert b"authorization" not in server.raw[0].lower()
        assert b"org-1" not in server.raw[0]
        spec = Spec.parse(f"openai:m?base_url={server.url}")
        run_worker(open_generator(spec, RunContext(Sampling(), 1)), [make_prompt("Hi")])
        assert b"Bearer sk-secret-key" in server.raw[1]
        assert b"OpenAI-Organization: org-1" in server.raw[1]


@pytest.mark.parametrize("backend", ["api", "openai", "anthropic"])
@pytest.mark.parametrize("key", ["sk-secret\n", " sk-secret", "sk-\rsecret", "sk-secr\u20act"])
def test_key_that_cannot_be_in_a_header_stops_the_run(
    backend: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with OpenAIServer() as server:
        spec = Spec.parse(f"{backend}:m?base_url={server.url}&api_key_env=MY_KEY")
        with pytest.raises(ConfigError, match="cannot use the key in MY_KEY") as caught:
            run_worker(open_generator(spec, RunContext(Sampling(), 1)), [make_prompt("Hi")])
    assert server.raw == []
    assert "secr" not in str(caught.value)
