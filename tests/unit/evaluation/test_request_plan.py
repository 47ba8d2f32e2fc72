from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config
from bakeoff.config import Sampling, Spec
from bakeoff.evaluation.request_plan import AGAIN, Agenda, Cast, Sitting, Text
from bakeoff.plugins import RunContext, open_generator, open_judge
from bakeoff.records import Prompt
from tests.unit.evaluation.test_sequential import prompts


def cast(models: str, again: str | None = None) -> Cast:
    context = RunContext(Sampling())
    made = {name: open_generator(Spec.parse(f"{name}=echo:{name}"), context) for name in models}
    judge = open_judge(Spec.parse("judge=echo:"), context)
    return Cast(made, {"judge": judge}, (again, made[again]) if again else None)


def agenda(models: str, count: int = 30, again: str | None = None, **fields: Any) -> Agenda:
    config = Config(model=tuple(models), **fields)
    return Agenda(config, prompts(count), cast(models, again))


@given(st.permutations("abcd"), st.integers(0, 99))
def test_in_one_order_two_models_are_shown_the_same_way_whoever_is_named_first(
    models: list[str], seed: int
) -> None:
    named = agenda("abcd", seed=seed, orders="random").sittings("judge")
    turned = agenda("".join(models), seed=seed, orders="random").sittings("judge")
    assert set(named) == set(turned)


def test_in_one_order_each_is_first_about_as_often_and_another_seed_draws_anew() -> None:
    one, other = (
        list(agenda("ab", 400, seed=seed, orders="random").sittings("judge")) for seed in (1, 2)
    )
    assert len(one) == 400
    assert 160 < sum(sitting.first == "a" for sitting in one) < 240
    assert one != other


def test_each_completion_of_each_prompt_is_judged_in_both_orders_as_often_as_is_wanted() -> None:
    found = list(agenda("abc", 2, samples=2, repeats=3).sittings("judge"))
    assert len(set(found)) == len(found) == 2 * 3 * 2 * 3 * 2
    assert Counter((one.sample, one.repeat) for one in found) == {
        (sample, repeat): 12 for sample in range(2) for repeat in range(3)
    }
    assert found[0] == Sitting("judge", "p0", "a", "b", 0, 0)
    assert found[0].texts == (Text("p0", "a", 0), Text("p0", "b", 0))
    assert {one.prompt_id for one in found[:36]} == {"p0"}


@pytest.mark.parametrize("stop", ["never", "when-sure"])
def test_the_null_check_is_on_its_own_prompts_whatever_the_schedule_wants(stop: str) -> None:
    found = agenda("ab", 60, again="a", null_check=40, stop=stop)
    pair = ("a", "a" + AGAIN)
    assert found.null_pair == pair
    null = [one for one in found.sittings("judge") if one.first in pair and one.second in pair]
    assert len(null) == 2 * 40
    assert [prompt.id for prompt in found.wanted("a" + AGAIN)] == [f"p{n}" for n in range(40)]
    wanted = 60 if stop == "never" else 40
    assert [prompt.id for prompt in found.wanted("a")] == [f"p{n}" for n in range(wanted)]
    assert len(found.wanted("b")) == (60 if stop == "never" else 24)
    assert found.wanted("nobody") == []


def test_without_waves_each_model_completes_everything_in_order() -> None:
    found = agenda("abc", 5)
    assert found.null_pair is None
    wanted: list[Prompt] = found.wanted("b")
    assert [prompt.id for prompt in wanted] == ["p0", "p1", "p2", "p3", "p4"]
    assert found.pairs("p3") == [("a", "b"), ("a", "c"), ("b", "c")]
