"""Requests and replies compared with those of the official clients and of their types."""

import asyncio
import json
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError
from bakeoff.generators.api.anthropic_format import message_request, parse_message
from bakeoff.generators.api.errors import UnreadableError
from bakeoff.generators.api.replies import parse_chat_completion
from bakeoff.judges.parsing.rubric import RUBRIC_SCHEMA
from bakeoff.judges.parsing.verdicts import SCORE_SCHEMA, VERDICT_SCHEMA
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.testing import (
    AnthropicServer,
    OpenAIServer,
    anthropic_message,
    chat_completion,
    run_worker,
)

OPENAI_REQUEST = TypeAdapter(CompletionCreateParamsNonStreaming)
ANTHROPIC_REQUEST = TypeAdapter(MessageCreateParamsNonStreaming)
SAMPLING = Sampling(
    temperature=0.3, top_p=0.8, max_tokens=7, seed=5, system="Be kind.", schema_=VERDICT_SCHEMA
)
CONVERSATION = Prompt(
    messages=(
        Message(role="user", content="Hello? \u2028 \U0001f600"),
        Message(role="assistant", content="Hi."),
        Message(role="user", content='"quoted" \\ and </script>'),
    )
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 10**6)


def headers_of(raw: bytes) -> dict[str, str]:
    head = raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return {"line": head[0], **{k.lower(): v for k, v in (line.split(": ") for line in head[1:])}}


