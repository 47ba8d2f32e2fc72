"""What the commands beside `run` are asked: their flags are the fields of these."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from bakeoff.config import FLIGHT, MOST, RPM, STORE, TPM
from bakeoff.errors import ConfigError
from bakeoff.records import MARGIN


class Audit(BaseModel):
    """How evaluations that already exist are to be read and shown: the flags of `bakeoff audit`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    format: str | None = Field(
        None, description="How to read the files, where that is not plain from what they hold."
    )
    columns: str = Field("", description="The columns of a table, as winner=label,prompt=question.")
    margin: float = Field(
        MARGIN,
        ge=0,
        le=50,
        description="Points around 50 % within which two models are equivalent.",
    )
    panel: Literal["mean", "majority"] = Field(
        "mean", description="How several judges make one preference for a prompt."
    )
    out: Path = Field(Path("audit"), description="Folder for results.json and report.html.")
    show_samples: int = Field(0, ge=0, description="How many sample comparisons to print.")
    print_json: Annotated[bool, Parameter(name="--json")] = Field(
        False, alias="json", description="Print the results document on stdout, and nothing else."
    )
    quiet: bool = Field(False, description="Print nothing but errors.")

    def mapping(self) -> dict[str, str]:
        """Our names of columns to those of the file; ConfigError where it cannot be read."""
        pairs = [item.partition("=") for item in self.columns.split(",") if item.strip()]
        for ours, equals, theirs in pairs:
            if not (ours.strip() and equals and theirs.strip()):
                raise ConfigError(
                    f"--columns {self.columns!r}: write it as winner=label,prompt=question"
                )
        return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


class Check(BaseModel):
    """How judges are tried on pairs whose better one is known: the flags of `judge-check`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    judge: tuple[str, ...] = Field((), description="A judge, as [name=]backend:target[?options].")
    limit: int | None = Field(None, ge=1, description="How many pairs, at most. [all]")
    repeats: int = Field(1, ge=1, description="How often a judge is asked about the same pair.")
    max_concurrency: int = Field(MOST, ge=1, description=FLIGHT)
    rpm: float | None = Field(None, gt=0, description=RPM)
    tpm: float | None = Field(None, gt=0, description=TPM)
    store: Path = Field(STORE, description="Where everything that was paid for is kept.")
    max_cost: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="US dollars that are spent, at most. [none]"
    )
    env_file: Path | None = Field(
        None, description="A .env file with keys; what is set already stays. [none]"
    )
    out: Path | None = Field(None, description="Folder for judge-check.json. [none]")
    print_json: Annotated[bool, Parameter(name="--json")] = Field(
        False, alias="json", description="Print the results document on stdout, and nothing else."
    )
    quiet: bool = Field(False, description="Print nothing but errors.")


class Poll(BaseModel):
    """How people are asked about pairs: the flags of `bakeoff vote`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    labels: int | None = Field(None, ge=1, description="How many pairs to ask about. [all]")
    draw: Literal["random", "order", "close"] = Field(
        "random",
        description="Which pairs come first: drawn at random (only those can correct a judge), in "
        "the order of the prompts, or those on which judges contradict each other.",
    )
    seed: int = Field(42, description="Seed of the draw and of who is shown first.")
    port: int = Field(0, ge=0, le=65535, description="Port of the page on this machine. [any]")
    show_samples: int = Field(0, ge=0, description="How many sample comparisons to print.")
    print_json: Annotated[bool, Parameter(name="--json")] = Field(
        False, alias="json", description="Print the results document on stdout, and nothing else."
    )
    quiet: bool = Field(False, description="Print nothing but errors and the page's address.")
