"""Options of the commands other than `run`; the fields of each model are the flags."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from bakeoff.config import shared_options
from bakeoff.errors import ConfigError
from bakeoff.records import MARGIN


class AuditOptions(BaseModel):
    """Options of `bakeoff audit`, which reads and checks existing evaluations."""

    model_config = shared_options.MODEL_CONFIG

    format: str | None = Field(
        None, description="How to read the files, where that is not plain from what they hold."
    )
    columns: str = Field(
        "",
        description="The columns of a table, as winner=label,prompt=question. A column of numbers "
        "is named as what they are: probability=COLUMN (1: a is better), index_from_0=COLUMN (0: "
        "a, 1: b) or index_from_1=COLUMN (1: a, 2: b).",
    )
    margin: shared_options.Margin = MARGIN
    panel: shared_options.Panel = "mean"
    out: shared_options.OutputFolder = Path("audit")
    show_samples: shared_options.ShowSamples = 0
    print_json: shared_options.PrintJson = False
    quiet: shared_options.Quiet = False

    def column_mapping(self) -> dict[str, str]:
        """Return `columns` as a mapping of standard column names to those of the file.

        Raises ConfigError if `columns` is malformed.
        """
        pairs = [item.partition("=") for item in self.columns.split(",") if item.strip()]
        for standard, equals, column in pairs:
            if not (standard.strip() and equals and column.strip()):
                raise ConfigError(
                    f"--columns {self.columns!r}: write it as winner=label,prompt=question"
                )
        return {standard.strip(): column.strip() for standard, _, column in pairs}


class JudgeCheckOptions(BaseModel):
    """Options of `bakeoff judge-check`, which grades judges on labeled pairs."""

    model_config = shared_options.MODEL_CONFIG

    judge: tuple[str, ...] = Field((), description="A judge, as [name=]backend:target[?options].")
    limit: int | None = Field(None, ge=1, description="How many pairs, at most. [all]")
    repeats: shared_options.Repeats = 1
    max_concurrency: shared_options.MaxConcurrency = shared_options.MAX_CONCURRENCY
    rpm: shared_options.RequestsPerMinute = None
    tpm: shared_options.TokensPerMinute = None
    store: shared_options.StorePath = shared_options.STORE
    max_cost: shared_options.MaxCost = None
    env_file: shared_options.EnvFile = None
    out: Path | None = Field(None, description="Folder for judge-check.json. [none]")
    print_json: shared_options.PrintJson = False
    quiet: shared_options.Quiet = False


class VoteOptions(BaseModel):
    """Options of `bakeoff vote`, which serves a page for human votes."""

    model_config = shared_options.MODEL_CONFIG

    labels: int | None = Field(None, ge=1, description="How many pairs to ask about. [all]")
    draw: Literal["random", "order", "close"] = Field(
        "random",
        description="Which pairs come first: drawn at random (only those can correct a judge), in "
        "the order of the prompts, or those on which judges contradict each other.",
    )
    seed: int = Field(42, description="Seed of the draw and of who is shown first.")
    port: int = Field(0, ge=0, le=65535, description="Port of the page on this machine. [any]")
    show_samples: shared_options.ShowSamples = 0
    print_json: shared_options.PrintJson = False
    quiet: bool = Field(False, description="Print nothing but errors and the page's address.")
