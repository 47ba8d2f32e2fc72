"""Evidence of an evaluation, and the results document (`results.json`)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast, overload

from pydantic import Field, GetCoreSchemaHandler, JsonValue
from pydantic_core import CoreSchema, core_schema

from bakeoff.records.completion import ModelCompletion
from bakeoff.records.looks import Design
from bakeoff.records.prompt import Prompt
from bakeoff.records.record import Record
from bakeoff.records.runs import PairRun
from bakeoff.records.summary import Summary
from bakeoff.records.usage import StageUsage
from bakeoff.records.verdict import Failure, Judgment

if TYPE_CHECKING:
    import pandas
    import polars

SCHEMA = "bakeoff/1"
_ROWS = ("prompts", "completions", "judgments", "failures")  # fields of `Results`
HUMAN_PREFIX = "human:"  # prefix of the origin of a judge that is a person

HumanSample = Literal["random", "chosen"]
Library = Literal["pandas", "polars"]


class Evidence(Record):
    """The input of a summary: prompts, completions, judgments and failures."""

    models: tuple[str, ...]
    """In the order of comparison: each model is compared with those after it."""
    prompts: tuple[Prompt, ...]
    completions: tuple[ModelCompletion, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    origins: dict[str, str] = Field(default_factory=dict)
    """`backend:target` (or `human:NAME`) of each model and judge, if known."""
    notes: tuple[str, ...] = ()
    human_sample: HumanSample = "random"
    """Selection of the prompts with human votes; only a random sample can correct a judge."""
    design: Design = Design()
    null_check: "Evidence | None" = None
    """Evidence of a model compared with itself."""

    def with_notes(self, *notes: str) -> Self:
        """Return the evidence with further notes at the end."""
        return self.model_copy(update={"notes": (*self.notes, *notes)})

    def with_judgments(
        self,
        judgments: tuple[Judgment, ...],
        failures: tuple[Failure, ...],
        origins: dict[str, str],
        human_sample: HumanSample,
    ) -> Self:
        """Return the evidence with all judgments, failures and origins replaced."""
        return self.model_copy(
            update={
                "judgments": judgments,
                "failures": failures,
                "origins": origins,
                "human_sample": human_sample,
            }
        )


class Views(Protocol):
    """The functions of `bakeoff.report.views` that make data frames and HTML from results."""

    def judgments_frame(
        self, judgments: Sequence[Judgment], library: Library | None
    ) -> "pandas.DataFrame | polars.DataFrame":
        """Return one row per judgment."""

    def comparisons_frame(
        self, results: "Results", library: Library | None
    ) -> "pandas.DataFrame | polars.DataFrame":
        """Return one row per prompt and pair of models."""

    def notebook_html(self, results: "Results") -> str:
        """Return the HTML that a notebook shows."""


def _views() -> Views:
    """The module `bakeoff.report.views`, by name: `records` is in a lower layer than `report`."""
    return cast(Views, import_module("bakeoff.report.views"))


class Judgments(tuple[Judgment, ...]):
    """The judgments of some results: a tuple; calling it returns them as a data frame."""

    __slots__ = ()

    @overload
    def __call__(self, frame: Literal["pandas"]) -> "pandas.DataFrame": ...
    @overload
    def __call__(self, frame: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def __call__(self, frame: None = None) -> "pandas.DataFrame | polars.DataFrame": ...
    def __call__(self, frame: Library | None = None) -> "pandas.DataFrame | polars.DataFrame":
        """Return a data frame with one row per judgment, human votes included.

        `preference` is the probability, 0 to 1, that `first` is better; `winner` is a model's name
        or `tie`; scores are 0 to 10; `cost` is in US dollars. `frame` selects the library; by
        default pandas if installed, else polars. Raises ConfigError if it is not installed.
        """
        return _views().judgments_frame(self, frame)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Self], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate and serialize like a tuple of judgments."""
        return core_schema.no_info_after_validator_function(cls, handler(tuple[Judgment, ...]))


