from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config
from bakeoff.config import Sampling, Spec
from bakeoff.evaluation.request_plan import (
    RESAMPLED_SUFFIX,
    CompletionKey,
    JudgmentKey,
    Participants,
    RequestPlan,
)
from bakeoff.plugins import RunContext, open_generator, open_judge
from bakeoff.records import Prompt
from tests.unit.evaluation.test_sequential import prompts


def participants(models: str, resampled: str | None = None) -> Participants:
    context = RunContext(Sampling())
    generators = {
        name: open_generator(Spec.parse(f"{name}=echo:{name}"), context) for name in models
    }
    judge = open_judge(Spec.parse("judge=echo:"), context)
    return Participants(
        generators, {"judge": judge}, (resampled, generators[resampled]) if resampled else None
    )


def plan_of(
    models: str, count: int = 30, resampled: str | None = None, **fields: Any
) -> RequestPlan:
    config = Config(model=tuple(models), **fields)
    return RequestPlan(config, prompts(count), participants(models, resampled))


@given(st.permutations("abcd"), st.integers(0, 99))
def test_drawn_order_does_not_depend_on_the_order_of_names(models: list[str], seed: int) -> None:
    named = plan_of("abcd", seed=seed, orders="random").judgment_keys("judge")
    turned = plan_of("".join(models), seed=seed, orders="random").judgment_keys("judge")
    assert set(named) == set(turned)


def test_drawn_order_is_balanced_and_depends_on_the_seed() -> None:
    first, second = (
        list(plan_of("ab", 400, seed=seed, orders="random").judgment_keys("judge"))
        for seed in (1, 2)
    )
    assert len(first) == 400
    assert 160 < sum(sitting.first == "a" for sitting in first) < 240
    assert first != second


def test_every_sample_is_judged_in_both_orders_and_all_repeats() -> None:
    keys = list(plan_of("abc", 2, samples=2, repeats=3).judgment_keys("judge"))
    assert len(set(keys)) == len(keys) == 2 * 3 * 2 * 3 * 2
    assert Counter((key.sample, key.repeat) for key in keys) == {
        (sample, repeat): 12 for sample in range(2) for repeat in range(3)
    }
    assert keys[0] == JudgmentKey("judge", "p0", "a", "b", 0, 0)
    assert keys[0].completions == (CompletionKey("p0", "a", 0), CompletionKey("p0", "b", 0))
    assert {key.prompt_id for key in keys[:36]} == {"p0"}


@pytest.mark.parametrize("stop", ["never", "early"])
def test_null_check_prompts_do_not_depend_on_the_schedule(stop: str) -> None:
    plan = plan_of("ab", 60, resampled="a", null_check=40, stop=stop)
    pair = ("a", "a" + RESAMPLED_SUFFIX)
    assert plan.null_pair == pair
    null = [key for key in plan.judgment_keys("judge") if key.first in pair and key.second in pair]
    assert len(null) == 2 * 40
    assert [prompt.id for prompt in plan.prompts_of("a" + RESAMPLED_SUFFIX)] == [
        f"p{n}" for n in range(40)
    ]
    expected = 60 if stop == "never" else 40
    assert [prompt.id for prompt in plan.prompts_of("a")] == [f"p{n}" for n in range(expected)]
    assert len(plan.prompts_of("b")) == (60 if stop == "never" else 24)
    assert plan.prompts_of("nobody") == []


def test_unstaged_run_completes_everything_in_order() -> None:
    plan = plan_of("abc", 5)
    assert plan.null_pair is None
    expected: list[Prompt] = plan.prompts_of("b")
    assert [prompt.id for prompt in expected] == ["p0", "p1", "p2", "p3", "p4"]
    assert plan.pairs_on("p3") == [("a", "b"), ("a", "c"), ("b", "c")]
