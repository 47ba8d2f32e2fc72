"""Tokens and cost of the completions of each model and the judgments of each judge."""

from collections.abc import Iterable, Sequence

from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    Stage,
    StageUsage,
    Usage,
    Verdict,
    total_or_none,
)

StageResult = Completion | Verdict | Failure


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
    results: dict[tuple[Stage, str], list[StageResult]] = {}
    for row in completions:
        results.setdefault(("completion", row.model), []).append(row.completion)
    for judgment in judgments:
        results.setdefault(("judgment", judgment.judge), []).append(judgment.verdict)
    for failure in failures:
        results.setdefault((failure.stage, failure.participant), []).append(failure)

    def sort_key(key: tuple[Stage, str]) -> tuple[Stage, int, str]:
        stage, name = key
        index = position.get(name, len(position)) if stage == "completion" else 0
        return stage, index, name

    return [_stage_usage(*key, results[key]) for key in sorted(results, key=sort_key)]


def _stage_usage(stage: Stage, name: str, results: list[StageResult]) -> StageUsage:
    failures = [result for result in results if isinstance(result, Failure)]
    answered = [r for r in results if not isinstance(r, Failure) or r.usage]
    usages = [result.usage for result in results if result.usage]
    total = sum(usages, Usage(input_tokens=0, output_tokens=0)) if usages else None
    return StageUsage(
        stage=stage,
        participant=name,
        outcomes=len(results) - len(failures),
        failed=len(failures),
        input_tokens=total.input_tokens if total else None,
        cached_tokens=total.cached_tokens if total else None,
        output_tokens=total.output_tokens if total else _completion_tokens(results),
        cost=total_or_none(result.cost for result in answered) if answered else None,
    )


def _completion_tokens(results: Iterable[StageResult]) -> int | None:
    tokens = [r.tokens for r in results if isinstance(r, Completion) and r.tokens is not None]
    return sum(tokens) if tokens else None
