"""Tests of retries, truncation, criteria and templates with a loopback server."""

import json
from typing import Any

import pytest

from bakeoff.config import Sampling
from bakeoff.errors import ContextError, RefusedError, VerdictError, WorkError
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Pair, Prompt, Usage, Verdict
from bakeoff.testing import (
    OpenAIServer,
    Reply,
    Responder,
    chat_completion,
    run_worker,
    shown_completions,
    verdict_json,
)
from tests.builders import make_prompt

PROMPT = make_prompt("Which?")


def judge_pair(
    respond: Responder, first: str = "one", second: str = "two", options: str = ""
) -> tuple[Verdict | WorkError, list[dict[str, Any]]]:
    with OpenAIServer(respond) as server:
        spec = judge_spec(f"api:j?base_url={server.url}&retries=0{options}")
        judge = open_judge(spec, RunContext(Sampling()))
        (outcome,) = run_worker(judge, [Pair(prompt=PROMPT, first=first, second=second)])
    return outcome, server.requests


def in_turn(*replies: Any) -> Responder:
    waiting = list(replies)
    return lambda _: waiting.pop(0)


def as_verdict(outcome: Verdict | WorkError) -> Verdict:
    assert isinstance(outcome, Verdict), outcome
    return outcome


def test_readable_reply_needs_one_request() -> None:
    outcome, requests = judge_pair(in_turn(verdict_json("A", 8, 3)))
    result = as_verdict(outcome)
    assert (result.first, result.retry_reason, result.contradictory, result.shown_characters) == (
        1,
        None,
        False,
        None,
    )
    assert result.usage == Usage(input_tokens=3, output_tokens=5)
    assert (result.snapshot, result.cost, len(requests)) == ("loopback", None, 1)


