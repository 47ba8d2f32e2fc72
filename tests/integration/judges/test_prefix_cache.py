"""Tests of waves of requests with a common prefix."""

from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.judges.prefix_cache import MIN_PREFIX_CHARS as LONG
from bakeoff.judges.prefix_cache import prefix_waves
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Pair, PrefixedPrompt, Verdict
from bakeoff.testing import (
    AnthropicServer,
    OpenAIServer,
    Reply,
    chat_completion,
    run_worker,
    shown_completions,
    verdict_json,
)
from tests.builders import make_prompt


def test_short_prompts_are_one_unchanged_wave() -> None:
    prompts = [make_prompt("a" * (LONG - 1)), make_prompt("a" * (LONG - 1)), make_prompt("b")]
    assert prefix_waves(prompts) == [list(enumerate(prompts))]
    assert prefix_waves([]) == [[]]


def test_one_prompt_per_common_prefix_is_in_the_first_wave() -> None:
    long = ["a" * LONG + "one", "b" * LONG, "a" * LONG + "oh", "short", "a" * LONG + "no"]
    first, second = prefix_waves([make_prompt(text) for text in long])
    assert [place for place, _ in first] == [0, 1, 3]
    assert [place for place, _ in second] == [2, 4]
    sent = dict(first + second)
    assert {place: sent[place].shared for place in (0, 2, 4)} == dict.fromkeys((0, 2, 4), LONG)  # type: ignore[attr-defined]
    assert not any(isinstance(sent[place], PrefixedPrompt) for place in (1, 3))
    for place, text in enumerate(long):
        assert sent[place].messages == make_prompt(text).messages
        assert sent[place].id == make_prompt(text).id


def pairs(question: str) -> list[Pair]:
    """A pair in both orders."""
    pair = Pair(prompt=make_prompt(question), first="the good one", second="the other one")
    return [pair, pair.swapped()]


def requests(question: str, server: OpenAIServer, spec: str, max_concurrency: int = 8) -> list[str]:
    """The texts of the judge's requests about a pair in both orders."""
    judge = open_judge(judge_spec(spec), RunContext(Sampling(), max_concurrency))
    assert all(isinstance(outcome, Verdict) for outcome in run_worker(judge, pairs(question)))
    return [
        "".join(block["text"] for block in content) if isinstance(content, list) else content
        for content in (body["messages"][0]["content"] for body in server.requests)
    ]


TEMPLATES = ("pairwise", "guide", "marks", "scores", "rubric", "choice", "reference")


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_both_orders_share_a_prefix_up_to_the_completions(template: str) -> None:
    """The cacheable prefix: instructions, prompt, reference."""
    question = make_prompt("What is it, then?", reference="The known one.")
    spec = judge_spec(f"api:j?base_url=http://127.0.0.1:9/v1&template={template}")
    judge: Any = open_judge(spec, RunContext(Sampling()))
    pair = Pair(prompt=question, first="the good one", second="the other one")
    first, second = (judge.render(p, None).messages[0].content for p in (pair, pair.swapped()))
    assert first != second
    end = next(n for n, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
    assert "What is it, then?" in first[:end]
    assert first[end - 4 : end] == "the "
    assert ("The known one." in first[:end]) == (template == "reference")


@pytest.mark.parametrize(("length", "together"), [(LONG, 1), (100, 2)])
def test_second_order_of_a_long_prompt_is_sent_after_the_first(length: int, together: int) -> None:
    def respond(_: dict[str, Any]) -> Reply:
        verdict = chat_completion(verdict_json("tie"))
        return Reply(body=verdict, delay=0.1, until=lambda: server.max_in_flight >= together)

    with OpenAIServer(respond) as server:
        texts = requests("?" * length, server, f"api:j?base_url={server.url}")
    assert len(texts) == 2
    assert server.max_in_flight == together


def test_anthropic_requests_mark_the_shared_prefix_for_caching(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    with AnthropicServer(lambda _: verdict_json("tie")) as server:
        spec = f"anthropic:claude-x?base_url={server.address}"
        texts = requests("Which one?\n" * 500, server, spec)
        heads = [body["messages"][0]["content"][0] for body in server.requests]
    assert len(texts) == 2
    assert heads[0] == heads[1]
    assert heads[0]["cache_control"] == {"type": "ephemeral"}
    assert heads[0]["text"].count("Which one?") == 500
    assert "the good one" not in heads[0]["text"]


def test_unreadable_replies_are_retried_in_both_waves() -> None:
    def respond(body: dict[str, Any]) -> Any:
        return verdict_json("A") if len(body["messages"]) > 1 else "No idea."

    with OpenAIServer(respond) as server:
        spec = f"api:j?base_url={server.url}"
        judge = open_judge(Spec.parse(spec), RunContext(Sampling()))
        verdicts = run_worker(judge, pairs("?" * LONG))
        order = [shown_completions(body)[0] for body in server.requests]
    assert [verdict.retry_reason for verdict in verdicts if isinstance(verdict, Verdict)] == [
        "unreadable"
    ] * 2
    assert order == ["the good one"] * 2 + ["the other one"] * 2
