"""Completions scored one by one, over a real server: no order, and no other completion in sight."""

import json
from typing import Any

import pytest

from bakeoff.config import Sampling
from bakeoff.errors import VerdictError, WorkError
from bakeoff.judges.pointwise import Scorer
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Message, Pair, Prompt, Usage, Verdict
from tests.openai_server import Brain, OpenAIServer
from tests.working import outcomes

PROMPT = Prompt(messages=(Message(role="user", content="Which?"),))
POINTS = {"good": 9, "fair": 6, "poor": 2}


def scores(body: dict[str, Any]) -> str:
    text = body["messages"][0]["content"]
    word = next(word for word in POINTS if f"\n{word}\n" in text)
    return json.dumps({"explanation": f"It is {word}.", "score": POINTS[word]})


def judged(brain: Brain, *pairs: tuple[str, str]) -> tuple[list[Verdict | WorkError], list[Any]]:
    with OpenAIServer(brain) as server:
        judge = open_judge(
            judge_spec(f"api:j?base_url={server.url}&template=scored"), RunContext(Sampling())
        )
        assert isinstance(judge, Scorer)
        assert judge.order == "apart"
        items = [Pair(prompt=PROMPT, first=one, second=two) for one, two in pairs]
        return outcomes(judge, items), server.requests


def test_the_higher_score_wins_and_equal_ones_tie() -> None:
    found, requests = judged(scores, ("good", "poor"), ("poor", "fair"), ("fair", "fair"))
    assert [v.first for v in found if isinstance(v, Verdict)] == [1, 0, 0.5]
    first = found[0]
    assert isinstance(first, Verdict)
    assert first.scores == (9, 2)
    assert first.reason == "A: It is good.\nB: It is poor."
    assert first.usage == Usage(input=6, output=10)
    assert len(requests) == 6


def test_no_request_shows_two_completions() -> None:
    _, requests = judged(scores, ("good", "poor"))
    for request in requests:
        text = request["messages"][0]["content"]
        assert ("\ngood\n" in text) != ("\npoor\n" in text)


def test_swapping_the_pair_swaps_the_verdict() -> None:
    found, _ = judged(scores, ("good", "poor"), ("poor", "good"))
    one, other = found
    assert isinstance(one, Verdict)
    assert isinstance(other, Verdict)
    assert (other.first, other.scores) == (one.swapped().first, one.swapped().scores)


@pytest.mark.parametrize("broken", ["good", "poor"])
def test_a_score_that_cannot_be_read_fails_the_pair_and_no_other(broken: str) -> None:
    def brain(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"]
        return "Hm." if f"\n{broken}\n" in text else scores(body)

    found, _ = judged(brain, ("good", "poor"), ("fair", "fair"))
    assert isinstance(found[0], VerdictError)
    assert isinstance(found[1], Verdict)
