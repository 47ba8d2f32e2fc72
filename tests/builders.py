"""Builders of prompts, completions, judgments, failures and results for tests."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.analysis.summarize import summarize
from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Prompt,
    Results,
    Scores,
    Verdict,
)


def make_prompt(text: str, **fields: Any) -> Prompt:
    """A prompt of one user turn; `fields` are those of `Prompt`."""
    return Prompt(messages=(Message(role="user", content=text),), **fields)


def make_dialogue(*turns: str, **fields: Any) -> Prompt:
    """A prompt of alternating turns of user and assistant, the first of which is the user's."""
    messages = (
        Message(role="assistant" if place % 2 else "user", content=turn)
        for place, turn in enumerate(turns)
    )
    return Prompt(messages=tuple(messages), **fields)


def make_completion(
    prompt_id: str, model: str, text: str, *, sample: int = 0, **fields: Any
) -> ModelCompletion:
    """A model's completion of a prompt; `fields` are those of `Completion`."""
    return ModelCompletion(
        prompt_id=prompt_id,
        model=model,
        completion=Completion(text=text, **fields),
        sample=sample,
    )


def make_judgment(
    prompt_id: str, first: str, second: str, value: float, *, judge: str = "j", **fields: Any
) -> Judgment:
    """A judgment in which `first` is better with probability `value`.

    `fields` are those of `Verdict` and `Judgment`.
    """
    verdict = {name: fields.pop(name) for name in Verdict.model_fields if name in fields}
    return Judgment(
        prompt_id=prompt_id,
        judge=judge,
        first=first,
        second=second,
        verdict=Verdict(first=value, **verdict),
        **fields,
    )


def make_failure(
    prompt_id: str, first: str | None, second: str | None, *, judge: str = "j", **fields: Any
) -> Failure:
    """A failed judgment, of kind `verdict` and with the message `?` where not given."""
    return Failure(
        stage="judgment",
        prompt_id=prompt_id,
        participant=judge,
        first=first,
        second=second,
        **{"kind": "verdict", "message": "?", **fields},
    )


def make_results(
    evidence: Evidence,
    config: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
) -> Results:
    """The results of some evidence, summarized with the defaults."""
    return Results.of(evidence, summarize(evidence), dict(config or {}), dict(environment or {}))


_WORDS = [
    "river",
    "engine",
    "garden",
    "tide",
    "contract",
    "recipe",
    "camera",
    "vaccine",
    "budget",
    "moon",
    "teacher",
    "harbor",
    "winter",
    "glass",
    "paper",
    "market",
    "bridge",
    "kitchen",
    "doctor",
    "silver",
    "violin",
    "summer",
    "letter",
    "candle",
    "forest",
    "mirror",
    "copper",
    "window",
    "pepper",
    "ladder",
    "basket",
    "copies",
    "island",
    "pocket",
]


def prose(seed: str, words: int = 14) -> str:
    """Words that depend on the seed: a completion that is no template or placeholder."""
    return " ".join(random.Random(seed).choices(_WORDS, k=words))


def sample_results(
    text: str = "Hello.", *, scores: bool = True, config: Mapping[str, Any] | None = None
) -> Results:
    """Results of models a and b on two prompts: both orders judged on the first, both failed on
    the second. `text` is the text of every turn, completion, reason, message and note;
    completions of b end with another period, since identical ones are ties.
    """
    orders = (("a", "b"), ("b", "a"))
    prompts = (
        make_prompt(f"{text}?", id="one", tags=("advice",)),
        make_dialogue(f"{text}?", text, text, id="two"),
    )
    evidence = Evidence(
        models=("a", "b"),
        prompts=prompts,
        completions=tuple(
            make_completion(prompt.id, model, content, thinking=text, finish="length", tokens=3)
            for prompt in prompts
            for model, content in (("a", text), ("b", f"{text}."))
        ),
        judgments=tuple(
            make_judgment(
                "one",
                first,
                second,
                float(first == "a"),
                scores=(Scores(8, 3) if first == "a" else Scores(3, 8)) if scores else None,
                reason=text,
            )
            for first, second in orders
        ),
        failures=tuple(make_failure("two", *order, message=text) for order in orders),
        notes=(text,),
    )
    return make_results(
        evidence,
        {"model": ["a", "b"], "judge": ["j"], **(config or {})},
        {"started": "2026-01-01T00:00:00+00:00"},
    )


def write_file(path: Path, value: object) -> Path:
    """Write bytes or text as they are, a list as JSON lines to `*.jsonl`, else JSON."""
    if isinstance(value, bytes):
        path.write_bytes(value)
    elif isinstance(value, str):
        path.write_text(value, encoding="utf-8")
    elif path.suffix == ".jsonl":
        assert isinstance(value, list | tuple)
        path.write_text("".join(json.dumps(row) + "\n" for row in value), encoding="utf-8")
    else:
        path.write_text(json.dumps(value), encoding="utf-8")
    return path