def test_openai_request_is_that_of_the_official_client() -> None:
    async def official(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-x") as client:
            await client.chat.completions.create(**sent)  # type: ignore[call-overload]

    with OpenAIServer(lambda _: "fine") as server:
        spec = Spec.parse(f"api:m?base_url={server.url}&api_key_env=PATH")
        run_worker(open_generator(spec, RunContext(SAMPLING)), [CONVERSATION])
        sent = server.requests[0]
        OPENAI_REQUEST.validate_python(sent, strict=True)
        asyncio.run(official(server.url))
        assert server.requests[1] == sent
        ours, theirs = map(headers_of, server.raw)
    assert sent["messages"][1:] == CONVERSATION.conversation()
    for header in ("line", "content-type"):
        assert ours[header] == theirs[header]
    assert ours["authorization"].startswith("Bearer ")


def test_anthropic_request_is_that_of_the_official_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def official(url: str) -> None:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant") as client:
            await client.messages.create(**sent)

    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    with AnthropicServer(lambda _: "fine") as server:
        spec = Spec.parse(f"anthropic:claude-x?base_url={server.address}")
        run_worker(open_generator(spec, RunContext(SAMPLING)), [CONVERSATION])
        sent = server.requests[0]
        ANTHROPIC_REQUEST.validate_python(sent)
        asyncio.run(official(server.address))
        assert server.requests[1] == sent
        ours, theirs = map(headers_of, server.raw)
    assert sent["messages"] == CONVERSATION.conversation()
    assert (sent["system"], sent["max_tokens"]) == ("Be kind.", 7)
    for header in ("line", "content-type", "x-api-key", "anthropic-version"):
        assert ours[header] == theirs[header]


@pytest.mark.parametrize("schema", [VERDICT_SCHEMA, SCORE_SCHEMA, RUBRIC_SCHEMA])
def test_schemas_of_verdicts_are_supported_by_anthropic(schema: dict[str, Any]) -> None:
    # The official function removes, or moves into descriptions, what the API does not support.
    assert anthropic.transform_schema(schema) == schema
    request = {
        "model": "m",
        "messages": [],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
    }
    assert message_request(request)["output_config"]["format"]["schema"] == schema


@given(
    content=st.none() | texts,
    refusal=st.none() | texts,
    finish=st.sampled_from(["stop", "length", "content_filter", "tool_calls"]),
    tokens=st.tuples(counts, counts, counts),
    model=texts,
    logprobs=st.none() | st.dictionaries(texts, st.floats(-50, 0), min_size=1, max_size=3),
)
@settings(max_examples=100)
def test_chat_completion_is_parsed_as_by_the_official_types(
    content: str | None,
    refusal: str | None,
    finish: str,
    tokens: tuple[int, int, int],
    model: str,
    logprobs: dict[str, float] | None,
) -> None:
    tops = [{"token": t, "logprob": p, "bytes": None} for t, p in (logprobs or {}).items()]
    given_logprobs = {
        "content": [{**top, "top_logprobs": tops} for top in tops[:1]],
        "refusal": None,
    }
    body = chat_completion(
        content,
        message={"refusal": refusal},
        finish_reason=finish,
        logprobs=given_logprobs if tops else None,
    )
    body["model"] = model
    body["usage"] = {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": tokens[0] + tokens[1],
        "prompt_tokens_details": {"cached_tokens": tokens[2]},
    }
    official = ChatCompletion.model_validate(body)
    reply = parse_chat_completion(official.model_dump_json().encode())
    message, usage = official.choices[0].message, official.usage
    assert reply.text == (message.content or message.refusal or "")
    assert reply.snapshot == (official.model or None)
    assert (reply.finish == "length") == (finish == "length" and not refusal)
    assert (reply.finish == "refused") == (finish == "content_filter" or bool(refusal))
    assert usage is not None
    assert reply.usage is not None
    assert reply.usage.input_tokens == usage.prompt_tokens
    assert reply.usage.output_tokens == usage.completion_tokens
    assert usage.prompt_tokens_details is not None
    assert reply.usage.cached_tokens == usage.prompt_tokens_details.cached_tokens
    assert reply.top_logprobs == logprobs


@given(
    blocks=st.lists(
        st.tuples(st.sampled_from(["text", "thinking", "redacted_thinking"]), texts), max_size=4
    ),
    stop=st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "refusal", "pause_turn"]),
    tokens=st.tuples(counts, counts, st.none() | counts, st.none() | counts),
)
@settings(max_examples=100)
def test_message_is_parsed_as_by_the_official_types(
    blocks: list[tuple[str, str]],
    stop: str,
    tokens: tuple[int, int, int | None, int | None],
) -> None:
    content = [
        {
            "text": {"type": "text", "text": text},
            "thinking": {"type": "thinking", "thinking": text, "signature": "s"},
            "redacted_thinking": {"type": "redacted_thinking", "data": text},
        }[kind]
        for kind, text in blocks
    ]
    usage = {
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "cache_read_input_tokens": tokens[2],
        "cache_creation_input_tokens": tokens[3],
    }
    body = anthropic_message(None, content=content, stop_reason=stop, usage=usage)
    official = AnthropicMessage.model_validate(body)
    reply = parse_message(official.model_dump_json().encode())
    assert reply.text == "".join(b.text for b in official.content if b.type == "text")
    thinking = "".join(b.thinking for b in official.content if b.type == "thinking")
    assert reply.thinking == (thinking or None)
    assert reply.snapshot == official.model
    assert reply.finish == {"max_tokens": "length", "refusal": "refused"}.get(stop, "stop")
    assert reply.usage is not None
    cached, written = tokens[2] or 0, tokens[3] or 0
    assert reply.usage.input_tokens == official.usage.input_tokens + cached + written
    assert reply.usage.output_tokens == official.usage.output_tokens
    assert (reply.usage.cached_tokens, reply.usage.cache_write_tokens) == (cached, written)


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.integers() | texts, st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
@settings(max_examples=100)
def test_any_other_body_is_unreadable(body: bytes) -> None:
    for parse in (parse_chat_completion, parse_message):
        with pytest.raises(UnreadableError, match="not a chat completion"):
            parse(body)


@pytest.mark.parametrize("spec", ["llamafile:m", "llamacpp:m"])
def test_other_providers_are_called_through_any_llm(spec: str) -> None:
    with OpenAIServer() as server:
        worker = open_generator(Spec.parse(f"{spec}?base_url={server.url}"), RunContext(SAMPLING))
        result = run_worker(worker, [CONVERSATION])[0]
        assert isinstance(result, Completion), result
        assert (result.snapshot, result.usage and result.usage.output_tokens) == ("loopback", 5)
        assert server.requests[0]["messages"][1:] == CONVERSATION.conversation()


def test_errors_of_any_llm_have_their_status() -> None:
    from bakeoff.testing import Reply

    replies = [Reply(200, chat_completion("fine")), Reply(400, {"error": {"message": "no"}})]
    with OpenAIServer(lambda _: replies.pop(0)) as server:
        spec = Spec.parse(f"llamafile:m?base_url={server.url}")
        first, second = run_worker(
            open_generator(spec, RunContext(Sampling(), 1)), [CONVERSATION, CONVERSATION]
        )
    assert isinstance(first, Completion), first
    assert isinstance(second, BackendError), second
    assert second.status == 400
