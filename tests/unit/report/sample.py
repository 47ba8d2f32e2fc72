"""Small results for the tests of the report."""

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


def results_of(
    text: str = "Hello.", *, scores: bool = True, config: dict[str, Any] | None = None
) -> Results:
    """Two prompts: the first is judged in both orders, the second failed."""
    turns = ("user", f"{text}?"), ("assistant", text), ("user", text)
    messages = tuple(Message(role=r, content=c) for r, c in turns)  # type: ignore[arg-type]
    prompts = (
        Prompt(id="one", messages=messages[:1], tags=("advice",)),
        Prompt(id="two", messages=messages),
    )
    completions = [
        ModelCompletion(
            prompt_id=prompt.id,
            model=model,
            completion=Completion(text=text, thinking=text, finish="length", tokens=3),
        )
        for prompt in prompts
        for model in ("a", "b")
    ]
    judgments = [
        Judgment(
            prompt_id="one",
            judge="j",
            first=first,
            second=second,
            verdict=Verdict(
                first=float(first == "a"),
                scores=(Scores(8, 3) if first == "a" else Scores(3, 8)) if scores else None,
                reason=text,
            ),
        )
        for first, second in (("a", "b"), ("b", "a"))
    ]
    failures = [
        Failure(
            stage="judgment",
            prompt_id="two",
            participant="j",
            kind="verdict",
            message=text,
            first=first,
            second=second,
        )
        for first, second in (("a", "b"), ("b", "a"))
    ]
    evidence = Evidence(
        models=("a", "b"),
        prompts=prompts,
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=tuple(failures),
        notes=(text,),
    )
    return Results.of(
        evidence,
        summarize(evidence),
        {"model": ["a", "b"], "judge": ["j"]} | (config or {}),
        {"started": "2026-01-01T00:00:00+00:00"},
    )
