"""Tests of the pointwise judge with a loopback server: each request shows one completion."""

import json
from typing import Any

import pytest

from bakeoff.config import Sampling
from bakeoff.errors import VerdictError, WorkError
from bakeoff.judges.pointwise import PointwiseJudge
from bakeoff.plugins import RunContext, judge_spec, open_judge
from bakeoff.records import Pair, Usage, Verdict
from bakeoff.testing import OpenAIServer, Responder, run_worker
from tests.builders import make_prompt

PROMPT = make_prompt("Which?")
POINTS = {"good": 9, "fair": 6, "poor": 2}


def scores(body: dict[str, Any]) -> str:
    text = body["messages"][0]["content"]
    word = next(word for word in POINTS if f"\n{word}\n" in text)
    return json.dumps({"explanation": f"It is {word}.", "score": POINTS[word]})


def judged(
    respond: Responder, *pairs: tuple[str, str]
) -> tuple[list[Verdict | WorkError], list[Any]]:
    with OpenAIServer(respond) as server:
        judge = open_judge(
            judge_spec(f"api:j?base_url={server.url}&template=scored"), RunContext(Sampling())
        )
        assert isinstance(judge, PointwiseJudge)
        assert judge.order == "pointwise"
        items = [Pair(prompt=PROMPT, first=first, second=second) for first, second in pairs]
        return run_worker(judge, items), server.requests


def test_higher_score_wins_and_equal_scores_tie() -> None:
    verdicts, requests = judged(scores, ("good", "poor"), ("poor", "fair"), ("fair", "fair"))
    assert [v.first for v in verdicts if isinstance(v, Verdict)] == [1, 0, 0.5]
    first = verdicts[0]
    assert isinstance(first, Verdict)
    assert first.scores == (9, 2)
    assert first.reason == "A: It is good.\nB: It is poor."
    assert first.usage == Usage(input_tokens=6, output_tokens=10)
    assert len(requests) == 6


def test_each_request_shows_one_completion() -> None:
    _, requests = judged(scores, ("good", "poor"))
    for request in requests:
        text = request["messages"][0]["content"]
        assert ("\ngood\n" in text) != ("\npoor\n" in text)


def test_swapped_pair_gets_swapped_verdict() -> None:
    verdicts, _ = judged(scores, ("good", "poor"), ("poor", "good"))
    straight, swapped = verdicts
    assert isinstance(straight, Verdict)
    assert isinstance(swapped, Verdict)
    assert (swapped.first, swapped.scores) == (straight.swapped().first, straight.swapped().scores)


def test_requests_of_a_pair_follow_each_other_and_either_model_comes_first() -> None:
    judge = open_judge(
        judge_spec("api:j?base_url=http://localhost:9&template=scored"), RunContext(Sampling())
    )
    assert isinstance(judge, PointwiseJudge)
    pairs = [Pair(prompt=make_prompt(f"Which? {n}"), first="a", second="b") for n in range(60)]
    orders = ["".join(item.text for item in judge.split(pair)) for pair in pairs]
    swapped = ["".join(item.text for item in judge.split(pair.swapped())) for pair in pairs]
    assert set(orders) == {"ab", "ba"}
    assert 15 <= orders.count("ab") <= 45
    assert swapped == [order[::-1] for order in orders]


@pytest.mark.parametrize("broken", ["good", "poor"])
def test_unreadable_score_fails_only_its_pair(broken: str) -> None:
    def respond(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"]
        return "Hm." if f"\n{broken}\n" in text else scores(body)

    verdicts, _ = judged(respond, ("good", "poor"), ("fair", "fair"))
    assert isinstance(verdicts[0], VerdictError)
    assert isinstance(verdicts[1], Verdict)
