import math
from pathlib import Path
from typing import Any

import pytest

from tests.builders import write_file
from tests.unit.importers.sample_files import alpaca, counts_of, error_of, evidence, first_of


def test_preference_is_for_the_model_under_test(tmp_path: Path) -> None:
    rows = [alpaca(p, instruction=str(p)) for p in (2, 1.0, 1.5, 0, 1.25, "2.0")]
    result = evidence(tmp_path, rows)
    assert result.models == ("tuned", "base")
    assert first_of(result.judgments) == [("tuned", p) for p in (1, 0, 0.5, 0.5, 0.25, 1)]
    assert {(j.judge, j.presented) for j in result.judgments} == {("gpt", "unknown")}
    assert result.prompts[0].tags == ("koala",)
    assert [(c.model, c.completion.text) for c in result.completions[:2]] == [
        ("tuned", "from the tuned"),
        ("base", "from the baseline"),
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "missing"),
        (math.nan, "not a number"),
        (True, "boolean"),
        (0.5, "unreadable"),
        (2.01, "unreadable"),
        (-1, "unreadable"),
        ("tie", "unreadable"),
        ([1], "unreadable"),
    ],
)
def test_invalid_preference_is_a_failure_of_its_judge(
    tmp_path: Path, value: Any, kind: str
) -> None:
    result = evidence(tmp_path, [alpaca(value)])
    assert counts_of(result) == (0, 1)
    (failure,) = result.failures
    assert (failure.participant, failure.first, failure.second) == ("gpt", "tuned", "base")
    assert failure.kind == kind


def logs(**chances: float) -> dict[str, float]:
    return {token: math.log(p) for token, p in chances.items()}


@pytest.mark.parametrize(
    ("preference", "more", "first"),
    [
        (1.8, {"top_logprobs": logs(m=0.8, M=0.2)}, "tuned"),
        (1.2, {"top_logprobs": logs(m=0.8, M=0.2)}, "base"),
        (1.0, {"top_logprobs": logs(m=1.0, The=0.1)}, "base"),
        (1.00004, {"top_logprobs": logs(M=1.0)}, "tuned"),
        (1.5, {"top_logprobs": logs(m=0.5, M=0.5)}, None),
        (1.5004, {"top_logprobs": logs(m=0.5004, M=0.4996)}, "tuned"),
        (1.5004, {"top_logprobs": logs(m=0.4996, M=0.5004)}, "base"),
        (1.4998, {"top_logprobs": logs(m=0.4999, M=0.5001)}, "tuned"),  # rounded
        (1.4998, {"top_logprobs": logs(m=0.5001, M=0.4999)}, "base"),
        (1.4997, {"top_logprobs": logs(m=0.5, M=0.5)}, None),
        (1.5, {"top_logprobs": logs(m=0.4997, M=0.5003)}, None),
        (1.3, {"top_logprobs": logs(m=0.8, M=0.2)}, None),
        (2.0, {"top_logprobs": {}}, None),
        (2.0, {"top_logprobs": {"m": "x", "M": None, "The": 999}}, None),
        (2.0, {"top_logprobs": [3, {"token": []}]}, None),
        (2.0, {"raw_completion": "m"}, None),
        (2.0, {"raw_completion": {"logprobs": {"content": []}}}, None),
    ],
)
def test_order_is_inferred_from_token_probabilities(
    tmp_path: Path, preference: float, more: dict[str, Any], first: str | None
) -> None:
    (judgment,) = evidence(tmp_path, [alpaca(preference, **more)]).judgments
    assert (judgment.presented == "recorded") == (first is not None)
    assert judgment.first == (first or "tuned")
    better = judgment.verdict.first if judgment.first == "tuned" else 1 - judgment.verdict.first
    assert better == pytest.approx(preference - 1)


def test_order_is_inferred_from_a_raw_completion(tmp_path: Path) -> None:
    top = [{"token": token, "logprob": p} for token, p in logs(m=0.1, M=0.9).items()]
    raw = {"logprobs": {"content": [{"top_logprobs": top}]}}
    (judgment,) = evidence(tmp_path, [alpaca(1.1, raw_completion=raw)]).judgments
    assert (judgment.first, judgment.presented) == ("tuned", "recorded")


def test_completion_columns_are_optional_and_a_missing_value_is_a_failure(tmp_path: Path) -> None:
    bare = {k: v for k, v in alpaca().items() if not k.startswith("output")}
    assert evidence(tmp_path, [bare]).completions == ()
    result = evidence(tmp_path, [alpaca(), {**bare, "instruction": "r"}])
    assert [(f.stage, f.participant) for f in result.failures] == [
        ("completion", "tuned"),
        ("completion", "base"),
    ]
    assert counts_of(result) == (2, 0)


def test_a_model_against_itself(tmp_path: Path) -> None:
    result = evidence(tmp_path, [alpaca(1.5, generator_1="tuned")])
    assert result.models == ("tuned", "tuned (2)")


def test_generator_without_name_is_a_config_error(tmp_path: Path) -> None:
    rows = [alpaca(), alpaca(generator_2=None)]
    assert "row 2: 'generator_2' has to be the name of a model" in error_of(
        write_file(tmp_path / "a.json", rows)
    )