class Results(Record):
    """The results of a run or an audit: the document `results.json`.

    `comparisons()` and `judgments()` return data frames; a notebook shows the verdicts.
    """

    schema_: str = Field(default=SCHEMA, alias="schema")
    config: dict[str, JsonValue]
    prompts: tuple[Prompt, ...]
    completions: tuple[ModelCompletion, ...]
    judgments: Judgments
    failures: tuple[Failure, ...]
    summary: Summary
    environment: dict[str, JsonValue]
    """Versions, machine, and the identities of models and judges."""
    origins: dict[str, str] = Field(default_factory=dict)
    """`backend:target` (or `human:NAME`) of each model and judge, if known."""
    human_sample: HumanSample = "random"
    """Selection of the prompts with human votes; only a random sample can correct a judge."""
    design: Design = Design()
    null_check: Evidence | None = None
    """Evidence of a model compared with itself."""
    runs: tuple[PairRun, ...] = ()
    """All runs of the same two models that the store records, this one included, oldest first."""
    run_usage: tuple[StageUsage, ...] = ()
    """Requests of the run that wrote this document and their cost, per model and judge."""

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        summary: Summary,
        config: dict[str, JsonValue],
        environment: dict[str, JsonValue],
        run_usage: tuple[StageUsage, ...] = (),
        runs: tuple[PairRun, ...] = (),
    ) -> Self:
        """Return the document with this evidence and its summary."""
        return cls(
            schema=SCHEMA,
            config=config,
            prompts=evidence.prompts,
            completions=evidence.completions,
            judgments=Judgments(evidence.judgments),
            failures=evidence.failures,
            origins=evidence.origins,
            human_sample=evidence.human_sample,
            design=evidence.design,
            null_check=evidence.null_check,
            summary=summary,
            environment=environment,
            run_usage=run_usage,
            runs=runs,
        )

    @property
    def evidence(self) -> Evidence:
        """The evidence that the summary was computed from."""
        return Evidence(
            models=tuple(model.model for model in self.summary.models),
            prompts=self.prompts,
            completions=self.completions,
            judgments=self.judgments,
            failures=self.failures,
            origins=self.origins,
            notes=self.summary.notes,
            human_sample=self.human_sample,
            design=self.design,
            null_check=self.null_check,
        )

    def to_json(self) -> str:
        """Return the document as indented JSON with a final newline."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"

    def json_parts(self, block_size: int = 1_000) -> Iterator[bytes]:
        """Yield `to_json` in UTF-8, in parts of at most `block_size` records."""
        opening, closing, bracket = b"{", b"\n ]\n}", b"["
        for name in type(self).model_fields:
            rows = getattr(self, name)
            if name not in _ROWS or len(rows) <= block_size:
                yield opening + self._field_json(name, rows)[1:-2]
            else:
                for start in range(0, len(rows), block_size):
                    part = self._field_json(name, rows[start : start + block_size])
                    head, _, records = part.removesuffix(closing).partition(bracket)
                    yield (opening + head[1:] + bracket if start == 0 else b",") + records
                yield closing[:-2]
            opening = b","
        yield b"\n}\n"

    def _field_json(self, name: str, value: object) -> bytes:
        document = self.model_copy(update={name: value})
        return document.model_dump_json(by_alias=True, indent=1, include={name}).encode()

    @overload
    def comparisons(self, frame: Literal["pandas"]) -> "pandas.DataFrame": ...
    @overload
    def comparisons(self, frame: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def comparisons(self, frame: None = None) -> "pandas.DataFrame | polars.DataFrame": ...
    def comparisons(self, frame: Library | None = None) -> "pandas.DataFrame | polars.DataFrame":
        """Return a data frame with one row per prompt and pair of models, as the summary counts.

        `preference` is the probability, 0 to 1, that `a` is better, over all judges, orders and
        repeats; its mean is the win rate of the pair. `winner` is a model's name or `tie`.
        `flipped`: the two orders name opposite winners; `consistent`: they name the same. Scores
        are means, 0 to 10. `unit` is the prompt's cluster, or its id. Human votes beside other
        judges are excluded, as in the summary. `frame` selects the library; by default pandas if
        installed, else polars. Raises ConfigError if it is not installed.
        """
        return _views().comparisons_frame(self, frame)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields replaced; pydantic does not validate `update`."""
        changes = dict(update or {})
        if "judgments" in changes:
            changes["judgments"] = Judgments(changes["judgments"])
        return super().model_copy(update=changes, deep=deep)

    def __repr_args__(self) -> Iterable[tuple[str, Any]]:
        """Yield counts instead of the fields, which can be megabytes."""
        yield "models", tuple(model.model for model in self.summary.models)
        for name in ("prompts", "completions", "judgments", "failures"):
            yield name, len(getattr(self, name))
        yield "verdicts", tuple(pair.verdict for pair in self.summary.pairs)

    def _repr_html_(self) -> str:
        """Return the HTML that a notebook shows: the verdicts and the judge cards."""
        return _views().notebook_html(self)
