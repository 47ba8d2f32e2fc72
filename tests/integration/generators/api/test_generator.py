"""The `api:` generator against a server on loopback."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.api.generator import Api
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.testing import OpenAIServer, Reply, chat_completion, run_worker


def prompt(text: str = "Hello?", *more: tuple[str, str]) -> Prompt:
    turns = [("user", text), *more]
    return Prompt(messages=tuple(Message(role=r, content=c) for r, c in turns))  # type: ignore[arg-type]


def ask(
    server: OpenAIServer | str,
    prompts: list[Prompt],
    sampling: Sampling | None = None,
    *,
    options: str = "",
    max_concurrency: int = 8,
) -> list[Completion | WorkError]:
    url = server if isinstance(server, str) else server.url
    spec = Spec.parse(f"api:m?base_url={url}{options}")
    return run_worker(
        open_generator(spec, RunContext(sampling or Sampling(), max_concurrency)), prompts
    )


def complete_one(
    respond: Any, sampling: Sampling | None = None, **options: Any
) -> Completion | WorkError:
    with OpenAIServer(respond) as server:
        return ask(server, [prompt()], sampling, **options)[0]


def test_sampling_and_messages_are_sent_unchanged() -> None:
    sampling = Sampling(temperature=0.3, top_p=0.8, max_tokens=7, seed=5, system="Be kind.")
    with OpenAIServer() as server:
        ask(server, [prompt()], sampling)
    sent = server.requests[0]
    assert sent["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello?"},
    ]
    sent_sampling = (
        sent["temperature"],
        sent["top_p"],
        sent["max_completion_tokens"],
        sent["seed"],
    )
    assert sent_sampling == (0.3, 0.8, 7, 5)


def test_schema_logprobs_and_prefill_are_sent() -> None:
    sampling = Sampling(schema_={"type": "object"}, top_logprobs=4)
    with OpenAIServer() as server:
        ask(server, [prompt("Hello?", ("assistant", "Well,"))], sampling)
    sent = server.requests[0]
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 4)
    assert sent["messages"][-1] == {"role": "assistant", "content": "Well,"}
    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)


def test_completion_has_thinking_finish_tokens_and_refusal() -> None:
    result = complete_one(lambda _: chat_completion("<think>hm</think>Yes", finish_reason="length"))
    assert isinstance(result, Completion)
    assert (result.text, result.thinking, result.finish) == ("Yes", "hm", "length")
    assert (result.tokens, result.raw) == (5, "<think>hm</think>Yes")
    field = complete_one(lambda _: chat_completion("Yes", message={"reasoning_content": "hm"}))
    assert isinstance(field, Completion)
    assert (field.text, field.thinking) == ("Yes", "hm")
    refused = complete_one(lambda _: chat_completion(None, message={"refusal": "I can't."}))
    assert isinstance(refused, Completion)
    assert (refused.text, refused.finish) == ("I can't.", "refused")
    filtered = complete_one(lambda _: chat_completion("", finish_reason="content_filter"))
    assert isinstance(filtered, Completion)
    assert filtered.finish == "refused"


def test_completion_has_top_logprobs() -> None:
    token = {"token": " A", "logprob": -0.1, "bytes": None}
    tops = [{"token": " A", "logprob": -0.1, "bytes": None}]
    content = [{**token, "top_logprobs": tops}]
    result = complete_one(
        lambda _: chat_completion("A", logprobs={"content": content, "refusal": None})
    )
    assert isinstance(result, Completion)
    assert result.top_logprobs == {" A": -0.1}


FAULTS = [
    Reply(429, {"error": {"message": "slow down"}}, {"Retry-After-Ms": "1"}),
    Reply(500, {"error": {"message": "oops"}}, {"Retry-After-Ms": "1"}),
    Reply(200, b'{"id": "x", "choi'),
    Reply(200, b"<html>", {"Content-Type": "text/html"}),
    Reply(200, {}),
    Reply(200, []),
    Reply(200, {**chat_completion("x"), "choices": []}),
    Reply(200, {**chat_completion("x"), "choices": None}),
    Reply(200, chat_completion("x", finish_reason=None)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.body)[:20])
def test_transient_failures_are_retried(fault: Reply) -> None:
    replies = [fault, "fine"]
    result = complete_one(lambda _: replies.pop(0))
    assert isinstance(result, Completion)
    assert result.text == "fine"


@pytest.mark.parametrize("fault", FAULTS[2:], ids=lambda fault: str(fault.body)[:20])
def test_unreadable_reply_fails_the_item_after_two_requests(fault: Reply) -> None:
    with OpenAIServer(lambda _: fault) as server:
        result = ask(server, [prompt()])[0]
    assert isinstance(result, BackendError)
    assert result.kind == "unreadable"
    assert len(server.requests) == 2


def test_permanent_server_error_has_its_status() -> None:
    fault = Reply(503, {"error": {"message": "down"}})
    with OpenAIServer(lambda _: fault) as server:
        result = ask(server, [prompt()], options="&retries=1")[0]
    assert isinstance(result, BackendError)
    assert (result.status, result.kind) == (503, "backend")
    assert len(server.requests) == 2


def test_bad_request_fails_one_item() -> None:
    def respond(body: dict[str, Any]) -> Any:
        if "long" in body["messages"][0]["content"]:
            return Reply(400, {"error": {"message": "maximum context length is 5 tokens"}})
        return "fine"

    with OpenAIServer(respond) as server:
        result = ask(server, [prompt("short"), prompt("long"), prompt("small")])
    assert [isinstance(outcome, BackendError) for outcome in result] == [False, True, False]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, {"message": "Incorrect API key"}, "refuses the key"),
        (403, {"message": "no access"}, "refuses the key"),
        (404, {"message": "The model `m` does not exist"}, "check the name"),
        (429, {"message": "quota", "code": "insufficient_quota"}, "no credit"),
    ],
)
def test_fatal_error_stops_the_run(status: int, error: dict[str, str], words: str) -> None:
    reply = Reply(status, {"error": error}, {"Retry-After-Ms": "1"})
    with OpenAIServer(lambda _: reply) as server, pytest.raises(ConfigError, match=words) as caught:
        ask(server, [prompt(str(n)) for n in range(100)], max_concurrency=4)
    assert "\n" not in str(caught.value)
    assert len(server.requests) <= 4 * 7  # the lanes' first requests, with the client's retries


def test_unreachable_server_is_named() -> None:
    with OpenAIServer() as server:
        url = server.url
    worker = open_generator(Spec.parse(f"api:m?base_url={url}"), RunContext(Sampling()))
    with pytest.raises(ConfigError, match="start its server or check the address"):
        asyncio.run(worker.prepare())


def refusing(name: str, words: str) -> Any:
    def respond(body: dict[str, Any]) -> Any:
        if name in body:
            return Reply(400, {"error": {"message": words, "param": None}})
        return "fine"

    return respond


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("response_format", "Invalid parameter: 'response_format' of type 'json_schema'"),
        ("seed", "Unknown argument: seed"),
        ("temperature", "Unsupported value: 'temperature' does not support 0.7"),
    ],
)
def test_refused_parameter_is_left_out_of_later_requests(
    name: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    sampling = Sampling(schema_={"type": "object"}, top_logprobs=3)
    with caplog.at_level(logging.WARNING), OpenAIServer(refusing(name, words)) as server:
        result = ask(server, [prompt("a"), prompt("b"), prompt("c")], sampling, max_concurrency=1)
    assert [outcome.text for outcome in result if isinstance(outcome, Completion)] == ["fine"] * 3
    assert [name in request for request in server.requests] == [True, False, False, False]
    assert name in caplog.text


def test_refused_logprobs_stop_the_run() -> None:
    respond = refusing("logprobs", "this model has no logprobs")
    with (
        OpenAIServer(respond) as server,
        pytest.raises(ConfigError, match=r"no log-probabilities .*verdict=logprob"),
    ):
        ask(server, [prompt(str(n)) for n in range(9)], Sampling(top_logprobs=3), max_concurrency=1)
    assert len(server.requests) == 1


def test_lanes_limit_requests_in_flight_and_delay_spaces_them() -> None:
    with OpenAIServer() as server:
        server.respond = lambda _: Reply(
            body=chat_completion("x"), until=lambda: server.max_in_flight == 3
        )
        ask(server, [prompt(str(n)) for n in range(12)], max_concurrency=3)
    assert server.max_in_flight == 3
    with OpenAIServer() as server:
        begun = time.monotonic()
        ask(server, [prompt(str(n)) for n in range(3)], options="&delay=0.2")
    assert time.monotonic() - begun >= 3 * 0.2


def test_identity_has_what_changes_a_completion_and_no_secret() -> None:
    def identity(options: str, sampling: Sampling | None = None, max_concurrency: int = 8) -> str:
        spec = Spec.parse(f"api:m?base_url={options}")
        return json.dumps(Api(spec, RunContext(sampling or Sampling(), max_concurrency)).identity)

    plain = identity("http://h:1/v1")
    assert plain == identity("http://user:secret@h:1/v1?key=secret&timeout=5", max_concurrency=2)
    assert plain != identity("http://h:2/v1")
    assert plain != identity("http://h:1/v1", Sampling(seed=1))
    assert "secret" not in identity("http://user:secret@h:1/v1")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("openai:gpt-4", "set OPENAI_API_KEY"),
        ("anthropic:claude", "set ANTHROPIC_API_KEY"),
        ("openai:gpt-4?api_key_env=MY_KEY", "set MY_KEY"),
        ("mistral:small", r"pip install 'any-llm-sdk\[mistral\]'"),
        ("api:m", r"\?base_url="),
        ("api:m?base_url=http://me:pw@127.0.0.1:1/v1&api_key_env=PATH", "a key and a password"),
    ],
)
def test_missing_key_package_or_address_fails_prepare(spec: str, words: str) -> None:
    worker = open_generator(Spec.parse(spec), RunContext(Sampling()))
    with pytest.raises(ConfigError, match=words):
        asyncio.run(worker.prepare())


def test_openai_base_url_and_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OTHER_KEY", "sk-other")
        worker = open_generator(
            Spec.parse("openai:gpt-4?api_key_env=OTHER_KEY"), RunContext(Sampling())
        )
        result = run_worker(worker, [prompt()])
    assert b"Bearer sk-other" in server.raw[0]
    assert server.requests[0]["model"] == "gpt-4"
    assert isinstance(result[0], Completion)


def test_anthropic_drops_unsupported_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def respond(body: dict[str, Any]) -> Any:
        assert body["system"] == "Be kind."
        message = {"id": "m", "type": "message", "role": "assistant", "model": body["model"]}
        text = {"type": "text", "text": "Hello!"}
        usage = {"input_tokens": 3, "output_tokens": 2}
        end = {"stop_reason": "max_tokens", "stop_sequence": None}
        return Reply(body={**message, **end, "content": [text], "usage": usage})

    with OpenAIServer(respond) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url.removesuffix("/v1"))
        sampling = Sampling(system="Be kind.", max_tokens=2)
        worker = open_generator(Spec.parse("anthropic:claude"), RunContext(sampling))
        result = run_worker(worker, [prompt()])[0]
    assert isinstance(result, Completion), result
    assert (result.text, result.finish, result.tokens) == ("Hello!", "length", 2)
    assert "seed" not in server.requests[0]


def test_server_lost_before_its_first_reply_stops_the_run() -> None:
    async def go() -> None:
        with OpenAIServer() as server:
            spec = Spec.parse(f"api:m?base_url={server.url}&retries=0")
            worker = open_generator(spec, RunContext(Sampling()))
            await worker.prepare()
        try:
            await worker([prompt()], lambda *_: None)
        finally:
            await worker.close()

    with pytest.raises(ConfigError, match="start its server or check the address"):
        asyncio.run(go())
