"""Tokens and cost of the completions of each model and the judgments of each judge."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    Stage,
    StageUsage,
    Verdict,
    total_or_none,
)

StageResult = Completion | Verdict


def summarize_spending(evidence: Evidence) -> list[StageUsage]:
    """A row for each model, in their order, then for each judge, by name.

    The null check, which compares a model with itself, is included.
    """
    parts = [part for part in (evidence, evidence.null_check) if part]
    return spending_of(
        [completion for part in parts for completion in part.completions],
        [judgment for part in parts for judgment in part.judgments],
        [failure for part in parts for failure in part.failures],
        evidence.models,
    )


def spending_of(
    completions: Iterable[ModelCompletion],
    judgments: Iterable[Judgment],
    failures: Iterable[Failure],
    models: Sequence[str] = (),
) -> list[StageUsage]:
    """A row for each model, then for each judge, by name.

    Models are in the order of `models`, then by name.
    """
    position = {model: index for index, model in enumerate(models)}
    results: dict[tuple[Stage, str], list[StageResult]] = defaultdict(list)
    failed: dict[tuple[Stage, str], list[Failure]] = defaultdict(list)
    for row in completions:
        results["completion", row.model].append(row.completion)
    for judgment in judgments:
        results["judgment", judgment.judge].append(judgment.verdict)
    for failure in failures:
        failed[failure.stage, failure.participant].append(failure)

    def sort_key(key: tuple[Stage, str]) -> tuple[Stage, int, str]:
        stage, name = key
        index = position.get(name, len(position)) if stage == "completion" else 0
        return stage, index, name

    keys = sorted(results.keys() | failed.keys(), key=sort_key)
    return [_stage_usage(*key, results[key], failed[key]) for key in keys]


def _stage_usage(
    stage: Stage, name: str, results: Sequence[StageResult], failures: Sequence[Failure]
) -> StageUsage:
    answered = [*results, *(failure for failure in failures if failure.usage)]
    usages = [result.usage for result in answered if result.usage]
    return StageUsage(
        stage=stage,
        participant=name,
        outcomes=len(results),
        failed=len(failures),
        input_tokens=sum(usage.input_tokens for usage in usages) if usages else None,
        cached_tokens=sum(usage.cached_tokens for usage in usages) if usages else None,
        output_tokens=sum(usage.output_tokens for usage in usages)
        if usages
        else _completion_tokens(results),
        cost=total_or_none(result.cost for result in answered) if answered else None,
    )


def _completion_tokens(results: Iterable[StageResult]) -> int | None:
    tokens = [r.tokens for r in results if isinstance(r, Completion) and r.tokens is not None]
    return sum(tokens) if tokens else None
