"""The outcomes of a finished pipeline as evidence."""

import itertools
from collections.abc import Collection, Mapping, Sequence

from bakeoff.config import origins
from bakeoff.errors import WorkError
from bakeoff.evaluation.drift import drift_notes
from bakeoff.evaluation.participants import machine_judge_specs
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.evaluation.request_plan import CompletionKey
from bakeoff.evaluation.run_history import look_notes
from bakeoff.prompts.sampling import PromptSample
from bakeoff.records import (
    Design,
    Evidence,
    Failure,
    JudgeDrift,
    Judgment,
    Look,
    ModelCompletion,
    Prompt,
    intern_fields_set,
)


def collect_evidence(
    pipeline: Pipeline, drawn: PromptSample, looks: tuple[Look, ...], drifts: tuple[JudgeDrift, ...]
) -> Evidence:
    """Return the outcomes of all prompts in the final schedule.

    `looks` are earlier ones, `drifts` the checks of the judges.
    """
    config, null_pair = pipeline.config, pipeline.plan.null_pair
    null_check = None
    if null_pair:
        null_prompts = drawn.prompts[: config.null_prompts]
        ids = {prompt.id for prompt in null_prompts}
        null_check = _evidence(pipeline, dict.fromkeys(null_pair, ids), null_prompts)
    prompt_ids = {
        name: {prompt.id for prompt in pipeline.schedule.prompts_of(name)}
        for name in pipeline.contestants
    }
    caveats = [worker.traits.caveat for worker in pipeline.workers if worker.traits.caveat]
    design = pipeline.schedule.design.model_copy(update={"looks": looks, "drifts": drifts})
    notes = (
        *drawn.notes,
        *pipeline.schedule.notes(),
        *look_notes(design),
        *drift_notes(drifts),
        *caveats,
    )
    return _evidence(
        pipeline,
        prompt_ids,
        drawn.prompts,
        design=design,
        notes=tuple(dict.fromkeys(notes)),
        null_check=null_check,
    )


def _evidence(
    pipeline: Pipeline,
    prompt_ids: Mapping[str, Collection[str]],
    prompts: Sequence[Prompt],
    *,
    design: Design = Design(),  # noqa: B008 - frozen
    notes: tuple[str, ...] = (),
    null_check: Evidence | None = None,
) -> Evidence:
    """Return the outcomes of the models in `prompt_ids`, each on its prompts.

    Rows are in the order of prompts and models, so that a resumed run writes the same document.
    """
    config = pipeline.config
    completions: list[ModelCompletion] = []
    failures: list[Failure] = []
    for prompt, model, sample in itertools.product(prompts, prompt_ids, range(config.samples)):
        if prompt.id not in prompt_ids[model]:
            continue
        outcome = pipeline.completions[CompletionKey(prompt.id, model, sample)]
        if isinstance(outcome, WorkError):
            failures.append(Failure.of(outcome, "completion", prompt.id, model, sample=sample))
        else:
            row = ModelCompletion(
                prompt_id=prompt.id, model=model, sample=sample, completion=outcome
            )
            completions.append(intern_fields_set(row))
    judgments, failed_judgments = _judgments(pipeline, prompt_ids)
    used_ids = set().union(*prompt_ids.values())
    return Evidence(
        models=tuple(prompt_ids),
        prompts=tuple(prompt for prompt in prompts if prompt.id in used_ids),
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=(*failures, *failed_judgments),
        origins=origins((*config.contestants, *machine_judge_specs(config))),
        notes=notes,
        design=design,
        null_check=null_check,
    )


def _judgments(pipeline: Pipeline, models: Collection[str]) -> tuple[list[Judgment], list[Failure]]:
    """Return the judgments, and the failures, of the pairs of these models."""
    judgments: list[Judgment] = []
    failures: list[Failure] = []
    for judge in pipeline.judges:
        for key in pipeline.plan.judgment_keys(judge):
            if not {key.first, key.second} <= set(models):
                continue
            verdict = pipeline.verdicts[key]
            if isinstance(verdict, WorkError):
                failure = Failure.of(verdict, "judgment", key.prompt_id, judge)
                failures.append(failure.for_pair(key.first, key.second, key.repeat, key.sample))
            else:
                judgments.append(intern_fields_set(pipeline.judgment(key, verdict)))
    return judgments, failures
