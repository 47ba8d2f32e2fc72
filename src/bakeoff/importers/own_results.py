"""Our own results.json. Knows no other format, and reads no summary but its order of models."""

from collections import defaultdict

from pydantic import BaseModel

from bakeoff.config import origins, parse_fields
from bakeoff.errors import ConfigError, one_line
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Asked
from bakeoff.importers.documents import Document
from bakeoff.records import SCHEMA, Completion, Design, Failure, Judgment, ModelCompletion, Prompt

NAME = "bakeoff"
MARK = f"an object with schema {SCHEMA}"


class _Model(BaseModel):
    model: str


class _Summary(BaseModel):
    models: tuple[_Model, ...]
    notes: tuple[str, ...] = ()


class _Config(BaseModel):
    model: tuple[str, ...] = ()
    baseline: str | None = None
    judge: tuple[str, ...] = ()

    @property
    def who(self) -> tuple[str, ...]:
        """The specs of all."""
        models = (*self.model, self.baseline) if self.baseline else self.model
        return (*models, *self.judge)


class _Results(BaseModel):
    config: _Config = _Config()
    prompts: tuple[Prompt, ...]
    completions: tuple[ModelCompletion, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    design: Design = Design()
    summary: _Summary


def claims(document: Document) -> bool:
    """Whether it is an object with a schema of ours."""
    schema = document.top.get("schema")
    return isinstance(schema, str) and schema.startswith("bakeoff/")


def gather(document: Document, into: Gathering) -> None:
    """All that it holds, as it is; what another file of ours holds too is not taken twice."""
    schema = document.top.get("schema")
    if schema != SCHEMA:
        raise ConfigError(
            f"{document.where()} has the schema {schema!r}, and this version reads {SCHEMA!r}: "
            "make it again with this version"
        )
    try:
        results = parse_fields(_Results, dict(document.top), where=document.where())
    except ConfigError as error:
        raise ConfigError(one_line(error)) from None
    for model in results.summary.models:
        into.model(model.model)
    for name, origin in origins(results.config.who).items():
        into.origin(name, origin)
    into.designed(results.design)
    for note in results.summary.notes:
        into.note(note)
    names = {prompt.id: into.prompt(prompt) for prompt in results.prompts}
    _check_prompts(results, names, document.where())
    samples = _samples(results.completions, names, into)
    for judgment in results.judgments:
        _judgment(judgment, names, samples, into)
    for failure in results.failures:
        _failure(failure.model_copy(update=_renamed(failure, names)), into)


def _check_prompts(results: _Results, names: dict[str, str], where: str) -> None:
    used = [
        *(one.prompt_id for one in results.completions),
        *(one.prompt_id for one in results.judgments),
        *(one.prompt_id for one in results.failures),
    ]
    for prompt in used:
        if prompt not in names:
            raise ConfigError(f"{where} speaks of a prompt {prompt!r} that it does not hold")


def _samples(
    completions: tuple[ModelCompletion, ...], names: dict[str, str], into: Gathering
) -> dict[tuple[str, int], int]:
    """Prompt and sample of the file -> the sample that it is here."""
    said: dict[tuple[str, int], dict[str, Completion]] = defaultdict(dict)
    for one in completions:
        said[one.prompt_id, one.sample][one.model] = one.completion
    return {
        (prompt, sample): into.samples.put(names[prompt], by_model)
        for (prompt, sample), by_model in said.items()
    }


def _renamed(record: Judgment | Failure, names: dict[str, str]) -> dict[str, object]:
    return {"prompt_id": names[record.prompt_id]}


def _judgment(
    judgment: Judgment,
    names: dict[str, str],
    samples: dict[tuple[str, int], int],
    into: Gathering,
) -> None:
    sample = samples.get((judgment.prompt_id, judgment.sample), judgment.sample)
    judgment = judgment.model_copy(update={**_renamed(judgment, names), "sample": sample})
    asked = Asked(
        judgment.prompt_id,
        judgment.judge,
        judgment.first,
        judgment.second,
        judgment.sample,
        judgment.presented,
    )
    into.take(asked, judgment, known=True)


def _failure(failure: Failure, into: Gathering) -> None:
    if failure.stage == "completion":
        into.mute(failure)
        return
    asked = Asked(
        failure.prompt_id, failure.participant, failure.first or "", failure.second or "", sample=0
    )
    into.take(asked, failure, known=True)
