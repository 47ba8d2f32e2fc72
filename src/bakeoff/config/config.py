"""The Config: everything that a comparison is asked for, in one flat model."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from bakeoff.config.spec import Sampling, Spec
from bakeoff.errors import ConfigError
from bakeoff.records import MARGIN, Design

STORE = Path(".bakeoff/store.sqlite")
MOST = 256  # requests in flight at one server: more bring nothing from one process
FLIGHT = "Requests in flight per server, at most: it begins with 32, and goes on while that pays."
RPM = "Requests a minute per server, at most. [none]"
TPM = "Tokens a minute per server, at most. [none]"

EMBEDDED_DEFAULT: dict[str, Any] = {
    "model": ("embedded:smollm2", "embedded:gemma3-270m"),
    "judge": ("embedded:qwen2.5-coder-0.5b",),
    "prompts": "starter",
    "limit": 24,
    "max_tokens": 96,
}


class Config(BaseModel):
    """One comparison, as it was asked for: flags, YAML keys and Python arguments are its fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    model: tuple[str, ...] = Field(
        (), description="A model, as [name=][backend:]target[?option=value&...]; two or more."
    )
    judge: tuple[str, ...] = Field((), description="The judge, as a model is given. [gpt-4]")
    prompts: str = Field(
        "ultrachat",
        description="starter, ultrachat, hf:DATASET, or a file (jsonl, json, csv, txt).",
    )
    limit: int = Field(50, ge=1, description="How many prompts to draw.")
    seed: int = Field(42, description="Seed of the draw, the order of presentation, the sampling.")
    temperature: float = Field(0.7, ge=0, le=2, description="Sampling temperature of the models.")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus sampling of the models.")
    max_tokens: int = Field(1024, ge=1, description="New tokens per completion, at most.")
    system: str | None = Field(None, description="A system prompt for every model.")
    thinking: Literal["strip", "keep"] = Field(
        "strip", description="Whether the judge sees what a model thought (<think>)."
    )
    baseline: str | None = Field(
        None,
        description="A model, or the name of one, that each other one is compared with. [none]",
    )
    pairs: Literal["all", "adaptive"] = Field(
        "all", description="Judge each two models, or those pairs that say most about the ranking."
    )
    orders: Literal["both", "random", "adaptive"] = Field(
        "both",
        description="Show each pair in both orders, once in a random order, or adaptively: in the "
        "second one only where that can still change the verdict.",
    )
    stop: Literal["never", "when-sure"] = Field(
        "never",
        description="Whether to stop before --limit: when it is sure who is better, or nobody.",
    )
    samples: int = Field(1, ge=1, description="Completions of each model for each prompt.")
    shard: str | None = Field(
        None,
        pattern=r"^[1-9]\d*/[1-9]\d*$",
        description="A part of the prompts, as 2/8: a machine for each, then bakeoff merge. [all]",
    )
    margin: float = Field(
        MARGIN,
        ge=0,
        le=50,
        description="Points around 50 % within which two models are equivalent.",
    )
    repeats: int = Field(1, ge=1, description="How often a judge is asked about the same pair.")
    panel: Literal["mean", "majority"] = Field(
        "mean", description="How several judges make one preference for a prompt."
    )
    null_check: int = Field(
        0, ge=0, description="Prompts where the judge compares a model with itself, as a check."
    )
    max_concurrency: int = Field(MOST, ge=1, description=FLIGHT)
    rpm: float | None = Field(None, gt=0, description=RPM)
    tpm: float | None = Field(None, gt=0, description=TPM)
    max_cost: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="US dollars that this run may cost: more is not begun, and never spent. [none]",
    )
    yes: bool = Field(False, description="Do not ask whether what it costs is all right.")
    env_file: Path | None = Field(
        None, description="A .env file with keys; what is set already stays. [none]"
    )
    batch: bool = Field(
        False, description="Ask openai: and anthropic: in batches: half the price, within a day."
    )
    ray: str | None = Field(
        None, description="The Ray cluster to join: auto or an address. [a local one]"
    )
    out: Path = Field(Path("results"), description="Folder for results.json and report.html.")
    store: Path = Field(STORE, description="Where everything that was paid for is kept.")
    show_samples: int = Field(5, ge=0, description="How many sample comparisons to print.")
    # Not `json`: a pydantic model has a method of that name.
    print_json: Annotated[bool, Parameter(name="--json")] = Field(
        False, alias="json", description="Print the results document on stdout, and nothing else."
    )
    quiet: bool = Field(False, description="Print nothing but errors.")
    profile: bool = Field(False, description="Print where the time went, on stderr.")
    max_failures: float = Field(
        0.02, ge=0, le=1, description="Exit with 3 where a larger share of the work failed."
    )
    allow_self_judge: bool = Field(False, description="Let a contestant be the judge.")

    def settled(self) -> Self:
        """The config with every default chosen: without any model, the embedded comparison.

        ConfigError where what was asked for does not go together.
        """
        self._check_together()
        update: dict[str, Any] = {}
        if not self.model:
            update = {k: v for k, v in EMBEDDED_DEFAULT.items() if k not in self.model_fields_set}
        elif not self.judge:
            update["judge"] = ("gpt-4",)
        if self.shard:  # machines may share a disk
            name = f"shard-{self.shard.replace('/', '-of-')}"
            places = {"store": self.store.with_name(f"{name}.sqlite"), "out": self.out / name}
            update |= {k: v for k, v in places.items() if k not in self.model_fields_set}
        return self.model_copy(update=update) if update else self

    def _check_together(self) -> None:
        early = [f"--{k} adaptive" for k in ("pairs", "orders") if getattr(self, k) == "adaptive"]
        early += ["--stop when-sure"] * (self.stop == "when-sure")
        which, of = self.part
        if self.baseline and not self.model:
            raise ConfigError("--baseline is what a model is compared with: give it with --model")
        if self.baseline and self.pairs == "adaptive":
            raise ConfigError("--pairs adaptive chooses pairs, and --baseline says which they are")
        if which > of:
            raise ConfigError(f"--shard {self.shard}: there is no such part; the last is {of}/{of}")
        if self.shard and early:
            raise ConfigError(f"{early[0]} goes by what the whole shows, and --shard is a part")

    @property
    def contestants(self) -> tuple[str, ...]:
        """The models in the order in which they are compared: the baseline comes last."""
        if self.baseline is None:
            return self.model
        name = Spec.parse(self.baseline).name
        same = [token for token in self.model if Spec.parse(token).name == name]
        return (*(token for token in self.model if token not in same), *(same or [self.baseline]))

    @property
    def part(self) -> tuple[int, int]:
        """Which part of the prompts it is, from 1, and how many parts there are."""
        which, of = (self.shard or "1/1").split("/")
        return int(which), int(of)

    @property
    def design(self) -> Design:
        """Which pairs there will be, and what of them only because of what came before."""
        return Design(
            baseline=Spec.parse(self.baseline).name if self.baseline else None,
            sequential=self.stop == "when-sure" or self.pairs == "adaptive",
        )

    @property
    def null_prompts(self) -> int:
        """How many prompts of this part are for the null check: they are the first of its own."""
        which, of = self.part
        return max(0, -((which - 1 - self.null_check) // of))

    def sampling(self) -> Sampling:
        """How the models are to be sampled, before a model's own overrides."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            system=self.system,
        )