def test_unreadable_reply_is_retried_and_usage_is_summed() -> None:
    outcome, requests = judge_pair(in_turn("A, obviously.", verdict_json("A", 8, 3)))
    result = as_verdict(outcome)
    assert (result.first, result.retry_reason) == (1, "unreadable")
    assert result.usage == Usage(input_tokens=6, output_tokens=10)
    assert [message["role"] for message in requests[1]["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


def test_second_unreadable_reply_is_a_verdict_error_with_raw_text() -> None:
    outcome, requests = judge_pair(in_turn("Well.", "Well, well."))
    assert isinstance(outcome, VerdictError)
    assert (outcome.raw, len(requests)) == ("Well, well.", 2)


def test_contradictory_reply_is_retried() -> None:
    outcome, requests = judge_pair(in_turn(verdict_json("A", 3, 8), verdict_json("B", 3, 8)))
    result = as_verdict(outcome)
    assert (result.first, result.retry_reason, result.contradictory) == (0, "contradiction", False)
    assert "higher score" in requests[1]["messages"][2]["content"]


@pytest.mark.parametrize(
    "second",
    [verdict_json("A", 2, 9), "no more words", chat_completion(None, message={"refusal": "No."})],
)
def test_contradiction_follows_the_scores_if_the_retry_fails(second: Any) -> None:
    outcome, requests = judge_pair(in_turn(verdict_json("A", 3, 8), second))
    result = as_verdict(outcome)
    assert (result.first, result.contradictory, len(requests)) == (0, True, 2)
    assert result.scores is not None
    assert result.scores.second > result.scores.first


def test_contradictory_retry_is_not_retried_again() -> None:
    outcome, requests = judge_pair(in_turn("Well.", verdict_json("B", 8, 3)))
    result = as_verdict(outcome)
    assert (result.first, result.retry_reason, result.contradictory) == (1, "unreadable", True)
    assert len(requests) == 2


def test_refusal_is_not_retried() -> None:
    outcome, requests = judge_pair(
        in_turn(chat_completion(None, message={"refusal": "I will not."}))
    )
    assert isinstance(outcome, RefusedError)
    assert (outcome.kind, outcome.raw, len(requests)) == ("refused", "I will not.", 1)


def small_context(room: int, words: str = "maximum context length is 8192 tokens") -> Responder:
    """A judge whose context holds `room` characters."""

    def respond(body: dict[str, Any]) -> Any:
        if len(body["messages"][0]["content"]) <= room:
            return verdict_json("A", 8, 3)
        return Reply(400, {"error": {"message": words, "type": "invalid_request_error"}})

    return respond


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_completions_beyond_the_context_are_truncated_to_equal_lengths(words: str) -> None:
    outcome, requests = judge_pair(small_context(6000, words), "a" * 9000, "b" * 5000)
    result = as_verdict(outcome)
    assert result.shown_characters == 1600
    first, second = shown_completions(requests[-1])
    assert first.count("a") - "characters left out".count("a") == 1600
    assert second.count("b") == 1600
    assert "[... 7,400 characters left out ...]" in first
    assert "[... 3,400 characters left out ...]" in second


def test_short_completion_is_not_truncated_with_a_long_one() -> None:
    outcome, requests = judge_pair(small_context(4000), "a" * 9000, "short")
    assert as_verdict(outcome).shown_characters == 1600
    assert shown_completions(requests[-1])[1] == "short"


def test_prompt_that_never_fits_is_a_context_error() -> None:
    outcome, _ = judge_pair(small_context(10), "a" * 900, "b" * 900)
    assert isinstance(outcome, ContextError)
    assert outcome.kind == "context"


def test_both_orders_are_truncated_to_the_same_length() -> None:
    kept = {
        as_verdict(judge_pair(small_context(5000), *pair)[0]).shown_characters
        for pair in (("a" * 9000, "b"), ("b", "a" * 9000))
    }
    assert len(kept) == 1


def test_rubric_uses_the_weights_of_the_criteria_file(tmp_path: Any) -> None:
    file = tmp_path / "criteria.yaml"
    file.write_text("- {name: right, weight: 3}\n- {name: short, weight: 1}\n")
    scored = [
        {"name": "right", "score_a": 8, "score_b": 4},
        {"name": "short", "score_a": 0, "score_b": 8},
    ]
    reply = json.dumps({"explanation": "Well.", "criteria": scored})
    outcome, requests = judge_pair(in_turn(reply), options=f"&template=rubric&criteria={file}")
    result = as_verdict(outcome)
    assert result.scores == (6, 5)
    assert result.first == 1
    assert "- right\n" in requests[0]["messages"][0]["content"]


def test_criteria_of_the_prompt_override_those_of_the_run() -> None:
    prompt = Prompt.model_validate({**PROMPT.model_dump(), "criteria": ["polite"]})
    reply = {"explanation": "x", "criteria": [{"name": "Polite", "score_a": 2, "score_b": 9}]}
    with OpenAIServer(lambda _: json.dumps(reply)) as server:
        spec = judge_spec(f"api:j?base_url={server.url}&template=rubric")
        judge = open_judge(spec, RunContext(Sampling()))
        (outcome,) = run_worker(judge, [Pair(prompt=prompt, first="a", second="b")])
    assert as_verdict(outcome).first == 0


@pytest.mark.parametrize(
    ("template", "reply", "first"),
    [
        ("marks", "A is right.\n\n[[A>>B]]", 1.0),
        ("scores", "Both try.\n\nScore A: 4\nScore B: 7", 0.0),
        ("guide", verdict_json("tie", 5, 5), 0.5),
        ("reference", verdict_json("B", 1, 9), 0.0),
    ],
)
def test_each_template_has_its_own_parser(template: str, reply: str, first: float) -> None:
    with OpenAIServer(lambda _: reply) as server:
        spec = judge_spec(f"api:j?base_url={server.url}&template={template}")
        judge = open_judge(spec, RunContext(Sampling()))
        prompt = PROMPT.model_copy(update={"reference": "The good one."})
        (outcome,) = run_worker(judge, [Pair(prompt=prompt, first="a", second="b")])
    assert as_verdict(outcome).first == first
    structured = template in ("guide", "reference")
    assert ("response_format" in server.requests[0]) == structured
