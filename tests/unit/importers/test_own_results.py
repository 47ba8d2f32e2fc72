from pathlib import Path
from typing import Any

import pytest

from bakeoff.records import (
    SCHEMA,
    Completion,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    Prompt,
    Record,
    Verdict,
)
from tests.builders import make_prompt, write_file
from tests.unit.importers.sample_files import error_of, evidence

PROMPT = make_prompt("q", id="p")


def completion(model: str, text: str, sample: int = 0) -> ModelCompletion:
    value = Completion(text=text, finish="length", tokens=3)
    return ModelCompletion(prompt_id="p", model=model, completion=value, sample=sample)


def judgment(better: float = 1.0, **more: Any) -> Judgment:
    fields = {"prompt_id": "p", "judge": "j", "first": "tuned", "second": "base"}
    return Judgment.model_validate({**fields, "verdict": Verdict(first=better), **more})


def failure(**more: Any) -> Failure:
    fields = {
        "stage": "judgment",
        "prompt_id": "p",
        "participant": "j",
        "kind": "verdict",
        "message": "m",
    }
    return Failure.model_validate({**fields, "first": "tuned", "second": "base", **more})


def results(*records: Record, prompt: Prompt = PROMPT, **more: Any) -> dict[str, Any]:
    def dumped(kind: type[Record]) -> list[Any]:
        return [record.model_dump() for record in records if isinstance(record, kind)]

    return {
        "schema": SCHEMA,
        "config": {},
        "prompts": [prompt.model_dump()],
        "completions": dumped(ModelCompletion),
        "judgments": dumped(Judgment),
        "failures": dumped(Failure),
        "summary": {"models": [{"model": "tuned"}, {"model": "base"}], "notes": ["careful"]},
        "environment": {},
        **more,
    }


RUN = (
    completion("base", "y"),
    completion("tuned", "x"),
    judgment(),
    judgment(0.5, first="base", second="tuned"),
)


def test_evidence_is_read_unchanged(tmp_path: Path) -> None:
    lost = (
        failure(repeat=1),
        failure(stage="completion", participant="base", first=None, second=None),
    )
    assert evidence(tmp_path, results(*RUN, *lost)) == Evidence(
        models=("tuned", "base"),
        prompts=(PROMPT,),
        completions=RUN[:2],
        judgments=RUN[2:],
        failures=(lost[1], lost[0]),
        notes=("careful",),
    )


def test_duplicate_file_adds_nothing(tmp_path: Path) -> None:
    document = results(*RUN, failure(repeat=1))
    assert evidence(tmp_path, document, document) == evidence(tmp_path, document)


def test_other_verdicts_are_repeats_and_other_completions_are_samples(tmp_path: Path) -> None:
    other = results(completion("base", "y"), completion("tuned", "new"), judgment(0.25))
    again = results(*RUN[:2], judgment(0.0), failure())
    result = evidence(tmp_path, results(*RUN), again, other)
    assert [(j.verdict.first, j.sample, j.repeat) for j in result.judgments] == [
        (1.0, 0, 0),
        (0.5, 0, 0),
        (0.0, 0, 1),
        (0.25, 1, 0),
    ]
    assert [f.repeat for f in result.failures] == [2]
    assert [(c.model, c.completion.text, c.sample) for c in result.completions[2:]] == [
        ("base", "y", 1),
        ("tuned", "new", 1),
    ]


def test_equal_ids_of_other_texts_are_other_prompts(tmp_path: Path) -> None:
    other = make_prompt("r", id="p")
    result = evidence(tmp_path, results(*RUN), results(*RUN[:3], failure(), prompt=other))
    assert [p.id for p in result.prompts] == ["p", "p (2)"]
    assert [j.prompt_id for j in result.judgments] == ["p", "p", "p (2)"]
    assert result.failures[0].prompt_id == "p (2)"
    assert {c.sample for c in result.completions} == {0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "bakeoff/9"}, "has the schema 'bakeoff/9', and this version reads 'bakeoff/1'"),
        ({"prompts": None}, "prompts = None: Input should be a valid"),
        ({"judgments": [{"judge": "\n" * 999}]}, "judgments.0"),
        ({"prompts": []}, "speaks of a prompt 'p' that it does not hold"),
        ({"summary": {}}, "summary.models"),
        ({"judgments": []}, "holds no judgments"),
    ],
)
def test_invalid_results_file_is_a_config_error(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    assert message in error_of(write_file(tmp_path / "a.json", {**results(*RUN), **change}))


def test_origins_are_read_from_the_config(tmp_path: Path) -> None:
    config = {"model": ["tuned=hf:Qwen/Qwen2.5?dtype=auto", "base=hf:me/base"], "judge": ["gpt-4"]}
    result = evidence(tmp_path, results(*RUN, config=config))
    assert result.origins == {"tuned": "hf:Qwen/Qwen2.5", "base": "hf:me/base", "gpt-4": ":gpt-4"}
