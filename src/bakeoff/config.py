"""What was asked: one flat Config (flags, YAML keys and Python arguments are its fields), and Spec.

Knows how a run is described; does not open, load or check anything that the description names.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import unquote

import yaml
from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bakeoff.errors import ConfigError, one_line
from bakeoff.records import MARGIN

Fields = TypeVar("Fields", bound=BaseModel)

_SEVERAL = "base_url"  # the option that may be given more than once
_NAME = re.compile(r"([^:/?=]+?)\s*=\s*(.*)", re.DOTALL)
_BACKEND = re.compile(r"([a-z][a-z0-9_-]*):(?!//)(.*)", re.DOTALL)

MOST = 256  # requests in flight at one server: more bring nothing from one process
_MOST = "Requests in flight per server, at most: it begins with 32, and goes on while that pays."
_RPM = "Requests a minute per server, at most. [none]"
_TPM = "Tokens a minute per server, at most. [none]"

EMBEDDED_DEFAULT: dict[str, Any] = {
    "model": ("embedded:smollm2", "embedded:gemma3-270m"),
    "judge": ("embedded:qwen2.5-coder-0.5b",),
    "prompts": "starter",
    "limit": 24,
    "max_tokens": 96,
}


class Spec(BaseModel):
    """A model, judge or prompt source in one token: `[name=][backend:]target[?option=value&...]`.

    `options` are text; the backend that they are for validates them. A value may be
    percent-encoded; `+` stays `+`. `base_url` may stand there more than once: its text is all of
    them, with a space between two. `name` is what the results call it, by default the token
    without its options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    backend: str
    target: str
    options: dict[str, str] = {}

    @classmethod
    def parse(cls, text: str, *, default: str = "hf") -> Self:
        """Read one token; ConfigError where it cannot be one.

        Without a backend it is the `default` one (`hf` for models).
        """
        text = text.strip()
        name, rest = match.groups() if (match := _NAME.fullmatch(text)) else (None, text)
        rest, _, query = rest.partition("?")
        backend, target = match.groups() if (match := _BACKEND.fullmatch(rest)) else (default, rest)
        options: dict[str, str] = {}
        for item in filter(None, query.split("&")):
            key, equals, value = item.partition("=")
            if not equals or not key:
                raise ConfigError(f"{text!r}: write the option {item!r} as option=value")
            if key in options and key != _SEVERAL:
                raise ConfigError(f"{text!r}: the option {key!r} stands there twice")
            options[key] = " ".join(filter(None, (options.get(key), unquote(value))))
        if not target and backend != "echo":
            raise ConfigError(
                f"{text!r} names no model: write [name=][backend:]target[?option=value]"
            )
        return cls(name=name or rest, backend=backend, target=target, options=options)


class Sampling(BaseModel):
    """How completions are drawn; part of what identifies one.

    `schema_` is a JSON schema that the completion has to fit, where the server can do that;
    `top` asks for the log-probabilities of that many first tokens. `weigh` asks for no new token at
    all, but for what the last turn is worth (`Completion.weight`); a worker that cannot tell says
    so with a ConfigError when it is opened.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)
    seed: int = 42
    system: str | None = None
    schema_: dict[str, JsonValue] | None = None
    top: int | None = None
    weigh: bool = False


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
    order: Literal["both", "random"] = Field(
        "both", description="Show each pair in both orders, or once in a random order."
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
    max_concurrency: int = Field(MOST, ge=1, description=_MOST)
    rpm: float | None = Field(None, gt=0, description=_RPM)
    tpm: float | None = Field(None, gt=0, description=_TPM)
    batch: bool = Field(
        False, description="Ask openai: and anthropic: in batches: half the price, within a day."
    )
    out: Path = Field(Path("results"), description="Folder for results.json and report.html.")
    store: Path = Field(
        Path(".bakeoff/store.sqlite"), description="Where everything that was paid for is kept."
    )
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
        """The config with every default chosen: without any model, the embedded comparison."""
        update: dict[str, Any] = {}
        if not self.model:
            update = {k: v for k, v in EMBEDDED_DEFAULT.items() if k not in self.model_fields_set}
        elif not self.judge:
            update["judge"] = ("gpt-4",)
        return self.model_copy(update=update) if update else self

    def sampling(self) -> Sampling:
        """How the models are to be sampled, before a model's own overrides."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            system=self.system,
        )


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
    max_concurrency: int = Field(MOST, ge=1, description=_MOST)
    rpm: float | None = Field(None, gt=0, description=_RPM)
    tpm: float | None = Field(None, gt=0, description=_TPM)
    store: Path = Field(
        Path(".bakeoff/store.sqlite"), description="Where everything that was paid for is kept."
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


def origins(tokens: Iterable[str]) -> dict[str, str]:
    """What stands behind each name of a model or judge: backend and target, without options."""
    specs = [Spec.parse(token, default="") for token in tokens]
    return {spec.name: f"{spec.backend}:{spec.target}" for spec in specs}


def config_from(file: Path | None, given: dict[str, Any]) -> Config:
    """A Config from a YAML file and what was given beside it, which wins. ConfigError if unfit."""
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8")) if file else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {str(file)!r}: {one_line(error)}") from None
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{str(file)!r} has to hold keys and values, like `limit: 50`")
    for key in ("model", "judge"):
        if isinstance(loaded.get(key), str):
            loaded[key] = [loaded[key]]
    one_name = {name: field.alias or name for name, field in Config.model_fields.items()}
    values = {one_name.get(str(key), str(key)): value for key, value in (loaded | given).items()}
    return parse_fields(Config, values, where=str(file) if file else "the flags")


def parse_fields(model: type[Fields], values: dict[str, Any], *, where: str) -> Fields:
    """Validate values from outside; ConfigError in one line, naming the field and the choices."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_problem(error, model)}") from None


def split_options(model: type[Fields], spec: Spec) -> tuple[Fields, Spec]:
    """The options of a spec that are this model's, validated, and the spec with the others."""
    own = {key: value for key, value in spec.options.items() if key in model.model_fields}
    rest = {key: value for key, value in spec.options.items() if key not in own}
    options = parse_fields(model, own, where=spec.name)
    return options, spec.model_copy(update={"options": rest})


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with the first field that is: its name, its value, what it may be."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "value"
    if first["type"] == "extra_forbidden":
        known = ", ".join(f.alias or n for n, f in model.model_fields.items()) or "none"
        return f"no option {field!r}; there are: {known}"
    return f"{field} = {first['input']!r}: {first['msg']}"
