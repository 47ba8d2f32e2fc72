"""Builders of small evidence to vote on, and of votes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakeoff.evaluation.votes.items import PairKey, item_lookup
from bakeoff.evaluation.votes.votes import Vote
from bakeoff.records import Evidence, Failure, Judgment, Prompt
from tests.builders import make_completion, make_judgment, make_prompt

MODELS = ("model-alpha", "model-beta")
VOTES = Path("votes.jsonl")


def prompt(number: int) -> Prompt:
    return make_prompt(f"question {number}", id=f"prompt-{number}", tags=("tag-delta",))


def evidence(
    count: int = 4,
    models: Sequence[str] = MODELS,
    *,
    replacements: dict[tuple[int, str], str] | None = None,
) -> Evidence:
    """Return evidence in which all texts differ and none reveals its model.

    `replacements` replaces texts by prompt number and model.
    """
    completions = [
        make_completion(
            f"prompt-{number}",
            model,
            (replacements or {}).get((number, model), f"text {number}{'xyzuvw'[place]}"),
            thinking=f"thought-epsilon by {model}",
            raw=f"raw-zeta by {model}",
        )
        for number in range(count)
        for place, model in enumerate(models)
    ]
    return Evidence(
        models=tuple(models),
        prompts=tuple(prompt(number) for number in range(count)),
        completions=tuple(completions),
        judgments=tuple(judged(number, 1.0, models[0], models[1]) for number in range(count)),
        failures=(
            Failure(
                stage="judgment",
                prompt_id="prompt-0",
                participant="judge-eta",
                kind="x",
                message="theta",
            ),
        ),
        origins={name: f"hf:org-iota/{name}" for name in (*models, "judge-gamma", "judge-eta")},
        notes=("note-kappa",),
    )


def judged(
    number: int, value: float, first: str, second: str, judge: str = "judge-gamma"
) -> Judgment:
    return make_judgment(
        f"prompt-{number}", first, second, value, judge=judge, reason="reason-lambda"
    )


def vote(
    evidence: Evidence,
    number: int = 0,
    choice: str = "first",
    *,
    voter: str = "Anna",
    first: str = MODELS[0],
    **more: Any,
) -> Vote:
    """Return a vote on the texts of the first two models."""
    a, b = sorted(evidence.models[:2])
    item = item_lookup(evidence)(PairKey(f"prompt-{number}", a, b, 0), first)
    assert item
    values = {
        "voter": voter,
        "prompt_id": f"prompt-{number}",
        "first": item.first,
        "second": item.second,
        "content_key": item.content_key,
        "choice": choice,
        "human_sample": "random",
        "time": "2026-01-01T00:00:00+00:00",
    }
    return Vote(**(values | more))
