"""Options of several commands: types with their constraints and help texts, and defaults."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import ConfigDict, Field

STORE = Path(".bakeoff/store.sqlite")
MAX_CONCURRENCY = 256  # requests in flight per server: one process is not faster with more

# Frozen, so that an instance can be a default argument; fields are accepted by name and by alias.
MODEL_CONFIG = ConfigDict(
    frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
)

Margin = Annotated[
    float,
    Field(ge=0, le=50, description="Points around 50 % within which two models are equivalent."),
]
Panel = Annotated[
    Literal["mean", "majority"],
    Field(description="How several judges make one preference for a prompt."),
]
Repeats = Annotated[int, Field(ge=1, description="How often a judge is asked about the same pair.")]
MaxConcurrency = Annotated[
    int,
    Field(
        ge=1,
        description="Requests in flight per server, at most; fewer after timeouts.",
    ),
]
RequestsPerMinute = Annotated[
    float | None, Field(gt=0, description="Requests a minute per server, at most. [none]")
]
TokensPerMinute = Annotated[
    float | None, Field(gt=0, description="Tokens a minute per server, at most. [none]")
]
MaxCost = Annotated[
    float | None,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="US dollars that this run may cost: more is not begun, and never spent. [none]",
    ),
]
EnvFile = Annotated[
    Path | None, Field(description="A .env file with keys; what is set already stays. [none]")
]
StorePath = Annotated[Path, Field(description="Where everything that was paid for is kept.")]
OutputFolder = Annotated[Path, Field(description="Folder for results.json and report.html.")]
ShowSamples = Annotated[int, Field(ge=0, description="How many sample comparisons to print.")]
# Not `json`: a pydantic model has a method of that name.
PrintJson = Annotated[
    bool,
    Parameter(name="--json"),
    Field(alias="json", description="Print the results document on stdout, and nothing else."),
]
Quiet = Annotated[bool, Field(description="Print nothing but errors.")]
