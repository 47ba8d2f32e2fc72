"""When a judge is asked again, over a real server: unreadable, contradictory, too long, or not."""

import json
from typing import Any

import pytest

from bakeoff.config import Sampling
from bakeoff.errors import ContextError, RefusedError, VerdictError, WorkError
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Message, Pair, Prompt, Usage, Verdict
from tests.openai_server import Brain, OpenAIServer, Reply, chat, shown, verdict
from tests.working import outcomes

PROMPT = Prompt(messages=(Message(role="user", content="Which?"),))


def asked(
    brain: Brain, first: str = "one", second: str = "two", options: str = ""
) -> tuple[Verdict | WorkError, list[dict[str, Any]]]:
    with OpenAIServer(brain) as server:
        spec = judge_spec(f"api:j?base_url={server.url}&retries=0{options}")
        judge = open_judge(spec, RunContext(Sampling()))
        (outcome,) = outcomes(judge, [Pair(prompt=PROMPT, first=first, second=second)])
    return outcome, server.requests


def in_turn(*replies: Any) -> Brain:
    waiting = list(replies)
    return lambda _: waiting.pop(0)


def read(outcome: Verdict | WorkError) -> Verdict:
    assert isinstance(outcome, Verdict), outcome
    return outcome


def test_what_can_be_read_is_asked_once() -> None:
    outcome, requests = asked(in_turn(verdict("A", 8, 3)))
    found = read(outcome)
    assert (found.first, found.mended, found.contradicts, found.kept) == (1, None, False, None)
    assert found.usage == Usage(input=3, output=5)
    assert (found.snapshot, found.cost, len(requests)) == ("loopback", None, 1)


