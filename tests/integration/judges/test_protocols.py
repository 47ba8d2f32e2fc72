"""Verdicts over both API formats, with the errors, refusals and truncations of real servers.

Both formats are spoken by the official clients. What a generator makes of replies as such is tested
with the generator; here it counts what the judge emits: a verdict, a failure that is recorded, or
an error that stops the run.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, ConfigError, RefusedError, VerdictError, WorkError
from bakeoff.judges.parsing.verdicts import VERDICT_SCHEMA
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Failure, Pair, Usage, Verdict
from bakeoff.testing import (
    SNAPSHOT,
    AnthropicServer,
    OpenAIServer,
    Reply,
    Responder,
    anthropic_message,
    chat_completion,
    run_worker,
    shown_completions,
    verdict_json,
)
from tests.builders import make_prompt
from tests.marks import long

SOON = {"Retry-After-Ms": "1"}
FINE = verdict_json("A", 8, 3)


def error_body(words: str) -> dict[str, Any]:
    """An error's body, in a form that both official clients read."""
    return {"type": "error", "error": {"type": "some_error", "message": words}}


@dataclass
class Side:
    """One of the two formats: its server, its body around a text, and a judge's spec."""

    name: str
    server: type[OpenAIServer]
    body: Callable[..., dict[str, Any]]
    target: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def judge(
        self, respond: Responder, pairs: list[Pair], options: str = ""
    ) -> list[Verdict | WorkError]:
        with self.server(respond) as server:
            url = server.address if isinstance(server, AnthropicServer) else server.url
            self.requests, self.raw = server.requests, server.raw
            spec = judge_spec(f"{self.target}?base_url={url}&retries=1{options}")
            return run_worker(open_judge(spec, RunContext(Sampling())), pairs)

    def judge_one(self, respond: Responder, options: str = "") -> Verdict | WorkError:
        return self.judge(respond, [pair()], options)[0]


@pytest.fixture(params=["openai", "anthropic"])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Side:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-loopback")
    if request.param == "openai":
        return Side("openai", OpenAIServer, chat_completion, "api:j")
    return Side("anthropic", AnthropicServer, anthropic_message, "anthropic:claude-x")


only = {
    name: pytest.mark.parametrize("side", [name], indirect=True) for name in ("openai", "anthropic")
}


def pair(first: str = "one", second: str = "two") -> Pair:
    prompt = make_prompt("Which?")
    return Pair(prompt=prompt, first=first, second=second)


def once(reply: Any) -> Responder:
    """Responder that sends `reply` to the first request and then a verdict."""
    replies = [reply]
    return lambda _: replies.pop() if replies else FINE


def judge_with_faults(
    side: Side, faults: dict[str, Reply], times: int
) -> dict[str, Verdict | WorkError]:
    """The outcome of one pair per fault, whose request gets the fault `times` times."""
    left = dict.fromkeys(faults, times)

    def respond(body: dict[str, Any]) -> Any:
        name, _ = shown_completions(body)
        left[name] -= 1
        return faults[name] if left[name] >= 0 else FINE

    results = side.judge(respond, [pair(name) for name in faults])
    return dict(zip(faults, results, strict=True))


def request_counts(side: Side) -> Counter[str]:
    """The number of requests about each pair, by its first completion."""
    return Counter(shown_completions(body)[0] for body in side.requests)


def recorded(outcome: Verdict | WorkError) -> tuple[str, int | None, str | None]:
    """Kind, status and raw text of the failure that a run keeps."""
    assert isinstance(outcome, WorkError), outcome
    failure = Failure.of(outcome, "judgment", "p1", "judge")
    return failure.kind, failure.status, failure.raw


def statuses(*codes: int) -> dict[str, Reply]:
    return {str(code): Reply(code, error_body("no"), SOON) for code in codes}


PASSING = (408, 409, 500, 502, 504)
BUSY = (429, 503, 529)  # with a Retry-After header


def test_transient_status_is_retried_without_a_judge_retry(side: Side) -> None:
    results = judge_with_faults(side, statuses(*PASSING, *BUSY), times=1)
    for outcome in results.values():
        assert isinstance(outcome, Verdict), outcome
        assert (outcome.first, outcome.retry_reason) == (1.0, None)
    assert request_counts(side) == dict.fromkeys(results, 2)


