from pathlib import Path
from typing import Any

import pytest

from bakeoff.records import (
    SCHEMA,
    Completion,
    Evidence,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Prompt,
    Record,
    Verdict,
)
from tests.unit.importers.sample import evidence, refusal, written

PROMPT = Prompt(id="p", messages=(Message(role="user", content="q"),))


def said(model: str, text: str, sample: int = 0) -> ModelCompletion:
    completion = Completion(text=text, finish="length", tokens=3)
    return ModelCompletion(prompt_id="p", model=model, completion=completion, sample=sample)


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
        return [one.model_dump() for one in records if isinstance(one, kind)]

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
    said("base", "y"),
    said("tuned", "x"),
    judgment(),
    judgment(0.5, first="base", second="tuned"),
)


def test_what_it_holds_is_the_evidence(tmp_path: Path) -> None:
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


def test_the_same_file_twice_is_one(tmp_path: Path) -> None:
    document = results(*RUN, failure(repeat=1))
    assert evidence(tmp_path, document, document) == evidence(tmp_path, document)


def test_another_verdict_is_a_repeat_and_other_completions_are_a_sample(tmp_path: Path) -> None:
    other = results(said("base", "y"), said("tuned", "new"), judgment(0.25))
    again = results(*RUN[:2], judgment(0.0), failure())
    found = evidence(tmp_path, results(*RUN), again, other)
    assert [(j.verdict.first, j.sample, j.repeat) for j in found.judgments] == [
        (1.0, 0, 0),
        (0.5, 0, 0),
        (0.0, 0, 1),
        (0.25, 1, 0),
    ]
    assert [f.repeat for f in found.failures] == [2]
    assert [(c.model, c.completion.text, c.sample) for c in found.completions[2:]] == [
        ("base", "y", 1),
        ("tuned", "new", 1),
    ]


def test_the_same_id_for_another_text_is_another_prompt(tmp_path: Path) -> None:
    other = Prompt(id="p", messages=(Message(role="user", content="r"),))
    found = evidence(tmp_path, results(*RUN), results(*RUN[:3], failure(), prompt=other))
    assert [p.id for p in found.prompts] == ["p", "p (2)"]
    assert [j.prompt_id for j in found.judgments] == ["p", "p", "p (2)"]
    assert found.failures[0].prompt_id == "p (2)"
    assert {c.sample for c in found.completions} == {0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "bakeoff/9"}, "has the schema 'bakeoff/9', and this version reads 'bakeoff/1'"),
        ({"prompts": None}, "prompts = None: Input should be a valid"),
        ({"judgments": [{"judge": "\n" * 999}]}, "judgments.0"),
        ({"prompts": []}, "speaks of a prompt 'p' that it does not hold"),
        ({"summary": {}}, "summary.models"),
        ({"judgments": []}, "holds no judgments"),
    ],
)
def test_a_file_that_is_not_as_we_write_it(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    assert says in refusal(written(tmp_path / "a.json", {**results(*RUN), **change}))


def test_what_stands_behind_names_comes_along(tmp_path: Path) -> None:
    asked = {"model": ["tuned=hf:Qwen/Qwen2.5?dtype=auto", "base=hf:me/base"], "judge": ["gpt-4"]}
    found = evidence(tmp_path, results(*RUN, config=asked))
    assert found.origins == {"tuned": "hf:Qwen/Qwen2.5", "base": "hf:me/base", "gpt-4": ":gpt-4"}
