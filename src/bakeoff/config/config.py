"""`Config`: the configuration of a comparison."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from bakeoff.config import shared_options
from bakeoff.config.spec import Sampling, Spec
from bakeoff.errors import ConfigError
from bakeoff.records import MARGIN, Design

EMBEDDED_DEFAULT: dict[str, Any] = {
    "model": ("embedded:smollm2", "embedded:gemma3-270m"),
    "judge": ("embedded:qwen2.5-coder-0.5b",),
    "prompts": "starter",
    "limit": 24,
    "max_tokens": 96,
}


class Config(BaseModel):
    """Configuration of a comparison; its fields are the flags, YAML keys and Python arguments."""

    model_config = shared_options.MODEL_CONFIG

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
    stop: Literal["never", "early"] = Field(
        "never",
        description="Whether to stop before --limit: when it is sure who is better, or nobody.",
    )
    looks: int = Field(
        1,
        ge=1,
        le=5,
        description="At how many equally spaced numbers of prompts to look (2 to 5), and to stop "
        "where the verdict is clear.",
    )
    samples: int = Field(1, ge=1, description="Completions of each model for each prompt.")
    shard: str | None = Field(
        None,
        pattern=r"^[1-9]\d*/[1-9]\d*$",
        description="A part of the prompts, as 2/8: a machine for each, then bakeoff merge. [all]",
    )
    margin: shared_options.Margin = MARGIN
    repeats: shared_options.Repeats = 1
    panel: shared_options.Panel = "mean"
    null_check: int = Field(
        0, ge=0, description="Prompts where the judge compares a model with itself, as a check."
    )
    max_concurrency: shared_options.MaxConcurrency = shared_options.MAX_CONCURRENCY
    rpm: shared_options.RequestsPerMinute = None
    tpm: shared_options.TokensPerMinute = None
    max_cost: shared_options.MaxCost = None
    yes: bool = Field(False, description="Do not ask whether what it costs is all right.")
    env_file: shared_options.EnvFile = None
    batch: bool = Field(
        False, description="Ask openai: and anthropic: in batches: half the price, within a day."
    )
    ray: str | None = Field(
        None, description="The Ray cluster to join: auto or an address. [a local one]"
    )
    out: shared_options.OutputFolder = Path("results")
    store: shared_options.StorePath = shared_options.STORE
    show_samples: shared_options.ShowSamples = 5
    print_json: shared_options.PrintJson = False
    quiet: shared_options.Quiet = False
    profile: bool = Field(False, description="Print where the time went, on stderr.")
    max_failures: float = Field(
        0.02, ge=0, le=1, description="Exit with 3 where a larger share of the work failed."
    )
    allow_self_judge: bool = Field(False, description="Let a contestant be the judge.")

    def resolved(self) -> Self:
        """Return the config with all defaults filled in.

        Without a model, they are those of a comparison of small embedded models. A shard has its
        own store and output folder. Raises ConfigError if options contradict each other.
        """
        self._check_combination()
        explicit = {name: getattr(self, name) for name in self.model_fields_set}
        defaults: dict[str, Any] = {}
        if not self.model:
            defaults |= EMBEDDED_DEFAULT
        elif not self.judge:
            explicit["judge"] = ("gpt-4",)
        if self.shard:  # several machines may share a disk
            name = f"shard-{self.shard.replace('/', '-of-')}"
            defaults |= {"store": self.store.with_name(f"{name}.sqlite"), "out": self.out / name}
        return type(self)(**defaults | explicit)

    def _check_combination(self) -> None:
        early = [f"--{k} adaptive" for k in ("pairs", "orders") if getattr(self, k) == "adaptive"]
        early += ["--stop early"] * (self.stop == "early") + ["--looks"] * (self.looks > 1)
        index, count = self.shard_index
        if self.baseline and not self.model:
            raise ConfigError("--baseline is what a model is compared with: give it with --model")
        if self.baseline and self.pairs == "adaptive":
            raise ConfigError("--pairs adaptive chooses pairs, and --baseline says which they are")
        if self.looks > 1 and self.design.sequential:
            other = "--stop early" if self.stop == "early" else "--pairs adaptive"
            raise ConfigError(
                f"--looks {self.looks} checks the verdict at planned numbers of prompts, and "
                f"{other} after every prompt: leave out one of them"
            )
        if index > count:
            raise ConfigError(
                f"--shard {self.shard}: there is no such part; the last is {count}/{count}"
            )
        if self.shard and early:
            raise ConfigError(f"{early[0]} goes by what the whole shows, and --shard is a part")

    @property
    def contestants(self) -> tuple[str, ...]:
        """Specs of the models in the order of comparison; the baseline is last."""
        if self.baseline is None:
            return self.model
        name = Spec.parse(self.baseline).name
        same = [spec for spec in self.model if Spec.parse(spec).name == name]
        return (*(spec for spec in self.model if spec not in same), *(same or [self.baseline]))

    @property
    def shard_index(self) -> tuple[int, int]:
        """Index of this shard, from 1, and the number of shards; (1, 1) without `shard`."""
        index, count = (self.shard or "1/1").split("/")
        return int(index), int(count)

    @property
    def design(self) -> Design:
        """The compared pairs, and whether the sample size depends on verdicts."""
        return Design(
            baseline=Spec.parse(self.baseline).name if self.baseline else None,
            sequential=self.stop == "early" or self.pairs == "adaptive",
        )

    @property
    def null_prompts(self) -> int:
        """Number of prompts of this shard for the null check, which takes its first prompts."""
        index, count = self.shard_index
        return max(0, -((index - 1 - self.null_check) // count))

    def sampling(self) -> Sampling:
        """Return the sampling options of all models, without the overrides of their specs."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            system=self.system,
        )
