"""Who may take part: names, models that judge themselves or their family, and a second draw."""

from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, ConfigError
from bakeoff.evaluation.participants import asks_people, cast_of

SERVER = "?base_url=http://127.0.0.1:1/v1"


def config(*judges: str, **more: Any) -> Config:
    models = (f"tuned=api:qwen2.5-tuned{SERVER}", f"base=api:base{SERVER}")
    return Config(**({"model": models, "judge": judges} | more))


def test_models_and_judges_are_opened_by_name() -> None:
    cast = cast_of(config(f"j=api:j{SERVER}", f"k=api:k{SERVER}&template=scored"))
    assert (list(cast.models), list(cast.judges)) == (["tuned", "base"], ["j", "k"])
    assert cast.again is None
    assert [judge.traits.order for judge in cast.judges.values()] == ["both", "apart"]


def test_people_are_no_worker() -> None:
    given = config("human", f"j=api:j{SERVER}")
    assert asks_people(given)
    assert list(cast_of(given).judges) == ["j"]
    assert not asks_people(config(f"j=api:human{SERVER}"))


def test_a_contestant_is_no_judge_unless_insisted_on() -> None:
    judge = f"again=api:base{SERVER}"
    with pytest.raises(ConfigError, match="'again' is the contestant 'base'"):
        cast_of(config(judge))
    assert cast_of(config(judge, allow_self_judge=True)).judges


def test_a_likelihood_judge_of_a_contestants_family_is_refused_unless_insisted_on() -> None:
    judge = f"j=api:Qwen2.5-7B{SERVER}&verdict=likelihood"
    with pytest.raises(ConfigError, match=r"'tuned' is of its family \(Qwen\)"):
        cast_of(config(judge))
    assert cast_of(config(judge, allow_self_judge=True)).judges
    assert cast_of(config(f"j=api:Mistral-7B{SERVER}&verdict=likelihood")).judges
    assert cast_of(config(f"j=api:Qwen2.5-7B{SERVER}")).judges  # it reads them, and may judge


def test_the_second_draw_of_the_null_check_has_another_seed_and_nothing_else() -> None:
    cast = cast_of(config(f"j=api:j{SERVER}", null_check=3))
    assert cast.again is not None
    name, again = cast.again
    first = cast.models["tuned"]
    assert name == "tuned"
    assert isinstance(first.identity, dict)
    assert isinstance(again.identity, dict)
    assert first.identity != again.identity
    one, other = first.identity.pop("sampling"), again.identity.pop("sampling")
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert other == one | {"seed": 43}
    assert first.identity == again.identity


@pytest.mark.parametrize("who", ["model", "judge"])
def test_a_name_that_stands_there_twice_is_named(who: str) -> None:
    twice = (f"x=api:x{SERVER}", f"x=api:y{SERVER}")
    with pytest.raises(ConfigError, match=f"the {who} 'x' stands there twice"):
        cast_of(config("j=api:j" + SERVER, **{who: twice}))


def test_one_model_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs two models"):
        cast_of(config(f"j=api:j{SERVER}", model=(f"x=api:x{SERVER}",)))


def test_all_who_ask_one_server_share_what_it_takes() -> None:
    cast = cast_of(config(f"j=api:j{SERVER}", null_check=1, rpm=600))
    assert cast.again
    (judge,) = cast.judges.values()
    workers: list[Any] = [*cast.models.values(), cast.again[1], getattr(judge, "generator", None)]
    servers = {server for worker in workers for server in worker._pool.servers}
    (shared,) = servers
    assert shared.limits._rate.rate(0.0) == 10
    assert cast_of(config(f"j=api:j{SERVER}")).models["tuned"]._pool.servers[0] is not shared  # type: ignore[attr-defined]
