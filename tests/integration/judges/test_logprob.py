"""Tests of judges that compare a number per completion: rewards and log-probabilities."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.judges.logprob import LikelihoodJudge, RawScoreJudge, RewardJudge
from bakeoff.plugins import RunContext, judge_spec, open_generator, open_judge
from bakeoff.records import Completion, Message, Pair, Prompt, RawScores, Verdict
from bakeoff.runtime import Emit, Traits, weights_of
from bakeoff.testing import run_worker
from tests.builders import make_prompt
from tests.tiny_models import make_tiny_model, make_tiny_reward_model

PROMPT = make_prompt("Which?")


class LengthScorer:
    """A generator whose score of a text is its length; it fails for some, and can be paused."""

    weights = "s1:scale"
    traits = Traits(exclusive=True, caveat="It only counts.")
    identity: JsonValue = "scale"

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.prepared = self.closed = 0
        self.resume = asyncio.Event()
        self.resume.set()
        self.fails = {"bad"}

    async def prepare(self) -> None:
        self.prepared += 1

    async def close(self) -> None:
        self.closed += 1

    async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
        new_texts = [item.messages[-1].content for item in items]
        self.texts += new_texts
        assert all(item.messages[-1].role == "assistant" for item in items)
        assert all(item.messages[:-1] == PROMPT.messages for item in items)
        await self.resume.wait()
        for index in reversed(range(len(new_texts))):
            await asyncio.sleep(0)
            failed = new_texts[index] in self.fails
            done = Completion(text="", score=len(new_texts[index]))
            emit(index, BackendError("too bad") if failed else done)


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def judge_on(scale: Any, token: str = "reward:x", monkeypatch: Any = None) -> RawScoreJudge:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.judges.logprob.open_generator", lambda *_: scale)
        judge = open_judge(judge_spec(token), RunContext(Sampling()))
    assert isinstance(judge, RawScoreJudge)
    return judge


def pair(first: str, second: str) -> Pair:
    return Pair(prompt=PROMPT, first=first, second=second)


def compared(token: str, first: float, second: float) -> float:
    return judge_on(LengthScorer(), token).compare(RawScores(first, second))


numbers = st.floats(allow_nan=False, allow_infinity=False)
KINDS = ("reward:x", "reward:x?temperature=0.25", "hf:x?verdict=likelihood")


# -------------------------------------------------------------------------- comparison


@pytest.mark.parametrize("token", KINDS)
def test_swapped_pairs_get_exactly_swapped_verdicts(token: str) -> None:
    @given(numbers, numbers)
    def check(a: float, b: float) -> None:
        first, swapped = compared(token, a, b), compared(token, b, a)
        verdict = Verdict(first=first, raw_scores=RawScores(a, b))
        assert verdict.swapped() == Verdict(first=swapped, raw_scores=RawScores(b, a))
        assert Verdict(first=swapped).swapped().first == first
        assert (first > 0.5, first == 0.5) == (a > b, a == b) or "reward" in token
        assert (first >= 0.5) == (a >= b) or first == 0.5  # a difference lost in rounding

    check()


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0.1, 10))
def test_reward_judge_returns_sigmoid_of_difference(
    first: float, second: float, temperature: float
) -> None:
    probability = compared(f"reward:x?temperature={temperature}", first, second)
    assert probability == pytest.approx(
        1 / (1 + math.exp((second - first) / temperature)), abs=1e-12
    )


def test_likelihood_judge_returns_only_win_tie_or_loss() -> None:
    token = "hf:x?verdict=likelihood"
    assert [compared(token, -1, two) for two in (-1.5, -1, -0.5)] == [1, 0.5, 0]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "warm"])
def test_invalid_temperature_is_a_config_error(value: str) -> None:
    with pytest.raises(ConfigError, match="temperature = "):
        judge_on(LengthScorer(), f"reward:x?temperature={value}")


# ------------------------------------------------------------------------------- requests


@pytest.mark.parametrize("token", KINDS)
def test_verdict_compares_the_scores_of_both_completions(token: str) -> None:
    longer, shorter, equal = run_worker(
        judge_on(LengthScorer(), token), [pair("abc", "d"), pair("d", "abc"), pair("d", "d")]
    )
    for outcome in (longer, shorter, equal):
        assert isinstance(outcome, Verdict)
    assert longer.first > 0.5 > shorter.first  # type: ignore[union-attr]
    assert longer == shorter.swapped()  # type: ignore[union-attr]
    assert equal == Verdict(first=0.5, raw_scores=RawScores(1, 1))
    assert longer.raw_scores == RawScores(3, 1)  # type: ignore[union-attr]


def test_pair_fails_with_the_error_of_one_completion() -> None:
    done = run_worker(
        judge_on(LengthScorer()), [pair("bad", "d"), pair("d", "bad"), pair("d", "ee")]
    )
    assert [isinstance(outcome, BackendError) for outcome in done] == [True, True, False]
    assert str(done[0]) == "too bad"


def test_score_of_a_completion_is_requested_once() -> None:
    scale = LengthScorer()
    judge = judge_on(scale)
    run_worker(judge, [pair("a", "b"), pair("b", "c"), pair("a", "a")])
    again = run_worker(judge, [pair("c", "a"), pair("d", "b")])
    assert sorted(scale.texts) == ["a", "b", "c", "d"]
    assert all(isinstance(outcome, Verdict) for outcome in again)


def test_equal_completions_of_other_prompts_are_requested_separately() -> None:
    prompts: list[Prompt] = []

    class CountingScorer(LengthScorer):
        async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
            prompts.extend(items)
            for index, _ in enumerate(items):
                emit(index, Completion(text="", score=len(prompts)))

    other = make_prompt("Who?")
    done = run_worker(
        judge_on(CountingScorer()),
        [pair("a", "b"), pair("a", "b").model_copy(update={"prompt": other})],
    )
    assert len(prompts) == 4
    assert all(isinstance(outcome, Verdict) for outcome in done)


def test_overlapping_calls_share_requests_and_failures_are_retried() -> None:
    scale = LengthScorer()
    scale.resume.clear()
    judge = judge_on(scale)
    results: dict[tuple[str, int], Verdict | WorkError] = {}

    async def call(name: str, *pairs: Pair) -> None:
        await judge(pairs, lambda index, outcome: results.__setitem__((name, index), outcome))

    async def run() -> None:
        first = asyncio.create_task(call("first", pair("a", "b"), pair("bad", "a")))
        await asyncio.sleep(0)
        second = asyncio.create_task(call("second", pair("b", "c"), pair("c", "bad")))
        await settled()
        scale.resume.set()
        await asyncio.gather(first, second)
        assert sorted(scale.texts) == ["a", "b", "bad", "c"]
        scale.fails.clear()
        await call("third", pair("bad", "a"))

    asyncio.run(run())
    assert len(results) == 5
    failed = {key for key, outcome in results.items() if isinstance(outcome, WorkError)}
    assert failed == {("first", 1), ("second", 1)}
    assert scale.texts[4:] == ["bad"]


def test_verdict_is_emitted_as_soon_as_both_scores_are_known() -> None:
    emitted: list[int] = []

    class SlowScorer(LengthScorer):
        async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
            for index, _ in enumerate(items):
                emit(index, Completion(text="", score=index))
                await settled()
                assert len(emitted) >= (index + 1) // 2

    judge = judge_on(SlowScorer())
    pairs = [pair(f"{i} one", f"{i} two") for i in range(4)]
    asyncio.run(judge(pairs, lambda index, _: emitted.append(index)))
    assert emitted == [0, 1, 2, 3]


def test_cancelled_call_releases_waiting_calls() -> None:
    scale = LengthScorer()
    scale.resume.clear()
    judge = judge_on(scale)
    results: list[Verdict | WorkError] = []

    async def run() -> None:
        first = asyncio.create_task(judge([pair("a", "b")], lambda *_: None))
        await asyncio.sleep(0)
        second = asyncio.create_task(judge([pair("b", "c")], lambda _, o: results.append(o)))
        await settled()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        scale.resume.set()
        await asyncio.wait_for(second, 60)
        assert [isinstance(outcome, WorkError) for outcome in results] == [True]
        await judge([pair("b", "c")], lambda _, o: results.append(o))

    asyncio.run(run())
    assert isinstance(results[1], Verdict)


def test_cancelling_a_waiting_call_does_not_cancel_the_request() -> None:
    scale = LengthScorer()
    scale.resume.clear()
    judge = judge_on(scale)
    results: list[Verdict | WorkError] = []

    async def run() -> None:
        first = asyncio.create_task(judge([pair("a", "b")], lambda _, o: results.append(o)))
        await asyncio.sleep(0)
        second = asyncio.create_task(judge([pair("b", "a")], lambda *_: None))
        await settled()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        scale.resume.set()
        await first

    asyncio.run(run())
    assert [isinstance(outcome, Verdict) for outcome in results] == [True]


def test_config_error_propagates_from_the_call() -> None:
    class FailingScorer(LengthScorer):
        async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
            raise ConfigError("no such file")

    with pytest.raises(ConfigError, match="no such file"):
        run_worker(judge_on(FailingScorer()), [pair("a", "b")])


def test_completion_without_score_is_a_config_error() -> None:
    class TextGenerator(LengthScorer):
        async def __call__(self, items: Sequence[Prompt], emit: Emit[Completion]) -> None:
            for index, _ in enumerate(items):
                emit(index, Completion(text="I like it."))

    with pytest.raises(ConfigError, match="completes where it should weigh"):
        run_worker(judge_on(TextGenerator()), [pair("a", "b")])


# ------------------------------------------------------------------------------- identity


@pytest.mark.parametrize("token", KINDS)
def test_judge_delegates_worker_properties_to_its_generator(token: str) -> None:
    scale = LengthScorer()
    judge = judge_on(scale, token)
    run_worker(judge, [pair("a", "b")])
    assert (scale.prepared, scale.closed) == (1, 1)
    assert weights_of(judge) == "s1:scale"
    assert (judge.traits.caveat, judge.traits.exclusive) == ("It only counts.", True)
    assert judge.order == "pointwise"
    assert judge.traits.prefers_own_family == ("likelihood" in token)


def test_identity_depends_on_the_comparison() -> None:
    identities = [judge_on(LengthScorer(), token).identity for token in KINDS]
    assert all(identity not in identities[:at] for at, identity in enumerate(identities))
    assert judge_on(LengthScorer(), "reward:x?temperature=1").identity == identities[0]
    assert identities[2] == {"judge": "likelihood", "generator": "scale"}


def test_identity_does_not_depend_on_the_seed(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    spec = judge_spec(f"hf:{folder}?verdict=likelihood")
    first, second = (open_judge(spec, RunContext(Sampling(seed=seed))).identity for seed in (1, 2))
    assert first == second


def test_generator_without_scores_is_a_config_error() -> None:
    for token in ("echo:hi?verdict=likelihood", "gpt-4?verdict=likelihood"):
        with pytest.raises(ConfigError, match="cannot weigh completions"):
            open_judge(judge_spec(token), RunContext(Sampling()))


def test_unknown_options_are_config_errors(tmp_path: Path) -> None:
    for token in ("reward:x?temprature=2", "hf:x?verdict=likelihood&templat=x"):
        with pytest.raises(ConfigError, match="no option 'temp"):
            open_judge(judge_spec(token), RunContext(Sampling()))


# ---------------------------------------------------------------------- with real models


def test_real_reward_model_ranks_by_its_head(tmp_path: Path) -> None:
    folder = make_tiny_reward_model(tmp_path)
    judge = open_judge(judge_spec(f"reward:{folder}?batch_size=3"), RunContext(Sampling()))
    assert isinstance(judge, RewardJudge)
    texts = ["none", "one!", "two!!", "three!!!!!"]
    pairs = [pair(first, second) for first in texts for second in texts]
    done = run_worker(judge, pairs)
    for first, outcome in zip(pairs, done, strict=True):
        assert isinstance(outcome, Verdict)
        assert outcome.raw_scores is not None
        better = first.first.count("!") - first.second.count("!")
        assert (outcome.first > 0.5, outcome.first < 0.5) == (better > 0, better < 0)
        swapped = done[pairs.index(first.swapped())]
        assert swapped == outcome.swapped()


def test_real_language_model_prefers_the_likelier_completion(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    judge = open_judge(judge_spec(f"hf:{folder}?verdict=likelihood"), RunContext(Sampling()))
    assert isinstance(judge, LikelihoodJudge)
    done = run_worker(judge, [pair("yes", "no, never")])[0]
    assert isinstance(done, Verdict)
    model = open_generator(Spec.parse(f"hf:{folder}"), RunContext(Sampling(score_only=True)))
    turns = [Message(role="assistant", content=text) for text in ("yes", "no, never")]
    prompts = [Prompt(messages=(*PROMPT.messages, turn)) for turn in turns]
    likelier, other = (o.score for o in run_worker(model, prompts) if isinstance(o, Completion))
    assert likelier is not None
    assert other is not None
    assert done.raw_scores == pytest.approx((likelier, other), abs=1e-5)
    assert done.first == (likelier > other)
