"""The options of the commands beside `run`; their flags are the fields of these models."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from bakeoff.config import fields
from bakeoff.errors import ConfigError
from bakeoff.records import MARGIN


class AuditOptions(BaseModel):
    """Options of `bakeoff audit`: how existing evaluations are read and reported."""

    model_config = fields.OPTIONS

    format: str | None = Field(
        None, description="How to read the files, where that is not plain from what they hold."
    )
    columns: str = Field("", description="The columns of a table, as winner=label,prompt=question.")
    margin: fields.Margin = MARGIN
    panel: fields.Panel = "mean"
    out: fields.OutputFolder = Path("audit")
    show_samples: fields.ShowSamples = 0
    print_json: fields.PrintJson = False
    quiet: fields.Quiet = False

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
    """Options of `bakeoff judge-check`: which judges are checked on which labeled pairs."""

    model_config = fields.OPTIONS

    judge: tuple[str, ...] = Field((), description="A judge, as [name=]backend:target[?options].")
    limit: int | None = Field(None, ge=1, description="How many pairs, at most. [all]")
    repeats: fields.Repeats = 1
    max_concurrency: fields.MaxConcurrency = fields.MAX_CONCURRENCY
    rpm: fields.RequestsPerMinute = None
    tpm: fields.TokensPerMinute = None
    store: fields.StorePath = fields.STORE
    max_cost: fields.MaxCost = None
    env_file: fields.EnvFile = None
    out: Path | None = Field(None, description="Folder for judge-check.json. [none]")
    print_json: fields.PrintJson = False
    quiet: fields.Quiet = False


class VoteOptions(BaseModel):
    """Options of `bakeoff vote`: which pairs people are asked about, and how."""

    model_config = fields.OPTIONS

    labels: int | None = Field(None, ge=1, description="How many pairs to ask about. [all]")
    draw: Literal["random", "order", "close"] = Field(
        "random",
        description="Which pairs come first: drawn at random (only those can correct a judge), in "
        "the order of the prompts, or those on which judges contradict each other.",
    )
    seed: int = Field(42, description="Seed of the draw and of who is shown first.")
    port: int = Field(0, ge=0, le=65535, description="Port of the page on this machine. [any]")
    show_samples: fields.ShowSamples = 0
    print_json: fields.PrintJson = False
    quiet: fields.Quiet = False
