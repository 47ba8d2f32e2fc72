"""What the outcomes of each model and judge took, in tokens and money. Knows no price."""

from collections.abc import Iterable, Sequence
from typing import Literal

from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    StageUsage,
    Usage,
    Verdict,
)

Stage = Literal["completion", "judgment"]
Outcome = Completion | Verdict | Failure


def spending(evidence: Evidence) -> list[StageUsage]:
    """A row for each model, in their order, and each judge, by name; with what a check of a model
    against itself took.
    """
    parts = [part for part in (evidence, evidence.null_check) if part]
    return spent_on(
        [one for part in parts for one in part.completions],
        [one for part in parts for one in part.judgments],
        [one for part in parts for one in part.failures],
        evidence.models,
    )


def spent_on(
    completions: Iterable[ModelCompletion],
    judgments: Iterable[Judgment],
    failures: Iterable[Failure],
    models: Sequence[str] = (),
) -> list[StageUsage]:
    """The same, of some outcomes; models that are not listed come last, by name."""
    place = {model: number for number, model in enumerate(models)}
    found: dict[tuple[Stage, str], list[Outcome]] = {}
    for authored in completions:
        found.setdefault(("completion", authored.model), []).append(authored.completion)
    for judgment in judgments:
        found.setdefault(("judgment", judgment.judge), []).append(judgment.verdict)
    for failure in failures:
        found.setdefault((failure.stage, failure.participant), []).append(failure)

    def rank(key: tuple[Stage, str]) -> tuple[Stage, int, str]:
        stage, who = key
        return stage, place.get(who, len(place)) if stage == "completion" else 0, who

    return [_spent(*key, found[key]) for key in sorted(found, key=rank)]


def _spent(stage: Stage, who: str, outcomes: list[Outcome]) -> StageUsage:
    failed = [one for one in outcomes if isinstance(one, Failure)]
    answered = [one for one in outcomes if not isinstance(one, Failure) or one.usage]
    used = [one.usage for one in outcomes if one.usage]
    total = sum(used, Usage(input_tokens=0, output_tokens=0)) if used else None
    known = [one.cost for one in answered if one.cost is not None]
    return StageUsage(
        stage=stage,
        participant=who,
        outcomes=len(outcomes) - len(failed),
        failed=len(failed),
        input_tokens=total.input_tokens if total else None,
        cached_tokens=total.cached_tokens if total else None,
        output_tokens=total.output_tokens if total else _counted(outcomes),
        cost=sum(known) if answered and len(known) == len(answered) else None,
    )


def _counted(outcomes: Iterable[Outcome]) -> int | None:
    tokens = [
        one.tokens for one in outcomes if isinstance(one, Completion) and one.tokens is not None
    ]
    return sum(tokens) if tokens else None
