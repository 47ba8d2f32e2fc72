"""Importer of bakeoff's own results.json; of its summary, only models and notes are read."""

from collections import defaultdict

from pydantic import BaseModel

from bakeoff.config import origins, parse_fields
from bakeoff.errors import ConfigError, one_line
from bakeoff.importers.builder import EvidenceBuilder
from bakeoff.importers.documents import Document
from bakeoff.importers.outcomes import RepeatKey
from bakeoff.records import SCHEMA, Completion, Design, Failure, Judgment, ModelCompletion, Prompt


class _ModelEntry(BaseModel):
    model: str


class _SummaryPart(BaseModel):
    models: tuple[_ModelEntry, ...]
    notes: tuple[str, ...] = ()


class _ConfigPart(BaseModel):
    model: tuple[str, ...] = ()
    baseline: str | None = None
    judge: tuple[str, ...] = ()

    @property
    def specs(self) -> tuple[str, ...]:
        """The specs of all models and judges."""
        models = (*self.model, self.baseline) if self.baseline else self.model
        return (*models, *self.judge)


class _ResultsFile(BaseModel):
    config: _ConfigPart = _ConfigPart()
    prompts: tuple[Prompt, ...]
    completions: tuple[ModelCompletion, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    design: Design = Design()
    summary: _SummaryPart


def recognizes(document: Document) -> bool:
    """Return whether the document is an object with a bakeoff schema."""
    schema = document.top.get("schema")
    return isinstance(schema, str) and schema.startswith("bakeoff/")


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add all records, except duplicates of an earlier results file.

    Raises ConfigError if the file has another schema or an invalid record.
    """
    schema = document.top.get("schema")
    if schema != SCHEMA:
        raise ConfigError(
            f"{document.location()} has the schema {schema!r}, and this version reads {SCHEMA!r}: "
            "make it again with this version"
        )
    try:
        results = parse_fields(_ResultsFile, dict(document.top), where=document.location())
    except ConfigError as error:
        raise ConfigError(one_line(error)) from None
    for entry in results.summary.models:
        builder.add_model(entry.model)
    for name, origin in origins(results.config.specs).items():
        builder.add_origin(name, origin)
    builder.add_design(results.design)
    for note in results.summary.notes:
        builder.add_note(note)
    prompt_ids = {prompt.id: builder.add_prompt(prompt) for prompt in results.prompts}
    _check_prompt_ids(results, prompt_ids, document.location())
    samples = _add_completions(results.completions, prompt_ids, builder)
    for judgment in results.judgments:
        sample = samples.get((judgment.prompt_id, judgment.sample), judgment.sample)
        judgment = judgment.with_ids(prompt_ids[judgment.prompt_id], sample, judgment.repeat)
        key = RepeatKey(
            judgment.prompt_id,
            judgment.judge,
            judgment.first,
            judgment.second,
            sample,
            judgment.presented,
        )
        builder.add_recorded(key, judgment)
    for failure in results.failures:
        prompt_id = prompt_ids[failure.prompt_id]
        failure = failure.with_ids(prompt_id, failure.sample, failure.repeat)
        if failure.stage == "completion":
            builder.add_completion_failure(failure)
        else:
            first, second = failure.first or "", failure.second or ""
            key = RepeatKey(prompt_id, failure.participant, first, second, sample=0)
            builder.add_recorded(key, failure)


def _check_prompt_ids(results: _ResultsFile, prompt_ids: dict[str, str], location: str) -> None:
    used_ids = [
        *(row.prompt_id for row in results.completions),
        *(judgment.prompt_id for judgment in results.judgments),
        *(failure.prompt_id for failure in results.failures),
    ]
    for prompt_id in used_ids:
        if prompt_id not in prompt_ids:
            raise ConfigError(f"{location} speaks of a prompt {prompt_id!r} that it does not hold")


def _add_completions(
    completions: tuple[ModelCompletion, ...], prompt_ids: dict[str, str], builder: EvidenceBuilder
) -> dict[tuple[str, int], int]:
    """Return a mapping from (prompt id, sample) in the file to the sample in the evidence."""
    by_sample: dict[tuple[str, int], dict[str, Completion]] = defaultdict(dict)
    for row in completions:
        by_sample[row.prompt_id, row.sample][row.model] = row.completion
    return {
        (prompt_id, sample): builder.add_completions(prompt_ids[prompt_id], by_model)
        for (prompt_id, sample), by_model in sorted(by_sample.items(), key=lambda item: item[0])
    }
