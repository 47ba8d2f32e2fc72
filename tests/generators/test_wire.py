"""How requests go out and replies come in: by the official client directly, and by any-llm."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bakeoff.config import Sampling, Spec
from bakeoff.errors import WorkError
from bakeoff.generators.wire import marked
from bakeoff.plugins import Setting, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.records.prefixed import Prefixed
from bakeoff.work import Limits
from tests.anthropic_server import AnthropicServer, message
from tests.openai_server import OpenAIServer, Reply, chat
from tests.working import outcomes


def prompt(text: str = "Hello?") -> Prompt:
    return Prompt(messages=(Message(role="user", content=text),))


def said(body: Any, limits: Limits | None = None) -> Completion | WorkError:
    with OpenAIServer(lambda _: body) as server:
        setting = Setting(Sampling(), 8, limits=limits or Limits())
        worker = open_generator(Spec.parse(f"api:m?base_url={server.url}"), setting)
        return outcomes(worker, [prompt()])[0]


@pytest.mark.parametrize("left_out", ["id", "created", "object", "model"])
def test_what_nobody_needs_may_be_missing(left_out: str) -> None:
    body = {key: value for key, value in chat("Hi").items() if key != left_out}
    found = said(body)
    assert isinstance(found, Completion), found
    assert (found.text, found.tokens) == ("Hi", 5)
    assert found.snapshot == (None if left_out == "model" else "loopback")


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
def test_a_server_may_say_little_of_what_it_took(usage: Any, tokens: int | None) -> None:
    found = said({**chat("Hi"), "usage": usage})
    assert isinstance(found, Completion), found
    assert found.tokens == tokens
    assert (found.usage is None) == (tokens is None)


leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
shapes = st.recursive(leaves, lambda one: st.lists(one, max_size=2), max_leaves=3)
CHOICE: dict[str, Any] = chat("Hi")["choices"][0]
MESSAGE: dict[str, Any] = CHOICE["message"]


@given(shapes)
@example([None])
@settings(max_examples=20)
def test_json_of_another_shape_is_no_reply_and_ends_nothing(shape: Any) -> None:
    bodies = [
        *({**chat("Hi"), key: shape} for key in ("choices", "usage", "model", "created", "id")),
        *({**chat("Hi"), "choices": [one]} for one in (shape, {**CHOICE, "message": shape})),
        *(
            {**chat("Hi"), "choices": [{**CHOICE, "message": {**MESSAGE, key: shape}}]}
            for key in ("content", "role", "reasoning_content", "thinking", "reasoning")
        ),
        shape,
    ]
    sent = [Reply(body=json.dumps(body).encode()) for body in bodies]
    with OpenAIServer(lambda asked: sent[int(asked["messages"][0]["content"])]) as server:
        model = open_generator(Spec.parse(f"api:m?base_url={server.url}"), Setting(Sampling(), 8))
        found = outcomes(model, [prompt(str(number)) for number in range(len(bodies))])
    assert all(isinstance(one, Completion | WorkError) for one in found)


@pytest.mark.parametrize("field", ["reasoning_content", "thinking", "reasoning"])
def test_thinking_is_found_wherever_a_server_puts_it(field: str) -> None:
    found = said(chat("Hi", message={field: "hm"}))
    assert isinstance(found, Completion), found
    assert (found.text, found.thinking) == ("Hi", "hm")


def test_tokens_from_a_cache_are_counted() -> None:
    usage = {"prompt_tokens": 3000, "completion_tokens": 5, "total_tokens": 3005}
    found = said(
        {**chat("Hi"), "usage": usage | {"prompt_tokens_details": {"cached_tokens": 2048}}}
    )
    assert isinstance(found, Completion), found
    assert found.usage is not None
    assert (found.usage.input, found.usage.cached, found.usage.stored) == (3000, 2048, 0)


def test_what_a_server_says_is_left_reaches_the_limiter() -> None:
    limits = Limits()
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "50s",
    }
    found = said(Reply(body=chat("Hi"), headers=headers), limits)
    assert isinstance(found, Completion), found
    (server,) = limits._servers.values()
    assert server.limiter._pace.rate(0.0) == pytest.approx(2, rel=0.1)


def anthropic(
    prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch, usage: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], list[Completion | WorkError]]:
    """The requests, and what came of them."""
    body = message("Hi", **({"usage": usage} if usage else {}))
    with AnthropicServer(lambda _: body) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
        spec = Spec.parse(f"anthropic:claude-sonnet-4-5?base_url={server.address}")
        found = outcomes(open_generator(spec, Setting(Sampling(), 1)), prompts)
    return server.requests, found


def test_what_requests_share_is_marked_for_anthropic_and_nothing_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "Shared\nall of it\nfirst one"
    shared = len("Shared\nall of it\nfi")
    (one, other), _ = anthropic([prompt(text), Prefixed.of(prompt(text), shared)], monkeypatch)
    assert one["messages"][0]["content"] == text
    head, rest = other["messages"][0]["content"]
    assert head == {
        "type": "text",
        "text": "Shared\nall of it\n",
        "cache_control": {"type": "ephemeral"},
    }
    assert head["text"] + rest["text"] == text
    assert "cache_control" not in rest


@pytest.mark.parametrize(("text", "shared"), [("one line of text", 9), ("same\n", 5), ("", 0)])
def test_nothing_is_marked_where_no_two_lines_part(text: str, shared: int) -> None:
    turn: Any = marked(Prefixed.of(prompt(text or " "), shared))
    assert turn == {"role": "user", "content": text or " "}


def test_tokens_that_anthropic_stores_and_finds_are_counted_and_priced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cost(usage: dict[str, Any]) -> float:
        _, (found,) = anthropic([prompt()], monkeypatch, usage)
        assert isinstance(found, Completion), found
        assert found.usage is not None
        assert found.usage.input == 2000
        assert found.cost is not None
        counted = (found.usage.stored, found.usage.cached)
        told = usage.get("cache_creation_input_tokens"), usage.get("cache_read_input_tokens")
        assert counted == (told[0] or 0, told[1] or 0)
        return found.cost

    plain = cost({"input_tokens": 2000, "output_tokens": 0})
    stores = cost({"input_tokens": 400, "output_tokens": 0, "cache_creation_input_tokens": 1600})
    finds = cost({"input_tokens": 400, "output_tokens": 0, "cache_read_input_tokens": 1600})
    assert plain == pytest.approx(2000 * 3e-6)
    assert stores == pytest.approx(400 * 3e-6 + 1600 * 3.75e-6)
    assert finds == pytest.approx(400 * 3e-6 + 1600 * 0.3e-6)