def test_persistent_status_fails_the_pair(side: Side) -> None:
    results = judge_with_faults(side, statuses(400, 422, *PASSING), times=9)
    for status, outcome in results.items():
        assert isinstance(outcome, BackendError), outcome
        assert recorded(outcome) == ("backend", int(status), None)
    assert request_counts(side) == {**dict.fromkeys(results, 2), "400": 1, "422": 1}


@pytest.mark.parametrize("status", [BUSY[0], *long(BUSY[1:])])
def test_overloaded_server_is_waited_for(side: Side, status: int) -> None:
    results = judge_with_faults(
        side, statuses(status), times=3
    )  # more than it is tried again where it fails
    assert isinstance(results[str(status)], Verdict)
    assert request_counts(side) == {str(status): 4}


@pytest.mark.parametrize(
    ("status", "words"), [(401, "check the key"), (403, "check the key"), (404, "check the name")]
)
def test_authentication_and_similar_errors_stop_the_run(
    side: Side, status: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        side.judge_one(lambda _: Reply(status, error_body("no"), SOON))
    assert len(side.requests) == 1


def test_bad_request_fails_only_its_pair(side: Side) -> None:
    def respond(body: dict[str, Any]) -> Any:
        return Reply(400, error_body("no")) if "bad" in shown_completions(body) else FINE

    results = side.judge(respond, [pair(), pair("bad"), pair("three")])
    assert [isinstance(outcome, Verdict) for outcome in results] == [True, False, True]


def test_too_large_request_is_repeated_with_shorter_completions(side: Side) -> None:
    def respond(body: dict[str, Any]) -> Any:
        return (
            Reply(413, error_body("too large"))
            if max(map(len, shown_completions(body))) > 3000
            else FINE
        )

    outcome = side.judge(respond, [pair("word " * 2000, "two")])[0]
    assert isinstance(outcome, Verdict)
    assert outcome.shown_characters is not None
    assert outcome.shown_characters <= 3000
    outcome = side.judge(lambda _: Reply(413, error_body("too large")), [pair("word " * 2000)])[0]
    assert recorded(outcome) == ("context", 413, None)


def test_retry_after_is_respected(side: Side) -> None:
    times: list[float] = []

    def respond(_: dict[str, Any]) -> Any:
        times.append(time.monotonic())
        # Longer than the clients wait by themselves before a first retry.
        return FINE if len(times) > 1 else Reply(429, error_body("slow"), {"Retry-After": "0.8"})

    assert isinstance(side.judge_one(respond), Verdict)
    assert times[1] - times[0] >= 0.8


def test_invalid_retry_after_is_ignored(side: Side) -> None:
    values = ["0", "-5", "3600", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"]
    faults = {after: Reply(429, error_body("slow"), {"Retry-After": after}) for after in values}
    for outcome in judge_with_faults(side, faults, times=9).values():
        assert recorded(outcome) == ("backend", 429, None)  # and not an hour later
    assert max(request_counts(side).values()) <= 2


TRUNCATED = {
    "in the middle": Reply(200, b'{"id": "x", "cho', {"Content-Length": "999"}, hangs_up=True),
    "before the first byte": Reply(200, b"", {"Content-Length": "999"}, hangs_up=True),
    "in a chunk": Reply(
        200, b'40\r\n{"id": ', {"Transfer-Encoding": "chunked", "Content-Length": ""}, hangs_up=True
    ),
}
UNREADABLE = {
    "half a JSON text": Reply(200, b'{"id": "x", "cho'),
    "a web page": Reply(200, b"<html>", {"Content-Type": "text/html"}),
    "nothing": Reply(200, b"", {"Content-Length": "0"}),
    "an empty object": Reply(200, {}),
    "a list": Reply(200, []),
    "an error with status 200": Reply(200, error_body("overloaded")),
    "no choices": Reply(200, {**chat_completion(FINE), "choices": [], "content": None}),
    "choices that are null": Reply(
        200, {**chat_completion(FINE), "choices": None, "content": None}
    ),
}


def test_truncated_body_is_retried_and_then_fails(side: Side) -> None:
    assert all(
        isinstance(outcome, Verdict) for outcome in judge_with_faults(side, TRUNCATED, 1).values()
    )
    for outcome in judge_with_faults(side, TRUNCATED, times=9).values():
        assert isinstance(outcome, BackendError), outcome
        assert recorded(outcome)[1:] == (None, None)
    assert request_counts(side) == dict.fromkeys(TRUNCATED, 2)


def test_malformed_body_is_retried_and_then_fails(side: Side) -> None:
    for outcome in judge_with_faults(side, UNREADABLE, times=1).values():
        assert isinstance(outcome, Verdict), outcome
        assert outcome.retry_reason is None
    results = judge_with_faults(side, UNREADABLE, times=9)
    kinds = {name: recorded(outcome) for name, outcome in results.items()}
    assert kinds == dict.fromkeys(results, ("unreadable", None, None))
    assert request_counts(side) == dict.fromkeys(results, 2)


def silent(side: Side) -> dict[str, Any]:
    """A reply without a text: null content, or no content block."""
    return side.body(None)


def test_empty_reply_is_retried_once(side: Side) -> None:
    outcome = side.judge_one(once(silent(side)))
    assert isinstance(outcome, Verdict)
    assert outcome.retry_reason == "unreadable"
    roles = [turn["role"] for turn in side.requests[1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert all(turn["content"] for turn in side.requests[1]["messages"])  # Anthropic takes no empty
    outcome = side.judge_one(lambda _: silent(side))
    assert isinstance(outcome, VerdictError)
    assert recorded(outcome) == ("verdict", None, "")
    assert len(side.requests) == 2


def test_verdict_after_a_retry_has_the_usage_of_both_requests(side: Side) -> None:
    outcome = side.judge_one(once("Hm."))
    assert isinstance(outcome, Verdict)
    each = {
        "openai": Usage(input_tokens=3, output_tokens=5),
        "anthropic": Usage(input_tokens=11, output_tokens=7),
    }[side.name]
    assert outcome.usage == each + each


REFUSALS = {
    "openai": [
        chat_completion(None, message={"refusal": "I can't judge this."}),
        chat_completion(None, finish_reason="content_filter"),
        chat_completion(FINE[:20], finish_reason="content_filter"),
    ],
    "anthropic": [
        anthropic_message(None, stop_reason="refusal"),
        anthropic_message("I can't judge this.", stop_reason="refusal"),
        anthropic_message(FINE[:20], stop_reason="refusal"),
    ],
}


def test_refusal_fails_without_a_retry(side: Side) -> None:
    for body in REFUSALS[side.name]:
        outcome = side.judge_one(lambda _, body=body: body)  # type: ignore[misc]
        assert isinstance(outcome, RefusedError)
        assert recorded(outcome)[:2] == ("refused", None)
        assert len(side.requests) == 1


def cut(side: Side, text: str) -> dict[str, Any]:
    ends = {"openai": {"finish_reason": "length"}, "anthropic": {"stop_reason": "max_tokens"}}
    return side.body(text, **ends[side.name])


def test_truncated_verdict_is_unreadable_but_a_complete_one_before_it_counts(
    side: Side,
) -> None:
    outcome = side.judge_one(lambda _: cut(side, FINE[:-1]))
    assert isinstance(outcome, VerdictError)
    assert "token limit" in outcome.message
    assert recorded(outcome) == ("verdict", None, FINE[:-1])
    assert len(side.requests) == 2
    complete = side.judge_one(lambda _: cut(side, FINE + "\nFurthermore"))
    assert isinstance(complete, Verdict)
    assert complete.first == 1.0


@pytest.mark.parametrize("kind", ["json", "marks", "scores", "rubric"])
def test_requests_are_not_streamed_and_limit_the_reply(side: Side, kind: str) -> None:
    results = side.judge(lambda _: "[[A]]", [pair(), pair("three")], f"&verdict={kind}")
    assert len(results) == 2
    assert len(side.requests) >= 2
    for body in side.requests:
        assert not body.get("stream")
        assert body.get("max_tokens") or body.get("max_completion_tokens")
        assert body["temperature"] == 0


@only["openai"]
def test_logprob_verdict_needs_logprobs(side: Side) -> None:
    def respond(body: dict[str, Any]) -> Any:
        if "bad" in body["messages"][0]["content"]:
            return "A"
        likely = [{"token": " B", "logprob": -0.2, "bytes": None}]
        content = [{**likely[0], "top_logprobs": likely}]
        return chat_completion(" B", logprobs={"content": content, "refusal": None})

    good, bad = side.judge(respond, [pair(), pair("bad")], "&verdict=logprob")
    assert isinstance(good, Verdict)
    assert (good.first, good.scores) == (0.0, None)
    assert isinstance(bad, VerdictError)
    assert recorded(bad) == ("verdict", None, "A")
    assert len(side.requests) == 2  # asking once more in words would not give any


@only["anthropic"]
def test_provider_without_logprobs_stops_the_run_before_any_request(side: Side) -> None:
    with pytest.raises(ConfigError, match="gives no log-probabilities"):
        side.judge_one(lambda _: "A", "&verdict=logprob")
    assert side.requests == []


@only["openai"]
def test_verdict_has_snapshot_and_tokens_of_the_server(side: Side) -> None:
    outcome = side.judge_one(lambda _: {**chat_completion(FINE), "model": "j-2026"})
    assert isinstance(outcome, Verdict)
    assert (outcome.snapshot, outcome.usage) == ("j-2026", Usage(input_tokens=3, output_tokens=5))
    bare = side.judge_one(lambda _: {**chat_completion(FINE), "usage": None})
    assert isinstance(bare, Verdict)
    assert bare.usage is None
    broken = {"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2}
    wrong = side.judge_one(lambda _: {**chat_completion(FINE), "usage": broken})
    assert isinstance(wrong, Verdict), wrong


@only["anthropic"]
def test_system_prompt_is_separate_and_only_known_fields_are_sent(side: Side) -> None:
    outcome = side.judge_one(once("Hm."), "&system=Be fair.&max_tokens=99")
    assert isinstance(outcome, Verdict)
    for body in side.requests:
        assert body["system"] == "Be fair."
        assert {turn["role"] for turn in body["messages"]} <= {"user", "assistant"}
        assert (body["model"], body["max_tokens"]) == ("claude-x", 99)
        assert body["output_config"]["format"]["schema"]["required"] == VERDICT_SCHEMA["required"]
        assert not {"seed", "response_format", "logprobs", "max_completion_tokens"} & set(body)
    head = side.raw[0].decode().lower()
    assert head.startswith("post /v1/messages http/1.1")
    assert "x-api-key: sk-loopback" in head
    assert "anthropic-version: " in head
    assert "sk-loopback" not in json.dumps(side.requests)


@only["anthropic"]
def test_content_blocks_snapshot_and_cached_tokens_are_parsed(side: Side) -> None:
    blocks = [
        {"type": "thinking", "thinking": 'B? {"winner": "B"}', "signature": "s"},
        {"type": "text", "text": FINE[:30]},
        {"type": "text", "text": FINE[30:]},
    ]
    usage = {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 100}
    outcome = side.judge_one(lambda _: anthropic_message(None, content=blocks, usage=usage))
    assert isinstance(outcome, Verdict)
    assert (outcome.first, outcome.raw) == (1.0, FINE)
    assert outcome.snapshot == SNAPSHOT
    assert outcome.usage == Usage(input_tokens=111, output_tokens=7, cached_tokens=100)


@only["anthropic"]
@pytest.mark.parametrize("reason", ["stop_sequence", "pause_turn", "something_new", None])
def test_unknown_stop_reason_is_not_a_failure(side: Side, reason: str | None) -> None:
    assert isinstance(
        side.judge_one(lambda _: anthropic_message(FINE, stop_reason=reason)), Verdict
    )


@only["anthropic"]
def test_temperature_wins_over_mutually_exclusive_parameter(
    side: Side,
) -> None:
    def respond(body: dict[str, Any]) -> Any:
        words = "`temperature` and `top_p` cannot both be specified. Please use only one."
        return Reply(400, error_body(words)) if {"temperature", "top_p"} <= set(body) else FINE

    assert isinstance(side.judge_one(respond), Verdict)
    assert side.requests[-1]["temperature"] == 0
