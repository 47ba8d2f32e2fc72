"""Opening models and judges: names, self-judging, and the resampled model."""

from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, ConfigError
from bakeoff.evaluation.participants import has_human_judge, open_participants

SERVER = "?base_url=http://127.0.0.1:1/v1"


def config(*judges: str, **more: Any) -> Config:
    models = (f"tuned=api:qwen2.5-tuned{SERVER}", f"base=api:base{SERVER}")
    return Config(**({"model": models, "judge": judges} | more))


def test_models_and_judges_are_opened_by_name() -> None:
    participants = open_participants(config(f"j=api:j{SERVER}", f"k=api:k{SERVER}&template=scored"))
    assert (list(participants.models), list(participants.judges)) == (["tuned", "base"], ["j", "k"])
    assert participants.resampled is None
    assert [judge.traits.order for judge in participants.judges.values()] == ["both", "pointwise"]


def test_people_are_not_opened_as_judges() -> None:
    config_ = config("human", f"j=api:j{SERVER}")
    assert has_human_judge(config_)
    assert list(open_participants(config_).judges) == ["j"]
    assert not has_human_judge(config(f"j=api:human{SERVER}"))


def test_contestant_as_judge_is_refused_by_default() -> None:
    judge = f"again=api:base{SERVER}"
    with pytest.raises(ConfigError, match="'again' is the contestant 'base'"):
        open_participants(config(judge))
    assert open_participants(config(judge, allow_self_judge=True)).judges


def test_likelihood_judge_of_a_contestants_family_is_refused_by_default() -> None:
    judge = f"j=api:Qwen2.5-7B{SERVER}&verdict=likelihood"
    with pytest.raises(ConfigError, match=r"'tuned' is of its family \(Qwen\)"):
        open_participants(config(judge))
    assert open_participants(config(judge, allow_self_judge=True)).judges
    assert open_participants(config(f"j=api:Mistral-7B{SERVER}&verdict=likelihood")).judges
    assert open_participants(
        config(f"j=api:Qwen2.5-7B{SERVER}")
    ).judges  # it reads them, and may judge


def test_resampled_model_differs_only_in_its_seed() -> None:
    participants = open_participants(config(f"j=api:j{SERVER}", null_check=3))
    assert participants.resampled is not None
    name, again = participants.resampled
    first = participants.models["tuned"]
    assert name == "tuned"
    assert isinstance(first.identity, dict)
    assert isinstance(again.identity, dict)
    assert first.identity != again.identity
    first_sampling, second_sampling = first.identity.pop("sampling"), again.identity.pop("sampling")
    assert isinstance(first_sampling, dict)
    assert isinstance(second_sampling, dict)
    assert second_sampling == first_sampling | {"seed": 43}
    assert first.identity == again.identity


@pytest.mark.parametrize("participant", ["model", "judge"])
def test_duplicate_name_is_an_error(participant: str) -> None:
    twice = (f"x=api:x{SERVER}", f"x=api:y{SERVER}")
    with pytest.raises(ConfigError, match=f"the {participant} 'x' stands there twice"):
        open_participants(config("j=api:j" + SERVER, **{participant: twice}))


def test_one_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs two models"):
        open_participants(config(f"j=api:j{SERVER}", model=(f"x=api:x{SERVER}",)))


def test_participants_of_one_server_share_its_limits() -> None:
    participants = open_participants(config(f"j=api:j{SERVER}", null_check=1, rpm=600))
    assert participants.resampled
    (judge,) = participants.judges.values()
    workers: list[Any] = [
        *participants.models.values(),
        participants.resampled[1],
        getattr(judge, "generator", None),
    ]
    servers = {server for worker in workers for server in worker._pool.servers}
    (shared,) = servers
    assert shared.requests.rate == pytest.approx(10, rel=0.03)
    assert (
        open_participants(config(f"j=api:j{SERVER}")).models["tuned"]._pool.servers[0] is not shared
    )  # type: ignore[attr-defined]
