"""The document that people keep, and what it is derived from."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, Self

from pydantic import Field, JsonValue

from bakeoff.records.findings import Asked, Summary
from bakeoff.records.nouns import Authored, Failure, Judgment, Prompt, Record

SCHEMA = "bakeoff/1"
PEOPLE = "human:"  # the origin of a judge that is a person

Drawn = Literal["random", "chosen"]


class Design(Record):
    """Which pairs were wanted, and whether how much of them depended on what had been said before.

    `baseline` is the model that each other one is compared with; None: each two. `anytime`: on how
    many prompts a pair was judged depended on its verdicts.
    """

    baseline: str | None = None
    anytime: bool = False

    def pairs(self, models: Sequence[str]) -> list[tuple[str, str]]:
        """Which two models are compared, the one that comes later second."""
        twos = list(combinations(models, 2))
        return [two for two in twos if self.baseline in two or self.baseline is None]


class Evidence(Record):
    """Everything that a summary may look at: what was asked, and what came of it.

    `models` are in the order in which they are compared: each against those after it. `origins`
    tell what stands behind the name of a model or judge, where that is known. `notes` are for the
    reader of the summary. `drawn` says how the prompts were found that people judged: only those
    drawn at random correct a judge. `null_check` is a model against itself, drawn again. `design`
    says what intervals have to allow for.
    """

    models: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    completions: tuple[Authored, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    origins: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drawn: Drawn = "random"
    design: Design = Design()
    null_check: "Evidence | None" = None


class Results(Record):
    """The file people keep (`results.json`). `asked` is what the run that made it asked for."""

    schema_: str = Field(default=SCHEMA, alias="schema")
    config: dict[str, JsonValue]
    prompts: tuple[Prompt, ...]
    completions: tuple[Authored, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    summary: Summary
    environment: dict[str, JsonValue]
    origins: dict[str, str] = Field(default_factory=dict)
    drawn: Drawn = "random"
    design: Design = Design()
    null_check: Evidence | None = None
    asked: tuple[Asked, ...] = ()

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        summary: Summary,
        config: dict[str, JsonValue],
        environment: dict[str, JsonValue],
        asked: tuple[Asked, ...] = (),
    ) -> Self:
        """The document of this evidence and what was made of it."""
        return cls(
            schema=SCHEMA,
            config=config,
            prompts=evidence.prompts,
            completions=evidence.completions,
            judgments=evidence.judgments,
            failures=evidence.failures,
            origins=evidence.origins,
            drawn=evidence.drawn,
            design=evidence.design,
            null_check=evidence.null_check,
            summary=summary,
            environment=environment,
            asked=asked,
        )

    @property
    def evidence(self) -> Evidence:
        """What the summary was made of."""
        return Evidence(
            models=tuple(model.model for model in self.summary.models),
            prompts=self.prompts,
            completions=self.completions,
            judgments=self.judgments,
            failures=self.failures,
            origins=self.origins,
            notes=self.summary.notes,
            drawn=self.drawn,
            design=self.design,
            null_check=self.null_check,
        )

    def to_json(self) -> str:
        """The document, indented, ending in a newline."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
