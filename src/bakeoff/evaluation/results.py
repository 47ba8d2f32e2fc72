"""The document that people keep, as they use it: from a file, in a notebook, as tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import read_whole
from bakeoff.records import SCHEMA, Judgment
from bakeoff.records import Results as Document
from bakeoff.report.export import RESULTS

if TYPE_CHECKING:
    import pandas
    import polars


class Judgments(tuple[Judgment, ...]):
    """The judgments of some results: a tuple that gives a table when it is called."""

    __slots__ = ()

    @overload
    def __call__(self, frame: Literal["pandas"]) -> "pandas.DataFrame": ...
    @overload
    def __call__(self, frame: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def __call__(self, frame: None = None) -> "pandas.DataFrame | polars.DataFrame": ...
    def __call__(
        self, frame: Literal["pandas", "polars"] | None = None
    ) -> "pandas.DataFrame | polars.DataFrame":
        """A row per judgment: what one judge said of one prompt in one order.

        `preference` is the probability, 0 to 1, that `first` is better, `winner` a model's name or
        `tie`, scores are 0 to 10, `cost` is in US dollars. Votes of people are rows too. The frame
        is of pandas, else of polars, or of the library that `frame` names; ConfigError where that
        is not installed.
        """
        # With numpy: slow to import, and rarely asked.
        from bakeoff.report.frames import JUDGMENTS, frame_of, judgment_rows

        return frame_of(frame, JUDGMENTS, judgment_rows(self))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Self], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Read, checked and written as the tuple that it is."""
        return core_schema.no_info_after_validator_function(cls, handler(tuple[Judgment, ...]))


class Results(Document):
    """The results of a comparison or of an audit (`results.json`).

    `summary` holds what was found, `judgments` what it was found from; `judgments()` and
    `comparisons()` are tables. A notebook shows the verdicts.
    """

    judgments: Judgments

    @overload
    def comparisons(self, frame: Literal["pandas"]) -> "pandas.DataFrame": ...
    @overload
    def comparisons(self, frame: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def comparisons(self, frame: None = None) -> "pandas.DataFrame | polars.DataFrame": ...
    def comparisons(
        self, frame: Literal["pandas", "polars"] | None = None
    ) -> "pandas.DataFrame | polars.DataFrame":
        """A row per prompt and two models: what the summary counts, by the same rules.

        `preference` is the probability, 0 to 1, that `a` is better, over all judges, orders and
        repeats; its mean is the pair's win rate. `winner` is a model's name or `tie`, `flipped`
        says that the two orders named opposite winners, `consistent` that they named the same;
        scores are means, 0 to 10. `unit` is the cluster of the prompt, or its id. What people say
        beside other judges is not in it, as in the summary. The frame is of pandas, else of polars,
        or of the library that `frame` names; ConfigError where that is not installed.
        """
        from bakeoff.report.frames import COMPARISONS, comparison_rows, frame_of

        return frame_of(frame, COMPARISONS, comparison_rows(self))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed; pydantic does not check what it is given here."""
        given = dict(update or {})
        if "judgments" in given:
            given["judgments"] = Judgments(given["judgments"])
        return super().model_copy(update=given, deep=deep)

    def __repr_args__(self) -> Iterable[tuple[str, Any]]:
        """A line, and not the megabytes that the fields may be."""
        yield "models", tuple(model.model for model in self.summary.models)
        for name in ("prompts", "completions", "judgments", "failures"):
            yield name, len(getattr(self, name))
        yield "verdicts", tuple(pair.verdict for pair in self.summary.pairs)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdicts, and how far they can be trusted."""
        from bakeoff.report.notebook import notebook_html

        return notebook_html(self)


def folder_of(path: Path) -> Path:
    """Where the results are that a path names: a folder, or a file in it."""
    return path if path.is_dir() else path.parent


def read_results(path: Path | str) -> Results:
    """The results in a file, or in the `results.json` of a folder; ConfigError where none are."""
    file = Path(path)
    file = file / RESULTS if file.is_dir() else file
    try:
        results = Results.model_validate_json(read_whole(file))
    except OSError as error:
        raise ConfigError(f"cannot read {str(file)!r} ({error.strerror})") from None
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, wrong["loc"]))[:200] or "the file"
        words = " ".join(f"{where}: {wrong['msg']}".split())
        raise ConfigError(
            f"{str(file)!r} holds no results of this version of bakeoff ({words})"
        ) from None
    if results.schema_ != SCHEMA:
        raise ConfigError(
            f"{str(file)!r} has the schema {results.schema_!r}, and this version reads {SCHEMA!r}: "
            "make it again with this version"
        )
    return results