def test_an_unreadable_reply_is_mended_once_and_both_requests_are_paid_for() -> None:
    outcome, requests = asked(in_turn("A, obviously.", verdict("A", 8, 3)))
    found = read(outcome)
    assert (found.first, found.mended) == (1, "unreadable")
    assert found.usage == Usage(input=6, output=10)
    assert [message["role"] for message in requests[1]["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


def test_a_judge_that_cannot_be_read_twice_has_no_verdict_and_its_words_are_kept() -> None:
    outcome, requests = asked(in_turn("Well.", "Well, well."))
    assert isinstance(outcome, VerdictError)
    assert (outcome.raw, len(requests)) == ("Well, well.", 2)


def test_a_winner_against_its_own_scores_is_asked_once_more() -> None:
    outcome, requests = asked(in_turn(verdict("A", 3, 8), verdict("B", 3, 8)))
    found = read(outcome)
    assert (found.first, found.mended, found.contradicts) == (0, "contradiction", False)
    assert "higher score" in requests[1]["messages"][2]["content"]


@pytest.mark.parametrize(
    "second", [verdict("A", 2, 9), "no more words", chat(None, message={"refusal": "No."})]
)
def test_where_asking_again_does_not_help_the_scores_are_kept_and_it_is_said(second: Any) -> None:
    outcome, requests = asked(in_turn(verdict("A", 3, 8), second))
    found = read(outcome)
    assert (found.first, found.contradicts, len(requests)) == (0, True, 2)
    assert found.scores is not None
    assert found.scores.second > found.scores.first


def test_a_mended_reply_that_contradicts_itself_is_not_asked_a_third_time() -> None:
    outcome, requests = asked(in_turn("Well.", verdict("B", 8, 3)))
    found = read(outcome)
    assert (found.first, found.mended, found.contradicts) == (1, "unreadable", True)
    assert len(requests) == 2


def test_a_refusal_is_one_and_is_not_argued_with() -> None:
    outcome, requests = asked(in_turn(chat(None, message={"refusal": "I will not."})))
    assert isinstance(outcome, RefusedError)
    assert (outcome.kind, outcome.raw, len(requests)) == ("refused", "I will not.", 1)


def small(room: int, words: str = "maximum context length is 8192 tokens") -> Brain:
    """A judge whose context holds so many characters."""

    def brain(body: dict[str, Any]) -> Any:
        if len(body["messages"][0]["content"]) <= room:
            return verdict("A", 8, 3)
        return Reply(400, {"error": {"message": words, "type": "invalid_request_error"}})

    return brain


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_what_does_not_fit_is_cut_in_the_middle_on_both_sides_alike(words: str) -> None:
    outcome, requests = asked(small(6000, words), "a" * 9000, "b" * 5000)
    found = read(outcome)
    assert found.kept == 1600
    one, two = shown(requests[-1])
    assert one.count("a") - "characters left out".count("a") == 1600
    assert two.count("b") == 1600
    assert "[... 7,400 characters left out ...]" in one
    assert "[... 3,400 characters left out ...]" in two


def test_a_short_completion_beside_a_long_one_stays_whole() -> None:
    outcome, requests = asked(small(4000), "a" * 9000, "short")
    assert read(outcome).kept == 1600
    assert shown(requests[-1])[1] == "short"


def test_a_prompt_that_never_fits_fails_as_what_it_is() -> None:
    outcome, _ = asked(small(10), "a" * 900, "b" * 900)
    assert isinstance(outcome, ContextError)
    assert outcome.kind == "context"


def test_both_orders_are_cut_alike() -> None:
    kept = {
        read(asked(small(5000), *pair)[0]).kept for pair in (("a" * 9000, "b"), ("b", "a" * 9000))
    }
    assert len(kept) == 1


def test_a_rubric_is_read_with_the_weights_that_were_shown(tmp_path: Any) -> None:
    file = tmp_path / "criteria.yaml"
    file.write_text("- {name: right, weight: 3}\n- {name: short, weight: 1}\n")
    scored = [
        {"name": "right", "score_a": 8, "score_b": 4},
        {"name": "short", "score_a": 0, "score_b": 8},
    ]
    reply = json.dumps({"explanation": "Well.", "criteria": scored})
    outcome, requests = asked(in_turn(reply), options=f"&template=rubric&criteria={file}")
    found = read(outcome)
    assert found.scores == (6, 5)
    assert found.first == 1
    assert "- right\n" in requests[0]["messages"][0]["content"]


def test_a_prompts_own_criteria_win_over_those_of_the_run() -> None:
    prompt = Prompt.model_validate({**PROMPT.model_dump(), "criteria": ["polite"]})
    reply = {"explanation": "x", "criteria": [{"name": "Polite", "score_a": 2, "score_b": 9}]}
    with OpenAIServer(lambda _: json.dumps(reply)) as server:
        spec = judge_spec(f"api:j?base_url={server.url}&template=rubric")
        judge = open_judge(spec, RunContext(Sampling()))
        (outcome,) = outcomes(judge, [Pair(prompt=prompt, first="a", second="b")])
    assert read(outcome).first == 0


@pytest.mark.parametrize(
    ("template", "reply", "first"),
    [
        ("marks", "A is right.\n\n[[A>>B]]", 1.0),
        ("scores", "Both try.\n\nScore A: 4\nScore B: 7", 0.0),
        ("guide", verdict("tie", 5, 5), 0.5),
        ("reference", verdict("B", 1, 9), 0.0),
    ],
)
def test_each_template_is_read_in_its_own_way(template: str, reply: str, first: float) -> None:
    with OpenAIServer(lambda _: reply) as server:
        spec = judge_spec(f"api:j?base_url={server.url}&template={template}")
        judge = open_judge(spec, RunContext(Sampling()))
        prompt = PROMPT.model_copy(update={"reference": "The good one."})
        (outcome,) = outcomes(judge, [Pair(prompt=prompt, first="a", second="b")])
    assert read(outcome).first == first
    structured = template in ("guide", "reference")
    assert ("response_format" in server.requests[0]) == structured
